//! Rooms that have no event any more, and that nobody may come back to, are forgotten: `store/forgetting.rs` says when.

use diesel::dsl::min;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt};
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use super::read;
use crate::domain::Position;
use crate::schema::log_events;
use crate::store::StoreError;
use crate::store::log::{from_db, to_db};

/// Rooms that go in one transaction.
const STEP: i64 = 1_000;

const FIND: &str = "SELECT id, pruned_through FROM realtime.log_rooms
    WHERE pruned_through <= $1
    AND NOT EXISTS (SELECT FROM realtime.log_events WHERE room_id = log_rooms.id)
    AND NOT EXISTS (SELECT FROM realtime.session_rooms WHERE room = log_rooms.name)
    LIMIT $2";
/// Who appends needs this row: from here on no event is added by the number of a room that goes.
const NOTE: &str = "UPDATE realtime.log_head SET forgotten_through = greatest(forgotten_through + 1, $1)";
/// One of them may have been given an event before.
const FORGET: &str = "DELETE FROM realtime.log_rooms WHERE id = ANY ($1)
    AND NOT EXISTS (SELECT FROM realtime.log_events WHERE room_id = log_rooms.id)";

pub async fn all_gone_through(connection: &mut Connection) -> Result<Position, StoreError> {
    let oldest: Option<i64> = log_events::table.select(min(log_events::position)).first(connection).await?;
    match oldest {
        Some(position) => Ok(from_db(position - 1)),
        None => read::head(connection).await,
    }
}

/// Forgets some; whether there may be more.
pub async fn forget(connection: &mut Connection, through: Position) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Empty {
        #[diesel(sql_type = BigInt)]
        id: i64,
        #[diesel(sql_type = BigInt)]
        pruned_through: i64,
    }
    let find = diesel::sql_query(FIND).bind::<BigInt, _>(to_db(through)).bind::<BigInt, _>(STEP);
    let empty: Vec<Empty> = find.load(connection).await?;
    let Some(through) = empty.iter().map(|room| room.pruned_through).max() else { return Ok(false) };
    diesel::sql_query(NOTE).bind::<BigInt, _>(through).execute(connection).await?;
    let ids: Vec<i64> = empty.iter().map(|room| room.id).collect();
    diesel::sql_query(FORGET).bind::<Array<BigInt>, _>(&ids).execute(connection).await?;
    Ok(i64::try_from(ids.len()) == Ok(STEP))
}
