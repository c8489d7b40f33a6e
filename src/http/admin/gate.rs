//! Lets operators in: the token as Bearer, or as the password of Basic with any user name. The token is
//! `ADMIN_TOKEN`, or a biscuit that the policy allows it.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HOST, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::access::{AdminAccess, NotAdministrator};
use crate::actors::session::{SessionServices, operator};
use crate::domain::{AuditOutcome, AuditRecord, AuditTarget, Identity};
use crate::http::{HttpState, authorization};
use crate::socket::SocketServer;
use crate::socket::handover::peer_of;
use crate::store::StoreError;

pub async fn admit<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match operator_of(request.request()).await {
        Ok(operator) => request.extensions_mut().insert(operator),
        Err(refusal) => return Ok(request.into_response(refusal).map_into_right_body()),
    };
    let mut answer = next.call(request).await?;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer.map_into_left_body())
}

/// Who was let in.
#[derive(Clone)]
pub struct Operator {
    /// As the audit trail calls them.
    pub name: Arc<str>,
    pub address: Option<IpAddr>,
}

impl Operator {
    /// What an operator does is one line in the log, and in the audit trail.
    pub fn record(&self, services: &SessionServices, action: &'static str, outcome: AuditOutcome, target: AuditTarget) {
        let (actor, address) = (Some(self.name.clone()), self.address);
        services.audit.record(AuditRecord { actor, action, outcome, cause: None, target, session: None, address });
    }
}

async fn operator_of(request: &HttpRequest) -> Result<Operator, HttpResponse> {
    // A browser sends a password that it knows with other pages' requests as well.
    if !is_our_own_page(request) {
        return Err(HttpResponse::Forbidden().json(json!({ "error": "Origin not allowed" })));
    }
    let not_set_up = || HttpResponse::InternalServerError().json(json!({ "error": "Internal error" }));
    let state = request.app_data::<web::Data<HttpState>>().ok_or_else(not_set_up)?;
    let server = request.app_data::<web::Data<SocketServer>>().ok_or_else(not_set_up)?;
    let peer = peer_of(server, request.headers(), request.peer_addr().map(|peer| peer.ip()));
    let token = authorization::bearer_or_password(request);
    let refuse = |refused| {
        note(&state.services, refused, peer);
        answer(refused)
    };
    let by_policy = match token.as_deref() {
        Some(token) => {
            state.admin.may_try(peer).map_err(refuse)?;
            operator(&state.tokens, &state.services, token).await.map_err(|error| cannot_tell(&error))?
        }
        None => None,
    };
    state.admin.check(token.as_deref(), peer, by_policy.is_some()).map_err(refuse)?;
    let name = by_policy.as_ref().map_or(AdminAccess::HOLDER, Identity::label).into();
    Ok(Operator { name, address: peer })
}

/// Nothing is said of the token then, and nothing counted against whoever brought it.
fn cannot_tell(error: &StoreError) -> HttpResponse {
    tracing::warn!(%error, "an operator's token could not be looked at");
    HttpResponse::ServiceUnavailable().json(json!({ "error": "The database did not answer in time" }))
}

fn note(services: &SessionServices, refused: NotAdministrator, address: Option<IpAddr>) {
    services.metrics.admin_refused(refused.cause());
    // Without a token it is a browser that asks whether it needs one.
    if refused != NotAdministrator::Missing {
        tracing::warn!(cause = refused.cause(), peer = address.map(tracing::field::display), "an operator was refused");
        services.audit.record(AuditRecord::admin_refused(refused.cause(), address));
    }
}

fn answer(refused: NotAdministrator) -> HttpResponse {
    match refused {
        NotAdministrator::TooMany { retry_after } => HttpResponse::TooManyRequests()
            .insert_header((RETRY_AFTER, retry_after.as_secs().max(1).to_string()))
            .json(json!({ "error": "Too many attempts" })),
        NotAdministrator::Missing | NotAdministrator::Wrong => HttpResponse::Unauthorized()
            .insert_header((WWW_AUTHENTICATE, "Basic realm=\"expeditor\", charset=\"UTF-8\""))
            .append_header((WWW_AUTHENTICATE, "Bearer realm=\"expeditor\""))
            .json(json!({ "error": "Unauthorized" })),
    }
}

/// Programs send no origin; pages send theirs with whatever could change something.
fn is_our_own_page(request: &HttpRequest) -> bool {
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = request.headers().get(ORIGIN) else { return true };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    authority.zip(text(HOST)).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}
