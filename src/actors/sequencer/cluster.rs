//! What other instances on the same database store, and how it is fitted into the one order.
//!
//! Positions go out in rising order, each once, and nothing between them that the database has is
//! left out. A relayed step goes out at once where it follows what has gone out; else it is held for a
//! moment, and then the log is read up to it. The relay is only ever faster: all of it can be found by a look.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use indexmap::IndexMap;
use tracing::Span;

use super::actor::Sequencer;
use super::batches::{InFlight, Landed};
use super::look::read_foreign;
use crate::actors::cluster_messages::{BridgeStarted, PeerIsAt, Relayed, RelayedLoose, Stored, StoredHere, WentOut};
use crate::actors::logged::Logged;
use crate::actors::messages::Placed;
use crate::domain::Position;
use crate::store::log::StoredEvent;
use crate::telemetry::spans;

/// What the sequencer knows of other instances.
#[derive(Default)]
pub struct Cluster {
    bridge: Option<BridgeStarted>,
    /// What this batch has placed so far, and the bridge has not been told of: it is all that is after `told`.
    stored: Vec<StoredHere>,
    told: Position,
    /// Relayed steps that do not follow the head yet, by the position before them.
    early: BTreeMap<Position, Relayed>,
    /// Bytes of their payloads.
    weight: usize,
    /// Names of events that have gone out here before they were stored, and the newest entry of then.
    loose: IndexMap<Arc<str>, u64>,
    named: u64,
    /// The newest position that is known of, and since when it was ahead of the head.
    ahead: Option<(Position, Instant)>,
    reading: bool,
}

