//! The sequencer's actor: what it holds, and the messages that it takes.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::prelude::*;
use indexmap::IndexMap;
use tokio::sync::{oneshot, watch};

use super::answers::Answers;
use super::batches::InFlight;
use super::cluster::Cluster;
use super::look::Looking;
use super::outage::Outage;
use super::pace::Pace;
use super::tail::Tail;
use super::view::LogView;
use crate::actors::Audience;
use crate::actors::insight::{Census, Post};
use crate::actors::logged::{LogPage, Logged};
use crate::actors::messages::{AudienceStarted, ReadLog, Sequence, Settle};
use crate::domain::{LogId, Offset, Position};
use crate::store::log::{Page, PageLimit, StoredEvent, Synced};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

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
    pub(super) pace: Pace,
    /// Who waits for nothing to be under way.
    pub(super) settled: Vec<oneshot::Sender<()>>,
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

impl Sequencer {
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
            pace: Pace::default(),
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

    pub(super) fn set_head(&mut self, head: Position) {
        self.head = head;
        self.head_offset = Offset::at(self.view.log, head).to_string().into();
        self.view.set_head(head);
    }
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
            let page = store.read_events(starts, up_to, PageLimit::of(limit)).await?;
            Ok(page.map(|Page { events, through }| {
                let events = events.into_iter().map(|event| Arc::new(logged(event, log))).collect();
                LogPage { events, through, complete: through == up_to }
            }))
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
