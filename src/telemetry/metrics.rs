//! Every metric of the service: its name and its handle. Its help text is in `help.rs`.
//!
//! The recorder belongs to one instance, not to the process, so that several
//! can run side by side in a test. Handles are made once; nothing on a hot
//! path looks a metric up by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};

use super::bridge::BridgeMetrics;
use super::events::EventMetrics;
use super::help::describe;
use super::queries::QueryMetrics;
use super::recorder;
use super::runtime::{Lateness, RuntimeMetrics};
use super::sampled::SampledMetrics;

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// The handles of one instance's metrics.
pub struct Metrics {
    handle: PrometheusHandle,
    recorder: PrometheusRecorder,
    runtime: RuntimeMetrics,
    started: Instant,
    pub connections: Gauge,
    rooms: Gauge,
    room_count: AtomicUsize,
    pub publishes: Counter,
    pub deliveries: Counter,
    pub room_restarts: Counter,
    pub slow_sessions: Counter,
    pub lane_takeovers: Counter,
    /// From an event's receipt until a thread has handed it to its members; a sample.
    pub delivery: Histogram,
    log_appends: Counter,
    log_commits: Histogram,
    log_held: Gauge,
    audit_stored: Counter,
    audit_dropped: Counter,
    recoveries: HashMap<&'static str, Counter>,
    joins: HashMap<&'static str, Counter>,
    connect_refusals: HashMap<&'static str, Counter>,
    admin_refusals: HashMap<&'static str, Counter>,
    limits: HashMap<&'static str, Counter>,
    pub events: EventMetrics,
    pub bridge: BridgeMetrics,
    /// Set now and then.
    pub sampled: SampledMetrics,
}

impl Metrics {
    /// Why a connection was refused: the values of `expeditor_connect_refusals_total`'s label.
    pub const CONNECT_REFUSALS: [&'static str; 10] = [
        "missing",
        "malformed",
        "signature",
        "expired",
        "too_early",
        "too_old",
        "revoked",
        "user",
        "too_many",
        "unavailable",
    ];

    /// Limits that somebody met: the values of `expeditor_limited_total`'s label.
    pub const LIMITS: [&'static str; 12] = [
        "connections",
        "connections_per_address",
        "sessions_per_user",
        "head_timeout",
        "connect_timeout",
        "upgrade_timeout",
        "body_timeout",
        "answer_timeout",
        "events",
        "rooms",
        "payload",
        "admin_attempts",
    ];

