//! What others may see of the log without asking the sequencer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::{LogId, Position};
use crate::store::log::LogInfo;

/// Written by the sequencer alone.
pub struct LogView {
    pub log: LogId,
    head: AtomicU64,
    durable: AtomicBool,
    lag_ms: AtomicU64,
    relayed: AtomicBool,
}

impl LogView {
    pub fn new(info: &LogInfo) -> Self {
        Self {
            log: info.log,
            head: AtomicU64::new(info.head),
            durable: AtomicBool::new(true),
            lag_ms: AtomicU64::new(0),
            relayed: AtomicBool::new(false),
        }
    }

    /// The position of the newest event that has gone out.
    pub fn head(&self) -> Position {
        self.head.load(Ordering::Acquire)
    }

    /// Whether what is published is stored before it goes out.
    pub fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Acquire)
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

    pub(super) fn set_lag(&self, lag: Duration) {
        self.lag_ms.store(u64::try_from(lag.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn set_head(&self, head: Position) {
        self.head.store(head, Ordering::Release);
    }

    pub(super) fn set_durable(&self, durable: bool) {
        self.durable.store(durable, Ordering::Release);
    }
}
