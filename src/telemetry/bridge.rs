//! The metrics of what goes between instances.

use std::collections::HashMap;

use metrics::{Counter, Gauge, Key, Label, Metadata, Recorder};

pub struct BridgeMetrics {
    pub connected: Gauge,
    pub lag: Gauge,
    pub node_servers: Gauge,
    pub lease: Gauge,
    pub relayed_in: Counter,
    pub relayed_out: Counter,
    pub gaps: Counter,
    pub lost: Counter,
    pub node_events: Counter,
    ignored: HashMap<&'static str, Counter>,
}

impl BridgeMetrics {
    /// The values of `expeditor_bridge_ignored_total`'s label.
    pub const IGNORED: [&'static str; 12] = [
        "foreign",
        "version",
        "forged",
        "malformed",
        "too_large",
        "too_deep",
        "room",
        "event",
        "binary",
        "arguments",
        "except",
        "request",
    ];

    pub(super) fn new(recorder: &impl Recorder, metadata: &Metadata<'_>) -> Self {
        let gauge = |name: &'static str| recorder.register_gauge(&Key::from_static_name(name), metadata);
        let counter = |name: &'static str| recorder.register_counter(&Key::from_static_name(name), metadata);
        let labelled = |name: &'static str, label: &'static str, value: &'static str| {
            recorder.register_counter(&Key::from_parts(name, vec![Label::new(label, value)]), metadata)
        };
        let relayed = |direction| labelled("expeditor_relayed_events_total", "direction", direction);
        let ignored = |cause| (cause, labelled("expeditor_bridge_ignored_total", "cause", cause));
        Self {
            connected: gauge("expeditor_bridge_connected"),
            lag: gauge("expeditor_bridge_lag_seconds"),
            node_servers: gauge("expeditor_bridge_node_servers"),
            lease: gauge("expeditor_bridge_lease"),
            relayed_in: relayed("in"),
            relayed_out: relayed("out"),
            gaps: counter("expeditor_bridge_gaps_total"),
            lost: counter("expeditor_bridge_lost_total"),
            node_events: counter("expeditor_node_events_total"),
            ignored: Self::IGNORED.into_iter().map(ignored).collect(),
        }
    }

    /// Counts what was not taken; `cause` is one of [`Self::IGNORED`].
    pub fn ignored(&self, cause: &'static str) {
        if let Some(counter) = self.ignored.get(cause) {
            counter.increment(1);
        }
    }
}
