//! Rows of the log as events: what either database's reading makes of them.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::log::{LogInfo, Page, PageLimit, StoredEvent, from_db};
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

impl Row {
    fn into_place(self) -> (Option<RoomName>, StoredEvent) {
        let Self { position, room, event, payload, held_as } = self;
        let event = StoredEvent { position: from_db(position), rooms: Vec::new(), name: event, payload, held_as };
        (RoomName::parse(&room), event)
    }
}

/// A room of the event's that was read, and the event where it is the first.
fn place(events: &mut BTreeMap<Position, StoredEvent>, (room, event): (Option<RoomName>, StoredEvent)) {
    events.entry(event.position).or_insert(event).rooms.extend(room);
}

/// A count of rows, or of bytes, for the database.
pub fn number(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Events of some rooms, as they are gathered from one after the other: the first ones, within the limit.
pub struct Gathered {
    events: BTreeMap<Position, StoredEvent>,
    bytes: usize,
    limit: PageLimit,
}

impl Gathered {
    pub fn new(limit: PageLimit) -> Self {
        Self { events: BTreeMap::new(), bytes: 0, limit }
    }

    pub fn add(&mut self, row: Row) {
        self.add_place(row.into_place());
    }

    /// An event of a room that was asked for.
    pub fn add_in(&mut self, room: &RoomName, position: i64, name: String, payload: String) {
        let position = from_db(position);
        let event = StoredEvent { position, rooms: Vec::new(), name, payload, held_as: None };
        self.add_place((Some(room.clone()), event));
    }

    /// Where the page is full without its last event, that goes.
    fn add_place(&mut self, place_of_event: (Option<RoomName>, StoredEvent)) {
        self.bytes += place_of_event.1.payload.len();
        place(&mut self.events, place_of_event);
        while let Some((_, last)) = self.events.last_key_value() {
            let bytes = self.bytes - last.payload.len() * last.rooms.len();
            if !self.limit.is_reached(self.events.len() - 1, bytes) {
                break;
            }
            self.events.pop_last();
            self.bytes = bytes;
        }
    }

    pub fn is_full(&self) -> bool {
        self.limit.is_reached(self.events.len(), self.bytes)
    }

    /// Whether an event at this position comes after all that the page has place for.
    pub fn is_past(&self, position: i64) -> bool {
        self.is_full() && self.events.last_key_value().is_some_and(|(last, _)| *last < from_db(position))
    }

    /// The page, of events up to and with `up_to`.
    pub fn into_page(self, up_to: Position) -> Page {
        let last = self.events.last_key_value().map(|(position, _)| *position).filter(|_| self.is_full());
        Page { through: last.unwrap_or(up_to), events: self.events.into_values().collect() }
    }
}

/// Where reading the rows of all rooms ended.
enum End {
    /// There are no more.
    OfRows,
    /// As many rows were read as may be: the last event may have more rooms.
    WithinEvent,
    BehindEvent,
}

/// Rows of all rooms, in the order of their positions or backwards. Their limit counts rows, not events.
fn take(
    rows: impl Iterator<Item = QueryResult<Row>>,
    limit: PageLimit,
) -> QueryResult<(BTreeMap<Position, StoredEvent>, End)> {
    let (mut events, mut count, mut bytes, mut last) = (BTreeMap::new(), 0, 0, None);
    for row in rows {
        let row = row?;
        if bytes >= limit.bytes && last != Some(row.position) {
            return Ok((events, End::BehindEvent));
        }
        count += 1;
        bytes += row.payload.len();
        last = Some(row.position);
        place(&mut events, row.into_place());
    }
    let end = match (count < limit.events, bytes < limit.bytes) {
        (true, true) => End::OfRows,
        (true, false) => End::BehindEvent,
        (false, _) => End::WithinEvent,
    };
    Ok((events, end))
}

/// The newest events of all rooms, in order, of rows that come backwards.
pub fn newest(rows: impl Iterator<Item = QueryResult<Row>>, limit: PageLimit) -> QueryResult<Vec<StoredEvent>> {
    let (mut events, end) = take(rows, limit)?;
    if let End::WithinEvent = end {
        events.pop_first();
    }
    Ok(events.into_values().collect())
}

/// A page of all rooms' events up to and with `up_to`.
pub fn page(rows: impl Iterator<Item = QueryResult<Row>>, up_to: Position, limit: PageLimit) -> QueryResult<Page> {
    let (mut events, end) = take(rows, limit)?;
    let through = match end {
        End::OfRows => None,
        End::WithinEvent => events.pop_last().map(|(position, _)| position - 1),
        End::BehindEvent => events.last_key_value().map(|(position, _)| *position),
    };
    Ok(Page { events: events.into_values().collect(), through: through.unwrap_or(up_to) })
}
