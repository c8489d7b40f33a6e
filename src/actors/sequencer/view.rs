//! What others may see of the log without asking the sequencer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::{LogId, Position};
use crate::store::log::LogInfo;

/// Written by the sequencer, but for what the bridge knows of the relay.
pub struct LogView {
    pub log: LogId,
    head: AtomicU64,
    /// Since when the database has not taken what is published, in ms after 1970; 0 while it does.
    away_since_ms: AtomicU64,
    held: AtomicUsize,
    lag_ms: AtomicU64,
    relayed: AtomicBool,
    relay_open: AtomicBool,
}

impl LogView {
    pub fn new(info: &LogInfo) -> Self {
        Self {
            log: info.log,
            head: AtomicU64::new(info.head),
            away_since_ms: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            lag_ms: AtomicU64::new(0),
            relayed: AtomicBool::new(false),
            relay_open: AtomicBool::new(false),
        }
    }

    /// The position of the newest event that has gone out.
    pub fn head(&self) -> Position {
        self.head.load(Ordering::Acquire)
    }

    /// Whether what is published is stored before it goes out.
    pub fn is_durable(&self) -> bool {
        self.away_since_ms.load(Ordering::Acquire) == 0
    }

    /// Since when that is not so.
    pub fn away_since(&self) -> Option<SystemTime> {
        let ms = self.away_since_ms.load(Ordering::Acquire);
        (ms > 0).then(|| UNIX_EPOCH + Duration::from_millis(ms))
    }

    /// Writes that are held back until the database takes them.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How long it has been known that other instances have stored more than has gone out here.
    pub fn lag(&self) -> Duration {
        Duration::from_millis(self.lag_ms.load(Ordering::Relaxed))
    }

    /// Whether there is a relay that other instances' events may come by.
    pub(super) fn is_relayed(&self) -> bool {
        self.relayed.load(Ordering::Relaxed)
    }

    pub(super) fn set_relayed(&self) {
        self.relayed.store(true, Ordering::Relaxed);
    }

    /// Whether the relay is known to bring what others store.
    pub(super) fn is_relay_open(&self) -> bool {
        self.relay_open.load(Ordering::Relaxed)
    }

    pub fn set_relay_open(&self, open: bool) {
        self.relay_open.store(open, Ordering::Relaxed);
    }

    pub(super) fn set_lag(&self, lag: Duration) {
        self.lag_ms.store(u64::try_from(lag.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn set_head(&self, head: Position) {
        self.head.store(head, Ordering::Release);
    }

    pub(super) fn set_durable(&self, durable: bool) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let since = if durable { 0 } else { u64::try_from(now).unwrap_or(u64::MAX) };
        self.away_since_ms.store(since, Ordering::Release);
    }

    pub(super) fn set_held(&self, writes: usize) {
        self.held.store(writes, Ordering::Relaxed);
    }
}
