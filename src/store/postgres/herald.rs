//! When the database tells other instances that there is something to read. Each of them wakes for every notification, as does
//! the server for each of them; where a relay has brought the events themselves, they need not hear of every batch.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::sql_types::Text;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Postgres;
use super::connection::Connection;
use crate::store::StoreError;

/// Says of each batch whether it is to be told of.
pub struct Herald {
    relayed: AtomicBool,
    told_at: Mutex<Instant>,
    /// The newest position of a batch that was not told of; 0 where all have been.
    untold: watch::Sender<i64>,
}

impl Herald {
    /// While events are relayed, no more often than this.
    const APART: Duration = Duration::from_millis(20);
    const AGAIN: Duration = Duration::from_secs(1);

    pub fn new() -> Self {
        Self { relayed: AtomicBool::new(false), told_at: Mutex::new(Instant::now()), untold: watch::Sender::new(0) }
    }

    /// What [`tell_of_the_last`] goes by.
    pub fn untold(&self) -> watch::Receiver<i64> {
        self.untold.subscribe()
    }

    pub fn set_relayed(&self, relayed: bool) {
        self.relayed.store(relayed, Ordering::Release);
    }

    pub fn is_due(&self) -> bool {
        !self.relayed.load(Ordering::Acquire) || self.told_at.lock().elapsed() >= Self::APART
    }

    /// A batch is committed, with a notification or without.
    pub fn note(&self, newest: i64, told: bool) {
        if told {
            *self.told_at.lock() = Instant::now();
        }
        // Whoever waits is woken only where there is something to wait for.
        self.untold.send_if_modified(|untold| {
            *untold = if told { 0 } else { newest };
            !told
        });
    }
}

/// Tells of the last batches, which no other came after, for as long as the database is open.
pub async fn tell_of_the_last(database: Weak<Postgres>, mut untold: watch::Receiver<i64>, origin: String) {
    while untold.changed().await.is_ok() {
        loop {
            sleep(Herald::APART * 2).await;
            let newest = *untold.borrow_and_update();
            if newest == 0 {
                break;
            }
            let Some(database) = database.upgrade() else { return };
            let payload = format!("{newest} {origin}");
            match database.write(|connection| notify(connection, payload).boxed()).await {
                Ok(()) => break,
                Err(error) => tracing::debug!(%error, "other instances could not be told of the newest events yet"),
            }
            sleep(Herald::AGAIN).await;
        }
    }
}

/// What listens everywhere is told, once the transaction is committed.
pub async fn notify(connection: &mut Connection, payload: String) -> Result<(), StoreError> {
    use diesel_async::RunQueryDsl;
    let query = diesel::sql_query("SELECT pg_notify($1, $2)");
    query.bind::<Text, _>(super::listen::CHANNEL).bind::<Text, _>(payload).execute(connection).await?;
    Ok(())
}
