//! What is known of a session without asking it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;

use super::probe::Probe;
use crate::actors::messages::{Outlet, SessionKey};
use crate::domain::{Identity, PidKey, Position, Refusal, RoomName};

/// What stays known of a session for a while after its end.
pub struct Life {
    pub key: SessionKey,
    pub socket_id: Box<str>,
    /// As the log calls its identity.
    pub who: Box<str>,
    pub is_system: bool,
    pub began: Instant,
    /// Shared by the sessions of one client; never shown.
    pub pid: PidKey,
    /// The rooms that it had back, and from where.
    pub recovered: Option<Vec<(RoomName, Position)>>,
    ended: Mutex<Option<Instant>>,
}

impl Life {
    pub fn ended(&self) -> Option<Instant> {
        *self.ended.lock()
    }
}

/// The last thing that a session was told it may or could not do.
#[derive(Clone, Debug)]
pub struct LastError {
    pub at: SystemTime,
    /// One of the events that clients may send, or `unknown`.
    pub event: &'static str,
    pub refusal: Refusal,
}

/// A live session.
pub struct SessionRecord {
    pub life: Arc<Life>,
    pub probe: Arc<Probe>,
    pub address: Option<IpAddr>,
    pub connected_at: SystemTime,
    pub expires_at: Option<SystemTime>,
    outlet: Mutex<Option<Arc<dyn Outlet>>>,
    last_error: Mutex<Option<LastError>>,
}

/// What a record is made of.
pub struct Newcomer<'a> {
    pub key: SessionKey,
    pub socket_id: &'a str,
    pub identity: &'a Identity,
    pub pid: PidKey,
    pub recovered: Option<Vec<(RoomName, Position)>>,
    pub address: Option<IpAddr>,
    pub expires_at: Option<SystemTime>,
    pub outlet: Arc<dyn Outlet>,
}

impl SessionRecord {
    pub fn new(newcomer: Newcomer<'_>) -> Self {
        let Newcomer { key, socket_id, identity, pid, recovered, address, expires_at, outlet } = newcomer;
        let life = Life {
            key,
            socket_id: socket_id.into(),
            who: identity.label().into(),
            is_system: identity.is_backend(),
            began: Instant::now(),
            pid,
            recovered,
            ended: Mutex::default(),
        };
        Self {
            life: Arc::new(life),
            probe: Arc::default(),
            address,
            connected_at: SystemTime::now(),
            expires_at,
            outlet: Mutex::new(Some(outlet)),
            last_error: Mutex::default(),
        }
    }

    /// The session is over; its connection is kept by nobody here.
    pub fn end(&self) {
        self.life.ended.lock().get_or_insert_with(Instant::now);
        self.outlet.lock().take();
    }

    pub fn outlet(&self) -> Option<Arc<dyn Outlet>> {
        self.outlet.lock().clone()
    }

    pub fn note_error(&self, event: &'static str, refusal: &Refusal) {
        *self.last_error.lock() = Some(LastError { at: SystemTime::now(), event, refusal: refusal.clone() });
    }

    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().clone()
    }
}
