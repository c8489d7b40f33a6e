//! What an operator may do. Each is in the log, and in the audit trail.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::gate::Operator;
use super::{HttpState, not_found};
use crate::actors::messages::{EndSession, RestartRoom};
use crate::domain::audit::action;
use crate::domain::{AuditOutcome, AuditTarget, RoomName};

/// How long the registry may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends a session with a DISCONNECT packet: its client stays away until its user comes back.
pub async fn disconnect(
    state: web::Data<HttpState>,
    operator: web::ReqData<Operator>,
    id: web::Path<String>,
) -> HttpResponse {
    let Some(listed) = state.services.directory.by_socket_id(&id) else { return not_found().await };
    tracing::warn!(user = %listed.record.life.who, socket = %id, "an operator disconnects a session");
    listed.session.do_send(EndSession::default());
    operator.record(&state.services, action::ADMIN_DISCONNECT, AuditOutcome::Done, AuditTarget::subject(&id));
    HttpResponse::Accepted().json(json!({ "ok": true }))
}

/// Has a room learn anew who is in it; nothing that it has accepted is lost.
pub async fn restart_room(
    state: web::Data<HttpState>,
    operator: web::ReqData<Operator>,
    name: web::Path<String>,
) -> HttpResponse {
    let Some(room) = RoomName::parse(&name) else { return not_found().await };
    let target = AuditTarget::room(&room);
    let restarted = state.services.registry.send(RestartRoom { room }).timeout(PATIENCE).await;
    let outcome = if matches!(restarted, Ok(true)) { AuditOutcome::Done } else { AuditOutcome::Failed };
    operator.record(&state.services, action::ADMIN_RESTART, outcome, target);
    match restarted {
        Ok(true) => HttpResponse::Accepted().json(json!({ "ok": true })),
        Ok(false) => not_found().await,
        Err(_) => HttpResponse::ServiceUnavailable().json(json!({ "error": "The registry did not answer in time" })),
    }
}

/// As SIGTERM does: the instance empties itself over `DRAIN_SECS`, and ends.
pub async fn drain(state: web::Data<HttpState>, operator: web::ReqData<Operator>) -> HttpResponse {
    operator.record(&state.services, action::ADMIN_DRAIN, AuditOutcome::Done, AuditTarget::default());
    tracing::warn!("an operator stops the instance");
    state.stop.notify_one();
    HttpResponse::Accepted().json(json!({ "ok": true }))
}
