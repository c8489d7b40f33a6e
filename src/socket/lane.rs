//! The lane: an outlet that appends ready-made frames to the connection's outbox.

use std::sync::Arc;

use serde_json::value::RawValue;
use socketioxide::extract::SocketRef;

use actix::Recipient;

use super::connection::Connection;
use super::frame;
use crate::actors::messages::{Closing, Leaves, Outlet, OutletDrained, Traffic};
use crate::domain::{EventPacket, packet};

/// Engine.IO's packet type for a message.
const MESSAGE: &[u8] = b"4";
/// The longest header of a frame.
const HEADER: usize = 10;

pub struct Lane {
    connection: Arc<Connection>,
    session: u32,
    socket: SocketRef,
}

impl Lane {
    /// `pid` goes into the session's CONNECT.
    pub fn begin(connection: Arc<Connection>, socket: SocketRef, pid: &str) -> Self {
        let session = connection.begin_session(pid);
        Self { connection, session, socket }
    }

    /// For a session that was upgraded from polling: behind the last packet on the ordinary way.
    pub fn take_over(connection: Arc<Connection>, socket: SocketRef) -> Self {
        let session = connection.take_over();
        Self { connection, session, socket }
    }

    fn push(&self, text: &str, leaves: Leaves) {
        let length = text.len() + MESSAGE.len() + HEADER;
        self.connection
            .push_lane(self.session, length, leaves, |out| frame::push_text(out, &[MESSAGE, text.as_bytes()]));
    }
}

impl Outlet for Lane {
    fn push_event(&self, packet: &EventPacket, leaves: Leaves) -> bool {
        if !self.connection.takes_events(self.session) {
            return false;
        }
        self.push(packet.text(), leaves);
        true
    }

    fn push_notice(&self, packet: &EventPacket) {
        self.push(packet.text(), Leaves::WithTheTurn);
    }

    fn attend(&self, session: Recipient<OutletDrained>) {
        self.connection.attend(session);
    }

    fn push_ack(&self, ack: i64, answer: &RawValue) {
        self.push(&packet::ack_text(ack, answer), Leaves::WithTheTurn);
    }

    fn close(&self, closing: Closing) {
        match closing {
            Closing::Transport => self.connection.close(),
            Closing::AtOnce => self.connection.kill(),
            Closing::Session => {
                self.connection.close_after_disconnect();
                // It may be gone already.
                self.socket.clone().disconnect().ok();
            }
        }
    }

    fn ended(&self) {}

    fn transport(&self) -> &'static str {
        "websocket"
    }

    fn traffic(&self) -> Traffic {
        self.connection.traffic()
    }
}
