//! What other instances on the same database store, and how it is fitted into the one order.
//!
//! Positions go out in rising order, each once, and nothing between them that the database has is
//! left out. A relayed step goes out at once where it follows what has gone out; else it is held for a
//! moment, and then the log is read up to it. The relay is only ever faster: all of it can be found by a look.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use tracing::Span;

use super::actor::Sequencer;
use super::batches::{InFlight, Landed};
use super::cluster::Cluster;
use super::look::read_foreign;
use super::tail::Tail;
use crate::actors::cluster_messages::{BridgeStarted, PeerIsAt, Relayed, RelayedLoose};
use crate::actors::logged::Logged;
use crate::actors::messages::{CloseMembers, Placed};
use crate::domain::{Offset, Position, RoomName};
use crate::store::log::{Between, Page, StoredEvent};

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
                self.adopt_all(step.events, step.last, Some(step.spans));
            }
        }
    }

    /// Events of others, all that there are up to and with `up_to`: by the relay, with their spans, or from the log.
    fn adopt_all(&mut self, events: Vec<StoredEvent>, up_to: Position, relayed: Option<HashMap<Position, Span>>) {
        let by_relay = relayed.is_some();
        let mut spans = relayed.unwrap_or_default();
        for event in events {
            let span = spans.remove(&event.position).unwrap_or_else(Span::none);
            if event.position > self.head {
                self.adopt(event, by_relay, &span);
            }
        }
        if up_to > self.head {
            self.set_head(up_to);
        }
        self.note_lag();
    }

    /// After which entry an event of another instance has gone out here already, before it was stored. If it has
    /// not, it does not any more: its relay may be late.
    pub(super) fn gone_out_after(&mut self, event: &StoredEvent) -> Option<u64> {
        self.cluster.loose.placed(event.held_as.as_deref()?)
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
        self.read_page(up_to, ctx);
    }

    /// A page at a time goes out: there may be an outage's worth of them.
    fn read_page(&mut self, up_to: Position, ctx: &mut Context<Self>) {
        let reading = read_foreign(self.store.clone(), self.head, up_to);
        ctx.spawn(reading.into_actor(self).map(move |Between { page, gapped }, sequencer, ctx| {
            let Page { events, through } = page;
            sequencer.close_members(&gapped);
            sequencer.adopt_all(events, through, None);
            if !gapped.is_empty() {
                // Memory would be taken for whole.
                sequencer.tail = Tail::new(sequencer.head);
            }
            if sequencer.head < up_to {
                return sequencer.read_page(up_to, ctx);
            }
            sequencer.cluster.reading = false;
            sequencer.after_adoption(ctx);
        }));
    }

    /// Members of rooms whose events were let go before they could be read here go, before newer ones hide it: when they
    /// come back they are told that they have to fetch anew.
    fn close_members(&self, rooms: &[RoomName]) {
        if rooms.is_empty() {
            return;
        }
        tracing::warn!(rooms = rooms.len(), "events are gone before they could be read here: who missed them is told");
        let rooms: Arc<[RoomName]> = rooms.into();
        for audience in self.audiences.iter().flatten() {
            audience.do_send(CloseMembers { rooms: rooms.clone() });
        }
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
    pub(super) fn close_gap(&mut self, ctx: &mut Context<Self>) {
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
            if !self.view.is_relay_open() {
                return self.read_up_to(head, ctx);
            }
            // The relay is about to bring it, and between it what is not stored and would come behind what is read now.
            ctx.run_later(Cluster::LONG_PATIENCE, move |sequencer, ctx| {
                if sequencer.head < head && sequencer.in_flight.is_none() {
                    sequencer.read_up_to(head, ctx);
                }
            });
        }
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
        for (name, position) in &step.names {
            self.remember(Some(name), Offset::at(self.view.log, *position).to_string().into(), true);
        }
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
        if identity.is_some_and(|identity| !self.cluster.loose.went_out(identity, entries)) {
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