impl Cluster {
    const MAX_EARLY: usize = 1_024;
    const MAX_WEIGHT: usize = 16 * 1024 * 1024;
    const MAX_LOOSE: usize = 100_000;
    /// How long a gap may take to close by itself.
    pub const PATIENCE: Duration = Duration::from_millis(30);
    /// How long what the relay should bring may take where nothing waits for it.
    const LONG_PATIENCE: Duration = Duration::from_millis(250);
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
        on_node: bool,
        publish: &Span,
        head: Position,
    ) {
        if !self.stored.is_empty() {
            self.tell(head);
        }
        if let Some(bridge) = &self.bridge {
            bridge.went_out.do_send(WentOut { event: event.clone(), identity, on_node, span: spans::relay(publish) });
        }
    }

    pub fn placed(&mut self, event: &Arc<Logged>, held_as: Option<Arc<str>>, on_node: bool, publish: &Span) {
        if self.bridge.is_some() {
            self.stored.push(StoredHere { event: event.clone(), held_as, on_node, span: spans::relay(publish) });
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

    fn keep(&mut self, step: Relayed) {
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
    fn next(&mut self, head: Position) -> Option<Relayed> {
        let (before, _) = self.early.first_key_value()?;
        if *before > head {
            return None;
        }
        let (_, step) = self.early.pop_first()?;
        self.weight -= weight(&step);
        Some(step)
    }

    fn note_ahead(&mut self, position: Position, head: Position) {
        match &mut self.ahead {
            _ if position <= head => {}
            Some((known, _)) => *known = position.max(*known),
            None => self.ahead = Some((position, Instant::now())),
        }
    }

    /// How long it has been known that there is more than has gone out.
    fn lag(&mut self, head: Position) -> Duration {
        if self.ahead.is_some_and(|(known, _)| known <= head) {
            self.ahead = None;
        }
        self.ahead.map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }

    /// After which entry it has gone out, if it has; if not, it is known from now on.
    fn remember_loose(&mut self, identity: Arc<str>, entry: u64) -> Option<u64> {
        let known = self.loose.get(&identity).copied();
        if known.is_none() {
            self.loose.insert(identity, entry);
        }
        if self.loose.len() > Self::MAX_LOOSE {
            // The older half goes at once: removing one moves all.
            self.loose.drain(..Self::MAX_LOOSE / 2);
        }
        known
    }
}

fn weight(step: &Relayed) -> usize {
    step.events.iter().map(|event| event.payload.len() + 128).sum()
}

impl Sequencer {
    /// Lets relayed steps go out that follow what has. Not past an own batch that waits for its turn.
    pub(super) fn adopt_early(&mut self) {
        loop {
            let own = self.in_flight.as_ref().and_then(InFlight::landed_at);
            if own.is_some_and(|before| self.head >= before) {
                return;
            }
            let Some(step) = self.cluster.next(self.head) else { return };
            if step.last > self.head {
                self.metrics.bridge.relayed_in.increment(step.events.len() as u64);
                self.adopt_all(step.events, step.last, step.spans);
            }
        }
    }

    /// Events of others, all that there are up to and with `up_to`.
    pub(super) fn adopt_all(&mut self, events: Vec<StoredEvent>, up_to: Position, mut spans: HashMap<Position, Span>) {
        for event in events {
            let span = spans.remove(&event.position).unwrap_or_else(Span::none);
            if event.position > self.head {
                self.adopt(event, &span);
            }
        }
        if up_to > self.head {
            self.set_head(up_to);
        }
        self.note_lag();
    }

    /// After which entry an event of another instance has gone out here already, before it was stored. If it has
    /// not, it is known from now on: its relay may be late.
    pub(super) fn gone_out_after(&mut self, event: &StoredEvent) -> Option<u64> {
        self.cluster.remember_loose(event.held_as.as_deref()?.into(), self.entries)
    }

    pub(super) fn note_placed(&self, event: &Arc<Logged>, entry: u64) {
        for audience in self.audiences.iter().flatten() {
            audience.do_send(Placed { event: event.clone(), entry });
        }
    }

    /// An own batch is stored: what others have stored before it goes out first.
    pub(super) fn settle_landed(&mut self, ctx: &mut Context<Self>) {
        self.adopt_early();
        let Some(before) = self.in_flight.as_ref().and_then(InFlight::landed_at) else { return };
        if self.head >= before {
            return self.finish_landed(ctx);
        }
        self.cluster.note_ahead(before, self.head);
        if self.cluster.has_bridge() {
            ctx.run_later(Cluster::SHORT_PATIENCE, move |sequencer, ctx| {
                let waits = sequencer.in_flight.as_ref().and_then(InFlight::landed_at) == Some(before);
                if waits && sequencer.head < before {
                    sequencer.read_up_to(before, ctx);
                }
            });
        } else {
            self.read_up_to(before, ctx);
        }
    }

    /// Reads on from the log. What is not stored yet must not be among it: only for positions that are
    /// known to be before an own batch, or while there is none.
    fn read_up_to(&mut self, up_to: Position, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.cluster.reading, true) {
            return;
        }
        self.metrics.bridge.gaps.increment(1);
        let (store, head) = (self.store.clone(), self.head);
        let reading = async move { read_foreign(&store, head, up_to).await };
        ctx.spawn(reading.into_actor(self).map(move |events, sequencer, ctx| {
            sequencer.cluster.reading = false;
            // The log knows of no traces.
            sequencer.adopt_all(events, up_to, HashMap::new());
            sequencer.after_adoption(ctx);
        }));
    }

    /// More may follow now: relayed steps, or an own batch that waited.
    fn after_adoption(&mut self, ctx: &mut Context<Self>) {
        if self.in_flight.as_ref().is_some_and(|batch| matches!(batch.landed_as, Landed::At(..))) {
            self.settle_landed(ctx);
        } else {
            self.adopt_early();
            self.close_gap(ctx);
        }
    }

    /// Where a step is held, the log is read up to it in a moment.
    fn close_gap(&mut self, ctx: &mut Context<Self>) {
        let Some((before, _)) = self.cluster.early.first_key_value() else { return };
        let before = *before;
        ctx.run_later(Cluster::PATIENCE, move |sequencer, ctx| {
            let held = sequencer.cluster.early.contains_key(&before);
            // An own batch closes the gap as it lands.
            if held && before > sequencer.head && sequencer.in_flight.is_none() {
                sequencer.read_up_to(before, ctx);
            }
        });
    }

    /// A look has found that another instance has gone on with the log.
    pub(super) fn found(&mut self, head: Position, ctx: &mut Context<Self>) {
        // What an own batch has stored meanwhile would be among it; it brings the rest as it lands.
        if self.in_flight.is_none() {
            self.cluster.note_ahead(head, self.head);
            if self.view.is_relay_open() {
                self.leave_to_relay(head, ctx);
            } else {
                self.read_up_to(head, ctx);
            }
        }
    }

    /// Reads on from the log once the relay has brought nothing for a while: between what is stored it brings what is
    /// not, which would come behind what was read before it.
    fn leave_to_relay(&self, up_to: Position, ctx: &mut Context<Self>) {
        let head = self.head;
        ctx.run_later(Cluster::LONG_PATIENCE, move |sequencer, ctx| {
            if sequencer.head >= up_to || sequencer.in_flight.is_some() {
                return;
            }
            if sequencer.head > head {
                sequencer.leave_to_relay(up_to, ctx);
            } else {
                sequencer.read_up_to(up_to, ctx);
            }
        });
    }

    pub(super) fn note_lag(&mut self) {
        self.view.set_lag(self.cluster.lag(self.head));
    }
}

impl Handler<BridgeStarted> for Sequencer {
    type Result = ();

    fn handle(&mut self, message: BridgeStarted, _: &mut Self::Context) {
        let _handling = self.census.sequencer.handling();
        self.view.set_relayed();
        self.cluster.bridge = Some(message);
    }
}

impl Handler<Relayed> for Sequencer {
    type Result = ();

    fn handle(&mut self, step: Relayed, ctx: &mut Self::Context) {
        let _handling = self.census.sequencer.handling();
        if step.last <= self.head {
            return;
        }
        let gap = step.before > self.head;
        self.cluster.note_ahead(step.last, self.head);
        self.cluster.keep(step);
        if gap {
            self.close_gap(ctx);
        } else {
            self.after_adoption(ctx);
        }
    }
}

impl Handler<RelayedLoose> for Sequencer {
    type Result = ();

    fn handle(&mut self, message: RelayedLoose, _: &mut Self::Context) {
        let _handling = self.census.sequencer.handling();
        let (identity, entries) = (message.identity.clone(), self.entries);
        if identity.is_some_and(|identity| self.cluster.remember_loose(identity, entries).is_some()) {
            return;
        }
        self.metrics.bridge.relayed_in.increment(1);
        self.deliver_loose(message);
    }
}

impl Handler<PeerIsAt> for Sequencer {
    type Result = ();

    fn handle(&mut self, message: PeerIsAt, ctx: &mut Self::Context) {
        let _handling = self.census.sequencer.handling();
        if message.head > self.head {
            self.cluster.note_ahead(message.head, self.head);
            self.look_soon(ctx);
        }
    }
}
