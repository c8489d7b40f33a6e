//! From what waits to what has gone out: one batch at a time is stored, and handed on when it is.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tracing::Span;

use super::actor::Sequencer;
use super::backlog::{Slot, has_write, store_spans, write_of};
use crate::actors::messages::Sequence;
use crate::domain::Position;
use crate::store::StoreError;
use crate::store::log::{Committed, Write};
use crate::telemetry::spans;

/// The batch that is being stored.
pub(super) struct InFlight {
    pub slots: Vec<Slot>,
    began: Instant,
    /// The database has answered, and the answer is on its way here.
    pub landed: Arc<AtomicBool>,
    pub landed_as: Landed,
    /// End as the database answers.
    spans: Vec<Span>,
    patience: SpawnHandle,
}

/// Whether a batch is stored.
pub(super) enum Landed {
    NotYet,
    /// It is, and waits for what others have stored before it.
    At(Committed),
}

impl InFlight {
    /// The position that the batch follows, if it is stored.
    pub fn landed_at(&self) -> Option<Position> {
        if let Landed::At(committed) = &self.landed_as { Some(committed.before) } else { None }
    }
}

/// Starts the next batch.
#[derive(Message)]
#[rtype(result = "()")]
struct StartBatch;

impl Sequencer {
    /// Steps of one batch.
    const MAX_BATCH: usize = 1_024;
    /// How long a batch may take before what can go out without it does.
    pub(super) const PATIENCE: Duration = Duration::from_millis(500);

    /// Goes on with what waits, as far as that may be done now.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.in_flight.is_some() || self.outage.is_some() || self.pace.is_due() {
            return;
        }
        // What needs no storing, and has nothing before it that does, goes out at once.
        while let Some(step) = self.queue.pop_front_if(|step| !has_write(step)) {
            self.dispatch(step, None);
        }
        if self.queue.is_empty() {
            if !self.answers.is_empty() {
                return;
            }
            for waiting in self.settled.drain(..) {
                // Who asked may have gone.
                waiting.send(()).ok();
            }
            return;
        }
        let Some(wait) = self.pace.arrange(self.queue.len()) else { return };
        let sequencer = ctx.address();
        actix_rt::spawn(async move {
            // Without a wait this runs once the tasks that are ready now have had their turn: what they publish comes along.
            if !wait.is_zero() {
                actix_rt::time::sleep(wait).await;
            }
            sequencer.do_send(StartBatch);
        });
    }

    fn start_batch(&mut self, ctx: &mut Context<Self>) {
        self.pace.arrived();
        if self.in_flight.is_some() || self.outage.is_some() || self.queue.is_empty() {
            return;
        }
        let count = self.queue.len().min(Self::MAX_BATCH);
        self.pace.begun(count);
        let mut steps: Vec<Sequence> = self.queue.drain(..count).collect();
        steps.iter_mut().for_each(|step| self.name(step));
        let writes = steps.iter().filter_map(write_of).collect();
        self.commit(writes, steps.into_iter().map(Slot::Waiting).collect(), ctx);
    }

    pub(super) fn commit(&mut self, writes: Vec<Write>, slots: Vec<Slot>, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let landed = Arc::new(AtomicBool::new(false));
        let written = landed.clone();
        let spans = store_spans(&slots, writes.len());
        let committing = async move { store.commit(writes, written).await };
        ctx.spawn(committing.into_actor(self).map(Self::committed));
        let patience = ctx.run_later(Self::PATIENCE, Self::lose_patience);
        let (began, landed_as) = (Instant::now(), Landed::NotYet);
        self.in_flight = Some(InFlight { slots, began, landed, landed_as, spans, patience });
    }

    fn committed(outcome: Result<Committed, StoreError>, sequencer: &mut Self, ctx: &mut Context<Self>) {
        let _handling = sequencer.census.sequencer.handling_other();
        let Some(batch) = &mut sequencer.in_flight else { return };
        ctx.cancel_future(batch.patience);
        let spans = std::mem::take(&mut batch.spans);
        match outcome {
            Ok(committed) => {
                drop(spans);
                sequencer.metrics.log_committed(committed.written.len(), batch.began.elapsed());
                batch.landed_as = Landed::At(committed);
                sequencer.settle_landed(ctx);
            }
            Err(error) => {
                spans.iter().for_each(spans::failed);
                let slots = std::mem::take(&mut batch.slots);
                sequencer.in_flight = None;
                sequencer.after_failure(slots, &error, ctx);
                sequencer.go_on(ctx);
            }
        }
    }

    /// An own batch is stored, and all that is before it has gone out.
    pub(super) fn finish_landed(&mut self, ctx: &mut Context<Self>) {
        let Some(InFlight { slots, landed_as: Landed::At(committed), .. }) = self.in_flight.take() else { return };
        self.cluster.begin(self.head);
        self.go_out(slots, committed);
        self.cluster.tell(self.head);
        self.follow_disk(ctx);
        self.after_success(ctx);
        self.go_on(ctx);
    }

    fn go_on(&mut self, ctx: &mut Context<Self>) {
        self.adopt_early();
        self.pump(ctx);
        self.look_again(ctx);
        self.note_backlog();
    }

    /// Hands on a batch that was stored.
    fn go_out(&mut self, slots: Vec<Slot>, committed: Committed) {
        let generation = committed.generation;
        let mut written = committed.written.into_iter();
        for slot in slots {
            match slot {
                Slot::Waiting(step) => {
                    let outcome = if has_write(&step) { written.next() } else { None };
                    self.dispatch(step, outcome.map(|written| (written, generation)));
                }
                Slot::Gone(write) => self.note_stored(&write, written.next()),
                Slot::Refused(session, room) => {
                    written.next();
                    self.queue.push_back(Sequence::Note(Write::Leave { session, room }));
                }
                Slot::Forgotten => drop(written.next()),
            }
        }
    }
}

impl Handler<StartBatch> for Sequencer {
    type Result = ();

    fn handle(&mut self, _: StartBatch, ctx: &mut Self::Context) {
        let _handling = self.census.sequencer.handling_other();
        self.start_batch(ctx);
    }
}
