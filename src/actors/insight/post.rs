//! The address that counts what is sent to an actor.

use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::prelude::*;

use super::probe::Probe;

/// The address of an actor that has a [`Probe`]: an actix mailbox does not say how long it is. Cheap to clone,
/// which an actix address is not: each one is an allocation of its own.
pub struct Post<A: Actor>(Arc<Posted<A>>);

struct Posted<A: Actor> {
    address: Addr<A>,
    probe: Arc<Probe>,
}

impl<A: Actor> Clone for Post<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Actor> Post<A> {
    pub fn new(address: Addr<A>, probe: Arc<Probe>) -> Self {
        Self(Arc::new(Posted { address, probe }))
    }

    pub fn probe(&self) -> &Arc<Probe> {
        &self.0.probe
    }

    /// The same actor, counted by another probe.
    #[must_use]
    pub fn probed(&self, probe: Arc<Probe>) -> Self {
        Self::new(self.0.address.clone(), probe)
    }

    pub fn do_send<M>(&self, message: M)
    where
        M: Message + Send,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.0.probe.sent();
        self.0.address.do_send(message);
    }

    pub fn send<M>(&self, message: M) -> Request<A, M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.0.probe.sent();
        self.0.address.send(message)
    }

    pub fn connected(&self) -> bool {
        self.0.address.connected()
    }

    /// What is sent by this is not counted as sent: its handler uses [`Probe::handling_other`].
    pub fn recipient<M>(&self) -> Recipient<M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.0.address.clone().recipient()
    }
}
