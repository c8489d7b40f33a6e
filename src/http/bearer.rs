//! Who makes a request of a backend: `Authorization: Bearer`, with the backend's secret or a biscuit.

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::{HttpState, authorization};
use crate::actors::session::{NotIdentified, identify as identify_token};
use crate::domain::audit::action;
use crate::domain::{AuditOutcome, AuditRecord, AuditTarget, Identity};

/// # Errors
/// The answer: 401 to one who is nobody here, 503 where that cannot be told now.
pub async fn identify(state: &HttpState, request: &HttpRequest) -> Result<Identity, HttpResponse> {
    let unauthorized = || HttpResponse::Unauthorized().json(json!({ "error": "Unauthorized" }));
    let refuse = |cause: &'static str| {
        tracing::info!(cause, path = request.path(), "a request was refused");
        // As a connection is; who the token is said to be of, anyone may write into it.
        state.services.audit.record(AuditRecord {
            actor: None,
            action: action::REQUEST,
            outcome: AuditOutcome::Refused,
            cause: Some(cause),
            target: AuditTarget::default(),
            session: None,
            address: request.peer_addr().map(|peer| peer.ip()),
        });
        unauthorized()
    };
    let token = authorization::bearer(request).ok_or_else(unauthorized)?;
    let identified = identify_token(&state.tokens, &state.services.store, token).await;
    match identified {
        Err(NotIdentified::Store(error)) => {
            tracing::warn!(%error, "a request was not answered");
            Err(HttpResponse::ServiceUnavailable().json(json!({ "error": "The database did not answer" })))
        }
        Err(NotIdentified::Token(refusal)) => Err(refuse(refusal.cause())),
        // A user's token is for a user's client.
        Ok((Identity::User(_), _)) | Err(NotIdentified::User) => Err(refuse("user")),
        Ok((identity, _)) => Ok(identity),
    }
}
