//! What the Sequencer and the ClusterBridge tell each other. The bridge knows the Sequencer by its
//! address, the Sequencer the bridge only as a recipient.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use tracing::Span;

use super::logged::Logged;
use crate::domain::{Event, Except, Position, RoomName};
use crate::store::log::StoredEvent;

// ---- from the sequencer to the bridge ----

/// What this instance has stored, as one step of the log: nothing else is between `before` and `last`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stored {
    pub before: Position,
    pub last: Position,
    pub events: Vec<StoredHere>,
}

pub struct StoredHere {
    pub event: Arc<Logged>,
    pub held_as: Option<Arc<str>>,
    /// Whether Node servers have it: it came from one, or went out before it was stored.
    pub on_node: bool,
    /// Ends as it waits to be sent.
    pub span: Span,
}

/// An event that went out here without a place.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WentOut {
    pub event: Arc<Logged>,
    /// By which its stored form is known again; none for what is never stored.
    pub identity: Option<Arc<str>>,
    pub on_node: bool,
    /// Ends as it waits to be sent.
    pub span: Span,
}

/// Where the sequencer tells of what it has sent out.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct BridgeStarted {
    pub stored: Recipient<Stored>,
    pub went_out: Recipient<WentOut>,
}

// ---- from the bridge to the sequencer ----

/// A step of the log that another instance has stored.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Relayed {
    pub before: Position,
    pub last: Position,
    pub events: Vec<StoredEvent>,
    /// Of those that belong to a trace, by position; each ends as its event goes out here.
    pub spans: HashMap<Position, Span>,
}

/// An event without a place that has gone out at another instance.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RelayedLoose {
    pub identity: Option<Arc<str>>,
    pub rooms: Arc<[RoomName]>,
    pub event: Event,
    pub except: Option<Arc<Except>>,
    pub span: Span,
}

/// How far another instance is.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PeerIsAt {
    pub head: Position,
}
