//! Reading the log on from a position, and what is known of sessions and rooms. Each question's queries see one
//! state: what is not pruned when it is looked at is there when it is read.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use crate::domain::{LogId, PidKey, Position, RoomName};
use crate::schema::{log_events, log_head, log_rooms, session_rooms};
use crate::store::StoreError;
use crate::store::log::{LogInfo, SessionRoom, StoredEvent, from_db, to_db};

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// What the log is, and its newest events.
pub async fn resume(connection: &mut Connection, limit: usize) -> Result<(LogInfo, Vec<StoredEvent>), StoreError> {
    let (log, head, pid_secret): (i64, i64, Vec<u8>) =
        log_head::table.select((log_head::log, log_head::head, log_head::pid_secret)).first(connection).await?;
    let pid_secret =
        pid_secret.try_into().map_err(|_| StoreError::Query("the secret of pids has another length".to_owned()))?;
    let info = LogInfo { log: LogId(u32::try_from(log).unwrap_or_default()), head: from_db(head), pid_secret };
    Ok((info, newest(connection, limit).await?))
}

pub async fn head(connection: &mut Connection) -> Result<Position, StoreError> {
    Ok(from_db(log_head::table.select(log_head::head).first(connection).await?))
}

/// Position, room, event, payload, held as.
#[derive(QueryableByName, Queryable)]
struct Row {
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Text)]
    room: String,
    #[diesel(sql_type = Text)]
    event: String,
    #[diesel(sql_type = Text)]
    payload: String,
    #[diesel(sql_type = Nullable<Text>)]
    held_as: Option<String>,
}

fn by_position(rows: Vec<Row>) -> BTreeMap<Position, StoredEvent> {
    let mut events = BTreeMap::new();
    for Row { position, room, event, payload, held_as } in rows {
        let position = from_db(position);
        let stored = || StoredEvent { position, rooms: Vec::new(), name: event, payload, held_as };
        events.entry(position).or_insert_with(stored).rooms.extend(RoomName::parse(&room));
    }
    events
}

/// The events of the rooms after each one's position, up to and with `up_to`, `limit` at most, in order.
/// `None` where some of them are gone.
pub async fn events(
    connection: &mut Connection,
    starts: Vec<(RoomName, Position)>,
    up_to: Position,
    limit: usize,
) -> Result<Option<Vec<StoredEvent>>, StoreError> {
    let (names, after): (Vec<&str>, Vec<i64>) =
        starts.iter().map(|(room, after)| (room.as_str(), to_db(*after))).unzip();
    let pruned: HashMap<String, i64> = log_rooms::table
        .filter(log_rooms::name.eq_any(&names))
        .select((log_rooms::name, log_rooms::pruned_through))
        .load(connection)
        .await?
        .into_iter()
        .collect();
    if starts.iter().any(|(room, after)| pruned.get(room.as_str()).is_some_and(|through| to_db(*after) < *through)) {
        return Ok(None);
    }
    let of_rooms = "SELECT found.position, start.room, found.event, found.payload, found.held_as
        FROM unnest($1, $2) AS start (room, after)
        JOIN realtime.log_rooms ON log_rooms.name = start.room
        CROSS JOIN LATERAL (
            SELECT position, event, payload, held_as FROM realtime.log_events
            WHERE room_id = log_rooms.id AND position > start.after AND position <= $3
            ORDER BY position LIMIT $4
        ) AS found";
    let rows: Vec<Row> = diesel::sql_query(of_rooms)
        .bind::<Array<Text>, _>(&names)
        .bind::<Array<BigInt>, _>(&after)
        .bind::<BigInt, _>(to_db(up_to))
        .bind::<BigInt, _>(rows(limit))
        .load(connection)
        .await?;
    Ok(Some(by_position(rows).into_values().take(limit).collect()))
}

/// The newest events of all rooms, in order: what a service that starts has in memory.
async fn newest(connection: &mut Connection, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
    let rows: Vec<Row> = log_events::table
        .inner_join(log_rooms::table.on(log_rooms::id.eq(log_events::room_id)))
        .order(log_events::position.desc())
        .limit(rows(limit))
        .select((log_events::position, log_rooms::name, log_events::event, log_events::payload, log_events::held_as))
        .load(connection)
        .await?;
    let cut = rows.len() == limit;
    let mut events = by_position(rows);
    if cut {
        // Some of the oldest one's rooms may not have been read.
        events.pop_first();
    }
    Ok(events.into_values().collect())
}

/// Events of all rooms between two positions, the second one with them, in order, and up to where they are
/// all: of `limit` rows at most.
pub async fn events_between(
    connection: &mut Connection,
    after: Position,
    up_to: Position,
    limit: usize,
) -> Result<(Vec<StoredEvent>, Position), StoreError> {
    let rows: Vec<Row> = log_events::table
        .inner_join(log_rooms::table.on(log_rooms::id.eq(log_events::room_id)))
        .filter(log_events::position.gt(to_db(after)).and(log_events::position.le(to_db(up_to))))
        .order(log_events::position)
        .limit(rows(limit))
        .select((log_events::position, log_rooms::name, log_events::event, log_events::payload, log_events::held_as))
        .load(connection)
        .await?;
    let cut = rows.len() == limit;
    let mut events = by_position(rows);
    // Some of the newest one's rooms may not have been read.
    let through = if cut { events.pop_last().map_or(up_to, |(position, _)| position - 1) } else { up_to };
    Ok((events.into_values().collect(), through))
}

/// The rooms of sessions, by their keys.
pub async fn session_rooms(
    connection: &mut Connection,
    sessions: Vec<PidKey>,
) -> Result<HashMap<PidKey, Vec<SessionRoom>>, StoreError> {
    let by_text: HashMap<String, PidKey> = sessions.into_iter().map(|key| (key.to_string(), key)).collect();
    let rows: Vec<(String, String, i64, i64, i64)> = session_rooms::table
        .filter(session_rooms::session.eq_any(by_text.keys()))
        .select((
            session_rooms::session,
            session_rooms::room,
            session_rooms::entered_at,
            session_rooms::since,
            session_rooms::seen_at,
        ))
        .load(connection)
        .await?;
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
pub async fn pruned_through(
    connection: &mut Connection,
    rooms: Vec<RoomName>,
) -> Result<HashMap<RoomName, Position>, StoreError> {
    let rows: Vec<(String, i64)> = log_rooms::table
        .filter(log_rooms::name.eq_any(rooms.iter().map(RoomName::as_str)))
        .select((log_rooms::name, log_rooms::pruned_through))
        .load(connection)
        .await?;
    Ok(rows.into_iter().filter_map(|(name, through)| Some((RoomName::parse(&name)?, from_db(through)))).collect())
}
