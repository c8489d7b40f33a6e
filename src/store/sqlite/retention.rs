//! What is too old or too much is let go, a little at a time, so that no append waits long behind it.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::index;
use super::rooms::RoomIds;
use crate::config::LogConfig;
use crate::schema::{log_events, log_head, log_index, log_publishes, log_rooms, session_rooms};
use crate::store::log::now_ms;

/// Rows that go in one transaction.
const STEP: i64 = 1_000;
/// How long a publish's name is known, whatever the age to which events are kept.
const PUBLISHES_REMEMBERED: Duration = Duration::from_hours(24);

/// ms since 1970
fn before(age: Duration) -> i64 {
    now_ms() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}

/// Lets some of what is past the limits go; whether there may be more.
pub fn prune(connection: &mut SqliteConnection, limits: &LogConfig, rooms: &mut RoomIds) -> QueryResult<bool> {
    let aged = prune_aged(connection, before(limits.max_age))?;
    let published = prune_publishes(connection, before(PUBLISHES_REMEMBERED))?;
    let counted = prune_counted(connection, limits.max_events, rooms)?;
    Ok(aged || published || counted)
}

/// The number of events of every room, by the room's number.
pub fn count(connection: &mut SqliteConnection) -> QueryResult<Vec<(i64, i64)>> {
    log_index::table
        .group_by(log_index::room_id)
        .select((log_index::room_id, diesel::dsl::count_star()))
        .load(connection)
}

/// Sessions that have not been seen for so long that no client can have one back.
pub fn prune_sessions(connection: &mut SqliteConnection, limits: &LogConfig) -> QueryResult<()> {
    let oldest_ms = before(limits.session_age());
    diesel::delete(session_rooms::table.filter(session_rooms::seen_at.lt(oldest_ms))).execute(connection)?;
    Ok(())
}

/// Rows are written in the order of time, so the oldest are the first.
fn prune_aged(connection: &mut SqliteConnection, oldest_ms: i64) -> QueryResult<bool> {
    connection.immediate_transaction(|connection| {
        let first: Vec<(i64, i64, i64, i64)> = log_events::table
            .filter(log_events::id.le(index::indexed(connection)?))
            .order(log_events::id)
            .limit(STEP)
            .select((log_events::id, log_events::room_id, log_events::position, log_events::stored_at))
            .load(connection)?;
        let aged: Vec<_> = first.iter().take_while(|(_, _, _, stored_at)| *stored_at < oldest_ms).collect();
        let Some((last, ..)) = aged.last() else { return Ok(false) };
        let mut through = std::collections::BTreeMap::new();
        for (_, room_id, position, _) in &aged {
            through.insert(*room_id, *position);
        }
        for (room_id, position) in through {
            note_pruned(connection, room_id, position)?;
            let gone = log_index::room_id.eq(room_id).and(log_index::position.le(position));
            diesel::delete(log_index::table.filter(gone)).execute(connection)?;
        }
        diesel::delete(log_events::table.filter(log_events::id.le(last))).execute(connection)?;
        let left: Option<i64> = log_events::table.select(log_events::id).first(connection).optional()?;
        if left.is_none() {
            // Rows of an empty table are counted from 1 again.
            diesel::update(log_head::table).set(log_head::indexed.eq(0)).execute(connection)?;
        }
        Ok(aged.len() == first.len())
    })
}

fn note_pruned(connection: &mut SqliteConnection, room_id: i64, position: i64) -> QueryResult<()> {
    let further = log_rooms::id.eq(room_id).and(log_rooms::pruned_through.lt(position));
    diesel::update(log_rooms::table.filter(further)).set(log_rooms::pruned_through.eq(position)).execute(connection)?;
    Ok(())
}

fn prune_publishes(connection: &mut SqliteConnection, oldest_ms: i64) -> QueryResult<bool> {
    let first =
        log_publishes::table.order(log_publishes::id).limit(STEP).select((log_publishes::id, log_publishes::stored_at));
    let first: Vec<(i64, i64)> = first.load(connection)?;
    let aged = first.iter().take_while(|(_, stored_at)| *stored_at < oldest_ms);
    let Some((last, _)) = aged.last() else { return Ok(false) };
    let gone = diesel::delete(log_publishes::table.filter(log_publishes::id.le(last))).execute(connection)?;
    Ok(gone == first.len())
}

fn prune_counted(connection: &mut SqliteConnection, max_events: u64, rooms: &mut RoomIds) -> QueryResult<bool> {
    // A tenth more may stay, so that a busy room is not pruned for each event.
    let mut more = false;
    for room_id in rooms.longer_than(max_events + max_events / 10) {
        let (left, gone) = connection.immediate_transaction(|connection| {
            let indexed = index::indexed(connection)?;
            let own = log_index::room_id.eq(room_id).and(log_index::event_id.le(indexed));
            let count: i64 = log_index::table.filter(own).count().get_result(connection)?;
            // Those that the index does not have yet count as well, but cannot be let go yet.
            let not_yet = log_events::id.gt(indexed).and(log_events::room_id.eq(room_id));
            let total = count + log_events::table.filter(not_yet).count().get_result::<i64>(connection)?;
            let surplus = (total - i64::try_from(max_events).unwrap_or(i64::MAX)).min(count);
            if surplus <= 0 {
                return Ok((total, 0));
            }
            let oldest: Option<i64> = log_index::table
                .filter(own)
                .order(log_index::position)
                .offset(surplus.min(STEP) - 1)
                .limit(1)
                .select(log_index::position)
                .first(connection)
                .optional()?;
            let Some(oldest) = oldest else { return Ok((total, 0)) };
            note_pruned(connection, room_id, oldest)?;
            let gone = own.and(log_index::position.le(oldest));
            let events = log_index::table.filter(gone).select(log_index::event_id);
            diesel::delete(log_events::table.filter(log_events::id.eq_any(events))).execute(connection)?;
            let gone = diesel::delete(log_index::table.filter(gone)).execute(connection)?;
            QueryResult::Ok((total - i64::try_from(gone).unwrap_or_default(), gone))
        })?;
        let left = u64::try_from(left).unwrap_or_default();
        rooms.set_count(room_id, left);
        more |= gone > 0 && left > max_events + max_events / 10;
    }
    Ok(more)
}
