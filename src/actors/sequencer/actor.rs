//! The sequencer's actor: batches, and the messages that it takes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use actix::prelude::*;
use indexmap::IndexMap;
use tokio::sync::{oneshot, watch};
use tracing::Span;

use super::answers::Answers;
use super::backlog::{Slot, has_write, store_spans, write_of};
use super::cluster::Cluster;
use super::look::Looking;
use super::outage::Outage;
use super::tail::{Tail, page};
use super::view::LogView;
use crate::actors::Audience;
use crate::actors::insight::{Census, Post};
use crate::actors::logged::{LogPage, Logged};
use crate::actors::messages::{AudienceStarted, ReadLog, Sequence, Settle};
use crate::domain::{LogId, Offset, Position};
use crate::store::log::{Committed, StoredEvent, Synced, Write};
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, spans};

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

pub struct Sequencer {
    pub(super) store: Store,
    pub(super) view: Arc<LogView>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) head: Position,
    pub(super) head_offset: Arc<str>,
    pub(super) tail: Tail,
    pub(super) audiences: Vec<Option<Post<Audience>>>,
    pub(super) queue: VecDeque<Sequence>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) outage: Option<Outage>,
    /// What the newest publishes with a name were answered.
    pub(super) recent: IndexMap<(Arc<str>, Box<str>), Known>,
    scheduled: bool,
    /// A batch begins when its time has come, if none does before.
    pacing: bool,
    /// Steps of the newest batches.
    usual_batch: usize,
    next_batch: Instant,
    settled: Vec<oneshot::Sender<()>>,
    pub(super) answers: Answers,
    pub(super) looking: Looking,
    pub(super) disk: watch::Receiver<Synced>,
    pub(super) census: Arc<Census>,
    pub(super) cluster: Cluster,
    /// How often sessions have entered rooms.
    pub(super) entries: u64,
    /// This process, among all that write to the log.
    pub(super) instance: Arc<str>,
}

/// A publish with a name, as it was answered.
pub(super) struct Known {
    pub digest: [u8; 32],
    pub offset: Arc<str>,
    pub durable: bool,
}

/// Starts the next batch.
#[derive(Message)]
#[rtype(result = "()")]
struct StartBatch;

impl Sequencer {
    /// Steps of one batch.
    const MAX_BATCH: usize = 1_024;
    /// While much comes, batches begin this far apart, so that they share a commit, unless as much waits as
    /// came with the ones before: publishers that wait for their answers send no more until
    /// then. What comes to an idle service is stored at once.
    const PACE: Duration = Duration::from_millis(1);
    /// Fewer steps than this are not worth a commit of their own within that time.
    const WORTHWHILE: usize = 4;
    /// How long a batch may take before what can go out without it does.
    pub(super) const PATIENCE: Duration = Duration::from_millis(500);

