//! While the database does not answer, events go out all the same: without a place, with the offset
//! that stood before them, and acknowledged as not durable. They are held back for the
//! database, and stored in their order when it answers again.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::actor::Sequencer;
use super::backlog::{Slot, write_of};
use super::batches::InFlight;
use crate::actors::messages::Sequence;
use crate::actors::publication::Settlement;
use crate::domain::{ErrorCode, Refusal};
use crate::store::StoreError;
use crate::store::log::Write;

const UNAVAILABLE: Refusal = Refusal::new(ErrorCode::Unavailable, "Failed to broadcast");

/// What is held back for the database.
#[derive(Default)]
pub struct Outage {
    held: VecDeque<Write>,
    /// Writes in the batch that is being tried.
    trying: usize,
    /// Bytes of payload, with those of the batch that is being tried.
    weight: usize,
    failures: u32,
    /// Changes of rows that wait, for a while, until they can be made.
    parked: VecDeque<(Instant, Settlement)>,
}

impl Outage {
    /// Past either, publishes are refused: an hour at a usual house's rate, and memory that a small machine has.
    pub const MAX_HELD: usize = 100_000;
    const MAX_WEIGHT: usize = 64 * 1024 * 1024;
    const LONGEST_WAIT: Duration = Duration::from_secs(1);
    const MAX_PARKED: usize = 1_000;
    /// How long a change waits for the database before its user is told that it was not made.
    const PARKED_FOR: Duration = Duration::from_secs(2);

    /// Keeps a change until it can be made.
    fn park(&mut self, change: Settlement) {
        if self.parked.len() < Self::MAX_PARKED {
            self.parked.push_back((Instant::now(), change));
        } else {
            change.receipt.refuse(UNAVAILABLE);
        }
    }

    fn refuse_old(&mut self) {
        while let Some((_, change)) = self.parked.pop_front_if(|(since, _)| since.elapsed() > Self::PARKED_FOR) {
            change.receipt.refuse(UNAVAILABLE);
        }
    }

    fn hold(&mut self, write: Write) {
        self.weight += weight(&write);
        self.held.push_back(write);
    }

    fn take(&mut self, count: usize) -> Vec<Write> {
        self.trying = count.min(self.held.len());
        self.held.drain(..self.trying).collect()
    }

    /// Holds again what could not be stored, before all else.
    fn take_back(&mut self, writes: impl DoubleEndedIterator<Item = Write>) {
        self.trying = 0;
        writes.rev().for_each(|write| self.held.push_front(write));
    }

    /// Writes of what went out before it was stored.
    fn gone_out(&self) -> usize {
        self.held.len() + self.trying
    }

    /// What waits here for the database, besides the batch that is being tried.
    pub fn len(&self) -> usize {
        self.held.len() + self.parked.len()
    }

    fn is_full(&self) -> bool {
        self.held.len() >= Self::MAX_HELD || self.weight >= Self::MAX_WEIGHT
    }

    fn next_wait(&mut self) -> Duration {
        self.failures += 1;
        (Duration::from_millis(50) * self.failures).min(Self::LONGEST_WAIT)
    }
}

fn weight(write: &Write) -> usize {
    match write {
        Write::Append(append) => append.event.payload().len(),
        _ => 0,
    }
}

impl Sequencer {
    /// The batch takes too long: what can go out without the database does.
    pub(super) fn lose_patience(&mut self, ctx: &mut Context<Self>) {
        // This thread may have been too busy to hear of it: that is no outage.
        let about_to_land = |batch: &InFlight| batch.landed_at().is_none() && batch.landed.load(Ordering::Acquire);
        if self.outage.is_some() || self.in_flight.as_ref().is_none_or(about_to_land) {
            return;
        }
        tracing::warn!("the database does not answer: events go out before they are stored");
        self.begin_outage(ctx);
        if let Some(in_flight) = &mut self.in_flight {
            let slots = std::mem::take(&mut in_flight.slots);
            let slots: Vec<Slot> = slots.into_iter().filter_map(|slot| self.let_go(slot)).collect();
            if let Some(outage) = &mut self.outage {
                outage.trying = slots.iter().filter(|slot| matches!(slot, Slot::Gone(_))).count();
            }
            if let Some(in_flight) = &mut self.in_flight {
                in_flight.slots = slots;
            }
        }
        self.do_without_queued();
        self.report_held();
        self.note_backlog();
    }

    /// Gives an event that may go out without a place the name by which other instances would hear of it. Before
    /// it is written: a batch that is let go may be stored all the same.
    pub(super) fn name(&mut self, step: &mut Sequence) {
        if let Sequence::Publish(Settlement { append, .. }) = step
            && append.kept
            && append.change.is_none()
            && append.held_as.is_none()
        {
            append.held_as = self.cluster.name_loose(&self.instance);
        }
    }

    fn begin_outage(&mut self, ctx: &mut Context<Self>) {
        self.view.set_durable(false);
        self.outage = Some(Outage::default());
        ctx.run_later(Outage::PARKED_FOR / 4, Self::refuse_parked);
    }

    fn refuse_parked(&mut self, ctx: &mut Context<Self>) {
        if let Some(outage) = &mut self.outage {
            outage.refuse_old();
            ctx.run_later(Outage::PARKED_FOR / 4, Self::refuse_parked);
            self.note_backlog();
        }
    }

    fn do_without_queued(&mut self) {
        while let Some(step) = self.queue.pop_front() {
            self.do_without(step);
        }
    }

