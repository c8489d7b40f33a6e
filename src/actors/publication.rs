//! An event on its way through its rooms to the sequencer.
//!
//! A publish to one room goes on at once. One to several waits in each room that it
//! has reached; the last room sends it on for all of them. So it takes its place in all
//! of them in one step, on the same side of every other event of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::Span;

use super::ingress::IngressSlot;
use super::insight::Publisher;
use super::messages::{PublishSettled, Published, Resume, SessionKey};
use crate::domain::{ErrorCode, Refusal};
use crate::store::log::Append;
use crate::telemetry::spans;

/// The answer that a publisher waits for. It is answered exactly once: if nobody
/// does it, because an actor died with it, the answer is `INTERNAL`.
pub struct Receipt {
    id: Arc<str>,
    to: Option<Answer>,
    publisher: Publisher,
    received: Instant,
    span: Span,
}

enum Answer {
    Session { session: Recipient<PublishSettled>, ack: Option<i64>, received: Instant, slot: IngressSlot },
    Caller(oneshot::Sender<Result<Published, Refusal>>),
}

impl Receipt {
    /// The answer where an actor died with the publish.
    pub const LOST: Refusal = Refusal::new(ErrorCode::Internal, "Failed to broadcast");

    /// For a publish that came over a socket.
    pub fn for_session(
        id: Arc<str>,
        session: Recipient<PublishSettled>,
        ack: Option<i64>,
        received: Instant,
        slot: IngressSlot,
    ) -> Self {
        let mut receipt = Self::new(id, Some(Answer::Session { session, ack, received, slot }));
        receipt.received = received;
        receipt
    }

    /// For a publish by a caller who awaits it.
    pub fn for_caller(id: Arc<str>) -> (Self, oneshot::Receiver<Result<Published, Refusal>>) {
        let (sender, receiver) = oneshot::channel();
        (Self::new(id, Some(Answer::Caller(sender))), receiver)
    }

    /// For an event that the service itself makes.
    pub fn for_nobody() -> Self {
        Self::new("".into(), None)
    }

    fn new(id: Arc<str>, to: Option<Answer>) -> Self {
        Self { id, to, publisher: Publisher::Backend, received: Instant::now(), span: Span::none() }
    }

    /// For a publish by a session, for the record of its way.
    #[must_use]
    pub fn by(mut self, session: SessionKey) -> Self {
        self.publisher = Publisher::Session(session);
        self
    }

    /// For an event that came from a Node server.
    #[must_use]
    pub fn from_node(mut self) -> Self {
        self.publisher = Publisher::Node;
        self
    }

    /// With the span that goes along with the event.
    #[must_use]
    pub fn within(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    pub fn span(&self) -> &Span {
        &self.span
    }

    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub fn publisher(&self) -> Publisher {
        self.publisher
    }

    pub fn received(&self) -> Instant {
        self.received
    }

    /// Whether somebody waits to be told.
    pub fn is_awaited(&self) -> bool {
        match &self.to {
            None => false,
            Some(Answer::Session { ack, .. }) => ack.is_some(),
            Some(Answer::Caller(caller)) => !caller.is_closed(),
        }
    }

    /// Tells the publisher that the event went out.
    pub fn publish(mut self, offset: Arc<str>, durable: bool) {
        let id = self.id.clone();
        self.answer(Ok(Published { id, offset, durable }));
    }

    /// Tells the publisher that it did not.
    pub fn refuse(mut self, refusal: Refusal) {
        self.answer(Err(refusal));
    }

    fn answer(&mut self, outcome: Result<Published, Refusal>) {
        if self.to.is_some() {
            spans::answered(&self.span, outcome.as_ref().map(|published| published.durable));
        }
        match self.to.take() {
            None => {}
            Some(Answer::Session { session, ack, received, slot }) => {
                session.do_send(PublishSettled { ack, received, outcome, slot });
            }
            // A caller that no longer waits needs no answer.
            Some(Answer::Caller(sender)) => drop(sender.send(outcome)),
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.answer(Err(Self::LOST));
    }
}

/// An event that its rooms have not all reached.
struct Publication {
    append: Append,
    /// Rooms that have not reached it yet.
    remaining: AtomicUsize,
    /// A bit for each worker thread that has members of these rooms.
    audiences: AtomicU64,
    failed: AtomicBool,
    /// Rooms that stand at it, and wait for the others.
    waiting: Mutex<Vec<Recipient<Resume>>>,
    receipt: Mutex<Option<Receipt>>,
}

/// One part for each room, in the order of the rooms.
pub fn split(append: Append, receipt: Receipt) -> impl Iterator<Item = Part> {
    let rooms = append.rooms.len();
    let publication = Arc::new(Publication {
        append,
        remaining: AtomicUsize::new(rooms),
        audiences: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        waiting: Mutex::default(),
        receipt: Mutex::new(Some(receipt)),
    });
    (0..rooms).map(move |_| Part { publication: Some(publication.clone()) })
}

/// What becomes of an event as a room reaches it.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once, and a box would be one more allocation")]
pub enum Arrival {
    /// Every room has reached it: it goes on to the sequencer; then tell the rooms that wait.
    Last(Settlement, Waiting),
    /// One of its rooms failed: nobody gets it.
    Failed(Waiting),
    /// Other rooms have not reached it: wait for [`Resume`].
    Early,
}

/// Rooms that wait for an event to be on its way.
pub struct Waiting(Vec<Recipient<Resume>>);

impl Waiting {
    /// To be called after the event was handed on, so that nothing of those rooms overtakes it.
    pub fn resume(self) {
        self.0.into_iter().for_each(|room| room.do_send(Resume));
    }
}

/// An event that all its rooms have reached.
pub struct Settlement {
    pub append: Append,
    /// A bit for each worker thread that has members.
    pub audiences: u64,
    pub receipt: Receipt,
}

impl Publication {
    /// For the last room to reach it.
    fn arrived(&self) -> Arrival {
        let waiting = Waiting(std::mem::take(&mut *self.waiting.lock()));
        let receipt = self.receipt.lock().take();
        match receipt {
            Some(receipt) if !self.failed.load(Ordering::Acquire) => {
                let audiences = self.audiences.load(Ordering::Acquire);
                Arrival::Last(Settlement { append: self.append.clone(), audiences, receipt }, waiting)
            }
            // The receipt says so as it is dropped.
            _ => Arrival::Failed(waiting),
        }
    }
}

/// One room's share of a publication. Dropped unplaced, it fails the whole.
pub struct Part {
    publication: Option<Arc<Publication>>,
}

impl Part {
    /// This room has reached it; `room` is told to resume if others have not.
    pub fn arrive(mut self, audiences: u64, room: impl FnOnce() -> Recipient<Resume>) -> Arrival {
        let publication = self.publication.take().expect("a part arrives once");
        publication.audiences.fetch_or(audiences, Ordering::AcqRel);
        {
            // Counted and listed in one step, so that whoever is last finds all who wait.
            let mut waiting = publication.waiting.lock();
            if publication.remaining.fetch_sub(1, Ordering::AcqRel) > 1 {
                waiting.push(room());
                return Arrival::Early;
            }
        }
        publication.arrived()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(publication) = self.publication.take() {
            publication.failed.store(true, Ordering::Release);
            if publication.remaining.fetch_sub(1, Ordering::AcqRel) == 1
                && let Arrival::Failed(waiting) = publication.arrived()
            {
                waiting.resume();
            }
        }
    }
}
