//! Reading the log on from a position, and what is known of sessions and rooms. Each question's queries see one
//! state: what is not pruned when it is looked at is there when it is read.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use crate::domain::{Position, RoomName};
use crate::schema::{log_head, log_rooms};
use crate::store::StoreError;
use crate::store::log::{Between, LogInfo, Page, PageLimit, StoredEvent, from_db, to_db};
use crate::store::log_rows::{self, Gathered, Row, number};

/// What the log is, and its newest events.
pub async fn resume(connection: &mut Connection, limit: PageLimit) -> Result<(LogInfo, Vec<StoredEvent>), StoreError> {
    let row = log_head::table.select((log_head::log, log_head::head, log_head::pid_secret)).first(connection).await?;
    let info = log_rows::info(row)?;
    Ok((info, newest(connection, limit).await?))
}

pub async fn head(connection: &mut Connection) -> Result<Position, StoreError> {
    Ok(from_db(log_head::table.select(log_head::head).first(connection).await?))
}

/// The events of the rooms after each one's position, up to and with `up_to`. `None` where some of them are gone.
pub async fn events(
    connection: &mut Connection,
    starts: Vec<(RoomName, Position)>,
    up_to: Position,
    limit: PageLimit,
) -> Result<Option<Page>, StoreError> {
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
        FROM unnest($3, $4) AS start (room, after)
        JOIN realtime.log_rooms ON log_rooms.name = start.room
        CROSS JOIN LATERAL (
            SELECT position, event, payload, held_as FROM realtime.log_events
            WHERE room_id = log_rooms.id AND position > start.after AND position <= $5
            ORDER BY position LIMIT $2
        ) AS found";
    let rows: Vec<Row> = diesel::sql_query(within_bytes(of_rooms, ""))
        .bind::<BigInt, _>(number(limit.bytes))
        .bind::<BigInt, _>(number(limit.events))
        .bind::<Array<Text>, _>(&names)
        .bind::<Array<BigInt>, _>(&after)
        .bind::<BigInt, _>(to_db(up_to))
        .load(connection)
        .await?;
    let mut gathered = Gathered::new(limit);
    rows.into_iter().for_each(|row| gathered.add(row));
    Ok(Some(gathered.into_page(up_to)))
}

/// The newest events of all rooms, in order: what a service that starts has in memory.
async fn newest(connection: &mut Connection, limit: PageLimit) -> Result<Vec<StoredEvent>, StoreError> {
    let of_all = "SELECT position, name AS room, event, payload, held_as
        FROM realtime.log_events JOIN realtime.log_rooms ON log_rooms.id = room_id ORDER BY position DESC LIMIT $2";
    let rows: Vec<Row> = diesel::sql_query(within_bytes(of_all, "DESC"))
        .bind::<BigInt, _>(number(limit.bytes))
        .bind::<BigInt, _>(number(limit.events))
        .load(connection)
        .await?;
    Ok(log_rows::newest(rows.into_iter().map(Ok), limit)?)
}

/// Events of all rooms between two positions, the second one with them.
pub async fn events_between(
    connection: &mut Connection,
    after: Position,
    up_to: Position,
    limit: PageLimit,
) -> Result<Between, StoreError> {
    let of_all = "SELECT position, name AS room, event, payload, held_as
        FROM realtime.log_events JOIN realtime.log_rooms ON log_rooms.id = room_id
        WHERE position > $3 AND position <= $4 ORDER BY position LIMIT $2";
    let rows: Vec<Row> = diesel::sql_query(within_bytes(of_all, ""))
        .bind::<BigInt, _>(number(limit.bytes))
        .bind::<BigInt, _>(number(limit.events))
        .bind::<BigInt, _>(to_db(after))
        .bind::<BigInt, _>(to_db(up_to))
        .load(connection)
        .await?;
    let page = log_rows::page(rows.into_iter().map(Ok), up_to, limit)?;
    let gapped = log_rooms::table.filter(log_rooms::pruned_through.gt(to_db(after))).select(log_rooms::name);
    let gapped: Vec<String> = gapped.load(connection).await?;
    Ok(Between { page, gapped: gapped.iter().filter_map(|room| RoomName::parse(room)).collect() })
}

/// Of the rows, in the order of their positions, those of the events that `$1` bytes of payloads do not come before.
fn within_bytes(rows: &str, direction: &str) -> String {
    format!(
        "SELECT position, room, event, payload, held_as FROM (
            SELECT found.*, sum(octet_length(payload)) OVER (
                ORDER BY position {direction} GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS before FROM ({rows}) AS found
        ) AS counted WHERE coalesce(before, 0) < $1 ORDER BY position {direction}"
    )
}
