//! Reading the log on from a position, and what is known of sessions and rooms.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::{LogInfo, SessionRoom, StoredEvent, from_db, to_db};
use crate::domain::{LogId, PidKey, Position, RoomName};
use crate::schema::{log_events, log_head, log_rooms, session_rooms};

/// What the log is, and its newest events, as of one moment.
pub fn resume(connection: &mut SqliteConnection, limit: usize) -> QueryResult<(LogInfo, Vec<StoredEvent>)> {
    connection.transaction(|connection| Ok((info(connection)?, newest(connection, limit)?)))
}

pub fn info(connection: &mut SqliteConnection) -> QueryResult<LogInfo> {
    let (log, head, pid_secret): (i64, i64, Vec<u8>) =
        log_head::table.select((log_head::log, log_head::head, log_head::pid_secret)).first(connection)?;
    let pid_secret = pid_secret.try_into().map_err(|_| diesel::result::Error::NotFound)?;
    Ok(LogInfo { log: LogId(u32::try_from(log).unwrap_or_default()), head: from_db(head), pid_secret })
}

/// The events of the rooms after each one's position, up to and with `up_to`, `limit` at most, in order.
/// `None` where some of them are gone.
pub fn events(
    connection: &mut SqliteConnection,
    starts: &[(RoomName, Position)],
    up_to: Position,
    limit: usize,
) -> QueryResult<Option<Vec<StoredEvent>>> {
    // In one transaction, so that what is not pruned when it is looked at is there when it is read.
    connection.transaction(|connection| events_of(connection, starts, up_to, limit))
}

fn events_of(
    connection: &mut SqliteConnection,
    starts: &[(RoomName, Position)],
    up_to: Position,
    limit: usize,
) -> QueryResult<Option<Vec<StoredEvent>>> {
    let mut found: BTreeMap<Position, StoredEvent> = BTreeMap::new();
    for (room, after) in starts {
        let of_room = log_rooms::table.filter(log_rooms::name.eq(room.as_str()));
        let row =
            of_room.select((log_rooms::id, log_rooms::pruned_through)).first::<(i64, i64)>(connection).optional()?;
        let Some((room_id, pruned_through)) = row else { continue };
        if *after < from_db(pruned_through) {
            return Ok(None);
        }
        let rows: Vec<(i64, String, String, Option<String>)> = log_events::table
            .filter(log_events::room_id.eq(room_id))
            .filter(log_events::position.gt(to_db(*after)).and(log_events::position.le(to_db(up_to))))
            .order(log_events::position)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select((log_events::position, log_events::event, log_events::payload, log_events::held_as))
            .load(connection)?;
        for (position, name, payload, held_as) in rows {
            let position = from_db(position);
            let event = found.entry(position).or_insert_with(|| StoredEvent {
                position,
                rooms: Vec::new(),
                name,
                payload,
                held_as,
            });
            event.rooms.push(room.clone());
        }
    }
    Ok(Some(found.into_values().take(limit).collect()))
}

/// The newest events of all rooms, in order: what a service that starts has in memory.
fn newest(connection: &mut SqliteConnection, limit: usize) -> QueryResult<Vec<StoredEvent>> {
    let rows: Vec<Row> = log_events::table
        .inner_join(log_rooms::table.on(log_rooms::id.eq(log_events::room_id)))
        .order(log_events::id.desc())
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((log_events::position, log_rooms::name, log_events::event, log_events::payload, log_events::held_as))
        .load(connection)?;
    let cut = rows.len() == limit;
    let mut events = by_position(rows);
    if cut {
        // Some of the oldest one's rooms may not have been read.
        events.pop_first();
    }
    Ok(events.into_values().collect())
}

/// The events of all rooms between two positions, the second one with them, in order.
pub fn events_between(
    connection: &mut SqliteConnection,
    after: Position,
    up_to: Position,
) -> QueryResult<Vec<StoredEvent>> {
    // Rows have the order of positions, so those after this one follow the last row before it.
    let row_of = |position: Position| log_events::table.filter(log_events::position.le(to_db(position)));
    let first: Option<i64> =
        row_of(after).select(log_events::id).order(log_events::id.desc()).first(connection).optional()?;
    let rows: Vec<Row> = log_events::table
        .inner_join(log_rooms::table.on(log_rooms::id.eq(log_events::room_id)))
        .filter(log_events::id.gt(first.unwrap_or_default()))
        .filter(log_events::position.le(to_db(up_to)))
        .select((log_events::position, log_rooms::name, log_events::event, log_events::payload, log_events::held_as))
        .load(connection)?;
    Ok(by_position(rows).into_values().collect())
}

/// Position, room, event, payload, held as.
type Row = (i64, String, String, String, Option<String>);

fn by_position(rows: Vec<Row>) -> BTreeMap<Position, StoredEvent> {
    let mut events = BTreeMap::new();
    for (position, room, name, payload, held_as) in rows {
        let position = from_db(position);
        let event = events.entry(position).or_insert_with(|| StoredEvent {
            position,
            rooms: Vec::new(),
            name,
            payload,
            held_as,
        });
        event.rooms.extend(RoomName::parse(&room));
    }
    events
}

/// The rooms of sessions, by their keys.
pub fn session_rooms(
    connection: &mut SqliteConnection,
    sessions: &[PidKey],
) -> QueryResult<HashMap<PidKey, Vec<SessionRoom>>> {
    let by_text: HashMap<String, PidKey> = sessions.iter().map(|key| (key.to_string(), *key)).collect();
    let rows: Vec<(String, String, i64, i64, i64)> = session_rooms::table
        .filter(session_rooms::session.eq_any(by_text.keys()))
        .select((
            session_rooms::session,
            session_rooms::room,
            session_rooms::entered_at,
            session_rooms::since,
            session_rooms::seen_at,
        ))
        .load(connection)?;
    let mut found: HashMap<PidKey, Vec<SessionRoom>> = HashMap::new();
    for (session, room, entered_at, since, seen_at_ms) in rows {
        if let (Some(key), Some(room)) = (by_text.get(&session), RoomName::parse(&room)) {
            let room = SessionRoom { room, entered_at: from_db(entered_at), since: from_db(since), seen_at_ms };
            found.entry(*key).or_default().push(room);
        }
    }
    Ok(found)
}

/// Up to where the rooms' events may be gone; a room that has none is not in the answer.
pub fn pruned_through(
    connection: &mut SqliteConnection,
    rooms: &[RoomName],
) -> QueryResult<HashMap<RoomName, Position>> {
    let names = rooms.iter().map(RoomName::as_str);
    let rows: Vec<(String, i64)> = log_rooms::table
        .filter(log_rooms::name.eq_any(names))
        .select((log_rooms::name, log_rooms::pruned_through))
        .load(connection)?;
    Ok(rows.into_iter().filter_map(|(name, through)| Some((RoomName::parse(&name)?, from_db(through)))).collect())
}
