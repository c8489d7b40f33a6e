//! What the embedded database needs to have done while it is open.

use std::sync::{Arc, Weak};
use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::sql_types::Integer;
use diesel::sqlite::SqliteConnection;
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Sqlite, audit, connection, index, retention};
use crate::config::{AuditConfig, LogConfig};
use crate::store::StoreError;

/// How often the log is brought within its limits.
const PRUNE_EVERY: Duration = Duration::from_secs(2);
/// How often sessions that nobody can have back are forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// Prunes the log for as long as the store is open.
pub async fn keep_log_within(store: Weak<Sqlite>, limits: LogConfig) {
    let mut ticks = interval(PRUNE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut counted = false;
    let mut forgot_at: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let Some(inner) = store.upgrade() else { return };
        let forget = forgot_at.is_none_or(|at| at.elapsed() > FORGET_EVERY);
        match prune(&inner, &limits, !counted, forget).await {
            Ok(()) => {
                counted = true;
                if forget {
                    forgot_at = Some(Instant::now());
                }
            }
            Err(error) => tracing::warn!(%error, "the log could not be pruned"),
        }
    }
}

/// How often what was committed is taken into the index, and brought from the write-ahead log into the database.
const TIDY_EVERY: Duration = Duration::from_secs(1);
/// Pages of 4 KiB from which on the write-ahead log is to begin anew, though that makes a commit wait.
const LONG_LOG: i32 = 16_000;

/// Extends the index, and brings commits into the database's file, beside the appends and not as a part of one:
/// that would hold up an append for the time of several.
pub async fn tidy(store: Weak<Sqlite>) {
    let mut ticks = interval(TIDY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = store.upgrade() else { return };
        let tidying = async {
            while extend_index(&inner).await? {}
            *inner.indexed.lock() = std::time::Instant::now();
            checkpoint(&inner).await
        };
        if let Err(error) = tidying.await {
            tracing::warn!(%error, "the log's index or file could not be brought up to date");
        }
    }
}

/// Whether there may be more to take in.
async fn extend_index(inner: &Sqlite) -> Result<bool, StoreError> {
    let mut connection = connection::get(&inner.readers).await?;
    let missing = connection::blocking(&mut connection, index::missing).await?;
    drop(connection);
    let Some(missing) = missing else { return Ok(false) };
    let (more, missing) = (missing.more, Arc::new(Mutex::new(missing)));
    // In steps, so that appends come between.
    loop {
        let step = missing.clone();
        if inner.writer.run(false, move |connection| step.lock().take_in_some(connection)).await? {
            return Ok(more);
        }
    }
}

async fn checkpoint(inner: &Sqlite) -> Result<(), StoreError> {
    let mut connection = connection::get(&inner.readers).await?;
    let pages = connection::blocking(&mut connection, |connection| run_checkpoint(connection, "PASSIVE")).await?;
    drop(connection);
    if pages > LONG_LOG {
        // Nearly all of it is done: what is left is what came meanwhile.
        inner.writer.run(false, |connection| run_checkpoint(connection, "RESTART")).await?;
    }
    Ok(())
}

/// The pages in the write-ahead log.
fn run_checkpoint(connection: &mut SqliteConnection, mode: &str) -> diesel::QueryResult<i32> {
    #[derive(diesel::QueryableByName)]
    struct Progress {
        #[diesel(sql_type = Integer)]
        log: i32,
    }
    let query = diesel::sql_query(format!("PRAGMA wal_checkpoint({mode})"));
    query.get_result::<Progress>(connection).map(|progress| progress.log)
}

/// In steps, so that appends come between.
async fn prune_audit(inner: &Sqlite, limits: AuditConfig) -> Result<(), StoreError> {
    while inner.writer.run(false, move |connection| audit::prune(connection, &limits)).await? {}
    Ok(())
}

/// In steps, so that appends come between.
async fn prune(inner: &Sqlite, limits: &LogConfig, count: bool, forget: bool) -> Result<(), StoreError> {
    if count {
        let mut connection = connection::get(&inner.readers).await?;
        let counts = connection::blocking(&mut connection, retention::count).await?;
        inner.room_ids.lock().learn_counts(&counts);
    }
    if forget {
        prune_audit(inner, limits.audit).await?;
        let limits = limits.clone();
        inner.writer.run(false, move |connection| retention::prune_sessions(connection, &limits)).await?;
    }
    let mut more = true;
    while more {
        let (rooms, limits) = (inner.room_ids.clone(), limits.clone());
        more =
            inner.writer.run(false, move |connection| retention::prune(connection, &limits, &mut rooms.lock())).await?;
    }
    Ok(())
}
