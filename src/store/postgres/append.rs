//! Writes a batch in one transaction, and finds out what became of one whose commit was not answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::TransactionManager;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::batch::{Batch, Known, Rows};
use super::connection::{self, Connection, Pool, Rules, Transactions};
use super::items;
use super::statements::{Signature, add_rooms, earlier, newest_batch, place, seen};
use crate::domain::RoomName;
use crate::store::StoreError;
use crate::store::log::{Committed, Write, from_db};

/// Appends, on a connection of its own: look-ups never keep it waiting.
pub struct Appender {
    pool: Pool,
    rules: Rules,
    /// Tells this instance's notifications and batches from others'.
    origin: String,
    /// The number of the newest batch.
    batches: AtomicI64,
    /// The numbers by which rooms stand in the log; they never change.
    room_ids: Mutex<HashMap<RoomName, i64>>,
    /// The newest position that has been given out here.
    newest: AtomicI64,
}

impl Appender {
    /// The number of every commit: it is on the disk when it is answered.
    pub const GENERATION: u64 = 1;
    /// Past this the numbers of rooms are read anew as rooms come up again.
    const MAX_ROOMS: usize = 100_000;
    /// How often a batch is tried whose publishes another instance was given at the same moment.
    const TRIES: u32 = 3;
    const AGAIN: Duration = Duration::from_millis(200);

    pub fn new(pool: Pool, rules: Rules, origin: String) -> Self {
        let (batches, newest) = (AtomicI64::new(0), AtomicI64::new(0));
        Self { pool, rules, origin, batches, room_ids: Mutex::default(), newest }
    }

    /// Writes a batch: all of it, or nothing. What became of it is known when this returns.
    pub async fn commit(&self, writes: &[Write]) -> Result<Committed, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_commit(writes).await {
                // The next look finds what the other has committed.
                Err(Fault::SameName) if tries < Self::TRIES => {}
                outcome => return outcome.map_err(StoreError::from),
            }
        }
    }

    async fn try_commit(&self, writes: &[Write]) -> Result<Committed, Fault> {
        let room_ids = self.room_ids(writes).await?;
        let mut connection = timeout(self.rules.deadline, connection::get(&self.pool)).await??;
        // A connection that is let go in the middle of a transaction counts as broken and is closed.
        let writing = timeout(self.rules.deadline, self.write(&mut connection, writes, room_ids)).await?;
        let (batch, number, before) = match writing {
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
        if let (Some(error), Some(number)) = (lost, number) {
            tracing::warn!(error, "a commit was not answered: its outcome is asked for");
            self.settle(number).await?;
        }
        self.newest.fetch_max(before + batch.rows.places, Ordering::AcqRel);
        Ok(batch.committed(from_db(before), Self::GENERATION))
    }

    /// The batch with its number, if it has rows, and where the log stood before it.
    async fn write(
        &self,
        connection: &mut Connection,
        writes: &[Write],
        room_ids: HashMap<RoomName, i64>,
    ) -> Result<(Batch, Option<i64>, i64), Fault> {
        Transactions::begin_transaction_sql(connection, &self.rules.writing).await?;
        let earlier = earlier(connection, writes).await?;
        let unchanged = items::change(connection, writes, &earlier).await?;
        let batch = Batch::place(writes, &Known { room_ids, earlier, unchanged });
        let number = (batch.rows != Rows::default()).then(|| self.batches.fetch_add(1, Ordering::AcqRel) + 1);
        let signature = Signature { writer: &self.origin, batch: number };
        let before = place(connection, &batch.rows, &signature, self.newest.load(Ordering::Acquire)).await?;
        seen(connection, writes).await?;
        Ok((batch, number, before))
    }

    /// The numbers of the rooms that the batch has events for. A new room is given its number in a transaction of
    /// its own: no lock on it is held while the batch waits for its places.
    async fn room_ids(&self, writes: &[Write]) -> Result<HashMap<RoomName, i64>, StoreError> {
        let mut found = HashMap::new();
        let mut fresh: Vec<String> = Vec::new();
        {
            let known = self.room_ids.lock();
            for write in writes {
                let Write::Append(append) = write else { continue };
                for room in append.rooms.iter().filter(|_| append.kept) {
                    match known.get(room) {
                        Some(id) => drop(found.insert(room.clone(), *id)),
                        None => fresh.push(room.to_string()),
                    }
                }
            }
        }
        if fresh.is_empty() {
            return Ok(found);
        }
        fresh.sort_unstable();
        fresh.dedup();
        let Self { pool, rules, .. } = self;
        let added = connection::in_transaction(pool, &rules.writing, rules.deadline, |connection| {
            add_rooms(connection, fresh).boxed()
        })
        .await?;
        let mut known = self.room_ids.lock();
        if known.len() > Self::MAX_ROOMS {
            known.clear();
        }
        known.extend(added.clone());
        found.extend(added);
        Ok(found)
    }

    /// Waits until it is known whether a batch was committed: it must be neither lost nor written twice.
    async fn settle(&self, number: i64) -> Result<(), Fault> {
        loop {
            let Self { pool, rules, origin, .. } = self;
            let origin = origin.clone();
            let newest = connection::in_transaction(pool, &rules.writing, rules.deadline, |connection| {
                newest_batch(connection, origin).boxed()
            });
            match newest.await {
                Ok(newest) if newest == number => return Ok(()),
                Ok(_) => return Err(Fault::Aborted),
                // It is still being committed, or the database is not back yet.
                Err(_) => sleep(Self::AGAIN).await,
            }
        }
    }
}

/// Why a batch was not written.
pub enum Fault {
    /// Another instance has committed a publish of the same name since it was looked for.
    SameName,
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
            Fault::Aborted => Self::Connection("lost before the commit".to_owned()),
            Fault::Other(error) => error,
        }
    }
}
