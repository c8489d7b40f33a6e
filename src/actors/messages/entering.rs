//! From a session, or the backend's HTTP, to the registry: publishing, entering and leaving rooms.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use serde::Serialize;
use tokio::sync::oneshot;

use super::{Member, RemoveMember, Reply, Sequence, SessionKey};
use crate::actors::ingress::IngressSlot;
use crate::actors::publication::Receipt;
use crate::domain::{ErrorCode, PidKey, Position, Refusal, RoomName};
use crate::store::log::Append;

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
