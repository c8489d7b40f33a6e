//! What the targets in `fuzz/` reach: the parsers of outside input, as the service calls them, each with
//! what has to hold of what it lets through. No part of the service calls it.

use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use actix_codec::Decoder;
use actix_http::{HttpMessage, ServiceConfig, h1};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use biscuit_auth::format::SerializedBiscuit;
use biscuit_auth::{Biscuit, BlockBuilder, KeyPair};
use bytes::BytesMut;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::value::RawValue;
use socketioxide_core::Value;

use crate::access::policy::{Operation, Place, Question};
use crate::access::{Claim, Pids, Policy, Tokens};
use crate::actors::cluster_bridge::{incoming, intake as node_events};
use crate::actors::messages::EventPayload;
use crate::bus::Garbage;
use crate::bus::adapter::{self, NodeEvent, Request};
use crate::bus::relay::{self, Control, HEAD, LogFrame, LooseEvent, Seal};
use crate::config::AuthConfig;
use crate::domain::{
    Bearer, Command, EventName, Except, Identity, LogId, Offset, PublishRequest, RoomName, UserFacts, UserId,
    names_a_key,
};
use crate::http::admin::gate::token_in;
use crate::http::api::{Publishes, read_body};
use crate::socket::origin::Origins;
use crate::socket::peer::client_address;
use crate::socket::{handover, intake};

const USER_SECRET: &str = "the-fuzzers-user-secret-of-32-bytes-or-more";
const SERVER_SECRET: &str = "the-fuzzers-server-secret-of-32-bytes-or-more";
const DISPLAY: &str = r#"device("pass"); staff("cvenuebistro00000000000001", "CHEF")"#;
const MAX_PAYLOAD: usize = 4_096;

static SEAL: LazyLock<Seal> = LazyLock::new(|| Seal::new(LogId(7), b"the-fuzzers-log"));
static KEYS: LazyLock<KeyPair> = LazyLock::new(KeyPair::new);
static NEXT: LazyLock<KeyPair> = LazyLock::new(KeyPair::new);
static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::load(None).expect("the built-in policy holds"));
static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    Tokens::new(&AuthConfig {
        user_secret: Some(USER_SECRET.into()),
        server_secret: Some(SERVER_SECRET.into()),
        biscuit_keys: KEYS.public().to_bytes_hex().parse().expect("a key's own text is a key"),
        ..AuthConfig::default()
    })
});

