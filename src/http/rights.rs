//! `POST /api/rights {userId}`: the backend has changed a user's rows, and does not want to wait until
//! that is seen.

use std::time::SystemTime;

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::Deserialize;
use serde_json::json;

use super::api::no_body;
use super::{HttpState, bearer};
use crate::access::policy::{Operation, Question};
use crate::actors::cluster_bridge::Announcement;
use crate::actors::messages::ReadRights;
use crate::domain::audit::action;
use crate::domain::{AuditTarget, ErrorCode, Refusal, UserId};
use crate::socket::{SocketServer, body};

/// Bytes; it names one user.
const MAX_BODY: usize = 16 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    user_id: String,
}

/// 200 once the user's sessions have been told; 400, 401, 403, 503.
pub async fn read_again(
    state: web::Data<HttpState>,
    server: web::Data<SocketServer>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let requester = match bearer::identify(&state, &server, &request).await {
        Ok(requester) => requester,
        Err(refused) => return refused,
    };
    let services = &state.services;
    if services.policy.decide(&requester.identity, &Question::anywhere(Operation::Rights), SystemTime::now()).is_err() {
        tracing::info!(user = requester.identity.label(), "may not have rights read again");
        let refusal = Refusal::forbidden("Not authorized");
        requester.record(services, action::RIGHTS, Err(&refusal), AuditTarget::default());
        return refused(HttpResponse::Forbidden(), refusal);
    }
    let body = match body::read(body, MAX_BODY, state.request_patience, &services.metrics).await {
        Ok(body) => serde_json::from_slice(&body).ok(),
        Err(error) => return no_body(&error),
    };
    let Some(user) = body.and_then(|body: Body| UserId::parse(&body.user_id)) else {
        return refused(HttpResponse::BadRequest(), Refusal::invalid("userId"));
    };
    let target = AuditTarget::subject(user.as_str());
    if let Some(cluster) = &services.cluster {
        cluster.announce(Announcement::Rights(user.clone()));
    }
    match services.rights.send(ReadRights { user }).await {
        Ok(Ok(())) => {
            requester.record(services, action::RIGHTS, Ok(()), target);
            HttpResponse::Ok().json(json!({ "ok": true }))
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store failed");
            unavailable()
        }
        Err(_) => unavailable(),
    }
}

fn refused(mut response: HttpResponseBuilder, refusal: Refusal) -> HttpResponse {
    response.json(json!({ "ok": false, "error": refusal }))
}

fn unavailable() -> HttpResponse {
    let refusal = Refusal::new(ErrorCode::Unavailable, "The database did not answer");
    refused(HttpResponse::ServiceUnavailable(), refusal)
}
