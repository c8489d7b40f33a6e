//! `POST /api/rights {userId}`: the backend has changed a user's rows, and does not want to wait until
//! that is seen.

use std::time::SystemTime;

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::HttpState;
use crate::access::policy::{Operation, Question};
use crate::actors::messages::ReadRights;
use crate::actors::session::{NotIdentified, identify};
use crate::domain::{ErrorCode, Refusal, UserId};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    user_id: String,
}

/// 200 once the user's sessions have been told; 400, 401, 403, 503.
pub async fn read_again(state: web::Data<HttpState>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    match try_read_again(&state, &request, &body).await {
        Ok(()) => HttpResponse::Ok().json(json!({ "ok": true })),
        Err(None) => HttpResponse::Unauthorized().json(json!({ "error": "Unauthorized" })),
        Err(Some(refusal)) => {
            let mut response = match refusal.code {
                ErrorCode::Forbidden => HttpResponse::Forbidden(),
                ErrorCode::Unavailable => HttpResponse::ServiceUnavailable(),
                _ => HttpResponse::BadRequest(),
            };
            response.json(json!({ "ok": false, "error": refusal }))
        }
    }
}

const UNAVAILABLE: Refusal = Refusal::new(ErrorCode::Unavailable, "The database did not answer");

/// `None` is one who is nobody here.
async fn try_read_again(state: &HttpState, request: &HttpRequest, body: &[u8]) -> Result<(), Option<Refusal>> {
    let services = &state.services;
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or(None)?;
    let (identity, _) = identify(&state.tokens, &services.store, token).await.map_err(|error| match error {
        NotIdentified::Store(error) => {
            tracing::warn!(%error, "the store failed");
            Some(UNAVAILABLE)
        }
        NotIdentified::Token(_) | NotIdentified::User => None,
    })?;
    let question = Question::anywhere(Operation::Rights);
    if services.policy.decide(&identity, &question, SystemTime::now()).is_err() {
        tracing::info!(user = identity.label(), "may not have rights read again");
        return Err(Some(Refusal::forbidden("Not authorized")));
    }
    let body: Body = serde_json::from_slice(body).map_err(|_| Refusal::invalid("userId"))?;
    let user = UserId::parse(&body.user_id).ok_or(Refusal::invalid("userId"))?;
    match services.rights.send(ReadRights { user }).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Some(UNAVAILABLE)),
    }
}
