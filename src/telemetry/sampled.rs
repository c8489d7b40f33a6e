//! What is looked at every few seconds, and told the metrics then.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Key, Label, Metadata, Recorder};

pub struct SampledMetrics {
    mailboxes: HashMap<&'static str, Gauge>,
    transports: HashMap<&'static str, Gauge>,
    looks: HashMap<&'static str, Gauge>,
    restarts: HashMap<&'static str, Counter>,
    log_waiting: Gauge,
    log_outage: Gauge,
    index_lag: Gauge,
    sessions_behind: Gauge,
}

impl SampledMetrics {
    /// The mailboxes that all sessions share: the values of `expeditor_mailbox_depth`'s label.
    pub const MAILBOXES: [&'static str; 6] = ["registry", "sequencer", "rights", "revocations", "bridge", "audience"];

    /// Who looks at the database again and again: the values of `expeditor_last_look_timestamp_seconds`' label.
    pub const MONITORS: [&'static str; 2] = ["rights", "revocations"];

    /// Who goes on after a panic, besides rooms: the values of `expeditor_actor_restarts_total`'s label.
    pub const RESTARTING: [&'static str; 2] = ["revocations", "bridge"];

    /// The values of `expeditor_connections`' label.
    pub const TRANSPORTS: [&'static str; 2] = ["websocket", "polling"];

    pub(super) fn new(recorder: &impl Recorder, metadata: &Metadata<'_>) -> Self {
        let key =
            |name: &'static str, label: &'static str, value| Key::from_parts(name, vec![Label::new(label, value)]);
        let gauge = |name: &'static str| recorder.register_gauge(&Key::from_static_name(name), metadata);
        let gauges = |name, label, values: &[&'static str]| {
            let gauge = |value: &&'static str| (*value, recorder.register_gauge(&key(name, label, *value), metadata));
            values.iter().map(gauge).collect()
        };
        let restarts = |actor| {
            (actor, recorder.register_counter(&key("expeditor_actor_restarts_total", "actor", actor), metadata))
        };
        Self {
            mailboxes: gauges("expeditor_mailbox_depth", "actor", &Self::MAILBOXES),
            transports: gauges("expeditor_connections", "transport", &Self::TRANSPORTS),
            looks: gauges("expeditor_last_look_timestamp_seconds", "actor", &Self::MONITORS),
            restarts: Self::RESTARTING.into_iter().map(restarts).collect(),
            log_waiting: gauge("expeditor_log_waiting"),
            log_outage: gauge("expeditor_log_outage_seconds"),
            index_lag: gauge("expeditor_index_lag_seconds"),
            sessions_behind: gauge("expeditor_sessions_behind"),
        }
    }

    /// For how long the database has not taken what is published; nothing while it does.
    pub fn set_outage(&self, lasted: Duration) {
        self.log_outage.set(lasted.as_secs_f64());
    }

    /// How long ago the log's index by room had all events.
    pub fn set_index_lag(&self, lag: Duration) {
        self.index_lag.set(lag.as_secs_f64());
    }

    /// How many messages waited at most; `actor` is one of [`Self::MAILBOXES`].
    pub fn set_mailbox(&self, actor: &'static str, depth: u64) {
        if let Some(gauge) = self.mailboxes.get(actor) {
            gauge.set(depth as f64);
        }
    }

    /// When one of [`Self::MONITORS`] last saw all that it wanted to.
    pub fn set_looked(&self, actor: &'static str, at: SystemTime) {
        if let Some(gauge) = self.looks.get(actor) {
            gauge.set(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        }
    }

    /// How often one of [`Self::RESTARTING`] has panicked since the start.
    pub fn set_restarts(&self, actor: &'static str, restarts: u32) {
        if let Some(counter) = self.restarts.get(actor) {
            counter.absolute(restarts.into());
        }
    }

    /// How many sessions there are; `transport` is one of [`Self::TRANSPORTS`].
    pub fn set_transport(&self, transport: &'static str, sessions: usize) {
        if let Some(gauge) = self.transports.get(transport) {
            gauge.set(sessions as f64);
        }
    }

    /// Events that wait to be stored, and sessions that read theirs from the log.
    pub fn set_lags(&self, log: u64, sessions: usize) {
        self.log_waiting.set(log as f64);
        self.sessions_behind.set(sessions as f64);
    }
}
