//! What a batch asks of the database and writes, one function for each statement.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::append::Fault;
use super::batch::{Earlier, NameKey, key};
use super::connection::Connection;
use super::numbers::Numbers;
use crate::domain::RoomName;
use crate::schema::{log_head, log_rooms};
use crate::store::StoreError;
use crate::store::log::{Write, now_ms};

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

/// Where the log stood before a batch of this instance, if that was written. Waits while it is being written; where it
/// was not, it cannot be any more, as there is a newer one, `empty`, in its place.
pub async fn head_before(
    connection: &mut Connection,
    writer: String,
    batch: i64,
    empty: i64,
) -> Result<Option<i64>, StoreError> {
    #[derive(QueryableByName)]
    struct Newest {
        #[diesel(sql_type = BigInt)]
        batch: i64,
        #[diesel(sql_type = Nullable<BigInt>)]
        head_before: Option<i64>,
    }
    // A row that is not committed yet cannot be seen, but nobody can write it meanwhile.
    let query = "INSERT INTO realtime.log_writers (writer, batch, written_at) VALUES ($1, 0, $2)
        ON CONFLICT (writer) DO UPDATE SET written_at = excluded.written_at RETURNING batch, head_before";
    let newest: Newest =
        diesel::sql_query(query).bind::<Text, _>(&writer).bind::<BigInt, _>(now_ms()).get_result(connection).await?;
    if newest.batch == batch {
        return Ok(newest.head_before);
    }
    let give_up = "UPDATE realtime.log_writers SET batch = $2 WHERE writer = $1";
    diesel::sql_query(give_up).bind::<Text, _>(writer).bind::<BigInt, _>(empty).execute(connection).await?;
    Ok(None)
}
