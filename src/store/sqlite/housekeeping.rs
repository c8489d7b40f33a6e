//! What the embedded database needs to have done while it is open.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Sqlite, audit, connection, retention};
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
