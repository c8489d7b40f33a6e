//! The live sessions of this instance: for counting them, and for a stop that
//! closes them one after the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::Addr;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Session;
use crate::actors::messages::SessionKey;

struct Listed {
    session: Addr<Session>,
    is_backend: bool,
}

#[derive(Default)]
pub struct Directory {
    next: AtomicU64,
    sessions: Mutex<HashMap<SessionKey, Listed>>,
    empty: Notify,
}

impl Directory {
    pub fn next_key(&self) -> SessionKey {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub fn insert(&self, key: SessionKey, session: Addr<Session>, is_backend: bool) {
        self.sessions.lock().insert(key, Listed { session, is_backend });
    }

    pub fn remove(&self, key: SessionKey) {
        let mut sessions = self.sessions.lock();
        sessions.remove(&key);
        if sessions.is_empty() {
            self.empty.notify_one();
        }
    }

    pub fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Resolves once there is no session. For one waiter.
    pub async fn emptied(&self) {
        while !self.is_empty() {
            self.empty.notified().await;
        }
    }

    /// All sessions; the backend's last, so that what it still publishes finds the others.
    pub fn in_order_of_leaving(&self) -> Vec<Addr<Session>> {
        let sessions = self.sessions.lock();
        let (backend, others): (Vec<_>, Vec<_>) = sessions.values().partition(|listed| listed.is_backend);
        others.into_iter().chain(backend).map(|listed| listed.session.clone()).collect()
    }
}
