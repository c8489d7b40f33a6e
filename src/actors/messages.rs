//! What actors tell each other. Commands are verbs, questions `Find…`, facts in the past tense.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::ingress::IngressSlot;
use super::insight::{Flow, Post, Probe};
use super::logged::{LogPage, Logged};
use super::publication::{Receipt, Settlement};
use super::{Audience, Sequencer, Session};
use crate::domain::{Cuid, ErrorCode, EventPacket, Identity, PidKey, Position, Refusal, RevocationId, RoomName};
use crate::domain::{TabFacts, TableFacts, UserFacts, UserId};
use crate::store::StoreError;
use crate::store::log::{Append, Write};

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

/// The way to one client. What is pushed leaves in the order of the pushes, at
/// the end of the thread's turn; nothing is ever left out in the middle.
pub trait Outlet: Send + Sync {
    /// A room's event. `false` where it was not taken because much waits already:
    /// [`OutletDrained`] follows once less does.
    #[must_use]
    fn push_event(&self, packet: &EventPacket) -> bool;
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
    pub audience: Post<Audience>,
    pub audience_index: usize,
    pub outlet: Arc<dyn Outlet>,
    pub session: Post<Session>,
    pub sequencer: Post<Sequencer>,
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

/// Its client came back on another connection, where its session goes on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Replaced;

/// The instance stops: close the transport, so that the client goes elsewhere.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

// ---- from a session, or the backend's HTTP, to the registry ----

/// Publishes to rooms; the receipt is answered once the event has its place in the log.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Publish {
    pub append: Append,
    pub receipt: Receipt,
}

/// Makes a session a member of a room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Join {
    pub room: RoomName,
    pub entry: Entry,
}

/// With which events a member begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Those from here on.
    Now,
    /// Those after this position, and those from here on. Where there are none between, as
    /// with `Now`; else the member is held back until its session has read them.
    After(Position),
    /// Those from here on, held back until its session lets them go.
    Held,
    /// Its session reads them from the log, and asks for those from then on.
    FromLog,
}

/// A member on its way into a room. If the room fails before it is in, the session is told.
pub struct Entry {
    pub member: Member,
    pub room: RoomName,
    pub begin: Begin,
    /// Noted under this `pid` before it is answered.
    pub noted: Option<PidKey>,
    /// Answered as it enters, unless it is held back: then its session answers.
    pub reply: Reply,
    /// For a session that waits.
    pub entered: Option<oneshot::Sender<EnteredAt>>,
    /// The session is in the room already, whatever becomes of this.
    pub again: bool,
    done: bool,
}

/// Where a member that is held back has entered.
#[derive(Clone, Copy, Debug)]
pub struct EnteredAt {
    pub at: Position,
    /// Whether there is something to read; if not, the entry has been answered.
    pub held: bool,
    /// Up to where the session had been sent its rooms' events, if it is sent them as they come.
    pub live_through: Option<Position>,
}

impl Entry {
    pub fn new(room: RoomName, member: Member, begin: Begin, noted: Option<PidKey>, reply: Reply) -> Self {
        Self { member, room, begin, noted, reply, entered: None, again: false, done: false }
    }

    /// It is in: nobody needs to be told of a failure.
    pub fn done(&mut self) {
        self.done = true;
    }

    /// It cannot be in now.
    pub fn refuse(mut self, code: ErrorCode) {
        self.fail(code);
    }

    fn fail(&mut self, code: ErrorCode) {
        if !self.done {
            self.done = true;
            let ack = self.reply.ack.as_ref().map(|(id, _)| *id);
            let (room, again) = (self.room.clone(), self.again);
            self.member.session.do_send(JoinFailed { room, ack, code, again });
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.fail(ErrorCode::Internal);
    }
}

/// A room could not take the session in.
#[derive(Message)]
#[rtype(result = "()")]
pub struct JoinFailed {
    pub room: RoomName,
    pub ack: Option<i64>,
    pub code: ErrorCode,
    /// It is in the room from an earlier join.
    pub again: bool,
}

/// The session is in a room whose events it has to read from the log.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Entered {
    pub room: RoomName,
}

/// Ends a session's membership.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LeaveRoom {
    pub leave: Leave,
}

/// A session on its way out of a room; the reply leaves after the last event of the room.
pub struct Leave {
    room: RoomName,
    member: Member,
    noted: Option<PidKey>,
    reply: Reply,
    sequenced: bool,
}

impl Leave {
    /// `noted` is the `pid` under which the membership was noted, where it is to be forgotten.
    pub fn new(room: RoomName, member: Member, noted: Option<PidKey>, reply: Reply) -> Self {
        Self { room, member, noted, reply, sequenced: false }
    }

    pub fn room(&self) -> &RoomName {
        &self.room
    }

    pub fn key(&self) -> SessionKey {
        self.member.key
    }

    pub fn noted(&self) -> Option<PidKey> {
        self.noted
    }

    /// It goes to the sequencer now; dropped from here on, it takes effect.
    pub fn sequenced(mut self) -> Sequence {
        self.sequenced = true;
        Sequence::Leave(self)
    }
}

