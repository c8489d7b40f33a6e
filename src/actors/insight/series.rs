//! An hour of the instance's figures, a point every few seconds, in memory.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::Serialize;

/// What the instance did in one period.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Seconds since 1970.
    pub at: u64,
    pub connections: usize,
    pub rooms: usize,
    pub published_per_second: f64,
    pub delivered_per_second: f64,
    /// From an event's receipt until it was handed to its sessions' connections.
    pub latency_p50_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
    /// The deepest that a mailbox was that all sessions share.
    pub mailbox_depth: u64,
    /// Accepted, and not yet stored.
    pub log_lag: u64,
}

#[derive(Default)]
pub struct Series(Mutex<VecDeque<Point>>);

impl Series {
    /// An hour of points 5 seconds apart.
    const POINTS: usize = 720;

    pub fn push(&self, point: Point) {
        let mut points = self.0.lock();
        points.push_back(point);
        if points.len() > Self::POINTS {
            points.pop_front();
        }
    }

    /// Those after this time, the oldest first.
    pub fn since(&self, after: u64) -> Vec<Point> {
        self.0.lock().iter().filter(|point| point.at > after).cloned().collect()
    }
}
