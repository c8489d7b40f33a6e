//! The ordinary way: an outlet through socketioxide's queue, for sessions that began
//! with polling. What is pushed before CONNECT has passed waits here. Once the session is upgraded to a
//! websocket it goes on by the lane, behind the last packet that took this way.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use actix::Recipient;
use parking_lot::{Mutex, MutexGuard};
use serde_json::value::RawValue;
use socketioxide::TransportType;
use socketioxide::extract::{AckSender, SocketRef};

use super::lane::Lane;
use super::link::Link;
use super::tally::{LAST, LAST_NAME};
use crate::actors::messages::{Closing, Leaves, Outlet, OutletDrained, Traffic};
use crate::domain::EventPacket;
use crate::telemetry::Metrics;

pub struct Ordinary {
    socket: SocketRef,
    link: Arc<Link>,
    way: Mutex<Way>,
    /// socketioxide's way to answer, for each event that wants an answer.
    acks: Mutex<HashMap<i64, AckSender>>,
    max_queued: usize,
    metrics: Arc<Metrics>,
}

/// The way that the next packet takes.
enum Way {
    /// CONNECT has not passed: events wait here for it.
    Early(Vec<EventPacket>),
    /// socketioxide's queue.
    Queue,
    Lane(Lane),
}

impl Ordinary {
    pub fn new(socket: SocketRef, link: Arc<Link>, max_queued: usize, metrics: Arc<Metrics>) -> Self {
        let way = Mutex::new(Way::Early(Vec::new()));
        Self { socket, link, way, acks: Mutex::default(), max_queued, metrics }
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
        let mut way = self.way.lock();
        if let Way::Early(early) = std::mem::replace(&mut *way, Way::Queue) {
            early.iter().for_each(|packet| self.emit(packet));
        }
    }

    /// The way, which is the lane as soon as it can be.
    fn way(&self) -> MutexGuard<'_, Way> {
        let mut way = self.way.lock();
        if matches!(*way, Way::Queue)
            && self.socket.transport_type() == TransportType::Websocket
            && let Some(connection) = self.link.upgraded()
        {
            // Under the lock, so that nothing comes behind the last packet.
            let lane = Lane::take_over(connection, self.socket.clone());
            if let Some(session) = self.link.attendant() {
                lane.attend(session);
            }
            *way = Way::Lane(lane);
            self.metrics.lane_takeovers.increment(1);
            let sent = self.socket.emit(LAST_NAME, &0).is_ok();
            self.account(LAST.len(), sent);
        }
        way
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
        if sent {
            self.link.tally.queued();
        }
        let queued = self.link.ordinary_queued(bytes);
        if (!sent || queued > self.max_queued) && !self.link.is_closed() {
            self.metrics.slow_sessions.increment(1);
            self.link.kill();
        }
    }
}

impl Outlet for Ordinary {
    fn push_event(&self, packet: &EventPacket, leaves: Leaves) -> bool {
        if let Way::Lane(lane) = &*self.way() {
            return lane.push_event(packet, leaves);
        }
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
        match &mut *self.way() {
            Way::Early(early) => early.push(packet.clone()),
            Way::Queue => self.emit(packet),
            Way::Lane(lane) => lane.push_notice(packet),
        }
    }

    fn push_ack(&self, ack: i64, answer: &RawValue) {
        let way = self.way();
        let sender = self.acks.lock().remove(&ack);
        if let Way::Lane(lane) = &*way {
            lane.push_ack(ack, answer);
        } else if let Some(sender) = sender {
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
        if self.link.upgraded().is_some() { "websocket" } else { "polling" }
    }

    fn traffic(&self) -> Traffic {
        self.link.traffic()
    }
}
