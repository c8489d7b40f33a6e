//! The room's actor. It knows its members, and sends what happens in it to the sequencer in order;
//! it never reads tokens or the database, and never writes to a connection.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::state::RoomState;
use crate::actors::insight::{Post, Probe, State};
use crate::actors::messages::{
    Depart, Enter, Entry, FindMembers, Leave, Place, ProvokePanic, Resume, Retire, RetireRoom, RoomEnded, Sequence,
    StartAgain,
};
use crate::actors::publication::{Arrival, Part};
use crate::actors::{Audience, Registry, Sequencer, supervision};
use crate::domain::RoomName;

/// What the registry gives a room to live with.
pub struct RoomSeed {
    pub name: RoomName,
    /// Counts the lives of rooms of this name.
    pub generation: u64,
    pub registry: Post<Registry>,
    pub sequencer: Post<Sequencer>,
    /// By the index of their worker threads.
    pub audiences: Vec<Option<Post<Audience>>>,
    /// Whether this takes the place of a room that failed, whose members are still there.
    pub restarted: bool,
    /// How long a room stays that nobody is in.
    pub idle: Duration,
    pub probe: Arc<Probe>,
}

enum Work {
    Place(Part),
    Enter(Entry),
    Leave(Leave),
}

pub struct Room {
    seed: RoomSeed,
    state: RoomState<Work>,
    retirement: Option<SpawnHandle>,
}

impl Room {
    pub fn start(seed: RoomSeed) -> Post<Self> {
        let probe = seed.probe.clone();
        Post::new(Self::create(|_| Self { seed, state: RoomState::default(), retirement: None }), probe)
    }

    /// Takes a message's work in.
    fn take(&mut self, work: Work, ctx: &mut Context<Self>) {
        let now = self.state.accept(work);
        self.proceed(now, ctx);
    }

    /// Does this, and what waits as far as it may be done now. Nothing else touches the members or the order.
    fn proceed(&mut self, mut next: Option<Work>, ctx: &mut Context<Self>) {
        while let Some(work) = next {
            match work {
                Work::Place(part) => self.place(part, ctx),
                Work::Enter(entry) => self.enter(entry, ctx),
                Work::Leave(leave) => self.leave(leave),
            }
            next = self.state.next_work();
        }
        self.consider_retiring(ctx);
    }

    fn place(&mut self, part: Part, ctx: &Context<Self>) {
        match part.arrive(self.state.audiences(), || ctx.address().recipient()) {
            Arrival::Early => self.state.stand(),
            Arrival::Failed(waiting) => waiting.resume(),
            Arrival::Last(settlement, waiting) => {
                self.seed.sequencer.do_send(Sequence::Publish(settlement));
                waiting.resume();
            }
        }
    }

    fn enter(&mut self, entry: Entry, ctx: &mut Context<Self>) {
        if let Some(retirement) = self.retirement.take() {
            ctx.cancel_future(retirement);
        }
        self.state.enter(entry.member.key, entry.member.audience_index);
        self.seed.sequencer.do_send(Sequence::Enter(entry));
    }

    fn leave(&mut self, leave: Leave) {
        self.state.leave(leave.key());
        self.seed.sequencer.do_send(leave.sequenced());
    }

    fn consider_retiring(&mut self, ctx: &mut Context<Self>) {
        if self.state.is_empty() && self.retirement.is_none() {
            let asks = |room: &mut Self, _: &mut Context<Self>| {
                room.retirement = None;
                if !room.state.is_empty() {
                    return;
                }
                room.seed.registry.do_send(RetireRoom {
                    room: room.seed.name.clone(),
                    generation: room.seed.generation,
                    handled: room.state.handled(),
                });
            };
            self.retirement = Some(ctx.run_later(self.seed.idle, asks));
        }
    }

    /// Learns from the audiences who is still in the room; its mailbox waits meanwhile.
    fn find_members(&self, ctx: &mut Context<Self>) {
        let room = self.seed.name.clone();
        self.seed.probe.set_state(State::Starting);
        // What the failed room sent on is to have reached the audiences first.
        let (passed, barrier) = oneshot::channel();
        self.seed.sequencer.do_send(Sequence::Barrier(passed));
        let questions = self.seed.audiences.iter().enumerate().filter_map(|(index, audience)| {
            let (audience, question) = (audience.clone()?, FindMembers { room: room.clone() });
            Some(async move { (index, audience.send(question).await.unwrap_or_default()) })
        });
        let questions: Vec<_> = questions.collect();
        let asking = async move {
            // Dropped unanswered only when the service ends.
            barrier.await.ok();
            join_all(questions).await
        };
        let answers = asking.into_actor(self).map(|answers, room, ctx| {
            for (index, keys) in answers {
                for key in keys {
                    room.state.enter(key, index);
                }
            }
            room.seed.probe.set_state(State::Running);
            room.consider_retiring(ctx);
        });
        ctx.wait(answers);
    }
}

impl Actor for Room {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.seed.restarted {
            self.find_members(ctx);
        } else {
            self.consider_retiring(ctx);
        }
    }
}

// An actor that panics is dropped without a word to anyone: this is how the registry learns of it.
impl Drop for Room {
    fn drop(&mut self) {
        self.seed.registry.do_send(RoomEnded {
            room: self.seed.name.clone(),
            generation: self.seed.generation,
            panic: supervision::panic_of_this_thread(),
            handled: self.state.handled(),
        });
    }
}

impl Handler<Place> for Room {
    type Result = ();

    fn handle(&mut self, message: Place, ctx: &mut Self::Context) {
        let _handling = self.seed.probe.handling();
        supervision::supervised(|| self.take(Work::Place(message.part), ctx));
    }
}

impl Handler<Enter> for Room {
    type Result = ();

    fn handle(&mut self, message: Enter, ctx: &mut Self::Context) {
        let _handling = self.seed.probe.handling();
        supervision::supervised(|| self.take(Work::Enter(message.entry), ctx));
    }
}

impl Handler<Depart> for Room {
    type Result = ();

    fn handle(&mut self, message: Depart, ctx: &mut Self::Context) {
        let _handling = self.seed.probe.handling();
        supervision::supervised(|| self.take(Work::Leave(message.leave), ctx));
    }
}

impl Handler<Resume> for Room {
    type Result = ();

    fn handle(&mut self, _: Resume, ctx: &mut Self::Context) {
        let _handling = self.seed.probe.handling_other();
        supervision::supervised(|| {
            self.state.resume();
            let next = self.state.next_work();
            self.proceed(next, ctx);
        });
    }
}

impl Handler<StartAgain> for Room {
    type Result = ();

    fn handle(&mut self, message: StartAgain, ctx: &mut Self::Context) {
        drop(self.seed.probe.handling());
        self.seed.probe = message.probe;
        supervision::supervised(|| {
            self.state.forget_members();
            self.find_members(ctx);
        });
    }
}

impl Handler<Retire> for Room {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<ProvokePanic> for Room {
    type Result = ();

    fn handle(&mut self, _: ProvokePanic, _: &mut Self::Context) {
        supervision::supervised(|| panic!("provoked by a test, with {} members", self.state.len()));
    }
}
