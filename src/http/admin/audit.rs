//! `GET /admin/api/audit`: who did what, the newest first, a page at a time.

use std::time::{Duration, UNIX_EPOCH};

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::iso;
use super::{HttpState, bad_request};
use crate::domain::audit::known_action;
use crate::domain::{AuditOutcome, RoomName};
use crate::store::{AuditFilter, AuditRow};

const USUAL: i64 = 100;
const MOST: i64 = 1_000;

#[derive(Deserialize)]
pub struct Wanted {
    /// As `actor` of a row.
    user: Option<String>,
    action: Option<String>,
    outcome: Option<String>,
    room: Option<String>,
    tab: Option<String>,
    subject: Option<String>,
    limit: Option<i64>,
    /// What the last page gave as `next`.
    before: Option<i64>,
}

pub async fn list(state: web::Data<HttpState>, wanted: web::Query<Wanted>) -> HttpResponse {
    let Wanted { user, action, outcome, room, tab, subject, limit, before } = wanted.into_inner();
    if action.as_deref().is_some_and(|action| known_action(action).is_none()) {
        return bad_request("action takes the name of an action");
    }
    if outcome.as_deref().is_some_and(|outcome| AuditOutcome::parse(outcome).is_none()) {
        return bad_request("outcome takes done, refused or failed");
    }
    if room.as_deref().is_some_and(|room| RoomName::parse(room).is_none()) {
        return bad_request("room takes the name of a room");
    }
    let limit = limit.unwrap_or(USUAL).clamp(1, MOST);
    let filter = AuditFilter { actor: user, action, outcome, room, tab, subject, before };
    match state.services.store.read_audit(filter, limit).await {
        Ok(rows) => {
            let is_full = i64::try_from(rows.len()) == Ok(limit);
            let next = rows.last().filter(|_| is_full).map(|row| row.id);
            HttpResponse::Ok().json(json!({ "records": rows.iter().map(describe).collect::<Vec<_>>(), "next": next }))
        }
        Err(error) => {
            tracing::warn!(%error, "the audit trail could not be read");
            HttpResponse::ServiceUnavailable().json(json!({ "error": "The database did not answer" }))
        }
    }
}

fn describe(row: &AuditRow) -> Value {
    json!({
        "id": row.id,
        "at": iso(UNIX_EPOCH + Duration::from_millis(row.at.unsigned_abs())),
        "times": row.times,
        "actor": row.actor,
        "action": row.action,
        "outcome": row.outcome,
        "cause": row.cause,
        "detail": row.detail,
        "room": row.room,
        "tab": row.tab,
        "subject": row.subject,
        "session": row.session,
        "address": row.address,
    })
}
