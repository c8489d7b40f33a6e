//! The ClusterBridge relays in both directions between this instance and its peers through Redis: the
//! service's own instances, and Node servers that share its rooms. It lives on a thread of its own, so
//! that what comes from outside never holds up the rooms. It gives no event its place, and is never the truth.

mod actor;
pub(crate) mod incoming;
pub(crate) mod intake;
mod lease;
mod outgoing;
mod peers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;
use parking_lot::Mutex;

use crate::actors::insight::Post;
use crate::actors::session::SessionServices;
use crate::bus::relay::{InstanceId, Seal};
use crate::config::RedisConfig;
use crate::domain::{PidKey, UserId};

pub use actor::{ClusterBridge, Leave, SendOut};

/// Reaches the bridge, which is started again if it fails.
pub struct Cluster {
    bridge: Mutex<Option<Post<ClusterBridge>>>,
    connected: AtomicBool,
    pub instance: InstanceId,
    to: RedisConfig,
    seal: Seal,
    max_payload: usize,
}

/// What all instances are to know at once.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub enum Announcement {
    /// A client is here now, whoever had it.
    Connected(PidKey),
    /// The rows behind a user have changed.
    Rights(UserId),
}

impl Cluster {
    pub fn new(to: RedisConfig, max_payload: usize, seal: Seal) -> Self {
        let (bridge, connected) = (Mutex::default(), AtomicBool::new(false));
        Self { bridge, connected, instance: rand::random(), to, seal, max_payload }
    }

    /// Whether what this instance relays has come back to it through Redis a moment ago.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub fn announce(&self, announcement: Announcement) {
        if let Some(bridge) = &*self.bridge.lock() {
            bridge.do_send(announcement);
        }
    }

    pub fn bridge(&self) -> Option<Post<ClusterBridge>> {
        self.bridge.lock().clone()
    }

    /// Starts the bridge on a thread of its own.
    pub fn start(services: &Arc<SessionServices>) {
        if let Some(cluster) = &services.cluster {
            let (cluster, services) = (cluster.clone(), services.clone());
            Arbiter::new().spawn_fn(move || ClusterBridge::start(&cluster, &services));
        }
    }
}
