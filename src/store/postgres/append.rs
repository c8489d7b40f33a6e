//! Writes a batch in one transaction, and finds out what became of one whose commit was not answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};
use diesel_async::{RunQueryDsl, TransactionManager};
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::batch::{Batch, Earlier, Known, NameKey, Rows, key};
use super::connection::{self, Connection, Pool, Rules, Transactions};
use super::items;
use crate::domain::RoomName;
use crate::schema::log_rooms;
use crate::store::StoreError;
use crate::store::log::{Committed, Write, from_db, now_ms, to_db};

/// Appends, on a connection of its own: look-ups never keep it waiting.
pub struct Appender {
    pool: Pool,
    rules: Rules,
    /// Tells this instance's notifications from others'.
    origin: String,
    /// The numbers by which rooms stand in the log; they never change.
    room_ids: Mutex<HashMap<RoomName, i64>>,
    /// The newest position that has been given out here.
    newest: AtomicI64,
}

/// The statement that takes the batch's places: from here on the log's row is locked, so it is the last one but
/// for what needs the same order. What reads `base` runs after the lock is held, on every instance alike: two of
/// them never wait for each other.
const PLACE: &str = include_str!("place.sql");

#[derive(QueryableByName)]
struct Place {
    #[diesel(sql_type = BigInt)]
    before: i64,
    #[diesel(sql_type = Nullable<Text>)]
    transaction: Option<String>,
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
        Self { pool, rules, origin, room_ids: Mutex::default(), newest: AtomicI64::new(0) }
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
        let (batch, place) = match writing {
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
        if let (Some(error), Some(transaction)) = (lost, &place.transaction) {
            tracing::warn!(error, "a commit was not answered: its outcome is asked for");
            self.settle(transaction).await?;
        }
        self.newest.fetch_max(place.before + batch.rows.places, Ordering::AcqRel);
        Ok(batch.committed(from_db(place.before), Self::GENERATION))
    }

    async fn write(
        &self,
        connection: &mut Connection,
        writes: &[Write],
        room_ids: HashMap<RoomName, i64>,
    ) -> Result<(Batch, Place), Fault> {
        Transactions::begin_transaction_sql(connection, &self.rules.writing).await?;
        let earlier = earlier(connection, writes).await?;
        let unchanged = items::change(connection, writes, &earlier).await?;
        let batch = Batch::place(writes, &Known { room_ids, earlier, unchanged });
        let place =
            place(connection, &batch.rows, &self.origin, AtomicI64::load(&self.newest, Ordering::Acquire)).await?;
        seen(connection, writes).await?;
        Ok((batch, place))
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

    /// Waits until it is known whether a transaction was committed: its batch must be neither lost nor written twice.
    async fn settle(&self, transaction: &str) -> Result<(), Fault> {
        loop {
            let transaction = transaction.to_owned();
            let Self { pool, rules, .. } = self;
            let status = connection::in_transaction(pool, &rules.writing, rules.deadline, |connection| {
                status(connection, transaction).boxed()
            });
            match status.await.as_deref() {
                Ok("committed") => return Ok(()),
                Ok("aborted" | "unknown") => return Err(Fault::Aborted),
                // Still in progress, or the database is not back yet.
                Ok(_) | Err(_) => {}
            }
            sleep(Self::AGAIN).await;
        }
    }
}

async fn add_rooms(connection: &mut Connection, names: Vec<String>) -> Result<Vec<(RoomName, i64)>, StoreError> {
    let rows: Vec<_> = names.iter().map(|name| log_rooms::name.eq(name)).collect();
    diesel::insert_into(log_rooms::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    let rows: Vec<(String, i64)> = log_rooms::table
        .filter(log_rooms::name.eq_any(&names))
        .select((log_rooms::name, log_rooms::id))
        .load(connection)
        .await?;
    Ok(rows.into_iter().filter_map(|(name, id)| Some((RoomName::parse(&name)?, id))).collect())
}

/// Publishes of the batch that were written before.
async fn earlier(connection: &mut Connection, writes: &[Write]) -> Result<HashMap<NameKey, Earlier>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        publisher: String,
        #[diesel(sql_type = Text)]
        publish_id: String,
        #[diesel(sql_type = Binary)]
        digest: Vec<u8>,
        #[diesel(sql_type = BigInt)]
        position: i64,
        #[diesel(sql_type = Bool)]
        kept: bool,
    }
    let names = writes.iter().filter_map(|write| match write {
        Write::Append(append) => append.name.as_ref().map(key),
        _ => None,
    });
    let (publishers, ids): (Vec<String>, Vec<String>) = names.unzip();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = "SELECT publisher, publish_id, digest, position, kept FROM realtime.log_publishes
        WHERE (publisher, publish_id) IN (SELECT * FROM unnest($1, $2))";
    let rows: Vec<Row> = diesel::sql_query(query)
        .bind::<Array<Text>, _>(publishers)
        .bind::<Array<Text>, _>(ids)
        .load(connection)
        .await?;
    let known = |row: Row| {
        let Row { publisher, publish_id, digest, position, kept } = row;
        ((publisher, publish_id), Earlier { digest, position, kept })
    };
    Ok(rows.into_iter().map(known).collect())
}

