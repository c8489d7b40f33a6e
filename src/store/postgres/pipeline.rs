//! A batch in one round trip: it is one statement, or the transaction's messages are sent together, and its answers are
//! waited for once.

use futures_util::future::join4;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::error::Severity;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row, SimpleQueryMessage, Statement};

use super::connection::{self, Rules};
use super::place::{Place, Seen, Value};
use crate::config::PostgresUrl;
use crate::store::StoreError;

/// A connection of its own, opened anew where it is lost.
pub struct Pipeline {
    url: PostgresUrl,
    rules: Rules,
    open: Mutex<Option<Session>>,
}

/// What became of a batch.
pub enum Sent {
    /// It is committed; the log stood there.
    Placed(i64),
    /// It is not: rooms have been forgotten since its own were numbered.
    RoomsForgotten,
    /// Nothing of it is written.
    Refused(String),
    /// Its answer was lost, and it may have been committed.
    Unanswered(String),
}

impl Pipeline {
    /// Opens the connection: the first event must not have to wait for it.
    pub async fn open(url: PostgresUrl, rules: Rules) -> Result<Self, StoreError> {
        let session = timeout(url.connect_timeout + rules.deadline, Session::open(&url, &rules)).await??;
        Ok(Self { url, rules, open: Mutex::new(Some(session)) })
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
            _ => timeout(self.rules.deadline, Session::open(&self.url, &self.rules)).await??,
        };
        let Ok(sent) = timeout(self.rules.deadline, session.send(&self.rules.writing, place, seen)).await else {
            return Ok(Sent::Unanswered("no answer".to_owned()));
        };
        if !matches!(sent, Sent::Unanswered(_)) {
            *open = Some(session);
        }
        Ok(sent)
    }
}

struct Session {
    client: Client,
    /// Where the connection is this program's alone.
    prepared: Option<(Statement, Statement)>,
    /// Reads and writes the connection, and closes it with this, whatever it still waits for.
    _driver: JoinSet<()>,
}

impl Session {
    async fn open(url: &PostgresUrl, rules: &Rules) -> Result<Self, StoreError> {
        let mut refused = None;
        if !url.pooler {
            match Self::open_own(url, rules).await {
                Ok(session) => return Ok(session),
                Err(why) => refused = Some(why),
            }
        }
        let (client, driver) = connection::plain(url, None).await?;
        if let Some(refused) = refused {
            tracing::warn!(
                refused,
                "the log's connection takes no limits: if a pooler is in between, its URL should say `pgbouncer=true`"
            );
        }
        Ok(Self { client, prepared: None, _driver: driver })
    }

    /// One that is this program's alone, so that limits and what is prepared stay with it. A pooler refuses the limits
    /// or leaves them out, as it would lend the connection to somebody else with them, and this program another.
    async fn open_own(url: &PostgresUrl, rules: &Rules) -> Result<Self, String> {
        let opened = connection::plain(url, Some(&rules.startup)).await;
        let (client, driver) = opened.map_err(|error| error.to_string())?;
        let refused = |error: Error| connection::causes(&error);
        let asked = client.simple_query("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'");
        let limit = asked.await.map_err(refused)?.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        if limit.as_deref() != Some(&*rules.limit_ms.to_string()) {
            return Err("they are left out".to_owned());
        }
        let place = client.prepare_typed(Place::SQL, &types(&Place::nothing().values())).await.map_err(refused)?;
        let seen = client.prepare_typed(Seen::SQL, &types(&Seen::default().values())).await.map_err(refused)?;
        Ok(Self { client, prepared: Some((place, seen)), _driver: driver })
    }

    async fn send(&self, begin: &str, place: &Place<'_>, seen: &Seen) -> Sent {
        let placing = self.query(Place::SQL, self.prepared.as_ref().map(|(place, _)| place), place.values());
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
            self.query(Seen::SQL, self.prepared.as_ref().map(|(_, seen)| seen), seen.values()).await
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

    async fn query(&self, sql: &str, prepared: Option<&Statement>, values: Vec<Value<'_>>) -> Result<Vec<Row>, Error> {
        let parameters = values.iter().map(Value::as_parameter);
        match prepared {
            Some(statement) => {
                let values: Vec<_> = parameters.map(|(value, _)| value).collect();
                self.client.query(statement, &values).await
            }
            // Without a name, in one message.
            None => self.client.query_typed(sql, &parameters.collect::<Vec<_>>()).await,
        }
    }
}

fn types(values: &[Value<'_>]) -> Vec<Type> {
    values.iter().map(|value| value.as_parameter().1).collect()
}

impl Sent {
    fn placed(rows: &[Row]) -> Self {
        rows.first().map_or(Self::RoomsForgotten, |row| Self::Placed(row.get("before")))
    }

    /// A server, or a pooler, that ends the connection says so with an error as well, which tells nothing of the
    /// transaction.
    fn failed(error: Error) -> Self {
        let text = connection::causes(&error);
        match error.as_db_error() {
            Some(refused)
                if refused.parsed_severity() == Some(Severity::Error)
                    && !["08", "57P"].iter().any(|class| refused.code().code().starts_with(class)) =>
            {
                Self::Refused(text)
            }
            _ => Self::Unanswered(text),
        }
    }
}
