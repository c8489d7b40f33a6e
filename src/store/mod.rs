//! The application's database: look-ups, changes, migrations.
//!
//! All of it runs on threads of its own and every call but [`Store::commit`] has a deadline: a
//! slow or locked database costs its callers an `UNAVAILABLE` and nobody else anything.
//! The only user of `schema.rs`.

mod connection;
mod housekeeping;
mod leases;
mod loader;
pub mod log;
pub mod migrations;
mod queries;
mod revocations;
mod sheet;
mod writer;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};
use tokio::time::timeout;

use crate::config::{DatabaseConfig, LogConfig};
use crate::domain::{Cuid, PidKey, Position, RevocationId, RoomName, TabFacts, TableFacts, UserFacts, UserId};
use connection::{Connection, Pool};
use diesel::sqlite::SqliteConnection;
use loader::Loader;
use log::{Committed, LogInfo, RoomIds, SessionRoom, StoredEvent, Synced, Write};
pub use queries::{NewItem, OrderItem, OrderRow, StoredItem, TabRow};
pub use sheet::{SheetItem, SheetTab, TabSheet};
use tokio::sync::watch;
use writer::Writer;

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
    readers: Pool,
    /// For changes of rows that are no part of the log, one at a time.
    changes: Pool,
    writer: Writer,
    room_ids: Arc<Mutex<RoomIds>>,
    users: Loader<UserId, UserFacts>,
    tabs: Loader<Cuid, TabFacts>,
    tables: Loader<Cuid, TableFacts>,
    orders: Loader<Cuid, Arc<Vec<OrderRow>>>,
    /// Finds an id that is revoked.
    revocations: Loader<RevocationId, RevocationId>,
    session_rooms: Loader<PidKey, Vec<SessionRoom>>,
    pruned_through: Loader<RoomName, Position>,
    timeout: Duration,
    #[expect(dead_code, reason = "held so that its threads live as long as the store")]
    runtime: StoreThreads,
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
    const READERS: u32 = 4;
    /// Rows of a page; an event has one for each of its rooms, which are fewer than this.
    const PAGE: usize = 2_000;
    /// Events whose commit takes no longer than a few hundred µs.
    const SMALL: usize = 32;

    /// Opens the database's file.
    ///
    /// # Errors
    /// Where the file cannot be opened as a database.
    pub fn open(config: &DatabaseConfig, limits: &LogConfig) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(16)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Connection(error.to_string()))?;
        let pools = runtime.block_on(async {
            let readers = connection::open(&config.path, config.timeout, Self::READERS).await?;
            let changes = connection::open(&config.path, config.timeout, 1).await?;
            Ok::<_, StoreError>((readers, changes))
        });
        let handle = runtime.handle().clone();
        let runtime = StoreThreads(Some(runtime));
        let (readers, changes) = pools?;
        let writer = Writer::open(&config.path, connection::busy_timeout(config.timeout))?;
        let entered = handle.enter();
        let inner = Inner {
            users: Loader::start(readers.clone(), config.timeout, |connection, ids| {
                queries::users(connection, ids).boxed()
            }),
            tabs: Loader::start(readers.clone(), config.timeout, |connection, ids| {
                queries::tabs(connection, ids).boxed()
            }),
            tables: Loader::start(readers.clone(), config.timeout, |connection, ids| {
                queries::tables(connection, ids).boxed()
            }),
            orders: Loader::start(readers.clone(), config.timeout, |connection, venues| {
                queries::open_orders(connection, venues).boxed()
            }),
            revocations: Loader::start(readers.clone(), config.timeout, |connection, ids| {
                revocations::revoked(connection, ids).boxed()
            }),
            session_rooms: Loader::start(readers.clone(), config.timeout, |connection, keys| {
                connection::blocking(connection, move |connection| log::read::session_rooms(connection, &keys))
            }),
            pruned_through: Loader::start(readers.clone(), config.timeout, |connection, rooms| {
                connection::blocking(connection, move |connection| log::read::pruned_through(connection, &rooms))
            }),
            readers,
            changes,
            writer,
            room_ids: Arc::default(),
            timeout: config.timeout,
            runtime,
        };
        let inner = Arc::new(inner);
        tokio::spawn(housekeeping::keep_log_within(Arc::downgrade(&inner), limits.clone()));
        tokio::spawn(housekeeping::checkpoint(Arc::downgrade(&inner)));
        drop(entered);
        Ok(Self { inner, handle })
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
        let id = id.clone();
        self.read(move |connection| async move { queries::item(connection, &id).await }.boxed()).await
    }

    /// Marks a user's own notification as read; `false` where that user has no such notification.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn read_notification(&self, user: &UserId, id: &UserId) -> Result<bool, StoreError> {
        let (user, id) = (user.clone(), id.clone());
        self.write(move |connection| async move { queries::read_notification(connection, &user, &id).await }.boxed())
            .await
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
        let venue = venue.clone();
        self.read(move |connection| async move { queries::open_tabs(connection, &venue).await }.boxed()).await
    }

    /// Puts items on a tab, as sent to the kitchen, and returns the tab's new subtotal, tax and total in cents.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn add_items(&self, tab: &Cuid, items: Vec<NewItem>) -> Result<(i32, i32, i32), StoreError> {
        let tab = tab.clone();
        self.write(move |connection| async move { queries::add_items(connection, &tab, &items).await }.boxed()).await
    }

    // ---- the log ----

    /// What the log is, and its newest events: where a service that starts goes on.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn resume_log(&self, newest: usize) -> Result<(LogInfo, Vec<StoredEvent>), StoreError> {
        self.read(move |connection| {
            connection::blocking(connection, move |connection| log::read::resume(connection, newest))
        })
        .await
    }

    /// Writes a batch to the log: all of it, or nothing. It survives the death of the process from here on, and
    /// the loss of power from [`Store::synced`] on. Has no deadline: what becomes of the
    /// batch is known when this returns. The database gives up waiting for a lock by itself. `landed` is
    /// set as soon as it is known, before whoever waits has its turn.
    ///
    /// # Errors
    /// [`StoreError`] where nothing was written.
    pub async fn commit(&self, writes: Vec<Write>, landed: Arc<AtomicBool>) -> Result<Committed, StoreError> {
        let rooms = self.inner.room_ids.clone();
        let disk = self.inner.writer.disk().clone();
        // An event that is not on the disk yet is not acknowledged yet; a session that is told to be in a room
        // has no such second word.
        let only_events = writes.iter().all(|write| matches!(write, Write::Append(_) | Write::Look));
        let small = only_events && writes.len() <= Self::SMALL;
        let commit = move |connection: &mut SqliteConnection| {
            let mut committed = log::append::commit(connection, &writes, &mut rooms.lock());
            if let Ok(committed) = &mut committed {
                committed.generation = if only_events { disk.committed() } else { disk.committed_and_synced() };
                landed.store(true, Ordering::Release);
            }
            committed
        };
        self.inner.writer.run(small, commit).await
    }

    /// How far what was committed has come to the disk.
    pub fn synced(&self) -> watch::Receiver<Synced> {
        self.inner.writer.disk().synced()
    }

    /// The events of the rooms after each one's position, up to and with `up_to`, `limit` at most, in
    /// order. `None` where some of them are gone.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn read_events(
        &self,
        starts: Vec<(RoomName, Position)>,
        up_to: Position,
        limit: usize,
    ) -> Result<Option<Vec<StoredEvent>>, StoreError> {
        self.read(move |connection| {
            connection::blocking(connection, move |connection| log::read::events(connection, &starts, up_to, limit))
        })
        .await
    }

    /// The position of the newest event in the database.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn log_head(&self) -> Result<Position, StoreError> {
        let info = self.read(|connection| connection::blocking(connection, log::read::info)).await?;
        Ok(info.head)
    }

    /// Events between two positions, of all rooms: what another process has written. A page of them, with the
    /// position up to which it has them all.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn read_between(
        &self,
        after: Position,
        up_to: Position,
    ) -> Result<(Vec<StoredEvent>, Position), StoreError> {
        self.read(move |connection| {
            connection::blocking(connection, move |connection| {
                log::read::events_between(connection, after, up_to, Self::PAGE)
            })
        })
        .await
    }

    /// The rooms that a session was in when it was last here.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn session_rooms(&self, session: PidKey) -> Result<Vec<SessionRoom>, StoreError> {
        Ok(self.inner.session_rooms.find(session).await?.unwrap_or_default())
    }

    /// Up to where a room's events may be gone.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn pruned_through(&self, room: &RoomName) -> Result<Position, StoreError> {
        Ok(self.inner.pruned_through.find(room.clone()).await?.unwrap_or_default())
    }

    /// Whether the database answers.
    pub async fn is_ready(&self) -> bool {
        self.read(|connection| queries::ping(connection).boxed()).await.is_ok()
    }

    async fn read<T, Q>(&self, query: Q) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        self.run(self.inner.readers.clone(), query).await
    }

    async fn write<T, Q>(&self, query: Q) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        self.run(self.inner.changes.clone(), query).await
    }

    /// Runs a query on the store's own threads, within the deadline.
    async fn run<T, Q>(&self, pool: Pool, query: Q) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        timeout(self.inner.timeout, self.carry_through(pool, query)).await.unwrap_or(Err(StoreError::Timeout))
    }

    /// Runs a query on the store's own threads. It is carried through even when
    /// nobody waits any longer, so that a connection never comes back half used.
    async fn carry_through<T, Q>(&self, pool: Pool, query: Q) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        let running = self.handle.spawn(async move {
            let mut connection = connection::get(&pool).await?;
            query(&mut connection).await
        });
        running.await.unwrap_or_else(|error| Err(StoreError::Connection(error.to_string())))
    }
}
