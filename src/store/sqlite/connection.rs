//! The pool of connections to the embedded database.

use std::path::Path;
use std::time::Duration;

use diesel::QueryResult;
use diesel::sqlite::SqliteConnection;
use diesel_async::pooled_connection::bb8::{Pool as ConnectionPool, PooledConnection};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::store::StoreError;

pub type Connection = SyncConnectionWrapper<SqliteConnection>;
pub type Pool = ConnectionPool<Connection>;

/// Opens a pool, and one connection to see that it can be done.
pub async fn open(path: &Path, timeout: Duration, size: u32) -> Result<Pool, StoreError> {
    let mut config = ManagerConfig::default();
    // The file is there or the next query says so: no query is spent on asking first.
    config.recycling_method = RecyclingMethod::Fast;
    let busy_timeout = busy_timeout(timeout);
    config.custom_setup = Box::new(move |url| {
        async move {
            let mut connection = Connection::establish(url).await?;
            connection
                .batch_execute(&pragmas(busy_timeout, "FULL"))
                .await
                .map_err(|error| diesel::ConnectionError::BadConnection(error.to_string()))?;
            Ok(connection)
        }
        .boxed()
    });
    let manager = AsyncDieselConnectionManager::new_with_config(path.to_string_lossy(), config);
    let pool = ConnectionPool::builder()
        .max_size(size)
        .connection_timeout(timeout)
        .build(manager)
        .await
        .map_err(|error| StoreError::Connection(error.to_string()))?;
    drop(get(&pool).await?);
    Ok(pool)
}

/// A little less than the callers' deadline, so that the database gives up before its caller does.
pub fn busy_timeout(timeout: Duration) -> Duration {
    timeout.saturating_sub(timeout / 10)
}

/// What every connection is told first; `synchronous` says what a commit waits for.
pub fn pragmas(busy_timeout: Duration, synchronous: &str) -> String {
    format!(
        "PRAGMA busy_timeout = {};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = {synchronous};
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA foreign_keys = ON;",
        busy_timeout.as_millis()
    )
}

pub async fn get(pool: &Pool) -> Result<PooledConnection<'_, Connection>, StoreError> {
    pool.get().await.map_err(|error| StoreError::Connection(error.to_string()))
}

/// Runs all of `work` in one go on a thread where it may block: crossing threads once, not once for each query.
pub fn blocking<T: Send + 'static>(
    connection: &mut Connection,
    work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
) -> BoxFuture<'static, Result<T, StoreError>> {
    connection.spawn_blocking(work).map(|outcome| outcome.map_err(StoreError::from)).boxed()
}
