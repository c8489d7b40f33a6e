//! The address that counts what is sent to an actor.

use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::prelude::*;

use super::probe::Probe;

/// The address of an actor that has a [`Probe`]: an actix mailbox does not say how long it is.
pub struct Post<A: Actor> {
    address: Addr<A>,
    probe: Arc<Probe>,
}

impl<A: Actor> Clone for Post<A> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), probe: self.probe.clone() }
    }
}

impl<A: Actor> Post<A> {
    pub fn new(address: Addr<A>, probe: Arc<Probe>) -> Self {
        Self { address, probe }
    }

    pub fn probe(&self) -> &Arc<Probe> {
        &self.probe
    }

    /// The same actor, counted by another probe.
    #[must_use]
    pub fn probed(&self, probe: Arc<Probe>) -> Self {
        Self { address: self.address.clone(), probe }
    }

    pub fn do_send<M>(&self, message: M)
    where
        M: Message + Send,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.probe.sent();
        self.address.do_send(message);
    }

    pub fn send<M>(&self, message: M) -> Request<A, M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.probe.sent();
        self.address.send(message)
    }

    pub fn connected(&self) -> bool {
        self.address.connected()
    }

    /// What is sent by this is not counted as sent: its handler uses [`Probe::handling_other`].
    pub fn recipient<M>(&self) -> Recipient<M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.address.clone().recipient()
    }
}
