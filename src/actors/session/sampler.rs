//! Takes a point of the instance's figures every few seconds.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::SessionServices;
use crate::actors::insight::{Point, State};
use crate::telemetry::Counts;

/// What the figures were at the last point.
pub struct Sampler {
    at: Instant,
    published: u64,
    delivered: u64,
    latency: Counts,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { at: Instant::now(), published: 0, delivered: 0, latency: Counts::default() }
    }
}

impl Sampler {
    /// Adds what came since the last point.
    pub fn sample(&mut self, services: &SessionServices) {
        let elapsed = self.at.elapsed().as_secs_f64();
        // The first call comes with the start: there is nothing to tell yet.
        if elapsed < 1.0 {
            return;
        }
        let census = &services.census;
        let (published, delivered, latency) = (census.published(), census.delivered(), census.latency.counts());
        let newest = latency.since(&self.latency);
        let shared = note_mailboxes(services);
        let log_lag = census.sequencer.read().backlog;
        note_sessions(services, log_lag);
        note_database(services);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / elapsed;
        let ms = |share| newest.quantile_us(share).map(|us| us / 1_000.0);
        census.series.push(Point {
            at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            connections: services.directory.len(),
            rooms: services.metrics.room_count(),
            published_per_second: rate(published, self.published),
            delivered_per_second: rate(delivered, self.delivered),
            latency_p50_ms: ms(0.5),
            latency_p99_ms: ms(0.99),
            mailbox_depth: shared,
            log_lag,
        });
        *self = Self { at: Instant::now(), published, delivered, latency };
    }
}

/// Tells the metrics how full the mailboxes that all share have been since the last point, and returns the fullest.
/// How full they are at this moment would say little: the turn that asks comes when they are empty.
fn note_mailboxes(services: &SessionServices) -> u64 {
    let census = &services.census;
    let audiences = census.audiences().iter().map(|record| record.audience.probe().take_peak()).max();
    let depths = [
        ("registry", census.registry.take_peak()),
        ("sequencer", census.sequencer.take_peak()),
        ("rights", census.rights.take_peak()),
        ("revocations", census.revocations.take_peak()),
        ("bridge", census.bridge.take_peak()),
        ("audience", audiences.unwrap_or_default()),
    ];
    depths.iter().for_each(|(actor, depth)| services.metrics.sampled.set_mailbox(actor, *depth));
    depths.iter().map(|(_, depth)| *depth).max().unwrap_or_default()
}

/// Tells the metrics what is known of the database, and of those who look at it.
fn note_database(services: &SessionServices) {
    let SessionServices { census, metrics, .. } = services;
    for (actor, probe) in [("rights", &census.rights), ("revocations", &census.revocations)] {
        probe.looked().into_iter().for_each(|at| metrics.sampled.set_looked(actor, census.time_of(at)));
    }
    for (actor, probe) in [("revocations", &census.revocations), ("bridge", &census.bridge)] {
        metrics.sampled.set_restarts(actor, probe.restarts());
    }
    let away = services.view.away_since().and_then(|since| since.elapsed().ok());
    metrics.sampled.set_outage(away.unwrap_or_default());
    metrics.sampled.set_index_lag(services.store.index_lag());
}

fn note_sessions(services: &SessionServices, log_lag: u64) {
    let sessions = services.directory.all();
    let behind = sessions.iter().filter(|listed| listed.record.probe.state() == State::Behind).count();
    services.metrics.sampled.set_lags(log_lag, behind);
    let transports = sessions.iter().filter_map(|listed| listed.record.outlet()).map(|outlet| outlet.transport());
    let polling = transports.filter(|transport| *transport == "polling").count();
    services.metrics.sampled.set_transport("polling", polling);
    services.metrics.sampled.set_transport("websocket", sessions.len() - polling);
}
