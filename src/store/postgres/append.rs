//! Writes a batch in one transaction, and finds out what became of one whose commit was not answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::TransactionManager;
use futures_util::FutureExt;
use tokio::time::{sleep, timeout};

use super::batch::{Batch, Known, Rows};
use super::connection::{self, Connection, Pool, Rules, Transactions};
use super::herald::Herald;
use super::items;
use super::numbers::{KnownRooms, Numbers};
use super::pipeline::{Pipeline, Sent};
use super::place::{Place, Seen};
use super::statements::{earlier, head_before, number_rooms};
use crate::domain::Position;
use crate::store::StoreError;
use crate::store::log::{Committed, Write, from_db, now_ms, to_db};

/// Appends, on connections of its own: look-ups never keep it waiting.
pub struct Appender {
    pipeline: Pipeline,
    pool: Pool,
    rules: Rules,
    herald: Arc<Herald>,
    /// Tells this instance's notifications and batches from others'.
    origin: String,
    /// The number of the newest batch.
    batches: AtomicI64,
    rooms: KnownRooms,
    /// The newest position that is known here.
    newest: AtomicI64,
}

impl Appender {
    /// The number of every commit: it is on the disk when it is answered.
    pub const GENERATION: u64 = 1;
    /// How often a batch is tried that comes to nothing by chance: another instance was given one of its publishes at the
    /// same moment, rooms were forgotten, the connection was lost.
    const TRIES: u32 = 3;
    const AGAIN: Duration = Duration::from_millis(200);
    const SAID_EVERY: Duration = Duration::from_secs(10);

    pub fn new(pipeline: Pipeline, pool: Pool, rules: Rules, herald: Arc<Herald>, origin: String) -> Self {
        let (batches, newest) = (AtomicI64::new(0), AtomicI64::new(0));
        Self { pipeline, pool, rules, herald, origin, batches, rooms: KnownRooms::default(), newest }
    }

