//! An event on its way into its rooms.
//!
//! A publish to one room takes its place and is delivered at once. A publish to
//! several takes its places in one step: each room that reaches it waits, and the
//! last one delivers it for all and lets the others go on. So no session sees it
//! on one side of an event in one room and on the other side in another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::ingress::IngressSlot;
use super::messages::{PublishSettled, Published, Resume};
use crate::domain::{ErrorCode, EventPacket, Refusal, RoomName};

/// The answer that a publisher waits for. It is answered exactly once: if nobody
/// does it, because an actor died with it, the answer is `INTERNAL`.
pub struct Receipt {
    id: Box<str>,
    to: Option<Answer>,
}

enum Answer {
    Session { session: Recipient<PublishSettled>, ack: Option<i64>, received: Instant, slot: IngressSlot },
    Caller(oneshot::Sender<Result<Published, Refusal>>),
}

impl Receipt {
    const LOST: Refusal = Refusal::new(ErrorCode::Internal, "Failed to broadcast");

    /// For a publish that came over a socket.
    pub fn for_session(
        id: Box<str>,
        session: Recipient<PublishSettled>,
        ack: Option<i64>,
        received: Instant,
        slot: IngressSlot,
    ) -> Self {
        Self { id, to: Some(Answer::Session { session, ack, received, slot }) }
    }

    /// For a publish by a caller who awaits it.
    pub fn for_caller(id: Box<str>) -> (Self, oneshot::Receiver<Result<Published, Refusal>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { id, to: Some(Answer::Caller(sender)) }, receiver)
    }

    /// For an event that the service itself makes.
    pub fn for_nobody() -> Self {
        Self { id: "".into(), to: None }
    }

    fn answer(&mut self, failure: Option<Refusal>) {
        let outcome = match failure {
            None => Ok(Published { id: std::mem::take(&mut self.id) }),
            Some(refusal) => Err(refusal),
        };
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
        self.answer(Some(Self::LOST));
    }
}

/// An event and the rooms it goes to.
pub struct Publication {
    rooms: Vec<RoomName>,
    packet: EventPacket,
    /// Rooms that have not reached it yet.
    remaining: AtomicUsize,
    /// A bit for each worker thread that has members of these rooms.
    audiences: AtomicU64,
    failed: AtomicBool,
    /// Rooms that stand at it, and wait for the others.
    waiting: Mutex<Vec<Recipient<Resume>>>,
    receipt: Mutex<Receipt>,
}

impl Publication {
    /// One part for each room, in the order of the rooms.
    pub fn split(rooms: Vec<RoomName>, packet: EventPacket, receipt: Receipt) -> Vec<Part> {
        let publication = Arc::new(Self {
            remaining: AtomicUsize::new(rooms.len()),
            rooms,
            packet,
            audiences: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            waiting: Mutex::default(),
            receipt: Mutex::new(receipt),
        });
        (0..publication.rooms.len()).map(|_| Part { publication: Some(publication.clone()) }).collect()
    }

    pub fn rooms(&self) -> &[RoomName] {
        &self.rooms
    }

    pub fn packet(&self) -> &EventPacket {
        &self.packet
    }

    fn finish(&self) {
        let failure = self.failed.load(Ordering::Acquire).then_some(Receipt::LOST);
        self.receipt.lock().answer(failure);
        for room in self.waiting.lock().drain(..) {
            room.do_send(Resume);
        }
    }
}

/// What a room has to do once it has reached an event.
pub enum Arrival {
    /// Every room has reached it: hand it to these audiences, then settle it.
    Last(Settlement),
    /// Other rooms have not: wait for [`Resume`].
    Early,
}

/// An event that all its rooms have reached.
pub struct Settlement {
    pub publication: Arc<Publication>,
    /// A bit for each worker thread that has members.
    pub audiences: u64,
    /// Whether one of its rooms failed: then nobody gets it.
    pub failed: bool,
}

impl Settlement {
    /// Answers the publisher and lets the other rooms go on. To be called after
    /// the event was handed over, so that nothing of those rooms overtakes it.
    pub fn settle(self) {
        self.publication.finish();
    }
}

/// One room's share of a publication. Dropped unplaced, it fails the whole.
pub struct Part {
    publication: Option<Arc<Publication>>,
}

impl Part {
    /// Takes this room's place; `room` is told to resume if others have not reached theirs.
    pub fn arrive(mut self, audiences: u64, room: impl FnOnce() -> Recipient<Resume>) -> Arrival {
        let publication = self.publication.take().expect("a part arrives once");
        publication.audiences.fetch_or(audiences, Ordering::AcqRel);
        if publication.rooms.len() == 1 {
            return Arrival::Last(Settlement { publication, audiences, failed: false });
        }
        {
            // Counted and listed in one step, so that whoever is last finds all who wait.
            let mut waiting = publication.waiting.lock();
            if publication.remaining.fetch_sub(1, Ordering::AcqRel) > 1 {
                waiting.push(room());
                return Arrival::Early;
            }
        }
        let audiences = publication.audiences.load(Ordering::Acquire);
        let failed = publication.failed.load(Ordering::Acquire);
        Arrival::Last(Settlement { publication, audiences, failed })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(publication) = self.publication.take() {
            publication.failed.store(true, Ordering::Release);
            if publication.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
                publication.finish();
            }
        }
    }
}
