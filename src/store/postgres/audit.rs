//! The audit trail's rows in PostgreSQL. Every instance adds to the same trail.

use std::sync::Arc;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::connection::Connection;
use super::retention;
use crate::config::AuditConfig;
use crate::schema::audit_log;
use crate::store::StoreError;
use crate::store::audit::{AuditEntry, AuditFilter, AuditRow, NewRow, STEP, filtered, last_beyond};

pub async fn insert(connection: &mut Connection, entries: Arc<[AuditEntry]>) -> Result<(), StoreError> {
    let rows: Vec<_> = entries.iter().map(NewRow::from).collect();
    diesel::insert_into(audit_log::table).values(rows).execute(connection).await?;
    Ok(())
}

pub async fn select(connection: &mut Connection, filter: AuditFilter, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
    Ok(filtered!(filter, limit).load(connection).await?)
}

/// Lets some of what is past the limits go; whether there may be more, and nobody else is at it.
pub async fn prune(connection: &mut Connection, limits: AuditConfig) -> Result<bool, StoreError> {
    if !retention::lock(connection).await? {
        return Ok(false);
    }
    let newest = audit_log::table.select(diesel::dsl::max(audit_log::id)).first(connection).await?;
    let oldest = audit_log::table.order(audit_log::id).limit(STEP).select((audit_log::id, audit_log::at));
    let oldest: Vec<(i64, i64)> = oldest.load(connection).await?;
    let Some(last) = last_beyond(&oldest, newest, &limits) else { return Ok(false) };
    let gone = diesel::delete(audit_log::table.filter(audit_log::id.le(last))).execute(connection).await?;
    Ok(gone == oldest.len())
}
