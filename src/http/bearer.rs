//! Who makes a request: `Authorization: Bearer`, with a token of any kind.

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::HttpState;
use crate::actors::session::{NotIdentified, identify as identify_token};
use crate::domain::Identity;

/// # Errors
/// The answer: 401 to one who is nobody here, 503 where that cannot be told now.
pub async fn identify(state: &HttpState, request: &HttpRequest) -> Result<Identity, HttpResponse> {
    let unauthorized = || HttpResponse::Unauthorized().json(json!({ "error": "Unauthorized" }));
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(unauthorized)?;
    let identified = identify_token(&state.tokens, &state.services.store, token).await;
    identified.map(|(identity, _)| identity).map_err(|error| match error {
        NotIdentified::Store(error) => {
            tracing::warn!(%error, "a request was not answered");
            HttpResponse::ServiceUnavailable().json(json!({ "error": "The database did not answer" }))
        }
        NotIdentified::Token(refusal) => {
            tracing::info!(cause = refusal.cause(), path = request.path(), "a request was refused");
            unauthorized()
        }
        NotIdentified::User => {
            tracing::info!(cause = "user", path = request.path(), "a request was refused");
            unauthorized()
        }
    })
}
