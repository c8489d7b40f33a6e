//! The index by room, which follows the events at a short distance: an append writes only to the end of one
//! table, and a page of the index is written once for many events.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::schema::{log_events, log_head, log_index};

/// Events that are taken in together, and so are read at once.
const PASS: i64 = 20_000;
/// Events that go in one transaction, which an append may have to wait for.
const STEP: usize = 250;

/// Events that the index lacks.
pub struct Missing {
    /// Room, position and row, in the order of the index: neighbours go in together, on few pages.
    rows: Vec<(i64, i64, i64)>,
    /// How many have been taken in.
    taken: usize,
    /// The index has all events up to and with this row, and will have up to the other.
    after: i64,
    through: i64,
    /// There may be more behind these.
    pub more: bool,
}

/// What is to be taken in next, if anything is.
pub fn missing(connection: &mut SqliteConnection) -> QueryResult<Option<Missing>> {
    connection.transaction(|connection| {
        let after = indexed(connection)?;
        let next = log_events::table.filter(log_events::id.gt(after)).order(log_events::id).limit(PASS);
        let mut rows: Vec<(i64, i64, i64)> =
            next.select((log_events::room_id, log_events::position, log_events::id)).load(connection)?;
        let more = i64::try_from(rows.len()) == Ok(PASS);
        if more {
            // An event's rows go in together.
            let (_, cut, _) = rows[rows.len() - 1];
            let whole = rows.iter().position(|(_, position, _)| *position == cut).unwrap_or_default();
            rows.truncate(whole);
        }
        let Some((_, _, through)) = rows.last().copied() else { return Ok(None) };
        rows.sort_unstable();
        Ok(Some(Missing { rows, taken: 0, after, through, more }))
    })
}

impl Missing {
    /// Takes some in; whether that was the last. Those that went in before the last are not looked at until then.
    pub fn take_in_some(&mut self, connection: &mut SqliteConnection) -> QueryResult<bool> {
        connection.immediate_transaction(|connection| {
            if indexed(connection)? != self.after {
                // Another process on the same file was faster, and may have let some of them go since.
                return Ok(true);
            }
            let end = self.rows.len().min(self.taken + STEP);
            for &(room_id, position, event_id) in &self.rows[self.taken..end] {
                let row = (
                    log_index::room_id.eq(room_id),
                    log_index::position.eq(position),
                    log_index::event_id.eq(event_id),
                );
                // It is there if the process died in the middle of this before.
                diesel::insert_or_ignore_into(log_index::table).values(row).execute(connection)?;
            }
            self.taken = end;
            let done = end == self.rows.len();
            if done {
                diesel::update(log_head::table).set(log_head::indexed.eq(self.through)).execute(connection)?;
            }
            Ok(done)
        })
    }
}

/// The newest event that is in the index with all before it. What the index has of newer ones is not complete.
pub fn indexed(connection: &mut SqliteConnection) -> QueryResult<i64> {
    log_head::table.select(log_head::indexed).get_result(connection)
}
