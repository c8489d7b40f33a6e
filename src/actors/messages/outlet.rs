//! The way to one client, and a session as a member of rooms.

use std::sync::Arc;

use actix::prelude::*;
use serde_json::value::RawValue;

use crate::actors::insight::Post;
use crate::actors::{Audience, Sequencer, Session};
use crate::domain::EventPacket;

/// A session's number on this instance; never used twice.
pub type SessionKey = u64;

/// Why a transport is closed by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The transport goes, behind what waits, and the client comes back by itself.
    Transport,
    /// As it is: its client does not read, or is not there any more.
    AtOnce,
    /// The session ends and the client stays away: a DISCONNECT packet, then the transport.
    Session,
}

/// When a pushed event leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// With whatever else is pushed in this turn of the thread.
    WithTheTurn,
    /// At once: nothing else is on its way here. The connection is in the processor's caches now, and will not be
    /// when the others have had the event.
    Now,
}

/// The way to one client. What is pushed leaves in the order of the pushes, at
/// the end of the thread's turn at the latest; nothing is ever left out in the middle.
pub trait Outlet: Send + Sync {
    /// A room's event. `false` where it was not taken because much waits already:
    /// [`OutletDrained`] follows once less does.
    #[must_use]
    fn push_event(&self, packet: &EventPacket, leaves: Leaves) -> bool;
    /// What is for this client alone. Always taken, up to a bound that closes the transport.
    fn push_notice(&self, packet: &EventPacket);
    fn push_ack(&self, ack: i64, answer: &RawValue);
    /// Names the session that hears of [`OutletDrained`].
    fn attend(&self, session: Recipient<OutletDrained>);
    fn close(&self, closing: Closing);
    /// Nothing more is pushed: the client's session is over.
    fn ended(&self);
    /// `websocket` or `polling`.
    fn transport(&self) -> &'static str;
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

/// Bytes of one client's connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub received: u64,
    pub sent: u64,
    /// Not taken by the client yet.
    pub waiting: u64,
}

/// An outlet that did not take an event would take one now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct OutletDrained;

/// What an [`Audience`] does once it has taken a member in or let one go.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub event: Option<EventPacket>,
    pub ack: Option<(i64, Arc<RawValue>)>,
}

/// A session as a member of rooms: where it is and how to reach it.
#[derive(Clone)]
pub struct Member {
    pub key: SessionKey,
    pub socket_id: Arc<str>,
    pub audience: Post<Audience>,
    pub audience_index: usize,
    pub outlet: Arc<dyn Outlet>,
    pub session: Post<Session>,
    pub sequencer: Post<Sequencer>,
}
