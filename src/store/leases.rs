//! What one instance does for all. Leases run by the database's clock, which is the same for every instance.
//! Compiled once for each kind of connection, as `lookups.rs` is; the statements are the parent's, as the clocks differ.

use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use super::{RELEASE_LEASE, TAKE_LEASE};
use crate::store::StoreError;

/// Takes a lease, or has it for longer; `false` where another has it.
pub async fn take(
    connection: &mut Connection,
    name: String,
    holder: String,
    for_how_long: Duration,
) -> Result<bool, StoreError> {
    let taken = diesel::sql_query(TAKE_LEASE)
        .bind::<Text, _>(name)
        .bind::<Text, _>(holder)
        .bind::<BigInt, _>(i64::try_from(for_how_long.as_millis()).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(taken > 0)
}

/// Gives a lease up, if it is this holder's.
pub async fn release(connection: &mut Connection, name: String, holder: String) -> Result<(), StoreError> {
    diesel::sql_query(RELEASE_LEASE).bind::<Text, _>(name).bind::<Text, _>(holder).execute(connection).await?;
    Ok(())
}
