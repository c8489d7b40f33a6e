//! The live sessions of this instance: for counting them, and for a stop that
//! closes them one after the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Session;
use crate::actors::insight::{Post, SessionRecord};
use crate::actors::messages::{Replaced, SessionKey};
use crate::domain::PidKey;

/// A live session.
#[derive(Clone)]
pub struct Listed {
    pub session: Post<Session>,
    pub record: Arc<SessionRecord>,
}

#[derive(Default)]
struct Sessions {
    listed: HashMap<SessionKey, Listed>,
    by_pid: HashMap<PidKey, SessionKey>,
}

#[derive(Default)]
pub struct Directory {
    next: AtomicU64,
    sessions: Mutex<Sessions>,
    empty: Notify,
}

impl Directory {
    pub fn next_key(&self) -> SessionKey {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Lists a session. One with the same `pid` gives way to it: its client is here now.
    pub fn insert(&self, session: Post<Session>, record: Arc<SessionRecord>) {
        let (key, pid) = (record.life.key, record.life.pid);
        let mut sessions = self.sessions.lock();
        sessions.listed.insert(key, Listed { session, record });
        let former = sessions.by_pid.insert(pid, key);
        if let Some(former) = former.and_then(|former| sessions.listed.get(&former)) {
            former.session.do_send(Replaced);
        }
    }

    /// A client is on another instance now, since that time: its session here, if it is an older one, gives way.
    pub fn give_way(&self, pid: PidKey, since: SystemTime) {
        let sessions = self.sessions.lock();
        let listed = sessions.by_pid.get(&pid).and_then(|key| sessions.listed.get(key));
        if let Some(listed) = listed.filter(|listed| listed.record.connected_at < since) {
            listed.session.do_send(Replaced);
        }
    }

    pub fn remove(&self, key: SessionKey) {
        let mut sessions = self.sessions.lock();
        if let Some(listed) = sessions.listed.remove(&key)
            && sessions.by_pid.get(&listed.record.life.pid) == Some(&key)
        {
            sessions.by_pid.remove(&listed.record.life.pid);
        }
        if sessions.listed.is_empty() {
            self.empty.notify_one();
        }
    }

    pub fn len(&self) -> usize {
        self.sessions.lock().listed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All sessions, in no order.
    pub fn all(&self) -> Vec<Listed> {
        self.sessions.lock().listed.values().cloned().collect()
    }

    pub fn by_socket_id(&self, socket_id: &str) -> Option<Listed> {
        let sessions = self.sessions.lock();
        sessions.listed.values().find(|listed| *listed.record.life.socket_id == *socket_id).cloned()
    }

    /// Resolves once there is no session. For one waiter.
    pub async fn emptied(&self) {
        while !self.is_empty() {
            self.empty.notified().await;
        }
    }

    /// All sessions; the backend's last, so that what it still publishes finds the others.
    pub fn in_order_of_leaving(&self) -> Vec<Post<Session>> {
        let sessions = self.sessions.lock();
        let (backend, others): (Vec<_>, Vec<_>) =
            sessions.listed.values().partition(|listed| listed.record.life.is_system);
        others.into_iter().chain(backend).map(|listed| listed.session.clone()).collect()
    }
}
