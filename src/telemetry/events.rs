//! The metrics of what clients send.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Histogram, Key, Label, Metadata, Recorder};

use crate::domain::{Command, Refusal};

/// How a client's event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventStatus {
    Success,
    Refused,
    Error,
}

impl EventStatus {
    const ALL: [Self; 3] = [Self::Success, Self::Refused, Self::Error];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }

    pub fn of<T>(outcome: &Result<T, Refusal>) -> Self {
        match outcome {
            Ok(_) => Self::Success,
            Err(refusal) if refusal.code.is_failure() => Self::Error,
            Err(_) => Self::Refused,
        }
    }
}

pub struct EventMetrics {
    counts: HashMap<(&'static str, EventStatus), Counter>,
    durations: HashMap<&'static str, Histogram>,
}

impl EventMetrics {
    /// The label of an event that no client may send.
    const UNKNOWN: &'static str = "unknown";

    pub(super) fn new(recorder: &impl Recorder, metadata: &Metadata<'_>) -> Self {
        let names = || Command::EVENTS.into_iter().chain([Self::UNKNOWN]);
        let count = |event, status: EventStatus| {
            let labels = vec![Label::new("event", event), Label::new("status", status.as_str())];
            let key = Key::from_parts("socket_events_total", labels);
            ((event, status), recorder.register_counter(&key, metadata))
        };
        let duration = |event| {
            let key = Key::from_parts("socket_event_duration_seconds", vec![Label::new("event", event)]);
            (event, recorder.register_histogram(&key, metadata))
        };
        Self {
            counts: names().flat_map(|event| EventStatus::ALL.map(|status| count(event, status))).collect(),
            durations: names().map(duration).collect(),
        }
    }

    /// Counts a client's event; `event` is `None` where no client may send it.
    pub fn count(&self, event: Option<&'static str>, status: EventStatus, took: Duration) {
        let event = event.unwrap_or(Self::UNKNOWN);
        if let Some(counter) = self.counts.get(&(event, status)) {
            counter.increment(1);
        }
        if let Some(histogram) = self.durations.get(event) {
            histogram.record(took.as_secs_f64());
        }
    }
}
