//! The spans that an event leaves on its way: `publish`, and below it `store`, `fan_out` and `relay`; at another
//! instance `relayed`, below `relay`, and `fan_out` below that. The actors make them and hand them on in their messages. Without a collector each is a disabled span, which allocates
//! nothing. No payload and no token gets into one.

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
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

/// The database did not take the batch, or Redis' queue the frame.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// From the sequencer until the event is in the queue to the other instances.
pub fn relay(publish: &Span) -> Span {
    if publish.is_disabled() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        parent: publish,
        "relay",
        otel.kind = "producer",
        otel.status_code = tracing::field::Empty,
    )
}

/// The span as another instance may name it (W3C Trace Context); `None` where it is not sampled.
pub fn traceparent(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    let named = || format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags());
    (context.is_valid() && context.is_sampled()).then(named)
}

/// From the receipt of another instance's event until it was handed on here, below the span that `traceparent` names.
/// Without one that can be read and is sampled there is none.
pub fn relayed(traceparent: &str, event: &str) -> Span {
    /// Of version 00, which is the one that is sent.
    const LENGTH: usize = 55;
    let caller = Caller { traceparent: Some(traceparent), tracestate: None };
    if traceparent.len() != LENGTH {
        return Span::none();
    }
    let context = TraceContextPropagator::new().extract(&caller);
    let (valid, sampled) = {
        let parent = context.span();
        (parent.span_context().is_valid(), parent.span_context().is_sampled())
    };
    if !valid || !sampled {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "relayed",
        otel.kind = "consumer",
        expeditor.event = event,
    );
    // It fails only where nobody collects spans.
    span.set_parent(context).ok();
    span
}

/// From the sequencer until one worker thread has handed an event to the connections of its members. `event` is the
/// publish's span, or of another instance's event `relayed`.
pub fn fan_out(event: &Span, worker: usize) -> Span {
    if event.is_disabled() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        parent: event,
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

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use tracing_subscriber::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn with_spans(test: impl FnOnce()) {
        let provider = SdkTracerProvider::builder().with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
        let layer = tracing_opentelemetry::layer().with_tracer(provider.build().tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), test);
    }

    #[test]
    fn another_instance_goes_on_from_a_span_by_its_traceparent() {
        with_spans(|| {
            let sent = relay(&publish("http"));
            let named = traceparent(&sent).unwrap();
            let trace = &named[3..35];
            let received = traceparent(&relayed(&named, "e")).unwrap();
            assert_eq!(&received[3..35], trace);
            assert_ne!(received, named);
            assert!(!fan_out(&relayed(&named, "e"), 0).is_disabled());
        });
        assert!(traceparent(&relay(&publish("http"))).is_none(), "without a collector there is nothing to name");
    }

    #[test]
    fn what_names_no_sampled_span_leaves_none() {
        with_spans(|| {
            let caller = format!("00-{TRACE}-00f067aa0ba902b7-");
            assert!(!relayed(&format!("{caller}01"), "e").is_disabled());
            let long = format!("{caller}01{}", "-x".repeat(100));
            let none = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
            let bad = format!("00-{}-00f067aa0ba902b7-01", "x".repeat(32));
            for refused in ["", "00", &format!("{caller}00"), &long, &none, &bad, &"-".repeat(55), &"\u{e9}".repeat(27)]
            {
                assert!(relayed(refused, "e").is_disabled(), "{refused}");
            }
            let not_sampled = publish("http");
            let traceparent_of_caller = format!("{caller}00");
            continue_from(&not_sampled, Caller { traceparent: Some(&traceparent_of_caller), tracestate: None });
            assert_eq!(traceparent(&relay(&not_sampled)), None);
        });
    }
}
