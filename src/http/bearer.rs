//! Who makes a request of a backend: `Authorization: Bearer`, with the backend's secret or a biscuit.

use std::net::IpAddr;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::{HttpState, authorization};
use crate::actors::session::{NotIdentified, SessionServices, identify as identify_token};
use crate::domain::audit::action;
use crate::domain::{AuditOutcome, AuditRecord, AuditTarget, Identity, Refusal};
use crate::socket::SocketServer;
use crate::socket::handover::peer_of;

/// Who makes a request, and from where.
pub struct Requester {
    pub identity: Identity,
    pub address: Option<IpAddr>,
}

impl Requester {
    pub fn record(
        &self,
        services: &SessionServices,
        action: &'static str,
        outcome: Result<(), &Refusal>,
        target: AuditTarget,
    ) {
        services.audit_request(action, &self.identity, self.address, outcome, target);
    }
}

/// # Errors
/// The answer: 401 to one who is nobody here, 503 where that cannot be told now.
pub async fn identify(
    state: &HttpState,
    server: &SocketServer,
    request: &HttpRequest,
) -> Result<Requester, HttpResponse> {
    let address = peer_of(server, request.headers(), request.peer_addr().map(|peer| peer.ip()));
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
            address,
        });
        HttpResponse::Unauthorized().json(json!({ "error": "Unauthorized" }))
    };
    let token = authorization::bearer(request).ok_or_else(|| refuse("missing"))?;
    let identified = identify_token(&state.tokens, &state.services.store, token).await;
    match identified {
        Err(NotIdentified::Store(error)) => {
            tracing::warn!(%error, "a request was not answered");
            Err(HttpResponse::ServiceUnavailable().json(json!({ "error": "The database did not answer" })))
        }
        Err(NotIdentified::Token(refusal)) => Err(refuse(refusal.cause())),
        // A user's token is for a user's client.
        Ok((Identity::User(_), _)) | Err(NotIdentified::User) => Err(refuse("user")),
        Ok((identity, _)) => Ok(Requester { identity, address }),
    }
}
