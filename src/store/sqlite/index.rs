//! The index by room, which follows the events at a short distance: an append writes only to the end of one
//! table, and pages of the index are written once for many events.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::schema::{log_events, log_head, log_index};

/// Events that go in one transaction, which an append may have to wait for.
const STEP: i64 = 100;

/// Takes some events into the index; whether there may be more.
pub fn extend(connection: &mut SqliteConnection) -> QueryResult<bool> {
    connection.immediate_transaction(|connection| {
        let indexed = indexed(connection)?;
        let next = log_events::table.filter(log_events::id.gt(indexed)).order(log_events::id).limit(STEP);
        let mut rows: Vec<(i64, i64, i64)> =
            next.select((log_events::room_id, log_events::position, log_events::id)).load(connection)?;
        let more = i64::try_from(rows.len()) == Ok(STEP);
        if more {
            // An event's rows go in together.
            let (_, cut, _) = rows[rows.len() - 1];
            let whole = rows.iter().position(|(_, position, _)| *position == cut).unwrap_or_default();
            rows.truncate(whole);
        }
        let Some((_, _, last)) = rows.last().copied() else { return Ok(false) };
        // Neighbours in the index go in together.
        rows.sort_unstable();
        for (room_id, position, event_id) in rows {
            let row =
                (log_index::room_id.eq(room_id), log_index::position.eq(position), log_index::event_id.eq(event_id));
            diesel::insert_into(log_index::table).values(row).execute(connection)?;
        }
        diesel::update(log_head::table).set(log_head::indexed.eq(last)).execute(connection)?;
        Ok(more)
    })
}

/// The newest event that is in the index.
pub fn indexed(connection: &mut SqliteConnection) -> QueryResult<i64> {
    log_head::table.select(log_head::indexed).get_result(connection)
}
