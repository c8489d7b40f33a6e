//! What a batch asks of the database and writes, one function for each statement.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::append::Fault;
use super::batch::{Earlier, NameKey, Rows, key};
use super::connection::Connection;
use super::numbers::Numbers;
use crate::domain::RoomName;
use crate::schema::{log_head, log_rooms};
use crate::store::StoreError;
use crate::store::log::{Write, now_ms, to_db};

/// The statement that takes the batch's places: from here on the log's row is locked, so it is the last one but
/// for what needs the same order. What reads `base` runs after the lock is held, on every instance alike: two of
/// them never wait for each other.
const PLACE: &str = include_str!("place.sql");

/// Whose batch it is, and which, by its number, if it has rows.
pub struct Signature<'a> {
    pub writer: &'a str,
    pub batch: Option<i64>,
}

/// The numbers of rooms, which they are given where they have none.
pub async fn number_rooms(connection: &mut Connection, names: Vec<String>) -> Result<Numbers, StoreError> {
    // Read first: numbers that are forgotten from here on are not taken for good.
    let forgotten_through = log_head::table.select(log_head::forgotten_through).first(connection).await?;
    let rows: Vec<_> = names.iter().map(|name| log_rooms::name.eq(name)).collect();
    diesel::insert_into(log_rooms::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    let rows: Vec<(String, i64)> = log_rooms::table
        .filter(log_rooms::name.eq_any(&names))
        .select((log_rooms::name, log_rooms::id))
        .load(connection)
        .await?;
    let by_room = rows.into_iter().filter_map(|(name, id)| Some((RoomName::parse(&name)?, id))).collect();
    Ok(Numbers { by_room, forgotten_through })
}

/// Publishes of the batch that were written before.
pub async fn earlier(connection: &mut Connection, writes: &[Write]) -> Result<HashMap<NameKey, Earlier>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        publisher: String,
        #[diesel(sql_type = Text)]
        publish_id: String,
        #[diesel(sql_type = Binary)]
        digest: Vec<u8>,
        #[diesel(sql_type = BigInt)]
        position: i64,
        #[diesel(sql_type = Bool)]
        kept: bool,
    }
    let names = writes.iter().filter_map(|write| match write {
        Write::Append(append) => append.name.as_ref().map(key),
        _ => None,
    });
    let (publishers, ids): (Vec<String>, Vec<String>) = names.unzip();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = "SELECT publisher, publish_id, digest, position, kept FROM realtime.log_publishes
        WHERE (publisher, publish_id) IN (SELECT * FROM unnest($1, $2))";
    let rows: Vec<Row> = diesel::sql_query(query)
        .bind::<Array<Text>, _>(publishers)
        .bind::<Array<Text>, _>(ids)
        .load(connection)
        .await?;
    let known = |row: Row| {
        let Row { publisher, publish_id, digest, position, kept } = row;
        ((publisher, publish_id), Earlier { digest, position, kept })
    };
    Ok(rows.into_iter().map(known).collect())
}

/// Takes the batch's places and inserts its rows; returns where the log stood.
pub async fn place(
    connection: &mut Connection,
    rows: &Rows,
    signature: &Signature<'_>,
    newest: i64,
    forgotten_through: i64,
) -> Result<i64, Fault> {
    #[derive(QueryableByName)]
    struct Place {
        #[diesel(sql_type = BigInt)]
        before: i64,
    }
    let Rows { places, events, publishes, entered, entered_anew, left } = rows;
    let query = diesel::sql_query(PLACE)
        .bind::<BigInt, _>(places)
        .bind::<BigInt, _>(now_ms())
        .bind::<Text, _>(signature.writer)
        .bind::<Array<BigInt>, _>(&events.room_ids)
        .bind::<Array<BigInt>, _>(&events.steps)
        .bind::<Array<Text>, _>(&events.names)
        .bind::<Array<Text>, _>(&events.payloads)
        .bind::<Array<Text>, _>(&publishes.publishers)
        .bind::<Array<Text>, _>(&publishes.ids)
        .bind::<Array<Binary>, _>(&publishes.digests)
        .bind::<Array<BigInt>, _>(&publishes.steps)
        .bind::<Array<Bool>, _>(&publishes.kept)
        .bind::<Array<Text>, _>(&entered.sessions)
        .bind::<Array<Text>, _>(&entered.rooms)
        .bind::<Array<BigInt>, _>(&entered.steps)
        .bind::<Array<Text>, _>(&entered_anew.sessions)
        .bind::<Array<Text>, _>(&entered_anew.rooms)
        .bind::<Array<BigInt>, _>(&entered_anew.steps)
        .bind::<Array<Nullable<BigInt>>, _>(&entered_anew.since)
        .bind::<Array<Text>, _>(&left.0)
        .bind::<Array<Text>, _>(&left.1)
        .bind::<BigInt, _>(newest)
        .bind::<Array<Nullable<Text>>, _>(&events.held_as)
        .bind::<BigInt, _>(forgotten_through)
        .bind::<Nullable<BigInt>, _>(signature.batch);
    let place: Option<Place> = query.get_result(connection).await.optional()?;
    place.map(|place| place.before).ok_or(Fault::RoomsForgotten)
}

/// Notes that sessions are still there. After the batch has its places, as all that touches their rows.
pub async fn seen(connection: &mut Connection, writes: &[Write]) -> Result<(), Fault> {
    let seen = writes.iter().filter_map(|write| match write {
        Write::Seen { session, own_room } => Some((session, own_room)),
        _ => None,
    });
    let (mut sessions, mut own, mut rooms, mut began) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (session, own_room) in seen {
        sessions.push(session.to_string());
        if let Some(room) = own_room {
            own.push(session.to_string());
            rooms.push(room.to_string());
            began.push(to_db(session.began_at));
        }
    }
    if sessions.is_empty() {
        return Ok(());
    }
    let update = "UPDATE realtime.session_rooms SET seen_at = $2 WHERE session = ANY ($1)";
    diesel::sql_query(update).bind::<Array<Text>, _>(sessions).bind::<BigInt, _>(now_ms()).execute(connection).await?;
    let insert = "INSERT INTO realtime.session_rooms (session, room, entered_at, since, seen_at)
        SELECT own.session, own.room, own.began_at, own.began_at, $4 FROM unnest($1, $2, $3) AS own (session, room, began_at)
        ON CONFLICT DO NOTHING";
    diesel::sql_query(insert)
        .bind::<Array<Text>, _>(own)
        .bind::<Array<Text>, _>(rooms)
        .bind::<Array<BigInt>, _>(began)
        .bind::<BigInt, _>(now_ms())
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest batch that is written of this instance; 0 where none is. Waits for one that is being written.
pub async fn newest_batch(connection: &mut Connection, writer: String) -> Result<i64, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        batch: i64,
    }
    // A row that is not committed yet cannot be seen, but nobody can write it meanwhile.
    let query = "INSERT INTO realtime.log_writers (writer, batch, written_at) VALUES ($1, 0, $2)
        ON CONFLICT (writer) DO UPDATE SET written_at = excluded.written_at RETURNING batch";
    let row: Row =
        diesel::sql_query(query).bind::<Text, _>(writer).bind::<BigInt, _>(now_ms()).get_result(connection).await?;
    Ok(row.batch)
}
