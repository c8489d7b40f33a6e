//! Reading the log on from a position, and what is known of sessions and rooms.

use std::collections::HashMap;

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::index;
use crate::domain::{Position, RoomName};
use crate::schema::{log_events, log_head, log_index, log_rooms};
use crate::store::log::{Between, LogInfo, Page, PageLimit, StoredEvent, from_db, to_db};
use crate::store::log_rows::{self, Gathered, Row, number};

/// What the log is, and its newest events, as of one moment.
pub fn resume(connection: &mut SqliteConnection, limit: PageLimit) -> QueryResult<(LogInfo, Vec<StoredEvent>)> {
    connection.transaction(|connection| Ok((info(connection)?, newest(connection, limit)?)))
}

pub fn info(connection: &mut SqliteConnection) -> QueryResult<LogInfo> {
    log_rows::info(log_head::table.select((log_head::log, log_head::head, log_head::pid_secret)).first(connection)?)
}

/// The events of the rooms after each one's position, up to and with `up_to`. `None` where some of them are gone.
pub fn events(
    connection: &mut SqliteConnection,
    starts: &[(RoomName, Position)],
    up_to: Position,
    limit: PageLimit,
) -> QueryResult<Option<Page>> {
    // In one transaction, so that what is not pruned when it is looked at is there when it is read.
    connection.transaction(|connection| events_of(connection, starts, up_to, limit))
}

fn events_of(
    connection: &mut SqliteConnection,
    starts: &[(RoomName, Position)],
    up_to: Position,
    limit: PageLimit,
) -> QueryResult<Option<Page>> {
    let mut gathered = Gathered::new(limit);
    let indexed = index::indexed(connection)?;
    // By the rooms' numbers: the name, and where it is read on from.
    let mut rooms: HashMap<i64, (&RoomName, i64)> = HashMap::new();
    for (room, after) in starts {
        let of_room = log_rooms::table.filter(log_rooms::name.eq(room.as_str()));
        let row =
            of_room.select((log_rooms::id, log_rooms::pruned_through)).first::<(i64, i64)>(connection).optional()?;
        let Some((room_id, pruned_through)) = row else { continue };
        if *after < from_db(pruned_through) {
            return Ok(None);
        }
        rooms.insert(room_id, (room, to_db(*after)));
        let rows = log_index::table
            .inner_join(log_events::table.on(log_events::id.eq(log_index::event_id)))
            .filter(log_index::room_id.eq(room_id).and(log_index::event_id.le(indexed)))
            .filter(log_index::position.gt(to_db(*after)).and(log_index::position.le(to_db(up_to))))
            .order(log_index::position)
            .limit(number(limit.events))
            .select((log_index::position, log_events::event, log_events::payload))
            .load_iter::<(i64, String, String), DefaultLoadingMode>(connection)?;
        for row in rows {
            let (position, name, payload) = row?;
            if gathered.is_past(position) {
                break;
            }
            gathered.add_in(room, position, name, payload);
        }
    }
    // What is not in the index yet comes after all that is.
    if !gathered.is_full() {
        add_unindexed(connection, &rooms, indexed, to_db(up_to), &mut gathered)?;
    }
    Ok(Some(gathered.into_page(up_to)))
}

/// The newest events, which are looked through for those of the rooms.
fn add_unindexed(
    connection: &mut SqliteConnection,
    rooms: &HashMap<i64, (&RoomName, i64)>,
    indexed: i64,
    up_to: i64,
    gathered: &mut Gathered,
) -> QueryResult<()> {
    let rows = log_events::table
        .filter(log_events::id.gt(indexed).and(log_events::position.le(up_to)))
        .filter(log_events::room_id.eq_any(rooms.keys()))
        .order(log_events::id)
        .select((log_events::room_id, log_events::position, log_events::event, log_events::payload))
        .load_iter::<(i64, i64, String, String), DefaultLoadingMode>(connection)?;
    for row in rows {
        let (room_id, position, name, payload) = row?;
        // Not before, so that the last one has all of its rooms.
        if gathered.is_past(position) {
            break;
        }
        if let Some((room, after)) = rooms.get(&room_id)
            && position > *after
        {
            gathered.add_in(room, position, name, payload);
        }
    }
    Ok(())
}

/// The newest events of all rooms, in order: what a service that starts has in memory.
fn newest(connection: &mut SqliteConnection, limit: PageLimit) -> QueryResult<Vec<StoredEvent>> {
    let rows = log_events::table
        .inner_join(log_rooms::table.on(log_rooms::id.eq(log_events::room_id)))
        .order(log_events::id.desc())
        .limit(number(limit.events))
        .select((log_events::position, log_rooms::name, log_events::event, log_events::payload, log_events::held_as))
        .load_iter::<Row, DefaultLoadingMode>(connection)?;
    log_rows::newest(rows, limit)
}

/// Events of all rooms between two positions, the second one with them.
pub fn events_between(
    connection: &mut SqliteConnection,
    after: Position,
    up_to: Position,
    limit: PageLimit,
) -> QueryResult<Between> {
    // Rows have the order of positions, so those after this one follow the last row before it.
    let row_of = |position: Position| log_events::table.filter(log_events::position.le(to_db(position)));
    let first: Option<i64> =
        row_of(after).select(log_events::id).order(log_events::id.desc()).first(connection).optional()?;
    let rows = log_events::table
        .inner_join(log_rooms::table.on(log_rooms::id.eq(log_events::room_id)))
        .filter(log_events::id.gt(first.unwrap_or_default()))
        .filter(log_events::position.le(to_db(up_to)))
        .order(log_events::id)
        .limit(number(limit.events))
        .select((log_events::position, log_rooms::name, log_events::event, log_events::payload, log_events::held_as))
        .load_iter::<Row, DefaultLoadingMode>(connection)?;
    let page = log_rows::page(rows, up_to, limit)?;
    // Looked at last: what goes meanwhile counts as gone.
    let gapped = log_rooms::table.filter(log_rooms::pruned_through.gt(to_db(after))).select(log_rooms::name);
    let gapped: Vec<String> = gapped.load(connection)?;
    Ok(Between { page, gapped: gapped.iter().filter_map(|room| RoomName::parse(room)).collect() })
}
