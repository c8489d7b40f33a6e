//! Changes of rows that are no part of the log. Compiled once for each kind of connection, as `lookups.rs` is.

use chrono::Utc;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use crate::domain::{NotificationId, RevocationId, UserId};
use crate::schema::{notifications, revocations};
use crate::store::StoreError;

/// Marks a user's own notification as read; `false` where that user has no such notification.
pub async fn read_notification(
    connection: &mut Connection,
    user: UserId,
    id: NotificationId,
) -> Result<bool, StoreError> {
    let own = notifications::id.eq(id.as_str()).and(notifications::user_id.eq(user.as_str()));
    let now = Utc::now().naive_utc();
    let changed = diesel::update(notifications::table.filter(own.and(notifications::read.eq(false))))
        .set((notifications::read.eq(true), notifications::read_at.eq(now)))
        .execute(connection)
        .await?;
    if changed > 0 {
        return Ok(true);
    }
    let known: i64 = notifications::table.filter(own).count().get_result(connection).await?;
    Ok(known > 0)
}

/// `false` where that was done before.
pub async fn revoke(connection: &mut Connection, id: RevocationId, reason: Option<String>) -> Result<bool, StoreError> {
    let row = (revocations::revocation_id.eq(id.as_str()), revocations::reason.eq(reason));
    let added =
        diesel::insert_into(revocations::table).values(row).on_conflict_do_nothing().execute(connection).await?;
    Ok(added > 0)
}