    /// Why an operator was refused: the values of `expeditor_admin_refusals_total`'s label.
    pub const ADMIN_REFUSALS: [&'static str; 3] = ["missing", "wrong", "too_many"];

    /// How a client that came back fared: the values of `expeditor_recoveries_total`'s label.
    pub const RECOVERIES: [&'static str; 4] = ["recovered", "unknown", "too_old", "gap"];

    /// What became of a client's joins: the values of `expeditor_joins_total`'s label.
    pub const JOINS: [&'static str; 8] =
        ["entered", "replayed", "incomplete", "invalid", "forbidden", "too_many_rooms", "rate_limited", "failed"];

    pub fn new() -> Self {
        let recorder = recorder::build();
        describe(&recorder);
        let runtime = RuntimeMetrics::default();
        runtime.describe(&recorder);
        let counter = |name: &'static str| recorder.register_counter(&Key::from_static_name(name), &METADATA);
        let gauge = |name: &'static str| recorder.register_gauge(&Key::from_static_name(name), &METADATA);
        let counters = |name: &'static str, label: &'static str, values: &[&'static str]| {
            let counter = |value: &&'static str| {
                let key = Key::from_parts(name, vec![Label::new(label, *value)]);
                (*value, recorder.register_counter(&key, &METADATA))
            };
            values.iter().map(counter).collect::<HashMap<_, _>>()
        };
        Self {
            handle: recorder.handle(),
            started: Instant::now(),
            connections: gauge("socket_connections"),
            rooms: gauge("expeditor_rooms"),
            room_count: AtomicUsize::new(0),
            publishes: counter("expeditor_publishes_total"),
            deliveries: counter("expeditor_deliveries_total"),
            room_restarts: counter("expeditor_room_restarts_total"),
            slow_sessions: counter("expeditor_slow_sessions_total"),
            lane_takeovers: counter("expeditor_lane_takeovers_total"),
            delivery: recorder.register_histogram(&Key::from_static_name("expeditor_delivery_seconds"), &METADATA),
            log_appends: counter("expeditor_log_writes_total"),
            log_commits: recorder.register_histogram(&Key::from_static_name("expeditor_log_commit_seconds"), &METADATA),
            log_held: gauge("expeditor_log_held"),
            audit_stored: counter("expeditor_audit_rows_total"),
            audit_dropped: counter("expeditor_audit_dropped_total"),
            recoveries: counters("expeditor_recoveries_total", "outcome", &Self::RECOVERIES),
            joins: counters("expeditor_joins_total", "outcome", &Self::JOINS),
            connect_refusals: counters("expeditor_connect_refusals_total", "cause", &Self::CONNECT_REFUSALS),
            admin_refusals: counters("expeditor_admin_refusals_total", "cause", &Self::ADMIN_REFUSALS),
            limits: counters("expeditor_limited_total", "limit", &Self::LIMITS),
            events: EventMetrics::new(&recorder, &METADATA),
            bridge: BridgeMetrics::new(&recorder, &METADATA),
            sampled: SampledMetrics::new(&recorder, &METADATA),
            runtime,
            recorder,
        }
    }

    /// Counts a refused connection; `cause` is one of [`Self::CONNECT_REFUSALS`].
    pub fn connect_refused(&self, cause: &'static str) {
        if let Some(counter) = self.connect_refusals.get(cause) {
            counter.increment(1);
        }
    }

    /// Counts an operator who was refused; `cause` is one of [`Self::ADMIN_REFUSALS`].
    pub fn admin_refused(&self, cause: &'static str) {
        if cause == "too_many" {
            self.limited("admin_attempts");
        }
        if let Some(counter) = self.admin_refusals.get(cause) {
            counter.increment(1);
        }
    }

    /// Counts one that met a limit; `limit` is one of [`Self::LIMITS`].
    pub fn limited(&self, limit: &'static str) {
        if let Some(counter) = self.limits.get(limit) {
            counter.increment(1);
        }
    }

    /// Counts rows of the audit trail that were stored.
    pub fn audit_stored(&self, rows: u64) {
        self.audit_stored.increment(rows);
    }

    /// Counts what the audit trail had no room for.
    pub fn audit_dropped(&self, records: u64) {
        self.audit_dropped.increment(records);
    }

    /// Counts a client that showed a `pid`; `outcome` is one of [`Self::RECOVERIES`].
    pub fn recovery(&self, outcome: &'static str) {
        if let Some(counter) = self.recoveries.get(outcome) {
            counter.increment(1);
        }
    }

    /// Counts a client's join; `outcome` is one of [`Self::JOINS`].
    pub fn join(&self, outcome: &'static str) {
        if let Some(counter) = self.joins.get(outcome) {
            counter.increment(1);
        }
    }

    /// For the store, to count what its database is asked.
    pub fn queries(&self, backend: &'static str) -> QueryMetrics {
        QueryMetrics::new(backend, &self.recorder, &METADATA)
    }

    /// For a worker thread, to note how late it is.
    pub fn worker(&self, index: usize) -> Arc<Lateness> {
        self.runtime.add_worker(index, &self.recorder, &METADATA)
    }

    /// Counts a batch that was stored.
    pub fn log_committed(&self, writes: usize, took: Duration) {
        if writes == 0 {
            return;
        }
        self.log_appends.increment(writes as u64);
        self.log_commits.record(took.as_secs_f64());
    }

    /// How much is held back for a database that does not answer.
    pub fn set_log_held(&self, writes: usize) {
        self.log_held.set(writes as f64);
    }

    pub fn set_rooms(&self, count: usize) {
        self.rooms.set(count as f64);
        self.room_count.store(count, Ordering::Relaxed);
    }

    pub fn room_count(&self) -> usize {
        self.room_count.load(Ordering::Relaxed)
    }

    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Prometheus text format. May take some milliseconds.
    pub fn render(&self) -> String {
        self.runtime.read_process(&self.recorder);
        self.handle.render()
    }

    /// Moves recorded durations into their buckets; without it they pile up until the next scrape.
    pub fn run_upkeep(&self) {
        self.runtime.set_lateness();
        self.handle.run_upkeep();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
