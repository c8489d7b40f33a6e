//! What one instance does for all. Leases run by the database's clock, which is the same for every instance.

use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use crate::store::StoreError;

/// Takes a lease, or has it for longer; `false` where another has it.
pub async fn take(
    connection: &mut Connection,
    name: String,
    holder: String,
    for_how_long: Duration,
) -> Result<bool, StoreError> {
    let query = "INSERT INTO leases (name, holder, expires_at)
        VALUES (?, ?, CAST(unixepoch('subsec') * 1000 AS integer) + ?)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE leases.holder = excluded.holder OR leases.expires_at <= CAST(unixepoch('subsec') * 1000 AS integer)";
    let taken = diesel::sql_query(query)
        .bind::<Text, _>(name)
        .bind::<Text, _>(holder)
        .bind::<BigInt, _>(i64::try_from(for_how_long.as_millis()).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(taken > 0)
}

/// Gives a lease up, if it is this holder's.
pub async fn release(connection: &mut Connection, name: String, holder: String) -> Result<(), StoreError> {
    let query = "DELETE FROM leases WHERE name = ? AND holder = ?";
    diesel::sql_query(query).bind::<Text, _>(name).bind::<Text, _>(holder).execute(connection).await?;
    Ok(())
}
