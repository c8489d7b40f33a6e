//! `POST /api/broadcast`: publishes by a backend that holds no socket open.

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::bearer::Requester;
use super::{HttpState, bearer};
use crate::access::Decisions;
use crate::actors::messages::{Publish, Published};
use crate::actors::publication::Receipt;
use crate::actors::session::{publishing, read_publish};
use crate::domain::{AuditTarget, ErrorCode, Refusal};
use crate::socket::SocketServer;
use crate::socket::body::{self, BodyError};
use crate::telemetry::spans::{self, Caller};

/// Publishes of one request.
const MAX_PUBLISHES: usize = 1_000;

/// Publishes one `{room | rooms, event, payload, id?, volatile?}`, or an array of them, and
/// answers for each, in order: `{ok, id, offset, durable}` or `{ok: false, error}`.
///
/// 400 where the body is no JSON of that shape, 401 without a token that holds, 413 where it is too large.
pub async fn broadcast(
    state: web::Data<HttpState>,
    server: web::Data<SocketServer>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let requester = match bearer::identify(&state, &server, &request).await {
        Ok(requester) => requester,
        Err(refused) => return refused,
    };
    let decisions = Decisions::new(state.services.policy.clone());
    let caller = Caller { traceparent: header(&request, "traceparent"), tracestate: header(&request, "tracestate") };
    let publisher = Publisher { state: &state, requester, caller, decisions };
    if state.draining.load(std::sync::atomic::Ordering::Acquire) {
        return HttpResponse::ServiceUnavailable().json(json!({ "error": "Shutting down" }));
    }
    let body = match body::read(body, state.max_payload, state.request_patience, &state.services.metrics).await {
        Ok(body) => body,
        Err(error) => return no_body(&error),
    };
    match read_body(&body) {
        Ok(Publishes::One(text)) => HttpResponse::Ok().json(publisher.publish(text.get()).await),
        Ok(Publishes::Many(list)) => publisher.publish_all(&list).await,
        Err(fault) => bad_request(fault),
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// What a request's body holds; each publish is read when its turn comes.
pub(crate) enum Publishes<'a> {
    One(&'a RawValue),
    Many(Vec<&'a RawValue>),
}

pub(crate) fn read_body(body: &[u8]) -> Result<Publishes<'_>, &'static str> {
    const NO_JSON: &str = "The body is not JSON";
    let whole: &RawValue = serde_json::from_slice(body).map_err(|_| NO_JSON)?;
    if !whole.get().starts_with('[') {
        return Ok(Publishes::One(whole));
    }
    let list: Vec<&RawValue> = serde_json::from_str(whole.get()).map_err(|_| NO_JSON)?;
    if list.len() > MAX_PUBLISHES {
        return Err("Too many publishes in one request");
    }
    Ok(Publishes::Many(list))
}

/// The answer to a request whose body is not there.
pub fn no_body(error: &BodyError) -> HttpResponse {
    let (mut answer, text) = match error {
        BodyError::TooLarge => (HttpResponse::PayloadTooLarge(), "Payload too large"),
        BodyError::Incomplete => (HttpResponse::BadRequest(), "The body did not arrive"),
        BodyError::TooSlow => (HttpResponse::RequestTimeout(), "The body took too long"),
    };
    answer.json(json!({ "error": text }))
}

fn bad_request(error: &'static str) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({ "error": error }))
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

impl Answer {
    fn of(outcome: Result<Published, Refusal>) -> Self {
        match outcome {
            Ok(published) => Self::Published { ok: true, published },
            Err(error) => Self::Refused { ok: false, error },
        }
    }
}

/// Who publishes, for the length of one request.
struct Publisher<'a> {
    state: &'a HttpState,
    requester: Requester,
    /// The span that the request is part of, where it says so.
    caller: Caller<'a>,
    decisions: Decisions,
}

/// A publish on its way.
type Outcome = oneshot::Receiver<Result<Published, Refusal>>;

impl Publisher<'_> {
    async fn publish_all(&self, list: &[&RawValue]) -> HttpResponse {
        // All are sent, one after the other, before any is waited for: they keep their order.
        let mut sent = Vec::with_capacity(list.len());
        for text in list {
            sent.push(self.send(text.get()).await);
        }
        HttpResponse::Ok().json(join_all(sent.into_iter().map(settle)).await)
    }

    async fn publish(&self, json: &str) -> Answer {
        settle(self.send(json).await).await
    }

    async fn send(&self, json: &str) -> Result<Outcome, Refusal> {
        let services = &self.state.services;
        let span = spans::publish("http");
        spans::continue_from(&span, self.caller);
        let request = read_publish(&services.store, &self.decisions, &self.requester.identity, json).await;
        let request = request.inspect_err(|refusal| {
            spans::answered(&span, Err(refusal));
            self.audit(Err(refusal), AuditTarget::default());
        })?;
        let (append, id) = publishing(services, &self.requester.identity, request);
        spans::describe(&span, &id, append.event.name(), append.rooms.len());
        let (receipt, outcome) = Receipt::for_caller(id);
        let rooms = append.rooms.clone();
        services.registry.do_send(Publish { append, receipt: receipt.within(span) });
        rooms.iter().for_each(|room| self.audit(Ok(()), AuditTarget::room(room)));
        Ok(outcome)
    }

    fn audit(&self, outcome: Result<(), &Refusal>, target: AuditTarget) {
        self.requester.record(&self.state.services, "broadcast", outcome, target);
    }
}

async fn settle(sent: Result<Outcome, Refusal>) -> Answer {
    match sent {
        Ok(outcome) => {
            Answer::of(outcome.await.unwrap_or(Err(Refusal::new(ErrorCode::Internal, "Failed to broadcast"))))
        }
        Err(refusal) => Answer::of(Err(refusal)),
    }
}
