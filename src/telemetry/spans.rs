//! The spans that an event leaves on its way: `publish`, and below it `store` and `fan_out`. The actors make
//! them and hand them on in their messages. Without a collector each is a disabled span, which allocates
//! nothing. No payload and no token gets into one.

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::domain::{ErrorCode, Refusal};

/// No module's path, so that no `LOG_LEVEL` turns spans on.
pub(super) const TARGET: &str = "spans";

/// From the receipt until the publisher is answered and every session has been handed the event, whichever is last.
/// `publisher` is `session`, `http`, `node` or `admin`.
pub fn publish(publisher: &'static str) -> Span {
    tracing::info_span!(
        target: TARGET,
        parent: None,
        "publish",
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        messaging.message.id = tracing::field::Empty,
        expeditor.publisher = publisher,
        expeditor.event = tracing::field::Empty,
        expeditor.rooms = tracing::field::Empty,
        expeditor.outcome = tracing::field::Empty,
    )
}

/// The headers by which a caller names its own span (W3C Trace Context).
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    pub traceparent: Option<&'a str>,
    pub tracestate: Option<&'a str>,
}

impl Extractor for Caller<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// Makes the caller's span the parent, if it names one that can be read.
pub fn continue_from(publish: &Span, caller: Caller<'_>) {
    if publish.is_disabled() || caller.traceparent.is_none() {
        return;
    }
    // It fails only where nobody collects spans.
    publish.set_parent(TraceContextPropagator::new().extract(&caller)).ok();
}

/// Notes what is published, once that is known.
pub fn describe(publish: &Span, id: &str, event: &str, rooms: usize) {
    publish.record("messaging.message.id", id);
    publish.record("expeditor.event", event);
    publish.record("expeditor.rooms", number(rooms));
}

/// Notes what the publisher is answered.
pub fn answered(publish: &Span, outcome: Result<bool, &Refusal>) {
    let answer = match outcome {
        Ok(true) => "durable",
        Ok(false) => "not durable",
        Err(refusal) => {
            if matches!(refusal.code, ErrorCode::Internal | ErrorCode::Unavailable) {
                publish.record("otel.status_code", "ERROR");
            }
            refusal.code.as_str()
        }
    };
    publish.record("expeditor.outcome", answer);
}

/// From the start of the batch that an event is stored with until the database has answered.
pub fn store(publish: &Span, writes: usize) -> Span {
    // Without this it would be the first of a trace of its own.
    if publish.is_disabled() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        parent: publish,
        "store",
        otel.status_code = tracing::field::Empty,
        messaging.batch.message_count = number(writes),
    )
}

/// The database did not take the batch.
pub fn store_failed(store: &Span) {
    store.record("otel.status_code", "ERROR");
}

/// From the sequencer until one worker thread has handed an event to the connections of its members.
pub fn fan_out(publish: &Span, worker: usize) -> Span {
    if publish.is_disabled() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        parent: publish,
        "fan_out",
        expeditor.worker = number(worker),
        expeditor.members = tracing::field::Empty,
    )
}

/// Notes how many sessions were handed it.
pub fn reached(fan_out: &Span, members: usize) {
    fan_out.record("expeditor.members", number(members));
}

/// OpenTelemetry's integers have a sign; others would become text.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
