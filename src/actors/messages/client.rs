//! From the socket to a session.

use std::time::Instant;

use actix::prelude::*;
use serde_json::value::RawValue;

use crate::actors::ingress::IngressSlot;

/// One event of the client.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ClientEvent {
    pub name: Box<str>,
    /// The event's arguments as they came.
    pub payload: EventPayload,
    pub ack: Option<i64>,
    pub received: Instant,
    pub slot: IngressSlot,
}

/// What came with an event.
pub enum EventPayload {
    /// The first argument, if there is one.
    Json(Option<Box<RawValue>>),
    Binary,
    TooLarge,
}

/// The client's session is over.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Closed {
    pub reason: &'static str,
}

/// Its client came back on another connection, where its session goes on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Replaced;

/// The instance stops: close the transport, so that the client goes elsewhere.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;
