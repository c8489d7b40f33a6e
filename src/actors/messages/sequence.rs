//! From rooms and sessions to the sequencer, and from there to the audiences.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;
use tracing::Span;

use super::{Begin, EnteredAt, Entry, FellBehind, Leave, Outlet, Reply, SessionKey};
use crate::actors::Audience;
use crate::actors::insight::{Post, Probe};
use crate::actors::logged::{LogPage, Logged};
use crate::actors::publication::Settlement;
use crate::domain::{Position, RoomName};
use crate::store::StoreError;
use crate::store::log::Write;

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
    /// Ends as it is handed over.
    pub span: Span,
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
    pub socket_id: Arc<str>,
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