    /// Writes a batch: all of it, or nothing. What became of it is known when this returns.
    pub async fn commit(&self, writes: &[Write], gone_out: Position) -> Result<Committed, StoreError> {
        self.newest.fetch_max(to_db(gone_out), Ordering::AcqRel);
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_commit(writes).await {
                // The next look finds what the other has committed; of a batch whose answer was lost it is known by now
                // that it is not written, and never will be.
                Err(Fault::SameName | Fault::Aborted) if tries < Self::TRIES => {}
                Err(Fault::RoomsForgotten) if tries < Self::TRIES => drop(self.read_numbers(Vec::new()).await?),
                outcome => return outcome.map_err(StoreError::from),
            }
        }
    }

    async fn try_commit(&self, writes: &[Write]) -> Result<Committed, Fault> {
        // Names are new, but for a publish that is repeated: the database refuses that one, and it is looked for.
        if !writes.iter().any(changes_items)
            && let Some(committed) = self.commit_at_once(writes).await?
        {
            return Ok(committed);
        }
        self.commit_in_steps(writes).await
    }

    /// In one round trip. `None` where the database refused it.
    async fn commit_at_once(&self, writes: &[Write]) -> Result<Option<Committed>, Fault> {
        let Numbers { by_room: room_ids, forgotten_through } = self.room_numbers(writes).await?;
        let batch = Batch::place(writes, &Known { room_ids, ..Known::default() });
        let place = self.place(&batch.rows, forgotten_through, self.herald.is_due());
        let before = match self.pipeline.write(&place, &Seen::of(writes)).await? {
            Sent::Placed(before) => before,
            Sent::RoomsForgotten => return Err(Fault::RoomsForgotten),
            Sent::Refused(refusal) => {
                tracing::debug!(refusal, "a batch is written in steps");
                return Ok(None);
            }
            Sent::Unanswered(error) => self.settle(place.batch, &error).await?,
        };
        Ok(Some(self.committed(&batch, before, place.notify)))
    }

    /// With what has to be looked up and changed before.
    async fn commit_in_steps(&self, writes: &[Write]) -> Result<Committed, Fault> {
        let numbers = self.room_numbers(writes).await?;
        let mut connection = timeout(self.rules.deadline, connection::get(&self.pool)).await??;
        // A connection that is let go in the middle of a transaction counts as broken and is closed.
        let writing = timeout(self.rules.deadline, self.write(&mut connection, writes, numbers)).await?;
        let (batch, number, mut before) = match writing {
            Ok(written) => written,
            Err(fault) => {
                // Best effort: a connection that cannot be rolled back is closed.
                timeout(self.rules.deadline, Transactions::rollback_transaction(&mut *connection)).await?.ok();
                return Err(fault);
            }
        };
        let committing = timeout(self.rules.deadline, Transactions::commit_transaction(&mut *connection)).await;
        let lost = match committing {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer".to_owned()),
        };
        drop(connection);
        if let Some(error) = lost {
            before = self.settle(number, &error).await?;
        }
        Ok(self.committed(&batch, before, true))
    }

    fn committed(&self, batch: &Batch, before: i64, notified: bool) -> Committed {
        let newest = before + batch.rows.places;
        self.newest.fetch_max(newest, Ordering::AcqRel);
        if batch.rows.places > 0 {
            self.herald.note(newest, notified);
        }
        batch.committed(from_db(before), Self::GENERATION)
    }

    /// The batch with its number, if it has rows, and where the log stood before it.
    async fn write(
        &self,
        connection: &mut Connection,
        writes: &[Write],
        numbers: Numbers,
    ) -> Result<(Batch, Option<i64>, i64), Fault> {
        Transactions::begin_transaction_sql(connection, &self.rules.writing).await?;
        let earlier = earlier(connection, writes).await?;
        let unchanged = items::change(connection, writes, &earlier).await?;
        let Numbers { by_room: room_ids, forgotten_through } = numbers;
        let batch = Batch::place(writes, &Known { room_ids, earlier, unchanged });
        let place = self.place(&batch.rows, forgotten_through, true);
        let before = place.run(connection).await?;
        Seen::of(writes).run(connection).await?;
        let number = place.batch;
        Ok((batch, number, before))
    }

    fn place<'a>(&'a self, rows: &'a Rows, forgotten_through: i64, notify: bool) -> Place<'a> {
        let batch = (*rows != Rows::default()).then(|| self.next_number());
        let newest = self.newest.load(Ordering::Acquire);
        Place { rows, writer: &self.origin, batch, newest, forgotten_through, now: now_ms(), notify }
    }

    fn next_number(&self) -> i64 {
        self.batches.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The numbers of the rooms that the batch has events for. A new room is given its number in a transaction of
    /// its own: no lock on it is held while the batch waits for its places.
    async fn room_numbers(&self, writes: &[Write]) -> Result<Numbers, StoreError> {
        loop {
            let (mut numbers, unknown) = self.rooms.of(writes);
            if unknown.is_empty() {
                return Ok(numbers);
            }
            let asked = unknown.len();
            let read = self.read_numbers(unknown).await?;
            if read.forgotten_through == numbers.forgotten_through && read.by_room.len() == asked {
                numbers.by_room.extend(read.by_room);
                return Ok(numbers);
            }
            // Rooms have been forgotten meanwhile: the others' numbers may not hold either.
        }
    }

    async fn read_numbers(&self, names: Vec<String>) -> Result<Numbers, StoreError> {
        let Self { pool, rules, .. } = self;
        let reading = connection::in_transaction(pool, &rules.writing, rules.deadline, |connection| {
            number_rooms(connection, names).boxed()
        });
        let read = reading.await?;
        self.rooms.learn(&read);
        Ok(read)
    }

    /// Waits until it is known whether a batch was committed, whose commit was not answered: it must be neither lost
    /// nor written twice. Where the log stood before it.
    async fn settle(&self, batch: Option<i64>, error: &str) -> Result<i64, Fault> {
        // One without rows may as well be written again.
        let Some(batch) = batch else { return Err(Fault::Aborted) };
        tracing::warn!(error, "a commit was not answered: its outcome is asked for");
        let mut said = Instant::now();
        loop {
            let Self { pool, rules, origin, .. } = self;
            let (origin, empty) = (origin.clone(), self.next_number());
            let asking = connection::in_transaction(pool, &rules.writing, rules.deadline, |connection| {
                head_before(connection, origin, batch, empty).boxed()
            });
            match asking.await {
                Ok(before) => return before.ok_or(Fault::Aborted),
                // It is still being committed, or the database is not back yet.
                Err(error) => {
                    if said.elapsed() > Self::SAID_EVERY {
                        said = Instant::now();
                        tracing::warn!(%error, "the outcome of a commit cannot be had yet");
                    }
                    sleep(Self::AGAIN).await;
                }
            }
        }
    }
}

fn changes_items(write: &Write) -> bool {
    matches!(write, Write::Append(append) if append.change.is_some())
}

/// Why a batch was not written.
pub enum Fault {
    /// Another instance has committed a publish of the same name since it was looked for.
    SameName,
    /// Rooms have been forgotten since the batch's were numbered.
    RoomsForgotten,
    /// The commit was lost, and is known not to have been made.
    Aborted,
    Other(StoreError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::SameName,
            error => Self::Other(error.into()),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

impl From<tokio::time::error::Elapsed> for Fault {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Other(StoreError::Timeout)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::SameName => Self::Query("a publish is written by another instance at the same time".to_owned()),
            Fault::RoomsForgotten => Self::Query("rooms are forgotten at the same time".to_owned()),
            Fault::Aborted => Self::Connection("lost before the commit".to_owned()),
            Fault::Other(error) => error,
        }
    }
}
