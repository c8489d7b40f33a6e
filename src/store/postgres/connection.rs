//! Connections to PostgreSQL, and the transaction that every query runs in.
//!
//! Limits and the search path are set for one transaction at a time, and a statement's name is given up before its
//! transaction ends: behind a transaction pooler the next one may be on another connection.

use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::bb8::{Pool as ConnectionPool, PooledConnection};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolableConnection, RecyclingMethod,
};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager,
};
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, StreamExt, stream};
use secrecy::ExposeSecret;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;
use crate::config::{PostgresUrl, TlsMode};
use crate::store::StoreError;

pub type Connection = AsyncPgConnection;
pub type Pool = ConnectionPool<Connection>;
pub type Transactions = AnsiTransactionManager;

/// How transactions begin, and how long they may take.
#[derive(Clone)]
pub struct Rules {
    pub reading: Arc<str>,
    pub writing: Arc<str>,
    /// The same limits for all of a connection that is this program's alone, as its start tells the server.
    pub startup: Arc<str>,
    pub limit_ms: u128,
    pub deadline: Duration,
}

impl Rules {
    pub fn new(schema: &str, deadline: Duration) -> Self {
        // A little less than the deadline, so that the database gives up before its caller does.
        let limit_ms = deadline.saturating_sub(deadline / 10).as_millis();
        let settings = format!(
            "SET LOCAL statement_timeout = {limit_ms}; SET LOCAL lock_timeout = {limit_ms}; \
             SET LOCAL idle_in_transaction_session_timeout = {limit_ms}; SET LOCAL search_path = realtime, {}",
            quoted(schema)
        );
        Self {
            // All of a question's queries see one state.
            reading: format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {settings}").into(),
            writing: format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {settings}").into(),
            startup: format!(
                "-c statement_timeout={limit_ms} -c lock_timeout={limit_ms} \
                 -c idle_in_transaction_session_timeout={limit_ms} \
                 -c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off"
            )
            .into(),
            limit_ms,
            deadline,
        }
    }
}

/// A name as it stands in SQL.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A pool that connects when it has to.
pub async fn pool(url: &PostgresUrl, size: u32, wait: Duration) -> Result<Pool, StoreError> {
    let mut config = ManagerConfig::default();
    // Asks the connection, not the server: what is closed is found out without a query.
    config.recycling_method = RecyclingMethod::CustomFunction(Box::new(|connection: &mut Connection| {
        let closed = connection.is_broken();
        async move { if closed { Err(diesel::result::Error::BrokenTransactionManager) } else { Ok(()) } }.boxed()
    }));
    let tls = tls::connector(url)?;
    let target = url.clone();
    config.custom_setup = Box::new(move |_| {
        let (target, tls) = (target.clone(), tls.clone());
        async move { connect(&target, tls).await }.boxed()
    });
    let manager = AsyncDieselConnectionManager::new_with_config("postgresql", config);
    ConnectionPool::builder()
        .max_size(size)
        .connection_timeout(wait)
        // Who waits is told why there is no connection.
        .retry_connection(false)
        .build(manager)
        .await
        .map_err(|error| StoreError::Connection(error.to_string()))
}

pub async fn get(pool: &Pool) -> Result<PooledConnection<'_, Connection>, StoreError> {
    pool.get().await.map_err(|error| StoreError::Connection(error.to_string()))
}

/// A connection that is in no pool.
pub async fn single(url: &PostgresUrl) -> Result<Connection, StoreError> {
    let tls = tls::connector(url)?;
    connect(url, tls).await.map_err(|error| StoreError::Connection(error.to_string()))
}

type Driver = tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

async fn connect(url: &PostgresUrl, tls: MakeRustlsConnect) -> ConnectionResult<Connection> {
    let bad = |error: &dyn std::fmt::Display| ConnectionError::BadConnection(error.to_string());
    let connecting = async {
        let (client, mut connection) = dial(url, tls, None).await.map_err(|error| bad(&causes(&error)))?;
        // What diesel sets on a new connection takes two messages each, which have to reach the same server.
        let driving = stream::poll_fn(|context| connection.poll_message(context)).for_each(|_| ready(()));
        tokio::select! {
            begun = client.batch_execute("BEGIN") => begun.map_err(|error| bad(&causes(&error)))?,
            () = driving => return Err(bad(&"closed by the server")),
        }
        let mut connection = Connection::try_from_client_and_connection(client, connection).await?;
        connection.batch_execute("COMMIT").await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        connection.set_prepared_statement_cache_size(diesel::connection::CacheSize::Disabled);
        Ok(connection)
    };
    timeout(url.connect_timeout, connecting).await.unwrap_or_else(|_| Err(bad(&"no connection in time")))
}

/// A connection without diesel, and what drives it: whoever sends on it need not wait for an answer before the next
/// message.
pub async fn plain(url: &PostgresUrl, options: Option<&str>) -> Result<(Client, JoinSet<()>), StoreError> {
    let tls = tls::connector(url)?;
    let connecting = timeout(url.connect_timeout, dial(url, tls, options)).await?;
    let (client, connection) = connecting.map_err(|error| StoreError::Connection(causes(&error)))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = causes(&error), "a connection to the database has ended");
        }
    });
    Ok((client, driver))
}

async fn dial(
    url: &PostgresUrl,
    tls: MakeRustlsConnect,
    options: Option<&str>,
) -> Result<(Client, Driver), tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config
        .host(&url.host)
        .port(url.port)
        .dbname(&url.database)
        .application_name("expeditor")
        .connect_timeout(url.connect_timeout)
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives_idle(Duration::from_secs(30))
        .ssl_mode(match url.tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyAuthority | TlsMode::VerifyFull => SslMode::Require,
        });
    if let Some(user) = &url.user {
        config.user(user);
    }
    if let Some(password) = &url.password {
        config.password(password.expose_secret());
    }
    if let Some(options) = options {
        config.options(options);
    }
    config.connect(tls).await
}

/// An error with what caused it, in one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Runs a query in a transaction that begins so, within the deadline.
pub async fn in_transaction<T, Q>(pool: &Pool, begin: &str, deadline: Duration, query: Q) -> Result<T, StoreError>
where
    Q: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>>,
{
    let running = async {
        let mut connection = get(pool).await?;
        Transactions::begin_transaction_sql(&mut *connection, begin).await?;
        let answer = query(&mut connection).await;
        if answer.is_ok() {
            Transactions::commit_transaction(&mut *connection).await?;
        } else if let Err(error) = Transactions::rollback_transaction(&mut *connection).await {
            tracing::debug!(%error, "a transaction could not be rolled back: its connection is closed");
        }
        answer
    };
    // A connection that is let go in the middle of a transaction counts as broken and is closed.
    timeout(deadline, running).await.unwrap_or(Err(StoreError::Timeout))
}
