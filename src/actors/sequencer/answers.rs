//! Acknowledgements that wait for the disk. An event goes out once it is committed, where it survives the death
//! of the process; its publisher is told so once it also survives the loss of power.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::actor::Sequencer;
use crate::actors::publication::Receipt;
use crate::store::log::{Generation, Synced};

/// Oldest first.
#[derive(Default)]
pub struct Answers {
    waiting: VecDeque<Answer>,
    /// Somebody is waiting for the disk already.
    watched: bool,
    synced: Synced,
}

struct Answer {
    receipt: Receipt,
    offset: Arc<str>,
    generation: Generation,
    since: Instant,
}

impl Answers {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Answers when the disk has come so far, or at once where nobody waits to be told.
    pub fn put(&mut self, receipt: Receipt, offset: Arc<str>, generation: Generation) {
        if !receipt.is_awaited() {
            return receipt.publish(offset, true);
        }
        self.waiting.push_back(Answer { receipt, offset, generation, since: Instant::now() });
    }

    fn answer(&mut self) {
        while let Some(answer) = self.waiting.pop_front_if(|answer| answer.generation <= self.synced.through) {
            answer.receipt.publish(answer.offset, answer.generation > self.synced.lost_through);
        }
    }

    /// Answers what has waited for too long, as not known to be on the disk.
    fn answer_late(&mut self, patience: Duration) {
        while let Some(answer) = self.waiting.pop_front_if(|answer| answer.since.elapsed() > patience) {
            answer.receipt.publish(answer.offset, false);
        }
    }
}

impl Sequencer {
    /// Answers what the disk has, and waits for the rest.
    pub(super) fn follow_disk(&mut self, ctx: &mut Context<Self>) {
        self.answers.synced = *self.disk.borrow_and_update();
        self.answers.answer();
        if self.answers.is_empty() || std::mem::replace(&mut self.answers.watched, true) {
            return;
        }
        self.store.hurry_sync();
        let mut disk = self.disk.clone();
        let following = async move { disk.changed().await };
        ctx.spawn(following.into_actor(self).map(|_, sequencer, ctx| {
            sequencer.answers.watched = false;
            sequencer.follow_disk(ctx);
            sequencer.pump(ctx);
            sequencer.note_backlog();
        }));
    }

    /// The disk may hang: publishers are not left waiting for it.
    pub(super) fn answer_late(&mut self, ctx: &mut Context<Self>) {
        if !self.answers.is_empty() {
            self.answers.answer_late(Self::PATIENCE);
            self.pump(ctx);
            self.note_backlog();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    #[test]
    fn an_answer_waits_for_the_disk_and_says_whether_it_has_the_event() {
        let mut answers = Answers::default();
        let mut put = |generation| {
            let (receipt, answer) = Receipt::for_caller("id".into());
            answers.put(receipt, "offset".into(), generation);
            answer
        };
        let (mut first, mut second, mut third) = (put(3), put(4), put(5));
        answers.synced = Synced { through: 2, lost_through: 0 };
        answers.answer();
        assert!(matches!(first.try_recv(), Err(TryRecvError::Empty)));
        answers.synced = Synced { through: 3, lost_through: 0 };
        answers.answer();
        assert!(first.try_recv().unwrap().unwrap().durable);
        assert!(matches!(second.try_recv(), Err(TryRecvError::Empty)));
        answers.synced = Synced { through: 4, lost_through: 4 };
        answers.answer();
        assert!(!second.try_recv().unwrap().unwrap().durable, "the disk refused it");
        answers.answer_late(Duration::from_mins(1));
        assert!(matches!(third.try_recv(), Err(TryRecvError::Empty)));
        answers.answer_late(Duration::ZERO);
        assert!(!third.try_recv().unwrap().unwrap().durable, "the disk hangs");
        assert!(answers.is_empty());
    }
}
