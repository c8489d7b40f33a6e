//! The embedded database: one connection writes the log, one everything else, a few read, and one keeps the file tidy.

mod append;
mod audit;
#[path = "../changes.rs"]
mod changes;
mod connection;
mod demo;
mod disk;
mod forgetting;
mod housekeeping;
mod index;
#[path = "../leases.rs"]
mod leases;
#[path = "../lookups.rs"]
mod lookups;
mod read;
mod retention;
mod rooms;
mod tidy;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::sqlite::SqliteConnection;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::StoreError;
use super::audit::{AuditEntry, AuditFilter, AuditRow};
use super::backend::{Answer, Backend, Found};
use super::log::{Between, Committed, Gone, LogInfo, News, Page, PageLimit, SessionRoom, StoredEvent, Synced, Write};
use super::rows::{NewItem, OrderRow, StoredItem, TabRow, TabSheet};
use crate::config::LogConfig;
use crate::domain::{
    Cuid, NotificationId, PidKey, Position, RevocationId, RoomName, TabFacts, TableFacts, UserFacts, UserId,
};
use connection::{Connection, Pool};
use rooms::RoomIds;
use writer::Writer;

/// Name, holder, ms.
const TAKE_LEASE: &str = "INSERT INTO leases (name, holder, expires_at)
    VALUES (?, ?, CAST(unixepoch('subsec') * 1000 AS integer) + ?)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
    WHERE leases.holder = excluded.holder OR leases.expires_at <= CAST(unixepoch('subsec') * 1000 AS integer)";
/// Name, holder.
const RELEASE_LEASE: &str = "DELETE FROM leases WHERE name = ? AND holder = ?";

pub struct Sqlite {
    readers: Pool,
    /// For changes of rows that are no part of the log, one at a time.
    changes: Pool,
    writer: Arc<Writer>,
    room_ids: Arc<Mutex<RoomIds>>,
    /// When the index last had all events.
    indexed: Mutex<Instant>,
}

impl Sqlite {
    const READERS: u32 = 4;
    /// Events whose commit takes no longer than a few hundred µs.
    const SMALL: usize = 32;

    /// Opens the file. What is to be done while it is open runs on the current runtime.
    pub async fn open(path: &Path, timeout: Duration, limits: &LogConfig) -> Result<Arc<Self>, StoreError> {
        let readers = connection::open(path, timeout, Self::READERS).await?;
        let changes = connection::open(path, timeout, 1).await?;
        let writer = Arc::new(Writer::open(path, connection::busy_timeout(timeout))?);
        let indexed = Mutex::new(Instant::now());
        let database = Arc::new(Self { readers, changes, writer, room_ids: Arc::default(), indexed });
        tokio::spawn(housekeeping::keep_log_within(Arc::downgrade(&database), limits.clone()));
        tidy::start(Arc::downgrade(&database), path, connection::busy_timeout(timeout))?;
        Ok(database)
    }

    /// Reads the log.
    fn read_log<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Answer<T> {
        on(&self.readers, move |connection| connection::blocking(connection, query))
    }
}

/// Runs a query on one of a pool's connections.
fn on<T, Q>(pool: &Pool, query: Q) -> Answer<T>
where
    T: Send + 'static,
    Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
{
    let pool = pool.clone();
    async move {
        let mut connection = connection::get(&pool).await?;
        query(&mut connection).await
    }
    .boxed()
}

impl Backend for Sqlite {
    fn users(&self, ids: Vec<UserId>) -> Found<UserId, UserFacts> {
        on(&self.readers, |connection| lookups::users(connection, ids).boxed())
    }

    fn tabs(&self, ids: Vec<Cuid>) -> Found<Cuid, TabFacts> {
        on(&self.readers, |connection| lookups::tabs(connection, ids).boxed())
    }

    fn tables(&self, ids: Vec<Cuid>) -> Found<Cuid, TableFacts> {
        on(&self.readers, |connection| lookups::tables(connection, ids).boxed())
    }

    fn open_orders(&self, venues: Vec<Cuid>) -> Found<Cuid, Arc<Vec<OrderRow>>> {
        on(&self.readers, |connection| lookups::open_orders(connection, venues).boxed())
    }

    fn revoked(&self, ids: Vec<RevocationId>) -> Found<RevocationId, RevocationId> {
        on(&self.readers, |connection| lookups::revoked(connection, ids).boxed())
    }

    fn session_rooms(&self, sessions: Vec<PidKey>) -> Found<PidKey, Vec<SessionRoom>> {
        on(&self.readers, |connection| lookups::session_rooms(connection, sessions).boxed())
    }

    fn gone(&self, rooms: Vec<RoomName>) -> Found<RoomName, Gone> {
        on(&self.readers, |connection| lookups::gone(connection, rooms).boxed())
    }