/// A request's head, as it comes before it is handed over.
pub fn head(bytes: &[u8]) {
    thread_local! {
        /// One for a worker's life, as in the service: actix-http keeps its clock in a task of it.
        static CONFIG: (actix_rt::SystemRunner, ServiceConfig) = {
            let system = actix_rt::System::new();
            let config = system.block_on(async { ServiceConfig::default() });
            (system, config)
        };
    }
    let request = CONFIG.with(|(system, config)| {
        system.block_on(async { h1::Codec::new(config.clone()).decode(&mut BytesMut::from(bytes)) })
    });
    let Ok(Some(h1::Message::Item(request))) = request else { return };
    let origins = Origins::new(vec!["https://pos.example.com".to_owned()]);
    let forwarded: Vec<&str> =
        request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect();
    let peer = "10.0.0.1".parse().ok();
    assert_eq!(client_address(peer, &forwarded, &[]), peer, "nobody is trusted");
    if let Ok(head) = handover::read_head(&request, &origins, false) {
        assert!(head.accept.len() == 28 && request.method() == actix_http::Method::GET);
        // An answer is built from it.
        assert!(head.accept.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

/// An event as the Socket.IO parser gives it, from its arguments' text on.
pub fn event(value: &Value) {
    let Some((name, payload)) = intake::read(value, Some(7), MAX_PAYLOAD) else { return };
    if let EventPayload::Json(payload) = payload {
        command(&name, payload.as_deref());
    }
}

fn command(name: &str, payload: Option<&RawValue>) {
    let Ok(command) = Command::parse(name, payload) else { return };
    assert!(Command::known_event(name).is_some(), "{name} is understood and unknown");
    match command {
        Command::Join { room, .. } | Command::Leave(room) => assert_eq!(RoomName::parse(room.as_str()), Some(room)),
        Command::Publish(request) => publish(&request),
        Command::UpdateStatus { .. } | Command::Bump { .. } | Command::ReadNotification { .. } => {}
    }
}

fn publish(request: &PublishRequest) {
    assert!((1..=64).contains(&request.rooms.len()));
    assert!(request.rooms.iter().enumerate().all(|(index, room)| !request.rooms[..index].contains(room)));
    assert!(!request.event.as_str().is_empty() && serde_json::from_str::<&RawValue>(request.payload.get()).is_ok());
    assert!(request.rooms.iter().all(|room| RoomName::parse(room.as_str()).as_ref() == Some(room)));
}

/// The body of `POST /api/broadcast`.
pub fn publish_body(bytes: &[u8]) {
    let publishes = match read_body(bytes) {
        Ok(Publishes::One(one)) => vec![one],
        Ok(Publishes::Many(list)) => list,
        Err(_) => return,
    };
    publishes
        .into_iter()
        .filter_map(|text| PublishRequest::parse(text.get()).ok())
        .for_each(|request| publish(&request));
}

/// An offset that a client shows.
pub fn offset(text: &str) {
    let Some(offset) = Offset::parse(text) else { return };
    let shown = offset.to_string();
    assert_eq!(Offset::parse(&shown), Some(offset), "{text:?} {shown:?}");
}

/// A `pid` that a client shows.
pub fn pid(text: &str) {
    let user = |id: &str| UserId::parse(id).map(|id| Identity::User(Arc::new(UserFacts { id, staff: vec![] })));
    let (pids, Some(chef)) = (Pids::new(&[7; 32]), user("chef")) else { return };
    if let Some(key) = pids.verify(text, &chef) {
        assert_eq!(pids.show(&key, &chef), text);
        assert_eq!(pids.verify(text, &Identity::System), None);
    }
}

/// A token as it is, and as the claims of one whose signature holds.
pub fn token(text: &str) {
    if let Ok(Claim::Backend) = TOKENS.verify(text) {
        assert_eq!(text, SERVER_SECRET);
    }
    token_in(text);
    let Ok(claims) = serde_json::from_str::<serde_json::Value>(text) else { return };
    let key = EncodingKey::from_secret(USER_SECRET.as_bytes());
    let Ok(signed) = jsonwebtoken::encode(&Header::default(), &claims, &key) else { return };
    if let Ok(Claim::User { id, expires_at }) = TOKENS.verify(&signed) {
        assert!(!id.as_str().is_empty() && expires_at.is_none_or(|end| end > SystemTime::now()));
    }
}

/// A biscuit whose first block is the text up to an empty line, and which has been narrowed by what follows.
pub fn biscuit(text: &str) {
    // The commands and the policy take none either: the library panics over one that is no key.
    if names_a_key(text) {
        return;
    }
    let mut blocks = text.split("\n\n");
    let Ok(first) = Biscuit::builder().code(blocks.next().unwrap_or_default()) else { return };
    let Ok(mut token) = first.build(&KEYS) else { return };
    for code in blocks.take(20) {
        let Ok(block) = BlockBuilder::new().code(code) else { return };
        let Ok(narrower) = token.append(block) else { return };
        token = narrower;
    }
    let Ok(text) = token.to_base64() else { return };
    decide(&text);
}

/// The bytes of a block that a holder appends without any of our commands, with a signature that holds.
pub fn block(bytes: &[u8]) {
    let Ok(token) = Biscuit::builder().code(DISPLAY).and_then(|builder| builder.build(&KEYS)) else { return };
    let whole = token.to_vec().ok().and_then(|bytes| SerializedBiscuit::from_slice(&bytes, KEYS.public()).ok());
    let narrowed = whole.and_then(|whole| whole.append_serialized(&NEXT, bytes.to_vec(), None).ok());
    if let Some(bytes) = narrowed.and_then(|narrowed| narrowed.to_vec().ok()) {
        decide(&URL_SAFE.encode(bytes));
    }
}

fn decide(token: &str) {
    let Ok(Claim::Bearer(warrant)) = TOKENS.verify(token) else { return };
    let identity = Identity::Bearer(Bearer { warrant, user: None });
    let Some(room) = RoomName::parse("kitchen:cvenuebistro00000000000001") else { return };
    for question in [
        Question::enter(&room, Place::named(&room)),
        Question::publish(&room, Place::named(&room)),
        Question::anywhere(Operation::Admin),
    ] {
        // Whatever it answers: it does, and soon.
        POLICY.decide(&identity, &question, SystemTime::now()).ok();
    }
}

/// A frame of our own, on the channel that its first byte names: as it is, and with its body sealed as by a peer.
pub fn frame(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    let channel = match kind {
        b'l' => relay::LOG,
        b'u' => relay::UNPLACED,
        b'v' => relay::VOLATILE,
        _ => relay::CONTROL,
    };
    let unsealed = SEAL.open::<Control<'_>>(channel, body);
    assert!(unsealed.is_err_and(|garbage| garbage != Garbage::TooLarge), "without the key");
    let sealed = SEAL.stamp(channel, [&[0; HEAD], body].concat()).expect("it is small");
    match channel {
        relay::LOG => {
            let read = SEAL.open_traced::<LogFrame<'_>>(channel, &sealed);
            if let Ok(taken) = read.and_then(|(frame, traces)| incoming::batch(frame, &traces)) {
                assert!(taken.spans.len() <= taken.events.len());
                let positions = || taken.events.iter().map(|event| event.position);
                assert!(taken.before < taken.last && positions().is_sorted_by(|one, next| one < next));
                assert!(positions().all(|position| taken.before < position && position <= taken.last));
                taken.events.iter().for_each(|event| relayed(&event.name, &event.payload));
            }
        }
        relay::CONTROL => drop(SEAL.open::<Control<'_>>(channel, &sealed)),
        _ => {
            let read = SEAL.open_traced::<LooseEvent<'_>>(channel, &sealed);
            if let Ok(taken) = read.and_then(|(event, traces)| incoming::loose(channel, event, &traces)) {
                assert_eq!(taken.identity.is_some(), channel == relay::UNPLACED);
                assert!(taken.except.is_none_or(|except| (1..=Except::MAX).contains(&except.len())));
                relayed(taken.event.name(), taken.event.payload());
            }
        }
    }
}

/// Clients get these two as they are.
fn relayed(name: &str, payload: &str) {
    assert!(EventName::parse(name).is_some(), "{name:?}");
    assert!(serde_json::from_str::<&RawValue>(payload).is_ok(), "{payload:?}");
}

/// What a Node server or an emitter publishes, or asks of its peers.
pub fn from_node(bytes: &[u8]) {
    if let Ok(Some(event)) = adapter::read_event(bytes, MAX_PAYLOAD) {
        written_again(&event);
        node_event(event);
    }
    if let Ok(Some(Request::Broadcast { event: Ok(event), .. })) = adapter::read_request(bytes, MAX_PAYLOAD) {
        node_event(event);
    }
}

/// What was read can be written, to the channel that its rooms have, and is read again; but not where it is ours.
fn written_again(event: &NodeEvent) {
    let rooms: Vec<&str> = event.rooms.iter().map(String::as_str).collect();
    let write = |uid: &str| adapter::event(uid, &event.name, event.payload.get(), &rooms, event.volatile);
    let (channel, bytes) = write("node").expect("it is no deeper than what was read");
    match rooms[..] {
        [room] => assert_eq!(channel.strip_prefix(adapter::EVENTS), Some(&*format!("{room}#"))),
        _ => assert_eq!(channel, adapter::EVENTS),
    }
    // Numbers may have come out longer.
    let again = adapter::read_event(&bytes, MAX_PAYLOAD * 8).expect("it is an event").expect("it is another's");
    assert_eq!((&again.rooms, &again.name, again.volatile), (&event.rooms, &event.name, event.volatile));
    let own = write(&adapter::uid(7)).and_then(|(_, bytes)| adapter::read_event(&bytes, MAX_PAYLOAD).ok());
    assert!(own.is_some_and(|event| event.is_none()), "it is known as ours");
}

fn node_event(event: NodeEvent) {
    assert!(event.payload.get().len() <= MAX_PAYLOAD);
    let Ok(append) = node_events::read(event) else { return };
    assert!((1..=64).contains(&append.rooms.len()));
    assert!(append.rooms.iter().enumerate().all(|(index, room)| !append.rooms[..index].contains(room)));
    assert!(!append.kept || append.except.is_none(), "the log does not know for whom");
    assert!(append.except.is_none_or(|except| (1..=Except::MAX).contains(&except.len())));
    relayed(append.event.name(), append.event.payload());
}

#[cfg(test)]
mod tests;
