//! Leases: what one instance at a time does for all that share the database.

use std::time::Duration;

use diesel::QueryResult;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use super::connection::Connection;
use super::{Store, StoreError};

impl Store {
    /// Takes a lease, or takes it for longer; `false` where another has it. By the database's clock, so that
    /// instances whose clocks differ agree.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn take_lease(&self, name: &'static str, holder: &str, lasts: Duration) -> Result<bool, StoreError> {
        let holder = holder.to_owned();
        self.write(move |connection| async move { take(connection, name, &holder, lasts).await }.boxed()).await
    }

    /// Gives a lease back before its time, if it is this holder's.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn release_lease(&self, name: &'static str, holder: &str) -> Result<(), StoreError> {
        let holder = holder.to_owned();
        self.write(move |connection| async move { release(connection, name, &holder).await }.boxed()).await
    }
}

/// ms since 1970 by the database's clock.
const NOW_MS: &str = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";

async fn take(connection: &mut Connection, name: &str, holder: &str, lasts: Duration) -> Result<bool, StoreError> {
    let taking = format!(
        "INSERT INTO leases (name, holder, expires_at) VALUES (?, ?, {NOW_MS} + ?)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
         WHERE leases.holder = excluded.holder OR leases.expires_at < {NOW_MS}"
    );
    let lasts_ms = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
    let taken = diesel::sql_query(taking)
        .bind::<Text, _>(name)
        .bind::<Text, _>(holder)
        .bind::<BigInt, _>(lasts_ms)
        .execute(connection)
        .await?;
    Ok(taken > 0)
}

async fn release(connection: &mut Connection, name: &str, holder: &str) -> Result<(), StoreError> {
    let released: QueryResult<usize> = diesel::sql_query("DELETE FROM leases WHERE name = ? AND holder = ?")
        .bind::<Text, _>(name)
        .bind::<Text, _>(holder)
        .execute(connection)
        .await;
    released?;
    Ok(())
}
