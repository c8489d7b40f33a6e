//! The application's PostgreSQL. Its own tables stay as they are; the service's are in the schema `realtime`,
//! which every transaction's search path begins with. How the log is written there: docs/decisions/0009-log-on-postgresql.md.

mod append;
mod audit;
mod batch;
#[path = "../changes.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries, checked by diesel for either database")]
mod changes;
mod connection;
mod forgetting;
mod herald;
mod housekeeping;
mod items;
#[path = "../leases.rs"]
#[expect(clippy::duplicate_mod, reason = "the same code, with either database's statements")]
mod leases;
mod listen;
#[path = "../lookups.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries, checked by diesel for either database")]
mod lookups;
pub mod migrations;
mod numbers;
mod pipeline;
mod place;
mod read;
mod retention;
mod statements;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::StoreError;
use super::audit::{AuditEntry, AuditFilter, AuditRow};
use super::backend::{Answer, Backend, Found};
use super::log::{Between, Committed, Gone, LogInfo, News, Page, PageLimit, SessionRoom, StoredEvent, Synced, Write};
use super::rows::{NewItem, OrderRow, StoredItem, TabRow, TabSheet};
use crate::config::{LogConfig, PostgresConfig};
use crate::domain::{
    Cuid, NotificationId, PidKey, Position, RevocationId, RoomName, TabFacts, TableFacts, UserFacts, UserId,
};
use append::Appender;
use connection::{Connection, Pool, Rules};
use herald::Herald;
use listen::Listener;
use pipeline::Pipeline;

/// Name, holder, ms.
const TAKE_LEASE: &str = "INSERT INTO realtime.leases (name, holder, expires_at)
    VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
    WHERE leases.holder = excluded.holder OR leases.expires_at <= clock_timestamp()";
/// Name, holder.
const RELEASE_LEASE: &str = "DELETE FROM realtime.leases WHERE name = $1 AND holder = $2";

pub struct Postgres {
    pool: Pool,
    rules: Rules,
    appender: Arc<Appender>,
    herald: Arc<Herald>,
    /// A commit is on the disk when it is answered: this never changes.
    synced: watch::Sender<Synced>,
    news: watch::Receiver<News>,
    /// Where appends run, whoever asks for them.
    handle: Handle,
}

impl Postgres {
    /// Opens the pools, and one connection to see that it can be done. What is to be done while the database is
    /// open runs on the current runtime.
    pub async fn open(urls: &PostgresConfig, deadline: Duration, limits: &LogConfig) -> Result<Arc<Self>, StoreError> {
        let PostgresConfig { pooled, direct } = urls;
        let wait = pooled.pool_timeout.map_or(deadline, |wait| wait.min(deadline));
        let pool = connection::pool(pooled, pooled.connections, wait).await?;
        let rules = Rules::new(&pooled.schema, deadline);
        connection::in_transaction(&pool, &rules.reading, deadline, |connection| lookups::ping(connection).boxed())
            .await?;
        let pipeline = Pipeline::open(pooled.clone(), rules.clone()).await?;
        // For batches in steps: the first must not have to wait for a connection either.
        let appends = connection::pool(pooled, 1, wait).await?;
        drop(connection::get(&appends).await?);
        let (heard, news) = watch::channel(News::default());
        let origin = format!("{:016x}", rand::random::<u64>());
        if direct.pooler {
            // It says of itself that it passes no notifications on.
            listen::warn_unheard();
        } else {
            let listener =
                Listener { url: direct.clone(), origin: origin.clone(), pool: pool.clone(), rules: rules.clone() };
            tokio::spawn(listener.run(heard));
        }
        let herald = Arc::new(Herald::new());
        let database = Arc::new(Self {
            appender: Arc::new(Appender::new(pipeline, appends, rules.clone(), herald.clone(), origin.clone())),
            herald: herald.clone(),
            pool,
            rules,
            synced: watch::Sender::new(Synced { through: Appender::GENERATION, lost_through: 0 }),
            news,
            handle: Handle::current(),
        });
        tokio::spawn(herald::tell_of_the_last(Arc::downgrade(&database), herald.untold(), origin));
        tokio::spawn(housekeeping::keep_log_within(Arc::downgrade(&database), limits.clone()));
        Ok(database)
    }

    fn read<T, Q>(&self, query: Q) -> Answer<T>
    where
        T: Send + 'static,
        Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        self.run(&self.rules.reading, query)
    }

    fn write<T, Q>(&self, query: Q) -> Answer<T>
    where
        T: Send + 'static,
        Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        self.run(&self.rules.writing, query)
    }

    fn run<T, Q>(&self, begin: &Arc<str>, query: Q) -> Answer<T>
    where
        T: Send + 'static,
        Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        let (pool, begin, deadline) = (self.pool.clone(), begin.clone(), self.rules.deadline);
        async move { connection::in_transaction(&pool, &begin, deadline, query).await }.boxed()
    }
}

impl Backend for Postgres {
    fn users(&self, ids: Vec<UserId>) -> Found<UserId, UserFacts> {
        self.read(|connection| lookups::users(connection, ids).boxed())
    }

