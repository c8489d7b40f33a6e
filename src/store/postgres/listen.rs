//! Hears from the database what other instances have written. Only a hint: whoever hears it looks into the log,
//! and looks now and then without.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::connection::{self, Connection};
use crate::config::PostgresUrl;
use crate::store::StoreError;
use crate::store::log::News;

/// What appends notify (`place.sql`, `herald.rs`), and who revokes a token.
pub const CHANNEL: &str = "expeditor";
pub const REVOKED: &str = "revoked";
/// How long it may be quiet before the connection is asked whether it still stands.
const QUIET: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_secs(1);

/// Listens until nobody wants to know any longer; `origin` is this instance, which knows what it wrote itself.
pub async fn listen(url: PostgresUrl, origin: String, heard: watch::Sender<News>) {
    let mut failing = false;
    loop {
        let listening = async {
            let Err(error) = listen_once(&url, &origin, &heard).await;
            error
        };
        let error = tokio::select! {
            error = listening => error,
            () = heard.closed() => return,
        };
        let was_listening = heard.borrow().listening;
        heard.send_modify(|news| news.listening = false);
        if was_listening || !std::mem::replace(&mut failing, true) {
            tracing::warn!(%error, "notifications of the database are not heard: other instances' events come later");
        }
        sleep(AGAIN).await;
    }
}

async fn listen_once(
    url: &PostgresUrl,
    origin: &str,
    heard: &watch::Sender<News>,
) -> Result<std::convert::Infallible, StoreError> {
    let mut connection = connection::single(url).await?;
    ask(&mut connection, &format!("LISTEN {CHANNEL}")).await?;
    // Also says that there may be something that was not heard.
    heard.send_modify(|news| news.listening = true);
    loop {
        let next = {
            let mut notifications = std::pin::pin!(connection.notifications_stream());
            timeout(QUIET, notifications.next()).await
        };
        match next {
            Ok(Some(notification)) => {
                let payload = notification?.payload;
                if payload == REVOKED {
                    heard.send_modify(|news| news.revocations += 1);
                }
                let Some((position, who)) = payload.split_once(' ') else { continue };
                if let (Ok(newest), true) = (position.parse(), who != origin) {
                    heard.send_modify(|news| news.head = news.head.max(newest));
                }
            }
            Ok(None) => return Err(StoreError::Connection("closed".to_owned())),
            Err(_) => ask(&mut connection, "SELECT 1").await?,
        }
    }
}

async fn ask(connection: &mut Connection, sql: &str) -> Result<(), StoreError> {
    let asking = timeout(QUIET, connection.batch_execute(sql));
    Ok(asking.await.map_err(|_| StoreError::Timeout)??)
}
