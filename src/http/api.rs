//! `POST /api/broadcast`: publishes by a backend that holds no socket open.

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::HttpState;
use crate::access::policy;
use crate::actors::messages::{Publish, Published};
use crate::actors::publication::Receipt;
use crate::actors::session::publishing;
use crate::domain::{ErrorCode, Identity, PublishRequest, Refusal};

/// Publishes of one request.
const MAX_PUBLISHES: usize = 1_000;

/// Publishes one `{room | rooms, event, payload, id?, volatile?}`, or an array of them, and
/// answers for each, in order: `{ok, id, offset, durable}` or `{ok: false, error}`.
///
/// 400 where the body is no JSON of that shape, 401 without the backend's secret, 413 where it is too large.
pub async fn broadcast(state: web::Data<HttpState>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let Some(identity) = identify(&state, &request) else {
        return HttpResponse::Unauthorized().json(json!({ "error": "Unauthorized" }));
    };
    if state.draining.load(std::sync::atomic::Ordering::Acquire) {
        return HttpResponse::ServiceUnavailable().json(json!({ "error": "Shutting down" }));
    }
    let body = match body.to_bytes_limited(state.max_payload).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return HttpResponse::BadRequest().json(json!({ "error": "The body did not arrive" })),
        Err(_) => return HttpResponse::PayloadTooLarge().json(json!({ "error": "Payload too large" })),
    };
    match serde_json::from_slice::<&RawValue>(&body) {
        Ok(text) if text.get().starts_with('[') => publish_all(&state, &identity, text).await,
        Ok(text) => HttpResponse::Ok().json(publish(&state, &identity, text.get()).await),
        Err(_) => bad_request("The body is not JSON"),
    }
}

async fn publish_all(state: &HttpState, identity: &Identity, list: &RawValue) -> HttpResponse {
    match serde_json::from_str::<Vec<&RawValue>>(list.get()) {
        Ok(list) if list.len() > MAX_PUBLISHES => bad_request("Too many publishes in one request"),
        // Sent in their order before any is waited for, so they keep it.
        Ok(list) => {
            let answers = join_all(list.into_iter().map(|text| publish(state, identity, text.get()))).await;
            HttpResponse::Ok().json(answers)
        }
        Err(_) => bad_request("The body is not JSON"),
    }
}

fn bad_request(error: &'static str) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({ "error": error }))
}

fn identify(state: &HttpState, request: &HttpRequest) -> Option<Identity> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let token = header.strip_prefix("Bearer ")?;
    state.tokens.is_server_secret(token).then_some(Identity::System)
}

/// What a publisher is told of one publish.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Published {
        ok: bool,
        #[serde(flatten)]
        published: Published,
    },
    Refused {
        ok: bool,
        error: Refusal,
    },
}

async fn publish(state: &HttpState, identity: &Identity, json: &str) -> Answer {
    let request = policy::publish(identity).and_then(|()| PublishRequest::parse(json));
    let outcome = match request {
        Ok(request) => {
            let (append, id) = publishing(&state.services, identity, request);
            let (receipt, outcome) = Receipt::for_caller(id);
            state.services.registry.do_send(Publish { append, receipt });
            outcome.await.unwrap_or(Err(Refusal::new(ErrorCode::Internal, "Failed to broadcast")))
        }
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Ok(published) => Answer::Published { ok: true, published },
        Err(error) => Answer::Refused { ok: false, error },
    }
}
