//! Lets operators in: the token as Bearer, or as the password of Basic with any user name. The token is
//! `ADMIN_TOKEN`, or a biscuit that the policy allows it.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::access::NotAdministrator;
use crate::actors::session::is_operator;
use crate::http::HttpState;
use crate::socket::SocketServer;
use crate::socket::handover::peer_of;

pub async fn admit<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    if let Some(refusal) = refusal(request.request()).await {
        return Ok(request.into_response(refusal).map_into_right_body());
    }
    let mut answer = next.call(request).await?;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer.map_into_left_body())
}

async fn refusal(request: &HttpRequest) -> Option<HttpResponse> {
    // A browser sends a password that it knows with other pages' requests as well.
    if !is_our_own_page(request) {
        return Some(HttpResponse::Forbidden().json(json!({ "error": "Origin not allowed" })));
    }
    let state = request.app_data::<web::Data<HttpState>>()?;
    let server = request.app_data::<web::Data<SocketServer>>()?;
    let peer = peer_of(server, request.headers(), request.peer_addr().map(|peer| peer.ip()));
    let token = token(request);
    let by_policy = match token.as_deref() {
        Some(token) => is_operator(&state.tokens, &state.services, token).await,
        None => false,
    };
    let refused = state.admin.check_either(token.as_deref(), peer, by_policy).err()?;
    state.services.metrics.admin_refused(refused.cause());
    if refused != NotAdministrator::Missing {
        tracing::warn!(cause = refused.cause(), peer = peer.map(tracing::field::display), "an operator was refused");
    }
    Some(match refused {
        NotAdministrator::TooMany { retry_after } => HttpResponse::TooManyRequests()
            .insert_header((RETRY_AFTER, retry_after.as_secs().max(1).to_string()))
            .json(json!({ "error": "Too many attempts" })),
        NotAdministrator::Missing | NotAdministrator::Wrong => HttpResponse::Unauthorized()
            .insert_header((WWW_AUTHENTICATE, "Basic realm=\"expeditor\", charset=\"UTF-8\""))
            .append_header((WWW_AUTHENTICATE, "Bearer realm=\"expeditor\""))
            .json(json!({ "error": "Unauthorized" })),
    })
}

/// Programs send no origin; pages send theirs with whatever could change something.
fn is_our_own_page(request: &HttpRequest) -> bool {
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = request.headers().get(ORIGIN) else { return true };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    authority.zip(text(HOST)).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

fn token(request: &HttpRequest) -> Option<String> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // What cannot be read was shown all the same, and is counted as wrong.
    Some(decoded.and_then(|text| text.split_once(':').map(|(_, password)| password.to_owned())).unwrap_or_default())
}
