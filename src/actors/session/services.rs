//! What all sessions of an instance share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::Directory;
use crate::access::{Pids, Policy, Quota, RateLimit, Spender};
use crate::actors::cluster_bridge::Cluster;
use crate::actors::insight::{Census, Post};
use crate::actors::messages::Sequence;
use crate::actors::sequencer::LogView;
use crate::actors::{AuditTrail, Registry, RevocationMonitor, RightsMonitor, Sequencer};
use crate::config::LogConfig;
use crate::domain::{Identity, PidKey, Position};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// See the module's text.
pub struct SessionServices {
    pub registry: Post<Registry>,
    pub sequencer: Post<Sequencer>,
    pub view: Arc<LogView>,
    pub pids: Pids,
    pub log_limits: LogConfig,
    /// How long a client may take no more before its transport is closed.
    pub slow_patience: Duration,
    pub rights: Post<RightsMonitor>,
    pub revocations: Post<RevocationMonitor>,
    pub policy: Arc<Policy>,
    pub store: Store,
    pub rate_limit: RateLimit,
    /// Sessions, by user.
    pub sessions: Arc<Quota<Spender>>,
    pub metrics: Arc<Metrics>,
    pub directory: Arc<Directory>,
    pub census: Arc<Census>,
    /// Where instances relay through Redis.
    pub cluster: Option<Arc<Cluster>>,
    pub max_rooms: usize,
    pub publish_ids: PublishIds,
    pub audit: AuditTrail,
}

/// Names for publishes whose publisher chose none: unique over instances and restarts.
pub struct PublishIds {
    instance: String,
    next: AtomicU64,
}

impl Default for PublishIds {
    fn default() -> Self {
        Self { instance: cuid::cuid2(), next: AtomicU64::new(0) }
    }
}

impl PublishIds {
    pub fn next(&self) -> Arc<str> {
        // A cuid for each would cost a hash and big-number arithmetic, 2 % of a small room's fan-out.
        format!("{}-{}", self.instance, self.next.fetch_add(1, Ordering::Relaxed)).into()
    }
}

impl SessionServices {
    /// Whether the log reaches this far. In a rolling restart a client may show an offset that
    /// another process has given, and that is news here.
    ///
    /// # Errors
    /// [`StoreError`] where that cannot be told now.
    pub(super) async fn reaches(&self, position: Position) -> Result<bool, StoreError> {
        if position > self.view.head() {
            let (seen, caught_up) = oneshot::channel();
            self.sequencer.do_send(Sequence::CatchUp(seen));
            // Dropped unanswered only when the service ends.
            caught_up.await.ok();
        }
        if position > self.view.head() && position <= self.store.log_head().await? {
            // The database took too long for it to be brought here.
            return Err(StoreError::Timeout);
        }
        Ok(position <= self.view.head())
    }

    /// A new session's key, and the `pid` that shows it.
    pub fn new_pid(&self, identity: &Identity) -> (PidKey, String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.pids.mint(identity, self.view.head(), u32::try_from(now.as_secs()).unwrap_or(u32::MAX))
    }
}
