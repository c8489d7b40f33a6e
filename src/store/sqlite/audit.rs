//! The audit trail's rows in the embedded database.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::config::AuditConfig;
use crate::schema::audit_log;
use crate::store::audit::{AuditEntry, AuditFilter, AuditRow, NewRow, STEP, filtered, last_beyond};

pub fn insert(connection: &mut SqliteConnection, entries: &[AuditEntry]) -> QueryResult<()> {
    connection.immediate_transaction(|connection| {
        for entry in entries {
            diesel::insert_into(audit_log::table).values(NewRow::from(entry)).execute(connection)?;
        }
        Ok(())
    })
}

pub fn select(connection: &mut SqliteConnection, filter: AuditFilter, limit: i64) -> QueryResult<Vec<AuditRow>> {
    filtered!(filter, limit).load(connection)
}

/// Lets some of what is past the limits go; whether there may be more.
pub fn prune(connection: &mut SqliteConnection, limits: &AuditConfig) -> QueryResult<bool> {
    let newest = audit_log::table.select(diesel::dsl::max(audit_log::id)).first(connection)?;
    let oldest = audit_log::table.order(audit_log::id).limit(STEP).select((audit_log::id, audit_log::at));
    let oldest: Vec<(i64, i64)> = oldest.load(connection)?;
    let Some(last) = last_beyond(&oldest, newest, limits) else { return Ok(false) };
    let gone = diesel::delete(audit_log::table.filter(audit_log::id.le(last))).execute(connection)?;
    Ok(gone == oldest.len())
}
