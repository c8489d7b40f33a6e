//! The index by room, which follows the events at a short distance: an append writes only to the end of one
//! table, and a page of the index is written once for many events.

use diesel::dsl::max;
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
    /// The index has all events up to and with this row, and will have up to the other, which has this position.
    after: i64,
    through: i64,
    newest: i64,
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
        let Some((_, newest, through)) = rows.last().copied() else { return Ok(None) };
        rows.sort_unstable();
        Ok(Some(Missing { rows, taken: 0, after, through, newest, more }))
    })
}

impl Missing {
    /// Takes some in; whether that was the last. Those that went in before the last are not looked at until then.
    pub fn take_in_some(&mut self, connection: &mut SqliteConnection) -> QueryResult<bool> {
        connection.immediate_transaction(|connection| {
            if indexed(connection)? != self.after || !self.are_there(connection)? {
                // Another process on the same file was faster, and may have let some of them go since, or all: then
                // rows are counted from 1 again, and the index may well be where it was.
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

    /// What the index lacks is not let go, unless another process has taken it in: so the newest tells of all.
    fn are_there(&self, connection: &mut SqliteConnection) -> QueryResult<bool> {
        let newest =
            log_events::table.filter(log_events::id.eq(self.through).and(log_events::position.eq(self.newest)));
        diesel::select(diesel::dsl::exists(newest)).get_result(connection)
    }
}

/// How many rows the index is behind, about: rows are numbered one after the other.
pub fn behind(connection: &mut SqliteConnection) -> QueryResult<i64> {
    let newest: Option<i64> = log_events::table.select(max(log_events::id)).first(connection)?;
    Ok(newest.unwrap_or_default() - indexed(connection)?)
}

/// The newest event that is in the index with all before it. What the index has of newer ones is not complete.
pub fn indexed(connection: &mut SqliteConnection) -> QueryResult<i64> {
    log_head::table.select(log_head::indexed).get_result(connection)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use diesel::Connection as _;
    use diesel::connection::SimpleConnection;

    use super::*;
    use crate::config::{DatabaseConfig, DatabaseTarget};
    use crate::store::migrations;

    fn open(folder: &tempfile::TempDir) -> SqliteConnection {
        let path = folder.path().join("log.db");
        let target = DatabaseTarget::Sqlite(path.clone());
        migrations::run(&DatabaseConfig { target, given: true, timeout: Duration::from_secs(1) }).unwrap();
        SqliteConnection::establish(&path.to_string_lossy()).unwrap()
    }

    fn append(connection: &mut SqliteConnection, positions: std::ops::Range<i64>) {
        for position in positions {
            let row = format!("(1, {position}, 'event', '{{}}', 0)");
            let insert = "INSERT INTO log_events (room_id, position, event, payload, stored_at) VALUES ";
            connection.batch_execute(&format!("{insert}{row}")).unwrap();
        }
    }

    fn positions(connection: &mut SqliteConnection) -> Vec<i64> {
        log_index::table.select(log_index::position).order(log_index::position).load(connection).unwrap()
    }

    #[test]
    fn what_another_process_has_let_go_meanwhile_is_not_taken_in() {
        let folder = tempfile::tempdir().unwrap();
        let connection = &mut open(&folder);
        append(connection, 1..4);
        let (mut one, mut late) = (missing(connection).unwrap().unwrap(), missing(connection).unwrap().unwrap());
        assert!(one.take_in_some(connection).unwrap());
        assert_eq!(positions(connection), [1, 2, 3]);
        // As retention does where nothing is left.
        let let_go = "DELETE FROM log_events; DELETE FROM log_index; UPDATE log_head SET indexed = 0";
        connection.batch_execute(let_go).unwrap();
        assert!(late.take_in_some(connection).unwrap());
        assert_eq!(positions(connection), [0; 0]);
        append(connection, 4..6);
        assert!(late.take_in_some(connection).unwrap(), "other events have the numbers of those by now");
        while let Some(mut next) = missing(connection).unwrap() {
            next.take_in_some(connection).unwrap();
        }
        assert_eq!(positions(connection), [4, 5]);
    }
}