    /// Goes on from where the log stands; `newest` are its newest events. To be called on the rooms' thread.
    pub fn start(
        store: Store,
        view: Arc<LogView>,
        newest: Vec<StoredEvent>,
        metrics: Arc<Metrics>,
        census: Arc<Census>,
    ) -> Post<Self> {
        let head = view.head();
        let since = newest.first().map_or(head, |event| event.position - 1);
        let mut tail = Tail::new(since);
        newest.into_iter().for_each(|event| tail.push(Arc::new(logged(event, view.log))));
        let head_offset = Offset::at(view.log, head).to_string().into();
        let probe = census.sequencer.clone();
        let disk = store.synced();
        let sequencer = Self::create(|_| Self {
            store,
            view,
            metrics,
            head,
            head_offset,
            tail,
            audiences: Vec::new(),
            queue: VecDeque::new(),
            in_flight: None,
            outage: None,
            recent: IndexMap::new(),
            scheduled: false,
            pacing: false,
            usual_batch: 0,
            next_batch: Instant::now(),
            settled: Vec::new(),
            answers: Answers::default(),
            looking: Looking::default(),
            disk,
            census,
            cluster: Cluster::default(),
            entries: 0,
            instance: format!("{:012x}", rand::random::<u64>() >> 16).into(),
        });
        Post::new(sequencer, probe)
    }

    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.in_flight.is_some() || self.outage.is_some() || self.scheduled {
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
        let full = self.queue.len() >= self.usual_batch.max(Self::WORTHWHILE);
        let wait = if full { Duration::ZERO } else { self.next_batch.saturating_duration_since(Instant::now()) };
        if wait.is_zero() {
            self.scheduled = true;
        } else if std::mem::replace(&mut self.pacing, true) {
            return;
        }
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
        self.scheduled = false;
        self.pacing = false;
        if self.in_flight.is_some() || self.outage.is_some() || self.queue.is_empty() {
            return;
        }
        self.next_batch = Instant::now() + Self::PACE;
        let count = self.queue.len().min(Self::MAX_BATCH);
        // Follows what comes at once, and forgets it slowly.
        self.usual_batch = count.max(self.usual_batch - self.usual_batch.div_ceil(8));
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
        let before = self.head;
        self.go_out(slots, committed);
        self.cluster.tell(before, self.head);
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

    pub(super) fn set_head(&mut self, head: Position) {
        self.head = head;
        self.head_offset = Offset::at(self.view.log, head).to_string().into();
        self.view.set_head(head);
    }
}

/// What other processes wrote to the log between two positions. It is stored, so this is asked until it is answered.
pub(super) async fn read_foreign(store: &Store, head: Position, before: Position) -> Vec<StoredEvent> {
    const AGAIN: Duration = Duration::from_millis(200);
    let (mut after, mut found) = (head, Vec::new());
    while after < before {
        match store.read_between(after, before).await {
            Ok((events, through)) => {
                found.extend(events);
                after = through;
            }
            Err(error) => {
                tracing::warn!(%error, "another process's events cannot be read yet");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    found
}

pub(super) fn logged(event: StoredEvent, log: LogId) -> Logged {
    Logged::placed(event.rooms.into(), &event.name, &event.payload, log, event.position)
}

impl Actor for Sequencer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(Self::LOOK_EVERY, Self::look_now_and_then);
        self.listen(ctx);
        ctx.run_interval(Self::LOOK_EVERY, Self::answer_late);
    }
}

impl Handler<Sequence> for Sequencer {
    type Result = ();

    fn handle(&mut self, step: Sequence, ctx: &mut Self::Context) {
        let _handling = self.census.sequencer.handling();
        if self.outage.is_some() {
            self.do_without(step);
        } else {
            self.queue.push_back(step);
            self.pump(ctx);
        }
        self.note_backlog();
    }
}

impl Handler<StartBatch> for Sequencer {
    type Result = ();

    fn handle(&mut self, _: StartBatch, ctx: &mut Self::Context) {
        let _handling = self.census.sequencer.handling_other();
        self.start_batch(ctx);
    }
}

impl Handler<ReadLog> for Sequencer {
    type Result = ResponseFuture<Result<Option<LogPage>, StoreError>>;

    fn handle(&mut self, question: ReadLog, _: &mut Self::Context) -> Self::Result {
        let _handling = self.census.sequencer.handling();
        let ReadLog { starts, up_to, limit } = question;
        // No further than what has gone out: the rest comes by itself.
        let up_to = up_to.unwrap_or(self.head).min(self.head);
        if let Some(found) = self.tail.read(&starts, up_to, limit) {
            return Box::pin(std::future::ready(Ok(Some(found))));
        }
        let (store, log) = (self.store.clone(), self.view.log);
        Box::pin(async move {
            let events = store.read_events(starts, up_to, limit).await?;
            let events = events.map(|events| events.into_iter().map(|event| Arc::new(logged(event, log))).collect());
            Ok(events.map(|events| page(events, up_to, limit)))
        })
    }
}

impl Handler<AudienceStarted> for Sequencer {
    type Result = ();

    fn handle(&mut self, message: AudienceStarted, _: &mut Self::Context) {
        let _handling = self.census.sequencer.handling();
        if self.audiences.len() <= message.index {
            self.audiences.resize(message.index + 1, None);
        }
        self.audiences[message.index] = Some(message.audience);
    }
}

impl Handler<Settle> for Sequencer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Settle, ctx: &mut Self::Context) -> Self::Result {
        let _handling = self.census.sequencer.handling();
        let (settled, waiting) = oneshot::channel();
        self.settled.push(settled);
        self.pump(ctx);
        Box::pin(async move { drop(waiting.await) })
    }
}
