//! What the sequencer knows of other instances, and what it has the bridge tell them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Span;

use super::loose::Loose;
use crate::actors::cluster_messages::{BridgeStarted, Relayed, Stored, StoredHere, WentOut};
use crate::actors::logged::Logged;
use crate::domain::Position;
use crate::store::log::PublishName;
use crate::telemetry::spans;

/// What the sequencer knows of other instances.
#[derive(Default)]
pub struct Cluster {
    pub bridge: Option<BridgeStarted>,
    /// What this batch has placed so far, and the bridge has not been told of: it is all that is after `told`.
    stored: Vec<StoredHere>,
    told: Position,
    /// Relayed steps that do not follow the head yet, by the position before them.
    pub early: BTreeMap<Position, Relayed>,
    /// Bytes of their payloads.
    weight: usize,
    pub loose: Loose,
    named: u64,
    /// The newest position that is known of, and since when it was ahead of the head.
    ahead: Option<(Position, Instant)>,
    /// A gap is being read from the log.
    pub reading: bool,
}

impl Cluster {
    const MAX_EARLY: usize = 1_024;
    const MAX_WEIGHT: usize = 16 * 1024 * 1024;
    /// How long a gap may take to close by itself.
    pub const PATIENCE: Duration = Duration::from_millis(30);
    /// How long what the relay should bring may take where nothing waits for it.
    pub const LONG_PATIENCE: Duration = Duration::from_millis(250);
    /// As `PATIENCE`, for what an own batch waits for: its publishers wait with it.
    pub const SHORT_PATIENCE: Duration = Duration::from_millis(5);

    pub fn has_bridge(&self) -> bool {
        self.bridge.is_some()
    }

    /// A name for an event that goes out before it is stored; none where nobody else hears of it.
    pub fn name_loose(&mut self, instance: &str) -> Option<Arc<str>> {
        self.bridge.as_ref()?;
        self.named += 1;
        Some(format!("{instance}-{:x}", self.named).into())
    }

    /// `head` is where this instance stands. What was placed before the event is told of before it, so that it comes
    /// in this order elsewhere too.
    pub fn went_out(
        &mut self,
        event: &Arc<Logged>,
        identity: Option<Arc<str>>,
        name: Option<PublishName>,
        on_node: bool,
        publish: &Span,
        head: Position,
    ) {
        if !self.stored.is_empty() {
            self.tell(head);
        }
        if let Some(bridge) = &self.bridge {
            let span = spans::relay(publish);
            bridge.went_out.do_send(WentOut { event: event.clone(), identity, name, on_node, span });
        }
    }

    pub fn placed(
        &mut self,
        event: &Arc<Logged>,
        held_as: Option<Arc<str>>,
        name: Option<PublishName>,
        on_node: bool,
        publish: &Span,
    ) {
        if self.bridge.is_some() {
            self.stored.push(StoredHere { event: event.clone(), held_as, name, on_node, span: spans::relay(publish) });
        }
    }

    /// A batch begins to go out.
    pub fn begin(&mut self, before: Position) {
        self.told = before;
    }

    /// It has gone out this far.
    pub fn tell(&mut self, last: Position) {
        let before = std::mem::replace(&mut self.told, last);
        let events = std::mem::take(&mut self.stored);
        if let Some(bridge) = &self.bridge
            && last > before
        {
            bridge.stored.do_send(Stored { before, last, events });
        }
    }

    pub fn keep(&mut self, step: Relayed) {
        self.weight += weight(&step);
        if let Some(other) = self.early.insert(step.before, step) {
            self.weight -= weight(&other);
        }
        // The furthest go: they are found in the log when it is read up to there.
        while self.early.len() > Self::MAX_EARLY || self.weight > Self::MAX_WEIGHT {
            let Some((_, furthest)) = self.early.pop_last() else { return };
            self.weight -= weight(&furthest);
        }
    }

    /// The next step that begins at or before the head.
    pub fn next(&mut self, head: Position) -> Option<Relayed> {
        let (before, _) = self.early.first_key_value()?;
        if *before > head {
            return None;
        }
        let (_, step) = self.early.pop_first()?;
        self.weight -= weight(&step);
        Some(step)
    }

    pub fn note_ahead(&mut self, position: Position, head: Position) {
        match &mut self.ahead {
            _ if position <= head => {}
            Some((known, _)) => *known = position.max(*known),
            None => self.ahead = Some((position, Instant::now())),
        }
    }

    /// How long it has been known that there is more than has gone out.
    pub fn lag(&mut self, head: Position) -> Duration {
        if self.ahead.is_some_and(|(known, _)| known <= head) {
            self.ahead = None;
        }
        self.ahead.map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }
}

fn weight(step: &Relayed) -> usize {
    step.events.iter().map(|event| event.payload.len() + 128).sum()
}
