//! Keeps the log within its limits for as long as the database is open.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Postgres, audit, read, retention};
use crate::config::LogConfig;
use crate::domain::Position;
use crate::store::StoreError;
use crate::store::log::to_db;

/// How often the log is brought within its limits.
const PRUNE_EVERY: Duration = Duration::from_secs(2);
/// How often sessions that nobody can have back are forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// How many events each room has, at most: another instance may have pruned it.
#[derive(Default)]
struct Counts {
    through: Position,
    by_room: HashMap<i64, u64>,
    /// Rooms that there were when all was counted last.
    rooms: usize,
}

impl Counts {
    /// Forgotten rooms that may be among them.
    const SPARE: usize = 100_000;

    fn are_mostly_of_forgotten_rooms(&self) -> bool {
        self.by_room.len() > 2 * self.rooms + Self::SPARE
    }
}

pub async fn keep_log_within(database: Weak<Postgres>, limits: LogConfig) {
    let mut ticks = interval(PRUNE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut counts = Counts::default();
    let mut forgot_at: Option<Instant> = None;
    let mut failing = false;
    loop {
        ticks.tick().await;
        let Some(database) = database.upgrade() else { return };
        let forget = forgot_at.is_none_or(|at| at.elapsed() > FORGET_EVERY);
        match prune(&database, &limits, &mut counts, forget).await {
            Ok(()) => {
                failing = false;
                if forget {
                    forgot_at = Some(Instant::now());
                }
            }
            // Said once: the sequencer tells of an outage, too.
            Err(error) if !std::mem::replace(&mut failing, true) => {
                tracing::warn!(%error, "the log could not be pruned");
            }
            Err(_) => {}
        }
    }
}

/// In steps, so that appends come between.
async fn prune(database: &Postgres, limits: &LogConfig, counts: &mut Counts, forget: bool) -> Result<(), StoreError> {
    if forget {
        let audit = limits.audit;
        loop {
            let limits = limits.clone();
            if !database.write(|connection| retention::prune_forgotten(connection, limits).boxed()).await? {
                break;
            }
        }
        while database.write(move |connection| audit::prune(connection, audit).boxed()).await? {}
    }
    loop {
        let limits = limits.clone();
        if !database.write(|connection| retention::prune_aged(connection, limits).boxed()).await? {
            break;
        }
    }
    count(database, counts).await?;
    // A tenth more may stay, so that a busy room is not pruned for each event.
    let longest = limits.max_events + limits.max_events / 10;
    let long: Vec<i64> = counts.by_room.iter().filter(|(_, count)| **count > longest).map(|(id, _)| *id).collect();
    for room_id in long {
        let max_events = limits.max_events;
        loop {
            let pruned =
                database.write(move |connection| retention::prune_room(connection, room_id, max_events).boxed());
            let Some(left) = pruned.await? else { return Ok(()) };
            counts.by_room.insert(room_id, left);
            if left <= max_events {
                break;
            }
        }
    }
    Ok(())
}

/// Counts what has come since it last did.
async fn count(database: &Postgres, counts: &mut Counts) -> Result<(), StoreError> {
    if counts.are_mostly_of_forgotten_rooms() {
        *counts = Counts::default();
    }
    let after = counts.through;
    let (head, added) = database
        .read(move |connection| {
            async move {
                let head = read::head(connection).await?;
                Ok((head, retention::count_between(connection, to_db(after), to_db(head)).await?))
            }
            .boxed()
        })
        .await?;
    counts.through = head;
    for (room_id, count) in added {
        *counts.by_room.entry(room_id).or_default() += u64::try_from(count).unwrap_or_default();
    }
    if after == 0 {
        counts.rooms = counts.by_room.len();
    }
    Ok(())
}
