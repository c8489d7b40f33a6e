//! The ordinary way: an outlet through socketioxide's queue, for sessions that began
//! with polling. What is pushed before CONNECT has passed waits here.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use actix::Recipient;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use socketioxide::TransportType;
use socketioxide::extract::{AckSender, SocketRef};

use super::link::Link;
use crate::actors::messages::{Closing, Outlet, OutletDrained, Traffic};
use crate::domain::EventPacket;

pub struct Ordinary {
    socket: SocketRef,
    link: Arc<Link>,
    /// Events from before CONNECT; `None` once it has passed.
    early: Mutex<Option<Vec<EventPacket>>>,
    /// socketioxide's way to answer, for each event that wants an answer.
    acks: Mutex<HashMap<i64, AckSender>>,
    max_queued: usize,
    slow: metrics::Counter,
}

impl Ordinary {
    pub fn new(socket: SocketRef, link: Arc<Link>, max_queued: usize, slow: metrics::Counter) -> Self {
        Self { socket, link, early: Mutex::new(Some(Vec::new())), acks: Mutex::default(), max_queued, slow }
    }

    /// Whether the session has gone over to a websocket.
    pub fn is_websocket(&self) -> bool {
        self.socket.transport_type() == TransportType::Websocket
    }

    pub fn end(&self) {
        // It may be gone already.
        self.socket.clone().disconnect().ok();
    }

    /// CONNECT has passed.
    pub fn open(&self) {
        // Emitted under the lock, so that no later event overtakes them.
        let mut early = self.early.lock();
        early.take().into_iter().flatten().for_each(|packet| self.emit(&packet));
    }

    pub fn expect_ack(&self, ack: i64, sender: Result<AckSender, Infallible>) {
        let Ok(sender) = sender;
        self.acks.lock().insert(ack, sender);
    }

    fn emit(&self, packet: &EventPacket) {
        // What comes after the close would keep a polling client fetching for as long as there is traffic.
        if self.link.is_closed() {
            return;
        }
        // Ours, and JSON: this only finds its end.
        let Ok(payload) = serde_json::from_str::<&RawValue>(packet.payload()) else { return };
        let sent = match packet.offset() {
            // socketioxide sends the elements of a tuple as arguments.
            Some(offset) => self.socket.emit(packet.name(), &(payload, offset)).is_ok(),
            None => self.socket.emit(packet.name(), payload).is_ok(),
        };
        self.account(packet.text().len(), sent);
    }

    /// A full queue would be a gap, and a long one somebody's memory: the client has to come back.
    fn account(&self, bytes: usize, sent: bool) {
        let queued = self.link.ordinary_queued(bytes);
        if (!sent || queued > self.max_queued) && !self.link.is_closed() {
            self.slow.increment(1);
            self.link.kill();
        }
    }
}

impl Outlet for Ordinary {
    fn push_event(&self, packet: &EventPacket) -> bool {
        if !self.link.takes_events(self.max_queued) {
            return false;
        }
        self.push_notice(packet);
        true
    }

    fn attend(&self, session: Recipient<OutletDrained>) {
        self.link.attend(session);
    }

    fn push_notice(&self, packet: &EventPacket) {
        let mut early = self.early.lock();
        match early.as_mut() {
            Some(early) => early.push(packet.clone()),
            None => self.emit(packet),
        }
    }

    fn push_ack(&self, ack: i64, answer: &RawValue) {
        if let Some(sender) = self.acks.lock().remove(&ack) {
            let sent = sender.send(answer).is_ok();
            self.account(answer.get().len(), sent);
        }
    }

    fn close(&self, closing: Closing) {
        match closing {
            Closing::Transport => self.link.close(),
            Closing::AtOnce => self.link.kill(),
            Closing::Session => {
                self.link.close_after_disconnect();
                self.end();
            }
        }
    }

    fn ended(&self) {
        // Each holds the socket, which would never be freed.
        self.acks.lock().clear();
        self.link.detach();
    }

    fn transport(&self) -> &'static str {
        if self.link.is_upgraded() { "websocket" } else { "polling" }
    }

    fn traffic(&self) -> Traffic {
        self.link.traffic()
    }
}
