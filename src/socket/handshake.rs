//! Lets go of transports that nobody uses: an Engine.IO session that no Socket.IO session is in, and an
//! upgrade that was begun and is not carried on.

use std::sync::Arc;
use std::time::Duration;

use super::link::Link;
use crate::telemetry::Metrics;

#[derive(Clone)]
pub struct HandshakeTimer {
    patience: Duration,
    metrics: Arc<Metrics>,
}

impl HandshakeTimer {
    pub fn new(patience: Duration, metrics: Arc<Metrics>) -> Self {
        Self { patience, metrics }
    }

    /// Closes the transport unless somebody has been let in by then.
    pub fn expect_session(&self, link: &Arc<Link>) {
        self.expect(link, "connect_timeout", Link::is_in_use);
    }

    /// Closes the session's transports unless it has gone over to its websocket by then.
    pub fn expect_upgrade(&self, link: &Arc<Link>) {
        self.expect(link, "upgrade_timeout", |link| !link.is_upgrade_under_way());
    }

    fn expect(&self, link: &Arc<Link>, limit: &'static str, holds: impl Fn(&Link) -> bool + Send + 'static) {
        let (link, patience, metrics) = (Arc::downgrade(link), self.patience, self.metrics.clone());
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            // One that is gone needs nothing.
            let Some(link) = link.upgrade().filter(|link| !link.is_killed() && !holds(link)) else { return };
            metrics.limited(limit);
            tracing::debug!(limit, peer = link.peer.map(tracing::field::display), "a transport was closed");
            link.kill();
            // A client that polls no more would leave its session behind until its heartbeat is missed.
            link.end_ordinary();
        });
    }
}
