//! How what is known of actors is written.

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::actors::insight::{Census, Life, SessionRecord, Vitals};
use crate::actors::session::SessionServices;
use crate::domain::{Offset, Position};

pub fn iso(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub fn iso_of(census: &Census, at: Instant) -> String {
    iso(census.time_of(at))
}

pub fn offset(services: &SessionServices, position: Position) -> String {
    Offset::at(services.view.log, position).to_string()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    pub kind: &'static str,
    pub name: String,
    pub parent: Option<String>,
    /// Whose session it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    pub state: &'static str,
    pub uptime_ms: u64,
    pub mailbox: Mailbox,
    pub handled: u64,
    pub handled_per_second: f64,
    pub handling_us: Handling,
    pub restarts: u32,
    pub last_failure: Option<Box<str>>,
    /// Positions of the log that a session is behind by; events that the sequencer has yet to store.
    pub lag: u64,
    /// For what looks at the database again and again: since it last saw all that it wanted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_look_ms: Option<u64>,
}

#[derive(Serialize)]
pub struct Mailbox {
    depth: u64,
    high: u64,
}

#[derive(Serialize)]
pub struct Handling {
    p50: Option<f64>,
    p99: Option<f64>,
}

impl Actor {
    pub fn new(kind: &'static str, name: String, vitals: Vitals, lag: u64) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let rounded = |us: Option<f64>| us.map(|us| (us * 100.0).round() / 100.0);
        Self {
            kind,
            name,
            parent: None,
            who: None,
            state: vitals.state.as_str(),
            uptime_ms: ms(vitals.uptime),
            mailbox: Mailbox { depth: vitals.depth, high: vitals.high },
            handled: vitals.handled,
            handled_per_second: (vitals.per_second * 10.0).round() / 10.0,
            handling_us: Handling { p50: rounded(vitals.p50_us), p99: rounded(vitals.p99_us) },
            restarts: vitals.restarts,
            last_failure: vitals.last_failure,
            lag,
            since_look_ms: vitals.since_look.map(ms),
        }
    }
}

/// How far behind the log a session is.
pub fn lag_of(vitals: &Vitals, head: Position) -> u64 {
    vitals.behind_after.map_or(0, |after| head.saturating_sub(after))
}

/// A session as others name it: never by its token or its `pid`.
pub fn named(life: &Life) -> Value {
    json!({ "id": life.socket_id, "who": life.who })
}

/// What is known of a live session's connection.
pub fn connection(record: &SessionRecord) -> Value {
    let outlet = record.outlet();
    let traffic = outlet.as_ref().map(|outlet| outlet.traffic()).unwrap_or_default();
    json!({
        "transport": outlet.as_ref().map(|outlet| outlet.transport()),
        "address": record.address,
        "connectedAt": iso(record.connected_at),
        "bytes": { "received": traffic.received, "sent": traffic.sent, "waiting": traffic.waiting },
    })
}