    fn tabs(&self, ids: Vec<Cuid>) -> Found<Cuid, TabFacts> {
        self.read(|connection| lookups::tabs(connection, ids).boxed())
    }

    fn tables(&self, ids: Vec<Cuid>) -> Found<Cuid, TableFacts> {
        self.read(|connection| lookups::tables(connection, ids).boxed())
    }

    fn open_orders(&self, venues: Vec<Cuid>) -> Found<Cuid, Arc<Vec<OrderRow>>> {
        self.read(|connection| lookups::open_orders(connection, venues).boxed())
    }

    fn revoked(&self, ids: Vec<RevocationId>) -> Found<RevocationId, RevocationId> {
        self.read(|connection| lookups::revoked(connection, ids).boxed())
    }

    fn session_rooms(&self, sessions: Vec<PidKey>) -> Found<PidKey, Vec<SessionRoom>> {
        self.read(|connection| lookups::session_rooms(connection, sessions).boxed())
    }

    fn gone(&self, rooms: Vec<RoomName>) -> Found<RoomName, Gone> {
        self.read(|connection| lookups::gone(connection, rooms).boxed())
    }

    fn item(&self, id: Cuid) -> Answer<Option<StoredItem>> {
        self.read(|connection| lookups::item(connection, id).boxed())
    }

    fn open_tabs(&self, venue: Cuid) -> Answer<Vec<TabRow>> {
        self.read(|connection| lookups::open_tabs(connection, venue).boxed())
    }

    fn tab_sheet(&self, id: Cuid) -> Answer<Option<TabSheet>> {
        self.read(|connection| lookups::tab_sheet(connection, id).boxed())
    }

    fn ping(&self) -> Answer<()> {
        self.read(|connection| lookups::ping(connection).boxed())
    }

    fn read_notification(&self, user: UserId, id: NotificationId) -> Answer<bool> {
        self.write(|connection| changes::read_notification(connection, user, id).boxed())
    }

    fn revoke(&self, id: RevocationId, reason: Option<String>) -> Answer<bool> {
        self.write(|connection| {
            async move {
                let is_new = changes::revoke(connection, id, reason).await?;
                herald::notify(connection, listen::REVOKED.to_owned()).await?;
                Ok(is_new)
            }
            .boxed()
        })
    }

    /// The demo has a database of its own, which is SQLite.
    fn add_items(&self, _: Cuid, _: Vec<NewItem>) -> Answer<(i32, i32, i32)> {
        async { Err(StoreError::Query("the application puts its items on its tabs itself".to_owned())) }.boxed()
    }

    fn append_audit(&self, entries: Arc<[AuditEntry]>) -> Answer<()> {
        self.write(|connection| audit::insert(connection, entries).boxed())
    }

    fn read_audit(&self, filter: AuditFilter, limit: i64) -> Answer<Vec<AuditRow>> {
        self.read(move |connection| audit::select(connection, filter, limit).boxed())
    }

    fn take_lease(&self, name: String, holder: String, for_how_long: Duration) -> Answer<bool> {
        self.write(move |connection| leases::take(connection, name, holder, for_how_long).boxed())
    }

    fn release_lease(&self, name: String, holder: String) -> Answer<()> {
        self.write(|connection| leases::release(connection, name, holder).boxed())
    }

    fn resume(&self, newest: PageLimit) -> Answer<(LogInfo, Vec<StoredEvent>)> {
        self.read(move |connection| read::resume(connection, newest).boxed())
    }

    fn commit(&self, writes: Vec<Write>, gone_out: Position, landed: Arc<AtomicBool>) -> Answer<Committed> {
        let appender = self.appender.clone();
        let committing = self.handle.spawn(async move {
            let committed = appender.commit(&writes, gone_out).await;
            if committed.is_ok() {
                landed.store(true, Ordering::Release);
            }
            committed
        });
        async move { committing.await.unwrap_or_else(|error| Err(StoreError::Connection(error.to_string()))) }.boxed()
    }

    fn synced(&self) -> watch::Receiver<Synced> {
        self.synced.subscribe()
    }

    /// The server's indexes have what is stored.
    fn index_lag(&self) -> Duration {
        Duration::ZERO
    }

    /// The server syncs each commit.
    fn hurry_sync(&self) {}

    fn news(&self) -> Option<watch::Receiver<News>> {
        Some(self.news.clone())
    }

    fn set_relayed(&self, relayed: bool) {
        self.herald.set_relayed(relayed);
    }

    fn head(&self) -> Answer<Position> {
        self.read(|connection| read::head(connection).boxed())
    }

    fn events(&self, starts: Vec<(RoomName, Position)>, up_to: Position, limit: PageLimit) -> Answer<Option<Page>> {
        self.read(move |connection| read::events(connection, starts, up_to, limit).boxed())
    }

    fn events_between(&self, after: Position, up_to: Position, limit: PageLimit) -> Answer<Between> {
        self.read(move |connection| read::events_between(connection, after, up_to, limit).boxed())
    }

    fn all_gone_through(&self) -> Answer<Position> {
        self.read(|connection| forgetting::all_gone_through(connection).boxed())
    }

    fn forget_rooms(&self, through: Position) -> Answer<bool> {
        self.write(move |connection| forgetting::forget(connection, through).boxed())
    }
}
