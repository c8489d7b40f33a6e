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

/// Tells the metrics how full the mailboxes are that all share, and returns how much waits in them together.
fn note_mailboxes(services: &SessionServices) -> u64 {
    let census = &services.census;
    let audiences = census.audiences().iter().map(|record| record.audience.probe().depth()).sum();
    let depths = [
        ("registry", census.registry.depth()),
        ("sequencer", census.sequencer.depth()),
        ("rights", census.rights.depth()),
        ("audience", audiences),
    ];
    depths.iter().for_each(|(actor, depth)| services.metrics.set_mailbox(actor, *depth));
    depths.iter().map(|(_, depth)| depth).sum()
}

fn note_sessions(services: &SessionServices, log_lag: u64) {
    let sessions = services.directory.all();
    let behind = sessions.iter().filter(|listed| listed.record.probe.state() == State::Behind).count();
    services.metrics.set_lags(log_lag, behind);
    let transports = sessions.iter().filter_map(|listed| listed.record.outlet()).map(|outlet| outlet.transport());
    let polling = transports.filter(|transport| *transport == "polling").count();
    services.metrics.set_transport("polling", polling);
    services.metrics.set_transport("websocket", sessions.len() - polling);
}
