//! The application's database: look-ups, changes, migrations.
//!
//! Every call has a deadline, and all of it runs on threads of its own: a slow
//! or locked database costs its callers an `UNAVAILABLE` and nobody else anything.
//! The only user of `schema.rs`.

mod connection;
mod loader;
pub mod migrations;
mod queries;
mod revocations;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use crate::config::DatabaseConfig;
use crate::domain::{Cuid, KitchenStatus, RevocationId, TabFacts, TableFacts, UserFacts, UserId};
use connection::{Connection, Pool};
use loader::Loader;
pub use queries::{NewItem, OrderItem, OrderRow, StoredItem, TabRow};

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

/// The right to change rows. Whoever holds it is the only one: hold it until the
/// change's event is on its way, and events have the order of the commits.
pub struct WriteTurn(#[expect(dead_code, reason = "held, not read")] OwnedMutexGuard<()>);

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    handle: Handle,
}

struct Inner {
    readers: Pool,
    writer: Pool,
    write_turn: Arc<Mutex<()>>,
    users: Loader<UserId, UserFacts>,
    tabs: Loader<Cuid, TabFacts>,
    tables: Loader<Cuid, TableFacts>,
    /// Finds an id that is revoked.
    revocations: Loader<RevocationId, RevocationId>,
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

    /// Opens the database's file.
    ///
    /// # Errors
    /// Where the file cannot be opened as a database.
    pub fn open(config: &DatabaseConfig) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(16)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Connection(error.to_string()))?;
        let pools = runtime.block_on(async {
            let readers = connection::open(&config.path, config.timeout, Self::READERS).await?;
            let writer = connection::open(&config.path, config.timeout, 1).await?;
            Ok::<_, StoreError>((readers, writer))
        });
        let handle = runtime.handle().clone();
        let runtime = StoreThreads(Some(runtime));
        let (readers, writer) = pools?;
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
            revocations: Loader::start(readers.clone(), config.timeout, |connection, ids| {
                revocations::revoked(connection, ids).boxed()
            }),
            readers,
            writer,
            write_turn: Arc::default(),
            timeout: config.timeout,
            runtime,
        };
        drop(entered);
        Ok(Self { inner: Arc::new(inner), handle })
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

    /// Waits for the right to change rows.
    ///
    /// # Errors
    /// [`StoreError::Timeout`] where earlier changes take too long.
    pub async fn write_turn(&self) -> Result<WriteTurn, StoreError> {
        timeout(self.inner.timeout, self.inner.write_turn.clone().lock_owned())
            .await
            .map(WriteTurn)
            .map_err(|_| StoreError::Timeout)
    }

    /// Gives an item a state; `false` where it has it already.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn set_kitchen_status(
        &self,
        _: &WriteTurn,
        id: &Cuid,
        status: KitchenStatus,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write(move |connection| async move { queries::set_kitchen_status(connection, &id, status).await }.boxed())
            .await
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
    pub async fn open_orders(&self, venue: &Cuid) -> Result<Vec<OrderRow>, StoreError> {
        let venue = venue.clone();
        self.read(move |connection| async move { queries::open_orders(connection, &venue).await }.boxed()).await
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
    pub async fn add_items(
        &self,
        _: &WriteTurn,
        tab: &Cuid,
        items: Vec<NewItem>,
    ) -> Result<(i32, i32, i32), StoreError> {
        let tab = tab.clone();
        self.write(move |connection| async move { queries::add_items(connection, &tab, &items).await }.boxed()).await
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
        self.run(self.inner.writer.clone(), query).await
    }

    /// Runs a query on the store's own threads. It is carried through even when
    /// nobody waits any longer, so that a connection never comes back half used.
    async fn run<T, Q>(&self, pool: Pool, query: Q) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        let running = self.handle.spawn(async move {
            let mut connection = connection::get(&pool).await?;
            query(&mut connection).await
        });
        match timeout(self.inner.timeout, running).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(stopped)) => Err(StoreError::Connection(stopped.to_string())),
            Err(_) => Err(StoreError::Timeout),
        }
    }
}
