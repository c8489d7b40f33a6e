//! The application's database: look-ups, changes, migrations, and the log.
//!
//! All of it runs on threads of its own and every call but [`Store::commit`] has a deadline: a
//! slow or locked database costs its callers an `UNAVAILABLE` and nobody else anything.
//! The only user of `schema.rs`.

mod audit;
mod backend;
mod forgetting;
mod loader;
pub mod log;
mod log_rows;
pub mod migrations;
mod postgres;
mod rows;
mod sqlite;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::runtime::{Handle, Runtime};
use tokio::time::timeout;

use crate::config::{DatabaseConfig, DatabaseTarget, LogConfig};
use crate::domain::{Cuid, NotificationId, PidKey, RevocationId, RoomName, TabFacts, TableFacts, UserFacts, UserId};
use crate::telemetry::{Metrics, Query, QueryMetrics, StoreFailure};
pub use audit::{AuditEntry, AuditFilter, AuditRow};
use backend::{Answer, Backend};
use loader::Loader;
use log::{Gone, SessionRoom};
use postgres::Postgres;
pub use rows::{NewItem, OrderItem, OrderRow, SheetItem, SheetTab, StoredItem, TabRow, TabSheet};
use sqlite::Sqlite;

/// Why the database gave no answer. Its text is for the log, never for a client.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database did not answer in time")]
    Timeout,
    #[error("no connection to the database: {0}")]
    Connection(String),
    #[error("the database refused: {0}")]
    Query(String),
}

impl StoreError {
    fn kind(&self) -> StoreFailure {
        match self {
            Self::Timeout => StoreFailure::Timeout,
            Self::Connection(_) => StoreFailure::Connection,
            Self::Query(_) => StoreFailure::Query,
        }
    }
}

impl From<tokio::time::error::Elapsed> for StoreError {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Timeout
    }
}

impl From<diesel::result::Error> for StoreError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Query(error.to_string())
    }
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    handle: Handle,
}

struct Inner {
    backend: Arc<dyn Backend>,
    users: Loader<UserId, UserFacts>,
    tabs: Loader<Cuid, TabFacts>,
    tables: Loader<Cuid, TableFacts>,
    orders: Loader<Cuid, Arc<Vec<OrderRow>>>,
    /// Finds an id that is revoked.
    revocations: Loader<RevocationId, RevocationId>,
    session_rooms: Loader<PidKey, Vec<SessionRoom>>,
    gone: Loader<RoomName, Gone>,
    timeout: Duration,
    meter: Meter,
    /// The database's, as the metrics name it.
    kind: &'static str,
    #[expect(dead_code, reason = "held so that its threads live as long as the store")]
    runtime: StoreThreads,
}

impl Inner {
    /// To be called on the store's threads.
    fn new(backend: Arc<dyn Backend>, timeout: Duration, runtime: StoreThreads, kind: &'static str) -> Self {
        let meter = Meter::default();
        let of = |query| loader::Terms { query, timeout, meter: meter.clone() };
        Self {
            users: Loader::start(&backend, of(Query::Users), |backend, ids| backend.users(ids)),
            tabs: Loader::start(&backend, of(Query::Tabs), |backend, ids| backend.tabs(ids)),
            tables: Loader::start(&backend, of(Query::Tables), |backend, ids| backend.tables(ids)),
            orders: Loader::start(&backend, of(Query::Orders), |backend, ids| backend.open_orders(ids)),
            revocations: Loader::start(&backend, of(Query::Revocations), |backend, ids| backend.revoked(ids)),
            session_rooms: Loader::start(&backend, of(Query::SessionRooms), |backend, ids| backend.session_rooms(ids)),
            gone: Loader::start(&backend, of(Query::PrunedThrough), |backend, ids| backend.gone(ids)),
            backend,
            timeout,
            meter,
            kind,
            runtime,
        }
    }
}

/// Where answers' times go, once that is known; before it they are not kept.
#[derive(Clone, Default)]
struct Meter(Arc<OnceLock<QueryMetrics>>);

impl Meter {
    /// Waits for an answer and notes how long it took.
    async fn time<T>(
        &self,
        query: Query,
        asking: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let answer = asking.await;
        if let Some(metrics) = self.0.get() {
            metrics.answered(query, began.elapsed(), answer.as_ref().err().map(StoreError::kind));
        }
        answer
    }
}

struct StoreThreads(Option<Runtime>);

