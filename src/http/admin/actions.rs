//! What an operator may do. Each is one line in the log.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::{HttpState, not_found};
use crate::actors::messages::{EndSession, RestartRoom};
use crate::domain::RoomName;

/// How long the registry may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends a session with a DISCONNECT packet: its client stays away until its user comes back.
pub async fn disconnect(state: web::Data<HttpState>, id: web::Path<String>) -> HttpResponse {
    let Some(listed) = state.services.directory.by_socket_id(&id) else { return not_found().await };
    tracing::warn!(user = %listed.record.life.who, socket = %id, "an operator disconnects a session");
    listed.session.do_send(EndSession);
    HttpResponse::Accepted().json(json!({ "ok": true }))
}

/// Has a room learn anew who is in it; nothing that it has accepted is lost.
pub async fn restart_room(state: web::Data<HttpState>, name: web::Path<String>) -> HttpResponse {
    let Some(room) = RoomName::parse(&name) else { return not_found().await };
    match state.services.registry.send(RestartRoom { room }).timeout(PATIENCE).await {
        Ok(true) => HttpResponse::Accepted().json(json!({ "ok": true })),
        Ok(false) => not_found().await,
        Err(_) => HttpResponse::ServiceUnavailable().json(json!({ "error": "The registry did not answer in time" })),
    }
}

/// As SIGTERM does: the instance empties itself over `DRAIN_SECS`, and ends.
pub async fn drain(state: web::Data<HttpState>) -> HttpResponse {
    tracing::warn!("an operator stops the instance");
    state.stop.notify_one();
    HttpResponse::Accepted().json(json!({ "ok": true }))
}
