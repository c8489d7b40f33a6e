//! Polling requests: from actix to socketioxide and back.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::poll_fn;
use http_body_util::{BodyExt, Full};
use hyper::service::Service;
use serde::Deserialize;
use tokio::task::unconstrained;

use super::body::{self, BodyError};
use super::handover::{peer_of, query_parameter};
use super::link::{Link, SEPARATOR};
use super::server::SocketServer;

/// Engine.IO's close packet.
const CLOSE: &str = "1";

/// An answer of socketioxide, read whole.
struct Answer {
    status: StatusCode,
    content_type: Option<String>,
    body: Bytes,
}

/// Serves `GET` and `POST` on `/socket.io/`.
pub async fn serve(server: web::Data<SocketServer>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(sid) = query_parameter(request.query_string(), "sid") else {
        return open(&server, &request).await;
    };
    let link = server.links.find(sid);
    if let Some(link) = link.as_ref().filter(|link| link.is_killed()) {
        return end(&server, &request, link).await;
    }
    if request.method() == actix_web::http::Method::POST {
        post(&server, &request, payload, link).await
    } else {
        get(&server, &request, link).await
    }
}

async fn open(server: &SocketServer, request: &HttpRequest) -> HttpResponse {
    if server.is_draining() {
        return HttpResponse::ServiceUnavailable().json(serde_json::json!({ "error": "Shutting down" }));
    }
    let peer = peer_of(server, request.headers(), request.peer_addr().map(|peer| peer.ip()));
    let Ok(place) = server.sessions_of(peer) else {
        return HttpResponse::ServiceUnavailable().json(serde_json::json!({ "error": "Too many connections" }));
    };
    let link = Arc::new(Link::new(peer, place));
    let answer = ask(server, request, Bytes::new(), Some(link.clone())).await;
    if let Some(sid) = opened_session(&answer) {
        server.links.list(&sid, &link);
        server.handshakes.expect_session(&link);
    }
    answer.into_response()
}

/// The session id of an OPEN packet, `0{"sid":…}`.
fn opened_session(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Open {
        sid: String,
    }
    let json = answer.body.strip_prefix(b"0").filter(|_| answer.status.is_success())?;
    serde_json::from_slice::<Open>(json).ok().map(|open| open.sid)
}

async fn get(server: &SocketServer, request: &HttpRequest, link: Option<Arc<Link>>) -> HttpResponse {
    let Some(link) = link else {
        return ask(server, request, Bytes::new(), None).await.into_response();
    };
    let mut answering = Box::pin(ask(server, request, Bytes::new(), Some(link.clone())));
    let answer = tokio::select! {
        // First: what is queued behind a closing must not leave as if nothing were.
        biased;
        () = link.closing.notified() => None,
        answer = &mut answering => Some(answer),
    };
    match answer {
        Some(answer) => {
            link.ordinary_left(answer.body.len());
            link.tally_body(&answer.body);
            Answer { body: link.with_pid(answer.body), ..answer }.into_response()
        }
        None if link.is_killed() => {
            drop(answering);
            end(server, request, &link).await
        }
        None => {
            let mut body = what_is_left(server, request, &link, answering);
            if body.is_empty() {
                close_engine(server, request).await;
                CLOSE.clone_into(&mut body);
            } else {
                // Not together with the close: the stock client would keep these packets back until it is connected again.
                link.closing.notify_one();
            }
            HttpResponse::Ok().content_type("text/plain; charset=UTF-8").body(body)
        }
    }
}

/// All that is queued for a client.
fn what_is_left(
    server: &SocketServer,
    request: &HttpRequest,
    link: &Arc<Link>,
    answering: impl Future<Output = Answer>,
) -> String {
    let mut packets = String::new();
    // Unconstrained: tokio would have a task rest after 128 packets, and the queue would look empty.
    let mut next = unconstrained(answering).now_or_never();
    while let Some(answer) = next.filter(|answer| answer.status.is_success() && !answer.body.is_empty()) {
        if !packets.is_empty() {
            packets.push_str(SEPARATOR);
        }
        link.tally_body(&answer.body);
        packets.push_str(&String::from_utf8_lossy(&link.with_pid(answer.body)));
        next = unconstrained(ask(server, request, Bytes::new(), Some(link.clone()))).now_or_never();
    }
    packets
}

async fn post(
    server: &SocketServer,
    request: &HttpRequest,
    payload: web::Payload,
    link: Option<Arc<Link>>,
) -> HttpResponse {
    let limit = server.config.max_payload * 2;
    let body = match body::read(payload, limit, server.request_patience, &server.services.metrics).await {
        // A body without a packet is none of the protocol's either.
        Ok(body) if !body.is_empty() => body,
        Err(BodyError::TooLarge) => {
            close_engine(server, request).await;
            return HttpResponse::PayloadTooLarge().json(serde_json::json!({ "error": "Payload too large" }));
        }
        _ => {
            close_engine(server, request).await;
            return HttpResponse::BadRequest().json(serde_json::json!({ "error": "No body arrived" }));
        }
    };
    let answer = ask(server, request, body, link.clone()).await;
    if let Some(link) = link {
        // The client sends its next request after this answer, so it waits as a websocket would.
        poll_fn(|context| link.ingress.poll_open(context)).await;
    }
    answer.into_response()
}

/// Ends a session whose transport was closed from this side: the client comes back with a new one.
async fn end(server: &SocketServer, request: &HttpRequest, link: &Link) -> HttpResponse {
    close_engine(server, request).await;
    tracing::debug!(peer = link.peer.map(tracing::field::display), "a polling transport was closed");
    HttpResponse::ServiceUnavailable().json(serde_json::json!({ "error": "Try again" }))
}

/// Tells socketioxide that the session is over, as its client would.
async fn close_engine(server: &SocketServer, request: &HttpRequest) {
    let mut close = http::Request::new(Full::new(Bytes::from_static(CLOSE.as_bytes())));
    *close.method_mut() = http::Method::POST;
    if let Ok(uri) = request.uri().to_string().parse() {
        *close.uri_mut() = uri;
    }
    let Ok(_) = Service::call(&server.service, close).await;
}

async fn ask(server: &SocketServer, request: &HttpRequest, body: Bytes, link: Option<Arc<Link>>) -> Answer {
    let (asked, counted) = (body.len(), link.clone());
    let mut question = http::Request::new(Full::new(body));
    if let Ok(method) = request.method().as_str().parse() {
        *question.method_mut() = method;
    }
    if let Ok(uri) = request.uri().to_string().parse() {
        *question.uri_mut() = uri;
    }
    if let Some(content_type) = request.headers().get("content-type")
        && let Ok(content_type) = http::HeaderValue::from_bytes(content_type.as_bytes())
    {
        question.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    }
    if let Some(link) = link {
        question.extensions_mut().insert(link);
    }
    let Ok(answer) = Service::call(&server.service, question).await;
    let (parts, body) = answer.into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    if let Some(link) = counted {
        link.polled(asked, body.len());
    }
    let content_type =
        parts.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Answer {
        status: StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        content_type,
        body,
    }
}

impl Answer {
    fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(content_type) = self.content_type {
            response.content_type(content_type);
        }
        response.insert_header(("cache-control", "no-store")).body(self.body)
    }
}
