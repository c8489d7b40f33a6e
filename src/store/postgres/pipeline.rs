//! A batch in one round trip: it is one statement, or the transaction's messages are sent together, and its answers are
//! waited for once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join4;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row, Statement};

use super::connection;
use super::place::{Parameter, Place, Seen};
use crate::config::PostgresUrl;
use crate::store::StoreError;

/// A connection of its own, opened anew where it is lost.
pub struct Pipeline {
    url: PostgresUrl,
    limits: Limits,
    deadline: Duration,
    open: Mutex<Option<Session>>,
    /// The connection is this program's alone, and what is prepared on it stays. A pooler would lend it to somebody
    /// else, and this program another.
    own: AtomicBool,
}

/// How transactions begin, and how long a statement may take. No time is idle in one.
struct Limits {
    /// For all of a connection that is this program's alone.
    session: String,
    /// For one transaction, as everywhere else (`connection.rs`).
    transaction: String,
}

/// What became of a batch.
pub enum Sent {
    /// It is committed; the log stood there.
    Placed(i64),
    /// Nothing of it is written.
    Refused(Refusal),
    /// Its answer was lost, and it may have been committed.
    Unanswered(String),
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is a pooler in between after all.
    #[error("the server does not know what was prepared")]
    Names,
    #[error("{0}")]
    Other(String),
}

impl Pipeline {
    /// Opens the connection: the first event must not have to wait for it.
    pub async fn open(url: PostgresUrl, deadline: Duration) -> Result<Self, StoreError> {
        let limit_ms = deadline.saturating_sub(deadline / 10).as_millis();
        let limits = Limits {
            session: format!(
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE; \
                 SET statement_timeout = {limit_ms}"
            ),
            transaction: format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = {limit_ms}"
            ),
        };
        let own = !url.pooler;
        let session = Session::open(&url, own.then_some(&*limits.session)).await?;
        Ok(Self { url, limits, deadline, open: Mutex::new(Some(session)), own: AtomicBool::new(own) })
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// Where there is no connection: nothing has been sent.
    pub async fn write(&self, place: &Place<'_>, seen: &Seen) -> Result<Sent, StoreError> {
        let mut open = self.open.lock().await;
        // Taken out: a connection that does not come back from this is closed.
        let session = match open.take() {
            Some(session) if !session.client.is_closed() => session,
            _ => {
                let own = self.own.load(Ordering::Relaxed).then_some(&*self.limits.session);
                timeout(self.deadline, Session::open(&self.url, own)).await??
            }
        };
        let Ok(sent) = timeout(self.deadline, session.send(&self.limits.transaction, place, seen)).await else {
            return Ok(Sent::Unanswered("no answer".to_owned()));
        };
        match &sent {
            Sent::Placed(_) => *open = Some(session),
            Sent::Refused(Refusal::Names) => self.own.store(false, Ordering::Relaxed),
            Sent::Refused(Refusal::Other(_)) | Sent::Unanswered(_) => {}
        }
        Ok(sent)
    }
}

struct Session {
    client: Client,
    prepared: Option<(Statement, Statement)>,
}

impl Session {
    /// With settings where the connection is this program's alone.
    async fn open(url: &PostgresUrl, own: Option<&str>) -> Result<Self, StoreError> {
        let client = connection::plain(url).await?;
        let Some(settings) = own else { return Ok(Self { client, prepared: None }) };
        let preparing = async {
            client.batch_execute(settings).await?;
            let place = client.prepare_typed(Place::SQL, &types(&Place::nothing().parameters())).await?;
            Ok((place, client.prepare_typed(Seen::SQL, &types(&Seen::default().parameters())).await?))
        };
        let prepared = preparing.await.map_err(|error: Error| StoreError::Connection(connection::causes(&error)))?;
        Ok(Self { client, prepared: Some(prepared) })
    }

    async fn send(&self, begin: &str, place: &Place<'_>, seen: &Seen) -> Sent {
        let placing = self.query(Place::SQL, self.prepared.as_ref().map(|(place, _)| place), place.parameters());
        if self.prepared.is_some() && seen.is_empty() {
            // A statement alone is a transaction. It is answered when that is committed.
            return match placing.await {
                Ok(rows) => Sent::placed(&rows),
                Err(error) => Sent::failed(error),
            };
        }
        let seeing = async {
            if seen.is_empty() {
                return Ok(Vec::new());
            }
            self.query(Seen::SQL, self.prepared.as_ref().map(|(_, seen)| seen), seen.parameters()).await
        };
        // Each sends its message as it is polled for the first time, which is in this order.
        let all = join4(self.client.batch_execute(begin), placing, seeing, self.client.batch_execute("COMMIT"));
        match all.await {
            (Ok(()), Ok(rows), Ok(_), Ok(())) => Sent::placed(&rows),
            // What the server itself refuses is the end of its transaction, whose commit is then none.
            (Ok(()), Err(error), _, _) | (Ok(()), Ok(_), Err(error), _) => Sent::failed(error),
            (Err(error), ..) | (.., Err(error)) => Sent::Unanswered(connection::causes(&error)),
        }
    }

    async fn query(
        &self,
        sql: &str,
        prepared: Option<&Statement>,
        parameters: Vec<Parameter<'_>>,
    ) -> Result<Vec<Row>, Error> {
        match prepared {
            Some(statement) => {
                let values: Vec<_> = parameters.into_iter().map(|(value, _)| value).collect();
                self.client.query(statement, &values).await
            }
            // Without a name, in one message.
            None => self.client.query_typed(sql, &parameters).await,
        }
    }
}

fn types(parameters: &[Parameter<'_>]) -> Vec<Type> {
    parameters.iter().map(|(_, of)| of.clone()).collect()
}

impl Sent {
    fn placed(rows: &[Row]) -> Self {
        let forgotten = || Self::Refused(Refusal::Other("rooms have been forgotten".to_owned()));
        rows.first().map_or_else(forgotten, |row| Self::Placed(row.get("before")))
    }

    /// A server that ends the connection says so with an error as well, which tells nothing of the transaction.
    fn failed(error: Error) -> Self {
        let text = connection::causes(&error);
        match error.as_db_error() {
            Some(refused) if refused.parsed_severity() == Some(Severity::Error) => {
                Self::Refused(match *refused.code() {
                    SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT => Refusal::Names,
                    _ => Refusal::Other(text),
                })
            }
            _ => Self::Unanswered(text),
        }
    }
}
