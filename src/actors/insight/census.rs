//! All actors of an instance, and what is remembered of them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;

use super::journal::Journal;
use super::life::Life;
use super::probe::Probe;
use super::series::Series;
use super::ways::Ways;
use crate::actors::Audience;
use crate::actors::insight::Post;
use crate::actors::messages::SessionKey;
use crate::domain::RoomName;
use crate::telemetry::Times;

/// One worker thread's audience.
#[derive(Clone)]
pub struct AudienceRecord {
    pub index: usize,
    pub audience: Post<Audience>,
    pub journal: Arc<Journal>,
}

/// A running room.
#[derive(Clone)]
pub struct RoomRecord {
    pub name: RoomName,
    pub probe: Arc<Probe>,
}

/// Shared by the actors, who write, and by what shows them.
pub struct Census {
    began: (Instant, SystemTime),
    pub registry: Arc<Probe>,
    pub sequencer: Arc<Probe>,
    pub rights: Arc<Probe>,
    pub revocations: Arc<Probe>,
    pub bridge: Arc<Probe>,
    pub ways: Ways,
    /// From an event's receipt until an audience has handed it to its members.
    pub latency: Times,
    pub series: Series,
    published: AtomicU64,
    delivered: AtomicU64,
    audiences: Mutex<Vec<AudienceRecord>>,
    rooms: Mutex<HashMap<RoomName, Arc<Probe>>>,
    ended: Mutex<VecDeque<Arc<Life>>>,
}

impl Default for Census {
    fn default() -> Self {
        Self {
            began: (Instant::now(), SystemTime::now()),
            registry: Arc::default(),
            sequencer: Arc::default(),
            rights: Arc::default(),
            revocations: Arc::default(),
            bridge: Arc::default(),
            ways: Ways::default(),
            latency: Times::default(),
            series: Series::default(),
            published: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            audiences: Mutex::default(),
            rooms: Mutex::default(),
            ended: Mutex::default(),
        }
    }
}

impl Census {
    /// Sessions that are remembered after their end.
    const REMEMBERED: usize = 20_000;

    /// The time of day of a moment, by the clock as it was at the start.
    pub fn time_of(&self, at: Instant) -> SystemTime {
        let (instant, time) = self.began;
        match at.checked_duration_since(instant) {
            Some(after) => time + after,
            None => time - instant.duration_since(at),
        }
    }

    pub fn count_publish(&self) {
        self.published.fetch_add(1, Ordering::Relaxed);
    }

    /// Publishes since the start.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    pub fn count_deliveries(&self, sessions: usize) {
        self.delivered.fetch_add(sessions as u64, Ordering::Relaxed);
    }

    /// Events handed to a session's connection since the start.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub fn list_audience(&self, record: AudienceRecord) {
        self.audiences.lock().push(record);
    }

    pub fn audiences(&self) -> Vec<AudienceRecord> {
        self.audiences.lock().clone()
    }

    pub fn list_room(&self, name: RoomName, probe: Arc<Probe>) {
        self.rooms.lock().insert(name, probe);
    }

    pub fn strike_room(&self, name: &RoomName) {
        self.rooms.lock().remove(name);
    }

    pub fn room(&self, name: &RoomName) -> Option<Arc<Probe>> {
        self.rooms.lock().get(name).cloned()
    }

    pub fn rooms(&self) -> Vec<RoomRecord> {
        let rooms = self.rooms.lock();
        rooms.iter().map(|(name, probe)| RoomRecord { name: name.clone(), probe: probe.clone() }).collect()
    }

    /// Remembers a session that has ended.
    pub fn remember(&self, life: Arc<Life>) {
        let mut ended = self.ended.lock();
        ended.push_back(life);
        if ended.len() > Self::REMEMBERED {
            ended.pop_front();
        }
    }

    /// Sessions that have ended, by key.
    pub fn ended(&self) -> BTreeMap<SessionKey, Arc<Life>> {
        self.ended.lock().iter().map(|life| (life.key, life.clone())).collect()
    }
}
