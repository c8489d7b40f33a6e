//! Rooms that have no event any more, and that nobody may come back to, are forgotten: `store/forgetting.rs` says when.

use diesel::dsl::{exists, max, not};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::index;
use super::rooms::RoomIds;
use crate::domain::Position;
use crate::schema::{log_events, log_head, log_index, log_rooms, session_rooms};
use crate::store::log::{from_db, to_db};

/// Rooms that go in one transaction.
const STEP: i64 = 250;

pub fn all_gone_through(connection: &mut SqliteConnection) -> QueryResult<Position> {
    connection.transaction(|connection| {
        let oldest = log_events::table.order(log_events::id).select(log_events::position);
        let oldest: Option<i64> = oldest.first(connection).optional()?;
        let through = oldest
            .map_or_else(|| log_head::table.select(log_head::head).first(connection), |position| Ok(position - 1));
        Ok(from_db(through?))
    })
}

/// Looks for them without keeping an append waiting.
pub fn find(connection: &mut SqliteConnection, through: Position) -> QueryResult<Vec<i64>> {
    let indexed = log_index::table.filter(log_index::room_id.eq(log_rooms::id));
    let visited = session_rooms::table.select(session_rooms::room);
    log_rooms::table
        .filter(log_rooms::pruned_through.le(to_db(through)))
        .filter(not(exists(indexed)))
        .filter(log_rooms::name.ne_all(visited))
        .limit(STEP)
        .select(log_rooms::id)
        .load(connection)
}

/// Forgets those that have no event still; whether there may be more of them.
pub fn forget(connection: &mut SqliteConnection, found: &[i64], rooms: &mut RoomIds) -> QueryResult<bool> {
    let gone = connection.immediate_transaction(|connection| forget_empty(connection, found))?;
    // Another room may be given the number.
    gone.iter().for_each(|room_id| rooms.set_count(*room_id, 0));
    Ok(i64::try_from(found.len()) == Ok(STEP) && !gone.is_empty())
}

fn forget_empty(connection: &mut SqliteConnection, found: &[i64]) -> QueryResult<Vec<i64>> {
    let indexed = log_index::table.filter(log_index::room_id.eq(log_rooms::id));
    let fresh = log_events::table.filter(log_events::id.gt(index::indexed(connection)?)).select(log_events::room_id);
    let empty: Vec<i64> = log_rooms::table
        .filter(log_rooms::id.eq_any(found))
        .filter(not(exists(indexed)))
        .filter(log_rooms::id.ne_all(fresh))
        .select(log_rooms::id)
        .load(connection)?;
    let gone = || log_rooms::table.filter(log_rooms::id.eq_any(&empty));
    let through: Option<i64> = gone().select(max(log_rooms::pruned_through)).first(connection)?;
    let Some(through) = through else { return Ok(Vec::new()) };
    let before: i64 = log_head::table.select(log_head::forgotten_through).first(connection)?;
    let through = log_head::forgotten_through.eq(through.max(before + 1));
    diesel::update(log_head::table).set(through).execute(connection)?;
    diesel::delete(gone()).execute(connection)?;
    Ok(empty)
}
