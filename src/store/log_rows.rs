//! Rows of the log as events: what either database's reading makes of them.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::log::{LogInfo, StoredEvent, from_db};
use crate::domain::{LogId, Position, RoomName};

/// A place of an event in a room.
#[derive(QueryableByName, Queryable)]
pub struct Row {
    #[diesel(sql_type = BigInt)]
    pub position: i64,
    #[diesel(sql_type = Text)]
    pub room: String,
    #[diesel(sql_type = Text)]
    pub event: String,
    #[diesel(sql_type = Text)]
    pub payload: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub held_as: Option<String>,
}

/// The one row of `log_head`: log, head, the secret of pids.
pub fn info((log, head, pid_secret): (i64, i64, Vec<u8>)) -> QueryResult<LogInfo> {
    let other_length = |_| diesel::result::Error::DeserializationError("the secret of pids has another length".into());
    let pid_secret = pid_secret.try_into().map_err(other_length)?;
    Ok(LogInfo { log: LogId(u32::try_from(log).unwrap_or_default()), head: from_db(head), pid_secret })
}

/// Events in order, each with those of its rooms that there is a row of.
pub fn by_position(rows: Vec<Row>) -> BTreeMap<Position, StoredEvent> {
    let mut events = BTreeMap::new();
    for Row { position, room, event, payload, held_as } in rows {
        let position = from_db(position);
        let stored = || StoredEvent { position, rooms: Vec::new(), name: event, payload, held_as };
        events.entry(position).or_insert_with(stored).rooms.extend(RoomName::parse(&room));
    }
    events
}

/// The newest events of all rooms, in order, of `limit` rows that were read backwards.
pub fn newest(rows: Vec<Row>, limit: usize) -> Vec<StoredEvent> {
    let cut = rows.len() == limit;
    let mut events = by_position(rows);
    if cut {
        // Some of the oldest one's rooms may not have been read.
        events.pop_first();
    }
    events.into_values().collect()
}

/// A page of all rooms' events, of `limit` rows that were read on from a position, and up to where they are all.
pub fn whole_page(rows: Vec<Row>, up_to: Position, limit: usize) -> (Vec<StoredEvent>, Position) {
    let cut = rows.len() == limit;
    let mut events = by_position(rows);
    // Some of the newest one's rooms may not have been read.
    let through = if cut { events.pop_last().map_or(up_to, |(position, _)| position - 1) } else { up_to };
    (events.into_values().collect(), through)
}