    /// What remains of a step in flight once what can go out has; `None` where it had nothing to store.
    fn let_go(&mut self, slot: Slot) -> Option<Slot> {
        let Slot::Waiting(step) = slot else { return Some(slot) };
        let write = write_of(&step);
        match step {
            // Whether its change is made is known only when the database answers.
            Sequence::Publish(settlement) if settlement.append.change.is_some() => {
                return Some(Slot::Waiting(Sequence::Publish(settlement)));
            }
            Sequence::Publish(settlement) => {
                let Settlement { append, audiences, receipt } = settlement;
                self.publish_unplaced(append, audiences, receipt);
            }
            Sequence::Enter(entry) => {
                let (noted, again, room) = (entry.noted, entry.again, entry.room.clone());
                entry.refuse(ErrorCode::Unavailable);
                // What stood before it stays: a room that the session was in already.
                return noted.map(|session| if again { Slot::Forgotten } else { Slot::Refused(session, room) });
            }
            Sequence::Leave(leave) => drop(leave),
            Sequence::Note(Write::Seen { .. }) => return Some(Slot::Forgotten),
            Sequence::CatchUp(passed) => {
                passed.send(()).unwrap_or_default();
                return Some(Slot::Forgotten);
            }
            Sequence::Note(_) => {}
            Sequence::Barrier(passed) => passed.send(()).unwrap_or_default(),
        }
        if let (Some(write), Some(outage)) = (&write, &mut self.outage) {
            outage.weight += weight(write);
        }
        write.map(Slot::Gone)
    }

    /// What went out before it was stored is stored.
    pub(super) fn no_longer_held(&mut self, write: &Write) {
        if let Some(outage) = &mut self.outage {
            outage.weight = outage.weight.saturating_sub(weight(write));
        }
    }

    /// Takes a step while the database is away.
    pub(super) fn do_without(&mut self, mut step: Sequence) {
        self.name(&mut step);
        let write = write_of(&step);
        let Some(outage) = &mut self.outage else { return };
        match step {
            Sequence::Publish(settlement) => {
                if settlement.append.change.is_some() {
                    return outage.park(settlement);
                }
                let Settlement { append, audiences, receipt } = settlement;
                if outage.is_full() && write.is_some() {
                    return receipt.refuse(UNAVAILABLE);
                }
                if let Some(name) = &append.name
                    && let Some(known) = self.recent.get(&(name.publisher.clone(), name.id.clone()))
                {
                    let same = known.digest == name.digest;
                    let (offset, durable) = (known.offset.clone(), known.durable);
                    return if same {
                        receipt.publish(offset, durable);
                    } else {
                        receipt.refuse(Refusal::invalid("id"));
                    };
                }
                write.into_iter().for_each(|write| outage.hold(write));
                self.publish_unplaced(append, audiences, receipt);
            }
            // Events that have no place yet would be missed by who is sent on from a place.
            Sequence::Enter(entry) => entry.refuse(ErrorCode::Unavailable),
            Sequence::Note(Write::Seen { .. }) => {}
            Sequence::Barrier(passed) | Sequence::CatchUp(passed) => passed.send(()).unwrap_or_default(),
            Sequence::Leave(_) | Sequence::Note(_) => write.into_iter().for_each(|write| outage.hold(write)),
        }
        self.report_held();
    }

    fn report_held(&self) {
        let held = self.outage.as_ref().map_or(0, Outage::gone_out);
        self.metrics.set_log_held(held);
        self.view.set_held(held);
    }

    /// A batch was stored: the next of what is held back, or back to the usual.
    pub(super) fn after_success(&mut self, ctx: &mut Context<Self>) {
        let Some(outage) = &mut self.outage else { return };
        outage.failures = 0;
        let writes = outage.take(Self::MAX_RETRIED);
        if writes.is_empty() {
            let parked = std::mem::take(&mut outage.parked);
            self.queue.extend(parked.into_iter().map(|(_, change)| Sequence::Publish(change)));
            self.outage = None;
            self.view.set_durable(true);
            tracing::info!("the database answers again: what was held back is stored");
        } else {
            let slots = writes.iter().cloned().map(Slot::Gone).collect();
            self.commit(writes, slots, ctx);
        }
        self.report_held();
    }

    /// A batch was not stored: what went out without it is held back and tried again.
    pub(super) fn after_failure(&mut self, slots: Vec<Slot>, error: &StoreError, ctx: &mut Context<Self>) {
        if self.outage.is_none() {
            tracing::warn!(%error, "the database does not take events: they go out before they are stored");
            self.begin_outage(ctx);
        }
        let slots: Vec<Slot> = slots.into_iter().filter_map(|slot| self.let_go(slot)).collect();
        let mut gone = Vec::new();
        for slot in slots {
            match slot {
                Slot::Gone(write) => gone.push(write),
                // The change was not made, and will not be.
                Slot::Waiting(Sequence::Publish(settlement)) => settlement.receipt.refuse(UNAVAILABLE),
                Slot::Waiting(_) | Slot::Refused(..) | Slot::Forgotten => {}
            }
        }
        let Some(outage) = &mut self.outage else { return };
        outage.take_back(gone.into_iter());
        let wait = outage.next_wait();
        self.do_without_queued();
        self.report_held();
        ctx.run_later(wait, Self::try_again);
    }

    fn try_again(&mut self, ctx: &mut Context<Self>) {
        let Some(outage) = &mut self.outage else { return };
        if self.in_flight.is_some() {
            return;
        }
        // An empty batch asks whether the database takes writes at all.
        let writes = outage.take(Self::MAX_RETRIED);
        let slots = writes.iter().cloned().map(Slot::Gone).collect();
        self.commit(writes, slots, ctx);
    }

    /// Writes of one batch of what was held back.
    const MAX_RETRIED: usize = 1_024;
}
