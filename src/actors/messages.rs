//! What actors tell each other. Commands are verbs, questions `Find…`, facts in the past tense.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use serde_json::value::RawValue;

use super::ingress::IngressSlot;
use super::publication::{Publication, Receipt};
use super::{Audience, Session};
use crate::domain::{Cuid, EventPacket, Refusal, RevocationId, RoomName, TabFacts, TableFacts, UserFacts, UserId};
use crate::store::StoreError;

/// A session's number on this instance; never used twice.
pub type SessionKey = u64;

/// Why a transport is closed by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The transport goes and the client comes back by itself.
    Transport,
    /// The session ends and the client stays away: a DISCONNECT packet, then the transport.
    Session,
}

/// The way to one client. What is pushed leaves in the order of the pushes, at
/// the end of the thread's turn; nothing is ever left out in the middle: what
/// cannot be taken closes the transport instead.
pub trait Outlet: Send + Sync {
    fn push_event(&self, packet: &EventPacket);
    fn push_ack(&self, ack: i64, answer: &RawValue);
    fn close(&self, closing: Closing);
    /// Nothing more is pushed: the client's session is over.
    fn ended(&self);
    /// `websocket` or `polling`.
    fn transport(&self) -> &'static str;
}

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
    pub audience: Addr<Audience>,
    pub audience_index: usize,
    pub outlet: Arc<dyn Outlet>,
    pub session: Addr<Session>,
}

// ---- from the socket to a session ----

/// One event of the client.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ClientEvent {
    pub name: Box<str>,
    /// The event's arguments as they came.
    pub payload: EventPayload,
    pub ack: Option<i64>,
    pub received: Instant,
    pub slot: IngressSlot,
}

/// What came with an event.
pub enum EventPayload {
    /// The first argument, if there is one.
    Json(Option<Box<RawValue>>),
    Binary,
    TooLarge,
}

/// The client's session is over.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Closed {
    pub reason: &'static str,
}

/// The instance stops: close the transport, so that the client goes elsewhere.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

// ---- from a session, or the backend's HTTP, to the registry ----

/// Publishes to rooms; the receipt is answered once the event has its places.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Publish {
    pub rooms: Vec<RoomName>,
    pub packet: EventPacket,
    pub receipt: Receipt,
}

/// Makes a session a member of a room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Join {
    pub room: RoomName,
    pub entry: Entry,
}

/// A member on its way into a room. If the room fails before it is in, the session is told.
pub struct Entry {
    pub member: Member,
    pub reply: Reply,
    pub room: RoomName,
    pub entered: bool,
}

impl Entry {
    pub fn new(room: RoomName, member: Member, reply: Reply) -> Self {
        Self { member, reply, room, entered: false }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.entered {
            let ack = self.reply.ack.as_ref().map(|(id, _)| *id);
            self.member.session.do_send(JoinFailed { room: self.room.clone(), ack });
        }
    }
}

/// A room failed before the session was in it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct JoinFailed {
    pub room: RoomName,
    pub ack: Option<i64>,
}

/// Ends a session's membership; the reply leaves after the last event of the room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave {
    pub room: RoomName,
    pub member: Member,
    pub reply: Reply,
}

// Its audience hears of it even when the room fails before it has read it:
// otherwise the room that starts again would find a member who has left.
impl Drop for Leave {
    fn drop(&mut self) {
        self.member.audience.do_send(RemoveMember {
            room: self.room.clone(),
            key: self.member.key,
            outlet: self.member.outlet.clone(),
            reply: std::mem::take(&mut self.reply),
        });
    }
}

/// An event has its places, or has none and never will.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PublishSettled {
    pub ack: Option<i64>,
    pub received: Instant,
    pub outcome: Result<Published, Refusal>,
    pub slot: IngressSlot,
}

/// What the publisher is told of an event that took its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub id: Box<str>,
}

// ---- between the registry and its rooms ----

/// Takes the event's place in this room's order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Place {
    pub part: super::publication::Part,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct Enter {
    pub entry: Entry,
}

/// An event to several rooms has its places in all of them: go on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Resume;

/// A room that nobody is in, and that nobody has asked for anything since, may go.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RetireRoom {
    pub room: RoomName,
    pub generation: u64,
    /// Messages that the room has handled: if the registry sent more, some are on their way.
    pub handled: u64,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire;

/// A room's actor is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RoomEnded {
    pub room: RoomName,
    pub generation: u64,
    /// What it said as it panicked; `None` if it retired.
    pub panic: Option<String>,
    pub handled: u64,
}

/// Makes a room panic. Only tests send it, to see that nobody notices.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ProvokePanic {
    pub room: RoomName,
}

// ---- from a room to the audiences ----

/// An audience has started on a worker thread.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AudienceStarted {
    pub index: usize,
    pub audience: Addr<Audience>,
}

/// Hands an event to this thread's members of its rooms, each once.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    pub publication: Arc<Publication>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct AddMember {
    pub room: RoomName,
    pub key: SessionKey,
    pub outlet: Arc<dyn Outlet>,
    pub reply: Reply,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct RemoveMember {
    pub room: RoomName,
    pub key: SessionKey,
    pub outlet: Arc<dyn Outlet>,
    pub reply: Reply,
}

/// Who of this thread is in a room: a room that starts again asks.
#[derive(Message)]
#[rtype(result = "Vec<SessionKey>")]
pub struct FindMembers {
    pub room: RoomName,
}

// ---- rights ----

/// A row that a session's rights rest on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    User(UserId),
    Tab(Cuid),
    Table(Cuid),
}

/// What the row said; `None` where it is gone, or its user no longer active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facts {
    User(Option<Arc<UserFacts>>),
    Tab(Option<TabFacts>),
    Table(Option<TableFacts>),
}

/// Tells a session when a row becomes other than it was.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WatchRights {
    pub subject: Subject,
    pub facts: Facts,
    pub key: SessionKey,
    pub session: Recipient<RightsChanged>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct UnwatchRights {
    pub subject: Subject,
    pub key: SessionKey,
}

/// Reads a user's rows again now. Answered once that user's sessions have been told of a change.
#[derive(Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct ReadRights {
    pub user: UserId,
}

/// Tells a session when its token is revoked, under any of its ids.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WatchToken {
    pub ids: Vec<RevocationId>,
    pub key: SessionKey,
    pub session: Recipient<TokenRevoked>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct UnwatchToken {
    pub key: SessionKey,
}

/// The session's token holds no longer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TokenRevoked;

/// A row behind a session is other than it was: look again at what the session may do.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RightsChanged;
