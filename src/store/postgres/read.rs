//! Reading the log on from a position, and what is known of sessions and rooms. Each question's queries see one
//! state: what is not pruned when it is looked at is there when it is read.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use crate::domain::{Position, RoomName};
use crate::schema::{log_events, log_head, log_rooms};
use crate::store::StoreError;
use crate::store::log::{LogInfo, StoredEvent, from_db, to_db};
use crate::store::log_rows::{self, Row};

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// What the log is, and its newest events.
pub async fn resume(connection: &mut Connection, limit: usize) -> Result<(LogInfo, Vec<StoredEvent>), StoreError> {
    let row = log_head::table.select((log_head::log, log_head::head, log_head::pid_secret)).first(connection).await?;
    let info = log_rows::info(row)?;
    Ok((info, newest(connection, limit).await?))
}

pub async fn head(connection: &mut Connection) -> Result<Position, StoreError> {
    Ok(from_db(log_head::table.select(log_head::head).first(connection).await?))
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
    Ok(Some(log_rows::by_position(rows).into_values().take(limit).collect()))
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
    Ok(log_rows::newest(rows, limit))
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
    Ok(log_rows::whole_page(rows, up_to, limit))
}
