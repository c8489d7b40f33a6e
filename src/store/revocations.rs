//! Tokens that hold no longer.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use futures_util::future::try_join_all;

use super::connection::Connection;
use super::{Store, StoreError};
use crate::domain::RevocationId;
use crate::schema::revocations;

impl Store {
    /// Whether one of the ids is revoked.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn is_revoked(&self, ids: &[RevocationId]) -> Result<bool, StoreError> {
        let answers = try_join_all(ids.iter().map(|id| self.inner.revocations.find(id.clone()))).await?;
        Ok(answers.iter().any(Option::is_some))
    }

    /// Revokes a token and all that was made from it; `false` where that was done before.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn revoke(&self, id: &RevocationId, reason: Option<String>) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write(move |connection| async move { insert(connection, &id, reason).await }.boxed()).await
    }
}

pub async fn revoked(
    connection: &mut Connection,
    ids: Vec<RevocationId>,
) -> Result<HashMap<RevocationId, RevocationId>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(RevocationId::as_str).collect();
    let rows: Vec<String> = revocations::table
        .filter(revocations::revocation_id.eq_any(ids))
        .select(revocations::revocation_id)
        .load(connection)
        .await?;
    Ok(rows.iter().filter_map(|id| RevocationId::parse(id)).map(|id| (id.clone(), id)).collect())
}

async fn insert(connection: &mut Connection, id: &RevocationId, reason: Option<String>) -> Result<bool, StoreError> {
    let row = (revocations::revocation_id.eq(id.as_str()), revocations::reason.eq(reason));
    let added =
        diesel::insert_into(revocations::table).values(row).on_conflict_do_nothing().execute(connection).await?;
    Ok(added > 0)
}
