//! The audit trail's rows: added in batches, read a page at a time, let go by age and number.

use std::sync::Arc;

use diesel::prelude::*;

use super::log::now_ms;
use super::{Store, StoreError};
use crate::config::AuditConfig;
use crate::domain::AuditRecord;
use crate::schema::audit_log;
use crate::telemetry::Query;

/// A record, since when, and how often.
pub struct AuditEntry {
    pub record: AuditRecord,
    /// ms since 1970
    pub at: i64,
    pub times: i64,
}

impl AuditEntry {
    /// Once, and now.
    pub fn now(record: AuditRecord) -> Self {
        Self { record, at: now_ms(), times: 1 }
    }
}

/// A row as it is read.
#[derive(Debug, Queryable)]
pub struct AuditRow {
    pub id: i64,
    pub at: i64,
    pub times: i64,
    pub actor: Option<String>,
    pub action: String,
    pub outcome: String,
    pub cause: Option<String>,
    pub detail: Option<String>,
    pub room: Option<String>,
    pub tab: Option<String>,
    pub subject: Option<String>,
    pub session: Option<String>,
    pub address: Option<String>,
}

/// Which rows are wanted; what is not named may be anything.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub outcome: Option<String>,
    pub room: Option<String>,
    pub tab: Option<String>,
    pub subject: Option<String>,
    /// Rows with a smaller id than this alone.
    pub before: Option<i64>,
}

#[derive(Insertable)]
#[diesel(table_name = audit_log)]
pub(super) struct NewRow<'a> {
    at: i64,
    times: i64,
    actor: Option<&'a str>,
    action: &'a str,
    outcome: &'a str,
    cause: Option<&'a str>,
    detail: Option<&'a str>,
    room: Option<&'a str>,
    tab: Option<&'a str>,
    subject: Option<&'a str>,
    session: Option<&'a str>,
    address: Option<String>,
}

impl<'a> From<&'a AuditEntry> for NewRow<'a> {
    fn from(AuditEntry { record, at, times }: &'a AuditEntry) -> Self {
        let target = &record.target;
        Self {
            at: *at,
            times: *times,
            actor: record.actor.as_deref(),
            action: record.action,
            outcome: record.outcome.as_str(),
            cause: record.cause,
            detail: target.detail,
            room: target.room.as_ref().map(crate::domain::RoomName::as_str),
            tab: target.tab.as_ref().map(crate::domain::Cuid::as_str),
            subject: target.subject.as_deref(),
            session: record.session.as_deref(),
            address: record.address.map(|address| address.to_string()),
        }
    }
}

/// The rows that a filter lets through, the newest first; for either database.
macro_rules! filtered {
    ($filter:expr, $limit:expr) => {{
        let AuditFilter { actor, action, outcome, room, tab, subject, before } = $filter;
        let mut query = audit_log::table.into_boxed();
        if let Some(actor) = actor {
            query = query.filter(audit_log::actor.eq(actor));
        }
        if let Some(action) = action {
            query = query.filter(audit_log::action.eq(action));
        }
        if let Some(outcome) = outcome {
            query = query.filter(audit_log::outcome.eq(outcome));
        }
        if let Some(room) = room {
            query = query.filter(audit_log::room.eq(room));
        }
        if let Some(tab) = tab {
            query = query.filter(audit_log::tab.eq(tab));
        }
        if let Some(subject) = subject {
            query = query.filter(audit_log::subject.eq(subject));
        }
        if let Some(before) = before {
            query = query.filter(audit_log::id.lt(before));
        }
        query.order(audit_log::id.desc()).limit($limit)
    }};
}
pub(super) use filtered;

/// Rows that go in one transaction when the trail is pruned.
pub(super) const STEP: i64 = 1_000;

/// Up to which of the oldest rows, given by id and time, are past the limits; rows are added in the order of time.
pub(super) fn last_beyond(oldest: &[(i64, i64)], newest: Option<i64>, limits: &AuditConfig) -> Option<i64> {
    let max_age_ms = i64::try_from(limits.max_age.as_millis()).unwrap_or(i64::MAX);
    let oldest_ms = now_ms().saturating_sub(max_age_ms);
    let surplus = newest.unwrap_or(0).saturating_sub(i64::try_from(limits.max_rows).unwrap_or(i64::MAX));
    oldest.iter().take_while(|(id, at)| *at < oldest_ms || *id <= surplus).last().map(|(id, _)| *id)
}

impl Store {
    /// Adds to the trail, in one transaction. Where it fails nothing was added, but for an answer that was lost
    /// on its way from PostgreSQL.
    ///
    /// # Errors
    /// [`StoreError`] where nothing was added.
    pub async fn append_audit(&self, entries: Arc<[AuditEntry]>) -> Result<(), StoreError> {
        self.inner.backend.append_audit(entries).await
    }

    /// The newest rows that the filter lets through, newest first.
    ///
    /// # Errors
    /// [`StoreError`] where the database gives no answer.
    pub async fn read_audit(&self, filter: AuditFilter, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
        self.ask(Query::Audit, self.inner.backend.read_audit(filter, limit)).await
    }
}