impl Drop for StoreThreads {
    fn drop(&mut self) {
        // The last owner may be a worker thread, where a runtime must not be waited for.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Store {
    /// Rows of a page; an event has one for each of its rooms, which are fewer than this.
    const PAGE: usize = 2_000;

    /// Opens the database.
    ///
    /// # Errors
    /// Where it cannot be opened, or cannot be reached.
    pub fn open(config: &DatabaseConfig, limits: &LogConfig) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(16)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Connection(error.to_string()))?;
        let handle = runtime.handle().clone();
        let runtime = StoreThreads(Some(runtime));
        let (backend, kind): (Arc<dyn Backend>, _) = match &config.target {
            DatabaseTarget::Sqlite(path) => (handle.block_on(Sqlite::open(path, config.timeout, limits))?, "sqlite"),
            DatabaseTarget::Postgres(urls) => {
                (handle.block_on(Postgres::open(urls, config.timeout, limits))?, "postgresql")
            }
        };
        let _entered = handle.enter();
        tokio::spawn(forgetting::forget_rooms(Arc::downgrade(&backend), limits.room_grace));
        let inner = Arc::new(Inner::new(backend, config.timeout, runtime, kind));
        Ok(Self { inner, handle: handle.clone() })
    }

    /// Has the times of all answers counted from here on.
    pub fn measure(&self, metrics: &Metrics) {
        // Whoever was first goes on counting.
        self.inner.meter.0.set(metrics.queries(self.inner.kind)).ok();
    }

    /// How long ago the log's index by room had all events; up to a second or two on the embedded database, where
    /// it follows them.
    pub fn index_lag(&self) -> Duration {
        self.inner.backend.index_lag()
    }

    /// Runs a task on the store's own threads.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }

    /// Waits for the store's answer on a thread that runs no tasks.
    pub fn block_on<T>(&self, asking: impl Future<Output = T>) -> T {
        self.handle.block_on(asking)
    }

    /// An active user with its active staff rows.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn find_user(&self, id: &UserId) -> Result<Option<UserFacts>, StoreError> {
        self.inner.users.find(id.clone()).await
    }

    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn find_tab(&self, id: &Cuid) -> Result<Option<TabFacts>, StoreError> {
        self.inner.tabs.find(id.clone()).await
    }

    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn find_table(&self, id: &Cuid) -> Result<Option<TableFacts>, StoreError> {
        self.inner.tables.find(id.clone()).await
    }

    /// The tab that an item is on.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn find_item(&self, id: &Cuid) -> Result<Option<StoredItem>, StoreError> {
        self.ask(Query::Item, self.inner.backend.item(id.clone())).await
    }

    /// Marks a user's own notification as read; `false` where that user has no such notification.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn read_notification(&self, user: &UserId, id: &NotificationId) -> Result<bool, StoreError> {
        self.ask(Query::ReadNotification, self.inner.backend.read_notification(user.clone(), id.clone())).await
    }

    /// The venue's tabs with items that the kitchen has not delivered, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn open_orders(&self, venue: &Cuid) -> Result<Arc<Vec<OrderRow>>, StoreError> {
        Ok(self.inner.orders.find(venue.clone()).await?.unwrap_or_default())
    }

    /// The venue's open tabs.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn open_tabs(&self, venue: &Cuid) -> Result<Vec<TabRow>, StoreError> {
        self.ask(Query::OpenTabs, self.inner.backend.open_tabs(venue.clone())).await
    }

    /// Puts items on a tab, as sent to the kitchen, and returns the tab's new subtotal, tax and total in cents.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn add_items(&self, tab: &Cuid, items: Vec<NewItem>) -> Result<(i32, i32, i32), StoreError> {
        self.ask(Query::AddItems, self.inner.backend.add_items(tab.clone(), items)).await
    }

    /// A tab with its items, in the order in which they were ordered.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn tab_sheet(&self, id: &Cuid) -> Result<Option<TabSheet>, StoreError> {
        self.ask(Query::TabSheet, self.inner.backend.tab_sheet(id.clone())).await
    }

    /// Whether one of the ids is revoked.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn is_revoked(&self, ids: &[RevocationId]) -> Result<bool, StoreError> {
        let answers = try_join_all(ids.iter().map(|id| self.inner.revocations.find(id.clone()))).await?;
        Ok(answers.iter().any(Option::is_some))
    }

    /// Revokes a token and all that was made from it; `false` where that was done before.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn revoke(&self, id: &RevocationId, reason: Option<String>) -> Result<bool, StoreError> {
        self.ask(Query::Revoke, self.inner.backend.revoke(id.clone(), reason)).await
    }

    /// Takes a lease, or has it for longer, by the database's clock; `false` where another holds it.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer: who held the lease does not know that it still does.
    pub async fn take_lease(&self, name: &str, holder: &str, for_how_long: Duration) -> Result<bool, StoreError> {
        self.ask(Query::Lease, self.inner.backend.take_lease(name.to_owned(), holder.to_owned(), for_how_long)).await
    }

    /// Gives a lease up before it expires, if it is this holder's.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn release_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        self.ask(Query::Lease, self.inner.backend.release_lease(name.to_owned(), holder.to_owned())).await
    }

    /// Whether the database answers.
    pub async fn is_ready(&self) -> bool {
        self.ask(Query::Ping, self.inner.backend.ping()).await.is_ok()
    }

    /// Has a question answered on the store's own threads, within the deadline. It is carried through even when
    /// nobody waits any longer, so that a connection never comes back half used.
    async fn ask<T: Send + 'static>(&self, query: Query, question: Answer<T>) -> Result<T, StoreError> {
        let running = self.handle.spawn(question);
        let asking = async {
            let answer = timeout(self.inner.timeout, running).await.map_err(|_| StoreError::Timeout)?;
            answer.unwrap_or_else(|error| Err(StoreError::Connection(error.to_string())))
        };
        self.inner.meter.time(query, asking).await
    }
}