/// Takes the batch's places and inserts its rows.
async fn place(connection: &mut Connection, rows: &Rows, origin: &str, newest: i64) -> Result<Place, Fault> {
    let Rows { places, events, publishes, entered, entered_anew, left } = rows;
    let query = diesel::sql_query(PLACE)
        .bind::<BigInt, _>(places)
        .bind::<BigInt, _>(now_ms())
        .bind::<Text, _>(origin)
        .bind::<Array<BigInt>, _>(&events.room_ids)
        .bind::<Array<BigInt>, _>(&events.steps)
        .bind::<Array<Text>, _>(&events.names)
        .bind::<Array<Text>, _>(&events.payloads)
        .bind::<Array<Text>, _>(&publishes.publishers)
        .bind::<Array<Text>, _>(&publishes.ids)
        .bind::<Array<Binary>, _>(&publishes.digests)
        .bind::<Array<BigInt>, _>(&publishes.steps)
        .bind::<Array<Bool>, _>(&publishes.kept)
        .bind::<Array<Text>, _>(&entered.sessions)
        .bind::<Array<Text>, _>(&entered.rooms)
        .bind::<Array<BigInt>, _>(&entered.steps)
        .bind::<Array<Text>, _>(&entered_anew.sessions)
        .bind::<Array<Text>, _>(&entered_anew.rooms)
        .bind::<Array<BigInt>, _>(&entered_anew.steps)
        .bind::<Array<Nullable<BigInt>>, _>(&entered_anew.since)
        .bind::<Array<Text>, _>(&left.0)
        .bind::<Array<Text>, _>(&left.1)
        .bind::<BigInt, _>(newest)
        .bind::<Array<Nullable<Text>>, _>(&events.held_as);
    Ok(query.get_result(connection).await?)
}

/// Notes that sessions are still there. After the batch has its places, as all that touches their rows.
async fn seen(connection: &mut Connection, writes: &[Write]) -> Result<(), Fault> {
    let seen = writes.iter().filter_map(|write| match write {
        Write::Seen { session, own_room } => Some((session, own_room)),
        _ => None,
    });
    let (mut sessions, mut own, mut rooms, mut began) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (session, own_room) in seen {
        sessions.push(session.to_string());
        if let Some(room) = own_room {
            own.push(session.to_string());
            rooms.push(room.to_string());
            began.push(to_db(session.began_at));
        }
    }
    if sessions.is_empty() {
        return Ok(());
    }
    let update = "UPDATE realtime.session_rooms SET seen_at = $2 WHERE session = ANY ($1)";
    diesel::sql_query(update).bind::<Array<Text>, _>(sessions).bind::<BigInt, _>(now_ms()).execute(connection).await?;
    let insert = "INSERT INTO realtime.session_rooms (session, room, entered_at, since, seen_at)
        SELECT own.session, own.room, own.began_at, own.began_at, $4 FROM unnest($1, $2, $3) AS own (session, room, began_at)
        ON CONFLICT DO NOTHING";
    diesel::sql_query(insert)
        .bind::<Array<Text>, _>(own)
        .bind::<Array<Text>, _>(rooms)
        .bind::<Array<BigInt>, _>(began)
        .bind::<BigInt, _>(now_ms())
        .execute(connection)
        .await?;
    Ok(())
}

/// `unknown` where the server has never come so far: another one, which has not had the transaction, took its place.
async fn status(connection: &mut Connection, transaction: String) -> Result<String, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        status: String,
    }
    let query = "SELECT CASE WHEN CAST($1 AS xid8) > pg_current_xact_id() THEN 'unknown'
        ELSE coalesce(pg_xact_status(CAST($1 AS xid8)), 'unknown') END AS status";
    Ok(diesel::sql_query(query).bind::<Text, _>(transaction).get_result::<Row>(connection).await?.status)
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