// It takes effect even when the room fails before it has read it: otherwise the room that starts
// again would find a member who has left. By way of the sequencer, as the entry may still be there.
impl Drop for Leave {
    fn drop(&mut self) {
        let (room, reply) = (self.room.clone(), std::mem::take(&mut self.reply));
        if self.sequenced {
            let (key, outlet) = (self.member.key, self.member.outlet.clone());
            self.member.audience.do_send(RemoveMember { room, key, outlet, reply });
        } else {
            let again = Self::new(room, self.member.clone(), self.noted, reply);
            self.member.sequencer.do_send(again.sequenced());
        }
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

/// What the publisher is told of an event that went out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    pub id: Arc<str>,
    /// Its own, or that of the event before it where it has none (yet).
    pub offset: Arc<str>,
    /// Whether it is stored.
    pub durable: bool,
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
pub struct Depart {
    pub leave: Leave,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct Enter {
    pub entry: Entry,
}

/// An event to several rooms has been reached by all of them: go on.
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

/// Answered when the registry has handled what was sent to it before.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Flush;

/// Makes a room, or the bridge, panic. Only tests send it, to see that nobody notices.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ProvokePanic {
    pub room: RoomName,
}

// ---- from rooms and sessions to the sequencer ----

/// Takes the next place in the order of everything.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Sequence {
    Publish(Settlement),
    Enter(Entry),
    Leave(Leave),
    /// Something to write that nobody waits for.
    Note(Write),
    /// Answered as everything before it has gone out.
    Barrier(oneshot::Sender<()>),
    /// The same, and all that another process on the same database has stored by then.
    CatchUp(oneshot::Sender<()>),
}

/// Reads the events of rooms after each one's position, `limit` at most, up to `up_to` or the newest.
/// `None` where some of them are gone.
#[derive(Message)]
#[rtype(result = "Result<Option<LogPage>, StoreError>")]
pub struct ReadLog {
    pub starts: Vec<(RoomName, Position)>,
    pub up_to: Option<Position>,
    pub limit: usize,
}

/// Has the sequencer look now whether another instance has gone on with the log.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Look;

/// Answered once everything that was accepted is stored.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Settle;

// ---- from the sequencer to the audiences ----

/// An audience has started on a worker thread.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AudienceStarted {
    pub index: usize,
    pub audience: Post<Audience>,
}

/// Hands an event to this thread's members of its rooms, each once.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    pub event: Arc<Logged>,
}

/// An event that went out before it was stored has a place now. Who had entered by then has had it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Placed {
    pub event: Arc<Logged>,
    /// The newest entry of those that it went out after.
    pub entry: u64,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct AddMember {
    pub room: RoomName,
    pub key: SessionKey,
    pub outlet: Arc<dyn Outlet>,
    pub session: Recipient<FellBehind>,
    /// The session's.
    pub probe: Arc<Probe>,
    pub begin: Begin,
    pub at: Position,
    /// Entries are numbered as they go out, as positions do not tell before from after while nothing is stored.
    pub entry: u64,
    pub reply: Reply,
    pub entered: Option<oneshot::Sender<EnteredAt>>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct RemoveMember {
    pub room: RoomName,
    pub key: SessionKey,
    pub outlet: Arc<dyn Outlet>,
    pub reply: Reply,
}

// ---- between a session and its audience ----

/// The outlet took no more: the events after this one, of all of the session's rooms, are
/// for the session to read from the log.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FellBehind {
    pub after: Position,
    /// From where each of the session's rooms is to be read.
    pub starts: Vec<(RoomName, Position)>,
}

/// Keep the session's events from here on: it is about to read up to them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hold {
    pub key: SessionKey,
}

/// The session has sent its client everything up to and with `through`: send what was kept after it,
/// and all that comes.
#[derive(Message)]
#[rtype(result = "GoneLive")]
pub struct GoLive {
    pub key: SessionKey,
    pub through: Position,
}

/// Whether a session is sent its events as they come now.
#[derive(Debug, MessageResponse)]
pub enum GoneLive {
    Live,
    /// Not yet: more came than was kept, or a room was entered meanwhile. The session has to
    /// read its rooms on, each from here.
    ReadOn(Vec<(RoomName, Position)>),
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

// ---- from an operator ----

/// Ends the session for good: the client is told to stay away.
#[derive(Message)]
#[rtype(result = "()")]
pub struct EndSession;

/// Sends the session's client something that is for it alone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tell {
    pub packet: EventPacket,
}

/// What only the session knows of itself.
#[derive(Message)]
#[rtype(result = "SessionView")]
pub struct InspectSession;

pub struct SessionView {
    pub identity: Identity,
    /// The rooms, and the position that the session has each one's events after; `None` while it is on its way in.
    pub rooms: Vec<(RoomName, Option<Position>)>,
}

/// The rooms that this thread's audience has a session in, and the position that it has each one's events after.
#[derive(Message)]
#[rtype(result = "Vec<(RoomName, Position)>")]
pub struct InspectSeat {
    pub key: SessionKey,
}

/// How far this thread's members of a room are.
#[derive(Message)]
#[rtype(result = "Vec<MemberView>")]
pub struct InspectMembers {
    pub room: RoomName,
}

#[derive(Clone, Copy, Debug)]
pub struct MemberView {
    pub key: SessionKey,
    pub flow: Flow,
    /// Up to where it has had its events on this connection; `None` before the first.
    pub last: Option<Position>,
}

/// Has a room learn anew who is in it, as it does after a failure; nothing that it has accepted is lost.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct RestartRoom {
    pub room: RoomName,
}

/// The same, from the registry to the room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StartAgain {
    pub probe: Arc<Probe>,
}
