//! The log behind the rooms: writing it in batches, reading it on from a position, and
//! pruning what is too old. What a batch means stands here; how SQLite does it beside it.

pub(super) mod append;
pub(super) mod index;
pub(super) mod read;
pub(super) mod retention;
mod rooms;

use std::sync::Arc;

use crate::domain::{Cuid, Event, KitchenStatus, LogId, PidKey, Position, RoomName};

pub use super::writer::{Generation, Synced};
pub(super) use rooms::RoomIds;

/// What the log is, as it was found at the start.
#[derive(Clone)]
pub struct LogInfo {
    pub log: LogId,
    pub head: Position,
    /// Signs the pids of sessions.
    pub pid_secret: [u8; 32],
}

/// One thing to write. Those of a batch are written in their order, in one transaction.
#[derive(Clone, Debug)]
pub enum Write {
    Append(Append),
    /// A session is in a room from here on, and with everything after `since` if it asks for that.
    /// For one that is in the room already nothing changes, unless it asks for a replay.
    Enter {
        session: PidKey,
        room: RoomName,
        since: Option<Position>,
    },
    Leave {
        session: PidKey,
        room: RoomName,
    },
    /// Nothing; the batch tells where the log stands.
    Look,
    /// A session is still there. One that lives for long has its own room noted too, so that a
    /// session without any row is known to have begun not long ago.
    Seen {
        session: PidKey,
        own_room: Option<RoomName>,
    },
}

/// An event that wants a place in the log.
#[derive(Clone, Debug)]
pub struct Append {
    pub rooms: Arc<[RoomName]>,
    pub event: Event,
    /// Whether the event is kept; one that is not takes no place.
    pub kept: bool,
    pub name: Option<PublishName>,
    /// A change of the application's rows that the event tells of: both are written, or neither.
    pub change: Option<ItemChange>,
    /// Under which name other instances hear of the event if it goes out before it is stored.
    pub held_as: Option<Arc<str>>,
}

impl Append {
    /// An event that is kept, for one or several rooms.
    pub fn kept(rooms: Arc<[RoomName]>, event: Event) -> Self {
        Self { rooms, event, kept: true, name: None, change: None, held_as: None }
    }
}

/// What a publisher calls a publish.
#[derive(Clone, Debug)]
pub struct PublishName {
    /// Whose name it is.
    pub publisher: Arc<str>,
    pub id: Box<str>,
    /// Of everything that the publish says: the same name with other content is an error.
    pub digest: [u8; 32],
}

/// Gives an item a state.
#[derive(Clone, Debug)]
pub struct ItemChange {
    pub item: Cuid,
    pub status: KitchenStatus,
}

/// What became of a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The event, or the entry that asks for a replay, has this position.
    Placed(Position),
    /// The event is not kept, as it was asked for.
    NotKept,
    /// The same publish was written before: at this position, if its event was kept.
    Repeated { position: Position, kept: bool },
    /// Another publish has the same name.
    Contradicted,
    /// The application's database refused the change; the rest of the batch stands.
    Failed,
    /// The item has that state already.
    Unchanged,
    /// A session's row stands as asked.
    Noted,
}

/// A batch that was written.
#[derive(Debug)]
pub struct Committed {
    /// The newest position before the batch. Another process on the same database may have moved it.
    pub before: Position,
    /// For each write, in the order of the batch.
    pub written: Vec<Written>,
    /// Survives the loss of power once [`Store::synced`](crate::store::Store::synced) has come this far.
    pub generation: Generation,
}

/// An event as it was stored.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub position: Position,
    /// Those of the rooms asked for that it has a place in.
    pub rooms: Vec<RoomName>,
    pub name: String,
    pub payload: String,
    /// As [`Append::held_as`]; known where the events of all rooms are read.
    pub held_as: Option<String>,
}

/// A room of a session, as it was stored.
#[derive(Clone, Debug)]
pub struct SessionRoom {
    pub room: RoomName,
    pub entered_at: Position,
    pub since: Position,
    /// ms since 1970
    pub seen_at_ms: i64,
}

/// Positions are counted in 63 bits by the database.
fn to_db(position: Position) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn from_db(position: i64) -> Position {
    Position::try_from(position).unwrap_or_default()
}

pub(super) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
