//! The log behind the rooms: writing it in batches, reading it on from a position, and
//! pruning what is too old. What a batch means stands here; how a database does it, in `sqlite/` and `postgres/`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::watch;

use super::{Store, StoreError};
use crate::domain::{Cuid, Event, Except, KitchenStatus, LogId, PidKey, Position, RoomName};
use crate::telemetry::Query;

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
    /// Who it is not for. Only of one that is not kept: the log knows rooms, and not who was in them.
    pub except: Option<Arc<Except>>,
    pub name: Option<PublishName>,
    /// A change of the application's rows that the event tells of: both are written, or neither.
    pub change: Option<ItemChange>,
    /// Under which name other instances hear of the event if it goes out before it is stored.
    pub held_as: Option<Arc<str>>,
}

impl Append {
    /// An event that is kept, for one or several rooms.
    pub fn kept(rooms: Arc<[RoomName]>, event: Event) -> Self {
        Self { rooms, event, kept: true, except: None, name: None, change: None, held_as: None }
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
    /// The application has the item's row locked; the rest of the batch stands.
    Locked,
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

/// The number of a commit, counted by this process.
pub type Generation = u64;

/// How far the disk is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Synced {
    pub through: Generation,
    /// Up to here the disk may have lost something.
    pub lost_through: Generation,
}

/// What is heard of other processes on the same database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    pub head: Position,
    /// How often a token is known to have been revoked.
    pub revocations: u64,
    /// Whether anything would be heard now.
    pub listening: bool,
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

/// How much is read from the log at once. What is reached first ends the page, with a whole event.
#[derive(Clone, Copy, Debug)]
pub struct PageLimit {
    pub events: usize,
    /// Of payloads, each counted for every room that is read. The event that comes to it is read still.
    pub bytes: usize,
}

impl PageLimit {
    const BYTES: usize = 1024 * 1024;

    /// As many events, where they are not unusually large.
    pub const fn of(events: usize) -> Self {
        Self { events, bytes: Self::BYTES }
    }

    pub(super) fn is_reached(self, events: usize, bytes: usize) -> bool {
        events >= self.events || bytes >= self.bytes
    }
}

/// What was read from the log at once.
#[derive(Clone, Debug)]
pub struct Page {
    /// In order.
    pub events: Vec<StoredEvent>,
    /// Up to here these are all.
    pub through: Position,
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

/// What of a room's events may be gone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gone {
    /// Up to here.
    pub of_room: Position,
    /// Up to here, of rooms that the log knows no more: this may be one of them.
    pub of_forgotten: Position,
}

/// Positions are counted in 63 bits by the database.
pub(super) fn to_db(position: Position) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

pub(super) fn from_db(position: i64) -> Position {
    Position::try_from(position).unwrap_or_default()
}

pub(super) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

impl Store {
    /// What the log is, and its newest events, in order: where a service that starts goes on.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn resume_log(&self, newest: PageLimit) -> Result<(LogInfo, Vec<StoredEvent>), StoreError> {
        self.ask(Query::Resume, self.inner.backend.resume(newest)).await
    }

    /// Writes a batch to the log: all of it, or nothing. It survives the death of the process from here on, and
    /// the loss of power from [`Store::synced`] on. Has no deadline: what becomes of the
    /// batch is known when this returns. The database gives up waiting for a lock by itself. `landed` is
    /// set as soon as it is known, before whoever waits has its turn.
    ///
    /// # Errors
    /// [`StoreError`] where nothing was written.
    pub async fn commit(&self, writes: Vec<Write>, landed: Arc<AtomicBool>) -> Result<Committed, StoreError> {
        self.inner.backend.commit(writes, landed).await
    }

    /// How far what was committed has come to the disk.
    pub fn synced(&self) -> watch::Receiver<Synced> {
        self.inner.backend.synced()
    }

    /// Has what was committed brought to the disk now: somebody waits for it. Otherwise it comes there in a moment.
    pub fn hurry_sync(&self) {
        self.inner.backend.hurry_sync();
    }

    /// What other processes are heard to have written: the newest position, and revocations. `None` where the database tells
    /// nobody, and has to be asked.
    pub fn news(&self) -> Option<watch::Receiver<News>> {
        self.inner.backend.news()
    }

    /// Whether other instances have events by a relay, and need not be told of every batch by the database.
    pub fn set_relayed(&self, relayed: bool) {
        self.inner.backend.set_relayed(relayed);
    }

    /// The events of the rooms after each one's position, up to and with `up_to`: a page of them.
    /// `None` where some of them are gone.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn read_events(
        &self,
        starts: Vec<(RoomName, Position)>,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Option<Page>, StoreError> {
        self.ask(Query::Events, self.inner.backend.events(starts, up_to, limit)).await
    }

    /// The position of the newest event in the database.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn log_head(&self) -> Result<Position, StoreError> {
        self.ask(Query::Head, self.inner.backend.head()).await
    }

    /// Events between two positions, of all rooms: what another process has written. A page of them.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn read_between(&self, after: Position, up_to: Position) -> Result<Page, StoreError> {
        let limit = PageLimit::of(Self::PAGE);
        self.ask(Query::Events, self.inner.backend.events_between(after, up_to, limit)).await
    }

    /// The rooms that a session was in when it was last here.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn session_rooms(&self, session: PidKey) -> Result<Vec<SessionRoom>, StoreError> {
        Ok(self.inner.session_rooms.find(session).await?.unwrap_or_default())
    }

    /// Up to where a room's events may be gone, for a session that has been in it since then: rooms are not forgotten
    /// while one may come back to them.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn pruned_through(&self, room: &RoomName) -> Result<Position, StoreError> {
        Ok(self.gone(room).await?.of_room)
    }

    /// Up to where a room's events may be gone, for anybody.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn gone_through(&self, room: &RoomName) -> Result<Position, StoreError> {
        let Gone { of_room, of_forgotten } = self.gone(room).await?;
        Ok(of_room.max(of_forgotten))
    }

    async fn gone(&self, room: &RoomName) -> Result<Gone, StoreError> {
        Ok(self.inner.gone.find(room.clone()).await?.unwrap_or_default())
    }
}
