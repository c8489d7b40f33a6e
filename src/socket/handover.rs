//! An upgrade request's stream is taken from actix and handed to socketioxide, on the
//! same thread. The websocket's handshake (RFC 6455, section 4.2) is answered here, and
//! socketioxide gets the bare stream: no second HTTP server parses the request again or
//! keeps a buffer for each connection.

use std::net::IpAddr;
use std::sync::Arc;

use actix_codec::Framed;
use actix_http::header::{self, HeaderMap, HeaderName};
use actix_http::{HttpMessage, Method, Request, h1};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::service::Service;
use sha1::{Digest, Sha1};
use tokio::io::AsyncWriteExt;

use super::connection::Connection;
use super::guarded::GuardedStream;
use super::link::Link;
use super::origin::Origins;
use super::peer::client_address;
use super::server::SocketServer;
use super::wire::Wire;
use crate::access::Permit;

/// The websocket protocol's own constant.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a request to upgrade is not carried out; the answer's status and JSON body.
pub(crate) struct NotUpgraded {
    status: &'static str,
    body: &'static str,
}

impl NotUpgraded {
    const NOT_FOUND: Self = Self { status: "404 Not Found", body: r#"{"error":"Not found"}"# };
    const ORIGIN: Self = Self { status: "403 Forbidden", body: r#"{"error":"Origin not allowed"}"# };
    // The bodies of Engine.IO's own errors (engine.io, `Server.errors`).
    const TRANSPORT: Self = Self { status: "400 Bad Request", body: r#"{"code":0,"message":"Transport unknown"}"# };
    const SESSION: Self = Self { status: "400 Bad Request", body: r#"{"code":1,"message":"Session ID unknown"}"# };
    const METHOD: Self = Self { status: "400 Bad Request", body: r#"{"code":2,"message":"Bad handshake method"}"# };
    const REQUEST: Self = Self { status: "400 Bad Request", body: r#"{"code":3,"message":"Bad request"}"# };
    const VERSION: Self =
        Self { status: "400 Bad Request", body: r#"{"code":5,"message":"Unsupported protocol version"}"# };
    const CROWDED: Self = Self { status: "503 Service Unavailable", body: r#"{"error":"Too many connections"}"# };
    const DRAINING: Self = Self { status: "503 Service Unavailable", body: r#"{"error":"Shutting down"}"# };
}

/// What of a valid request matters from here on.
struct Handshake {
    accept: String,
    begin: Begin,
}

/// A new session begins, or one that polls goes on.
enum Begin {
    New { peer: Option<IpAddr>, place: Permit<IpAddr> },
    Upgrade(Arc<Link>),
}

/// Answers the request and hands its stream over.
pub async fn hand_over(server: &SocketServer, request: Request, framed: Framed<GuardedStream, h1::Codec>) {
    let parts = framed.into_parts();
    match begin(server, &request) {
        // Copied, though nearly always empty: a slice would keep the request's whole 8 KiB buffer for the connection's life.
        Ok(handshake) => upgrade(server, &request, handshake, parts.io, Bytes::copy_from_slice(&parts.read_buf)),
        Err(refusal) => refuse(parts.io, &refusal).await,
    }
}

fn begin(server: &SocketServer, request: &Request) -> Result<Handshake, NotUpgraded> {
    let Head { accept, session } = read_head(request, &server.origins, server.is_draining())?;
    let begin = match session {
        None => {
            let peer = peer_of(server, request.headers(), request.peer_addr().map(|peer| peer.ip()));
            Begin::New { peer, place: server.sessions_of(peer).map_err(|_| NotUpgraded::CROWDED)? }
        }
        Some(sid) => {
            let link = server.links.find(&sid).ok_or(NotUpgraded::SESSION)?;
            // A session has one websocket; a second would take the first one's place and then be refused.
            if link.upgraded().is_some() {
                return Err(NotUpgraded::REQUEST);
            }
            Begin::Upgrade(link)
        }
    };
    Ok(Handshake { accept, begin })
}

/// What a request to open a websocket says.
pub(crate) struct Head {
    /// What shows the client that it was understood (RFC 6455, 4.2.2).
    pub accept: String,
    /// The polling session that is to become a websocket.
    pub session: Option<String>,
}

pub(crate) fn read_head(request: &Request, origins: &Origins, draining: bool) -> Result<Head, NotUpgraded> {
    if !matches!(request.path(), "/socket.io/" | "/socket.io") {
        return Err(NotUpgraded::NOT_FOUND);
    }
    if draining {
        return Err(NotUpgraded::DRAINING);
    }
    let headers = request.headers();
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if !origins.may_open(text(header::ORIGIN), text(header::HOST)) {
        return Err(NotUpgraded::ORIGIN);
    }
    let parameter = |name: &str| query_parameter(request.uri().query().unwrap_or_default(), name);
    if parameter("transport") != Some("websocket") {
        return Err(NotUpgraded::TRANSPORT);
    }
    if parameter("EIO") != Some("4") {
        return Err(NotUpgraded::VERSION);
    }
    if request.method() != Method::GET {
        return Err(NotUpgraded::METHOD);
    }
    let is_websocket = text(header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        && text(header::SEC_WEBSOCKET_VERSION) == Some("13");
    let key = text(header::SEC_WEBSOCKET_KEY).filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16));
    let (true, Some(key)) = (is_websocket, key) else { return Err(NotUpgraded::REQUEST) };
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize());
    Ok(Head { accept, session: parameter("sid").map(str::to_owned) })
}

/// The value of a parameter of a query string. Engine.IO's own need no decoding.
pub fn query_parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn upgrade(server: &SocketServer, request: &Request, handshake: Handshake, stream: GuardedStream, first: Bytes) {
    let (stream, place) = stream.into_parts();
    let slow = server.services.metrics.slow_sessions.clone();
    let connection = Arc::new(Connection::new(stream, place, server.config.max_outbox, server.backlog.clone(), slow));
    connection.push_raw(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {}\r\n\r\n",
            handshake.accept
        )
        .as_bytes(),
    );
    let link = match handshake.begin {
        Begin::Upgrade(link) => {
            link.upgrade(connection.clone());
            server.handshakes.expect_upgrade(&link);
            link
        }
        Begin::New { peer, place } => {
            let link = Arc::new(Link::over_websocket(peer, place, connection.clone()));
            server.handshakes.expect_session(&link);
            link
        }
    };
    // A fresh request: the old one's header values would keep its whole read buffer alive.
    let mut fresh = http::Request::new(());
    if let Ok(uri) = request.uri().to_string().parse() {
        *fresh.uri_mut() = uri;
    }
    fresh.extensions_mut().insert(link.clone());
    let wire = Wire::new(connection.clone(), link, first);
    connection.write();
    if let Err(error) = Service::call(&server.service, (wire, fresh)).into_inner() {
        tracing::debug!(%error, "a websocket was refused after its handshake");
    }
}

/// The client's address behind the proxies that are trusted.
pub fn peer_of(server: &SocketServer, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
    let forwarded: Vec<&str> =
        headers.get_all(HeaderName::from_static("x-forwarded-for")).filter_map(|value| value.to_str().ok()).collect();
    client_address(peer, &forwarded, &server.trusted_proxies)
}

async fn refuse(mut stream: GuardedStream, refusal: &NotUpgraded) {
    let NotUpgraded { status, body } = refusal;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // A peer that has gone needs no answer.
    stream.write_all(answer.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}