    fn item(&self, id: Cuid) -> Answer<Option<StoredItem>> {
        on(&self.readers, |connection| lookups::item(connection, id).boxed())
    }

    fn open_tabs(&self, venue: Cuid) -> Answer<Vec<TabRow>> {
        on(&self.readers, |connection| lookups::open_tabs(connection, venue).boxed())
    }

    fn tab_sheet(&self, id: Cuid) -> Answer<Option<TabSheet>> {
        on(&self.readers, |connection| lookups::tab_sheet(connection, id).boxed())
    }

    fn ping(&self) -> Answer<()> {
        on(&self.readers, |connection| lookups::ping(connection).boxed())
    }

    fn read_notification(&self, user: UserId, id: NotificationId) -> Answer<bool> {
        on(&self.changes, |connection| changes::read_notification(connection, user, id).boxed())
    }

    fn revoke(&self, id: RevocationId, reason: Option<String>) -> Answer<bool> {
        on(&self.changes, |connection| changes::revoke(connection, id, reason).boxed())
    }

    fn add_items(&self, tab: Cuid, items: Vec<NewItem>) -> Answer<(i32, i32, i32)> {
        on(&self.changes, |connection| demo::add_items(connection, tab, items).boxed())
    }

    fn append_audit(&self, entries: Arc<[AuditEntry]>) -> Answer<()> {
        let writer = self.writer.clone();
        async move { writer.run(false, move |connection| audit::insert(connection, &entries)).await }.boxed()
    }

    fn read_audit(&self, filter: AuditFilter, limit: i64) -> Answer<Vec<AuditRow>> {
        self.read_log(move |connection| audit::select(connection, filter, limit))
    }

    fn take_lease(&self, name: String, holder: String, for_how_long: Duration) -> Answer<bool> {
        on(&self.changes, move |connection| leases::take(connection, name, holder, for_how_long).boxed())
    }

    fn release_lease(&self, name: String, holder: String) -> Answer<()> {
        on(&self.changes, |connection| leases::release(connection, name, holder).boxed())
    }

    fn resume(&self, newest: PageLimit) -> Answer<(LogInfo, Vec<StoredEvent>)> {
        self.read_log(move |connection| read::resume(connection, newest))
    }

    /// A file has no copy that could take its place.
    fn commit(&self, writes: Vec<Write>, _gone_out: Position, landed: Arc<AtomicBool>) -> Answer<Committed> {
        let (rooms, line) = (self.room_ids.clone(), self.writer.clone());
        // An event that is not on the disk yet is not acknowledged yet; a session that is told to be in a room
        // has no such second word.
        let only_events = writes.iter().all(|write| matches!(write, Write::Append(_) | Write::Look));
        let small = only_events && writes.len() <= Self::SMALL;
        let disk = line.disk().clone();
        let commit = move |connection: &mut SqliteConnection| {
            let mut committed = append::commit(connection, &writes, &mut rooms.lock());
            if let Ok(committed) = &mut committed {
                committed.generation = if only_events { disk.committed() } else { disk.committed_and_synced() };
                landed.store(true, Ordering::Release);
            }
            committed
        };
        async move { line.run(small, commit).await }.boxed()
    }

    fn synced(&self) -> watch::Receiver<Synced> {
        self.writer.disk().synced()
    }

    fn index_lag(&self) -> Duration {
        self.indexed.lock().elapsed()
    }

    fn hurry_sync(&self) {
        self.writer.disk().hurry();
    }

    fn news(&self) -> Option<watch::Receiver<News>> {
        None
    }

    /// A file tells nobody of anything.
    fn set_relayed(&self, _: bool) {}

    fn head(&self) -> Answer<Position> {
        self.read_log(|connection| Ok(read::info(connection)?.head))
    }

    fn events(&self, starts: Vec<(RoomName, Position)>, up_to: Position, limit: PageLimit) -> Answer<Option<Page>> {
        self.read_log(move |connection| read::events(connection, &starts, up_to, limit))
    }

    fn events_between(&self, after: Position, up_to: Position, limit: PageLimit) -> Answer<Between> {
        self.read_log(move |connection| read::events_between(connection, after, up_to, limit))
    }

    fn all_gone_through(&self) -> Answer<Position> {
        self.read_log(forgetting::all_gone_through)
    }

    fn forget_rooms(&self, through: Position) -> Answer<bool> {
        let (rooms, writer) = (self.room_ids.clone(), self.writer.clone());
        let found = self.read_log(move |connection| forgetting::find(connection, through));
        async move {
            let found = found.await?;
            writer.run(false, move |connection| forgetting::forget(connection, &found, &mut rooms.lock())).await
        }
        .boxed()
    }
}
