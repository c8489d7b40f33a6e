//! What is too old or too much is let go, a little at a time, so that no append waits long behind it. One instance
//! does it at a time: each step takes a lock that ends with its transaction, or is left to who has it.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use crate::config::LogConfig;
use crate::store::StoreError;
use crate::store::log::now_ms;

/// Rows that go in one transaction.
const STEP: i64 = 1_000;
/// How long a publish's name is known, whatever the age to which events are kept.
const PUBLISHES_REMEMBERED: Duration = Duration::from_hours(24);
/// An instance that has written nothing for so long is gone, and waits for no commit's outcome.
const WRITERS_REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// Tells this lock from others of the same database; the numbers have no meaning.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(1702391923, 1) AS taken";

/// Older rows go first; those of a room are noted in its row before.
const AGED: &str = "WITH oldest AS (
        SELECT room_id, position, stored_at FROM realtime.log_events ORDER BY position LIMIT $1
    ), aged AS (
        SELECT room_id, position FROM oldest WHERE stored_at < $2
    ), noted AS (
        UPDATE realtime.log_rooms SET pruned_through = greatest(pruned_through, last.position)
        FROM (SELECT room_id, max(position) AS position FROM aged GROUP BY room_id) AS last
        WHERE log_rooms.id = last.room_id
    ), gone AS (
        DELETE FROM realtime.log_events AS event USING aged
        WHERE event.room_id = aged.room_id AND event.position = aged.position
    )
    SELECT count(*) AS count FROM aged";

const PUBLISHES: &str = "WITH aged AS (
        SELECT publisher, publish_id FROM realtime.log_publishes WHERE stored_at < $2 ORDER BY stored_at LIMIT $1
    ), gone AS (
        DELETE FROM realtime.log_publishes AS publish USING aged
        WHERE publish.publisher = aged.publisher AND publish.publish_id = aged.publish_id
    )
    SELECT count(*) AS count FROM aged";

/// What somebody is writing is not as old as it looks, and is not waited for.
const SESSIONS: &str = "WITH aged AS (
        SELECT session, room FROM realtime.session_rooms WHERE seen_at < $2
        ORDER BY seen_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM realtime.session_rooms AS old USING aged
        WHERE old.session = aged.session AND old.room = aged.room
    )
    SELECT count(*) AS count FROM aged";

const WRITERS: &str = "WITH aged AS (
        SELECT writer FROM realtime.log_writers WHERE written_at < $2 LIMIT $1 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM realtime.log_writers AS old USING aged WHERE old.writer = aged.writer
    )
    SELECT count(*) AS count FROM aged";

/// Of a room with more than `$2` events, the oldest.
const SURPLUS: &str = "WITH total AS (
        SELECT count(*) AS events FROM realtime.log_events WHERE room_id = $3
    ), surplus AS (
        SELECT position FROM realtime.log_events, total WHERE room_id = $3
        ORDER BY position LIMIT greatest(0, least($1, (SELECT events FROM total) - $2))
    ), noted AS (
        UPDATE realtime.log_rooms SET pruned_through = greatest(pruned_through, last.position)
        FROM (SELECT max(position) AS position FROM surplus) AS last
        WHERE log_rooms.id = $3 AND last.position IS NOT NULL
    ), gone AS (
        DELETE FROM realtime.log_events AS event USING surplus
        WHERE event.room_id = $3 AND event.position = surplus.position
    )
    SELECT total.events - (SELECT count(*) FROM surplus) AS count FROM total";

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// ms since 1970
fn before(age: Duration) -> i64 {
    now_ms() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}

/// Whether this transaction may prune.
pub async fn lock(connection: &mut Connection) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Taken {
        #[diesel(sql_type = Bool)]
        taken: bool,
    }
    Ok(diesel::sql_query(LOCK).get_result::<Taken>(connection).await?.taken)
}

/// Lets some of what is too old go; whether there may be more.
pub async fn prune_aged(connection: &mut Connection, limits: LogConfig) -> Result<bool, StoreError> {
    prune(connection, [(AGED, before(limits.max_age)), (PUBLISHES, before(PUBLISHES_REMEMBERED))]).await
}

/// Lets some of the sessions go that have not been seen for so long that no client can have one back, and of the
/// instances that are gone; whether there may be more.
pub async fn prune_forgotten(connection: &mut Connection, limits: LogConfig) -> Result<bool, StoreError> {
    prune(connection, [(SESSIONS, before(limits.session_age())), (WRITERS, before(WRITERS_REMEMBERED))]).await
}

/// Each of the queries lets a step go of what is older than its time.
async fn prune(connection: &mut Connection, queries: [(&str, i64); 2]) -> Result<bool, StoreError> {
    if !lock(connection).await? {
        return Ok(false);
    }
    let mut more = false;
    for (query, oldest_ms) in queries {
        let gone: Count = diesel::sql_query(query)
            .bind::<BigInt, _>(STEP)
            .bind::<BigInt, _>(oldest_ms)
            .get_result(connection)
            .await?;
        more |= gone.count == STEP;
    }
    Ok(more)
}

/// Lets some of a room's oldest events go, if it has more than it may; how many it has then. `None` where another
/// instance is pruning.
pub async fn prune_room(connection: &mut Connection, room_id: i64, max_events: u64) -> Result<Option<u64>, StoreError> {
    if !lock(connection).await? {
        return Ok(None);
    }
    let left: Count = diesel::sql_query(SURPLUS)
        .bind::<BigInt, _>(STEP)
        .bind::<BigInt, _>(i64::try_from(max_events).unwrap_or(i64::MAX))
        .bind::<BigInt, _>(room_id)
        .get_result(connection)
        .await?;
    Ok(Some(u64::try_from(left.count).unwrap_or_default()))
}

/// How many events each room has got between two positions, whichever instance wrote them; by the room's number.
pub async fn count_between(connection: &mut Connection, after: i64, up_to: i64) -> Result<Vec<(i64, i64)>, StoreError> {
    use crate::schema::log_events;
    Ok(log_events::table
        .filter(log_events::position.gt(after).and(log_events::position.le(up_to)))
        .group_by(log_events::room_id)
        .select((log_events::room_id, diesel::dsl::count_star()))
        .load(connection)
        .await?)
}
