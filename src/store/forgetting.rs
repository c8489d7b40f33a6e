//! When rooms are forgotten whose events are all gone. A tab is open for an evening, and its room would be known for ever.
//!
//! A reader from before a room's last event has to be told that it is gone, which the room's row says. So the row
//! stays for as long as a session may come back that was in the room and has not had that event: while
//! `session_rooms` names the room, and, for a user's own, which it does not name at first, for a time of grace.
//! Everybody else is told by the place up to which anything is forgotten. Instances know rooms by their numbers;
//! that place rises with each step, and a batch that was numbered before it is not written, but numbered anew.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::StoreError;
use super::backend::Backend;
use crate::domain::Position;

/// How far apart the steps are, where the grace is no shorter: a batch is numbered anew once for each.
const APART: Duration = Duration::from_secs(2);
const APART_AT_LEAST: Duration = Duration::from_millis(200);

/// Up to where all events were gone at a time.
struct Mark {
    taken: Instant,
    through: Position,
}

/// Forgets rooms for as long as the database is open.
pub async fn forget_rooms(database: Weak<dyn Backend>, grace: Duration) {
    let mut ticks = interval(grace.clamp(APART_AT_LEAST, APART));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut mark = None;
    loop {
        ticks.tick().await;
        let Some(database) = database.upgrade() else { return };
        match step(&*database, mark.take(), grace).await {
            Ok(next) => mark = Some(next),
            Err(error) => tracing::debug!(%error, "rooms without events could not be forgotten"),
        }
    }
}

/// Rooms whose last event was gone when the mark was taken go a time of grace later, in steps; then a mark is taken anew.
async fn step(database: &dyn Backend, mark: Option<Mark>, grace: Duration) -> Result<Mark, StoreError> {
    if let Some(mark) = mark
        && (mark.taken.elapsed() < grace || database.forget_rooms(mark.through).await?)
    {
        return Ok(mark);
    }
    Ok(Mark { taken: Instant::now(), through: database.all_gone_through().await? })
}
