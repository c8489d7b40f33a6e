//! Hears from the database what other instances have written. Only a hint: whoever hears it looks into the log,
//! and looks now and then without. That `LISTEN` was taken says little: it listens once it has heard itself.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::connection::{self, Connection, Pool, Rules};
use super::herald;
use crate::config::PostgresUrl;
use crate::store::StoreError;
use crate::store::log::News;

/// What appends notify (`place.sql`, `herald.rs`), and who revokes a token.
pub const CHANNEL: &str = "expeditor";
pub const REVOKED: &str = "revoked";
/// How long it may be quiet before the connection is asked whether it still stands.
const QUIET: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_secs(1);
/// How long the own notification may take, as long as a query. Where there is nothing in between it is there at once.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// How soon it is tried again whether anything is heard. Each try leaves something on a pooler's connection for a moment.
const UNHEARD_AGAIN: Duration = Duration::from_mins(1);

/// Who listens, and how it tells itself something.
pub struct Listener {
    pub url: PostgresUrl,
    /// This instance, which knows what it wrote itself.
    pub origin: String,
    /// What notifies: other sessions than the one that listens.
    pub pool: Pool,
    pub rules: Rules,
}

/// Why nothing is heard.
enum Ended {
    Failed(StoreError),
    /// A pooler takes `LISTEN`, and gives the connection with it to somebody else; another database hears nothing either.
    Unheard,
}

impl<E: Into<StoreError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Says what to do where no notification comes through.
pub fn warn_unheard() {
    tracing::warn!(
        "notifications of the database are not heard, and other instances' events come later: \
         DIRECT_URL should lead past the connection pooler, to the same database"
    );
}

impl Listener {
    /// Listens until nobody wants to know any longer.
    pub async fn run(self, heard: watch::Sender<News>) {
        let (mut failing, mut unheard) = (false, false);
        loop {
            let listening = async {
                let Err(ended) = self.listen_once(&heard).await;
                ended
            };
            let ended = tokio::select! {
                ended = listening => ended,
                () = heard.closed() => return,
            };
            let was_listening = heard.borrow().listening;
            heard.send_modify(|news| news.listening = false);
            if was_listening {
                (failing, unheard) = (false, false);
            }
            match ended {
                Ended::Failed(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "notifications of the database are not heard: other instances' events come later");
                    }
                    sleep(AGAIN).await;
                }
                Ended::Unheard => {
                    if !std::mem::replace(&mut unheard, true) {
                        warn_unheard();
                    }
                    tokio::select! {
                        () = sleep(UNHEARD_AGAIN) => {}
                        () = heard.closed() => return,
                    }
                }
            }
        }
    }

    async fn listen_once(&self, heard: &watch::Sender<News>) -> Result<std::convert::Infallible, Ended> {
        let mut connection = connection::single(&self.url).await?;
        ask(&mut connection, &format!("LISTEN {CHANNEL}")).await?;
        self.notify_oneself().await?;
        let (mut is_heard, heard_by) = (false, Instant::now() + HEARD_WITHIN);
        loop {
            let next = {
                let mut notifications = std::pin::pin!(connection.notifications_stream());
                // Others' do not put it off: they may be of another database.
                let until = if is_heard { Instant::now() + QUIET } else { heard_by };
                timeout_at(until, notifications.next()).await
            };
            match next {
                Ok(Some(notification)) => {
                    let payload = notification.map_err(StoreError::from)?.payload;
                    if payload == self.origin {
                        // Also says that there may be something that was not heard.
                        heard.send_modify(|news| news.listening = true);
                        is_heard = true;
                    }
                    if is_heard {
                        self.note(&payload, heard);
                    }
                }
                Ok(None) => return Err(StoreError::Connection("closed".to_owned()).into()),
                Err(_) if !is_heard => {
                    // For whoever has the connection next.
                    ask(&mut connection, &format!("UNLISTEN {CHANNEL}")).await?;
                    return Err(Ended::Unheard);
                }
                Err(_) => ask(&mut connection, "SELECT 1").await?,
            }
        }
    }

    /// A name alone says nothing to others.
    async fn notify_oneself(&self) -> Result<(), StoreError> {
        let (rules, name) = (&self.rules, self.origin.clone());
        let begin = &rules.writing;
        connection::in_transaction(&self.pool, begin, rules.deadline, |connection| {
            herald::notify(connection, name).boxed()
        })
        .await
    }

    fn note(&self, payload: &str, heard: &watch::Sender<News>) {
        if payload == REVOKED {
            heard.send_modify(|news| news.revocations += 1);
        }
        let Some((position, who)) = payload.split_once(' ') else { return };
        if let (Ok(newest), true) = (position.parse(), who != self.origin) {
            heard.send_modify(|news| news.head = news.head.max(newest));
        }
    }
}

async fn ask(connection: &mut Connection, sql: &str) -> Result<(), StoreError> {
    let asking = timeout(QUIET, connection.batch_execute(sql));
    Ok(asking.await.map_err(|_| StoreError::Timeout)??)
}
