//! The Registry starts rooms, finds them, starts them again when they fail, and
//! lets them go. Everything for a room passes through it, which is what makes
//! the order of publishes to several rooms one order, and retiring exact.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::insight::{Census, Post, Probe};
use super::messages::{
    AudienceStarted, Depart, Enter, Flush, Join, LeaveRoom, Place, ProvokePanic, Publish, RestartRoom, Retire,
    RetireRoom, RoomEnded, StartAgain,
};
use super::publication;
use super::room::{Room, RoomSeed};
use super::{Audience, Sequencer};
use crate::domain::RoomName;
use crate::telemetry::Metrics;

struct Entry {
    room: Post<Room>,
    life: Life,
}

/// One life of a room of some name, from its start to its retirement or failure.
struct Life {
    generation: u64,
    /// Messages sent to the room in this life.
    sent: u64,
}

impl Life {
    /// Whether a room that asks to go may: not where something is on its way to it, nor
    /// where the asking is an earlier life's. It asks again once it is idle again.
    fn may_end(&self, generation: u64, handled: u64) -> bool {
        self.generation == generation && self.sent == handled
    }
}

pub struct Registry {
    rooms: HashMap<RoomName, Entry>,
    sequencer: Post<Sequencer>,
    audiences: Vec<Option<Post<Audience>>>,
    next_generation: u64,
    idle: Duration,
    metrics: Arc<Metrics>,
    census: Arc<Census>,
}

impl Registry {
    /// Starts the registry on this thread; its rooms will live here too.
    pub fn start(
        sequencer: Post<Sequencer>,
        room_idle: Duration,
        metrics: Arc<Metrics>,
        census: Arc<Census>,
    ) -> Post<Self> {
        let probe = census.registry.clone();
        let registry = Self::create(|_| Self {
            rooms: HashMap::new(),
            sequencer,
            audiences: Vec::new(),
            next_generation: 0,
            idle: room_idle,
            metrics,
            census,
        });
        Post::new(registry, probe)
    }

    /// The room of this name, started if it is not there or has failed unseen.
    fn room(&mut self, name: &RoomName, ctx: &Context<Self>) -> &mut Entry {
        let dead = self.rooms.get(name).map(|entry| !entry.room.connected());
        if dead != Some(false) {
            self.start_room(name.clone(), (dead == Some(true)).then_some("it was gone"), ctx);
        }
        let entry = self.rooms.get_mut(name).expect("it was just started");
        entry.life.sent += 1;
        entry
    }

    /// `failure` is why the room of this name before it failed, if one did.
    fn start_room(&mut self, name: RoomName, failure: Option<&str>, ctx: &Context<Self>) {
        let former = self.rooms.get(&name).map(|entry| entry.room.probe());
        let probe = Arc::new(former.map_or_else(Probe::default, |former| Probe::after(former, failure)));
        self.census.list_room(name.clone(), probe.clone());
        let generation = self.next_generation;
        self.next_generation += 1;
        let room = Room::start(RoomSeed {
            name: name.clone(),
            generation,
            registry: Post::new(ctx.address(), self.census.registry.clone()),
            sequencer: self.sequencer.clone(),
            audiences: self.audiences.clone(),
            restarted: failure.is_some(),
            probe,
            idle: self.idle,
        });
        self.rooms.insert(name, Entry { room, life: Life { generation, sent: 0 } });
        self.metrics.set_rooms(self.rooms.len());
    }
}

impl Actor for Registry {
    type Context = Context<Self>;
}

impl Handler<AudienceStarted> for Registry {
    type Result = ();

    fn handle(&mut self, message: AudienceStarted, _: &mut Self::Context) {
        let _handling = self.census.registry.handling();
        if self.audiences.len() <= message.index {
            self.audiences.resize(message.index + 1, None);
        }
        self.audiences[message.index] = Some(message.audience.clone());
        self.sequencer.do_send(message);
    }
}

impl Handler<Publish> for Registry {
    type Result = ();

    fn handle(&mut self, message: Publish, ctx: &mut Self::Context) {
        let _handling = self.census.registry.handling();
        self.metrics.publishes.increment(1);
        self.census.count_publish();
        let rooms = message.append.rooms.clone();
        for (name, part) in rooms.iter().zip(publication::split(message.append, message.receipt)) {
            self.room(name, ctx).room.do_send(Place { part });
        }
    }
}

impl Handler<Join> for Registry {
    type Result = ();

    fn handle(&mut self, message: Join, ctx: &mut Self::Context) {
        let _handling = self.census.registry.handling();
        self.room(&message.room, ctx).room.do_send(Enter { entry: message.entry });
    }
}

impl Handler<LeaveRoom> for Registry {
    type Result = ();

    fn handle(&mut self, message: LeaveRoom, ctx: &mut Self::Context) {
        let _handling = self.census.registry.handling();
        let leave = message.leave;
        self.room(&leave.room().clone(), ctx).room.do_send(Depart { leave });
    }
}

impl Handler<RetireRoom> for Registry {
    type Result = ();

    fn handle(&mut self, message: RetireRoom, _: &mut Self::Context) {
        let _handling = self.census.registry.handling();
        let Some(entry) = self.rooms.get(&message.room) else { return };
        if !entry.life.may_end(message.generation, message.handled) {
            return;
        }
        entry.room.do_send(Retire);
        self.rooms.remove(&message.room);
        self.census.strike_room(&message.room);
        self.metrics.set_rooms(self.rooms.len());
    }
}

impl Handler<RoomEnded> for Registry {
    type Result = ();

    fn handle(&mut self, message: RoomEnded, ctx: &mut Self::Context) {
        let _handling = self.census.registry.handling();
        let Some(panic) = message.panic else { return };
        let current = self.rooms.get(&message.room).is_some_and(|entry| entry.life.generation == message.generation);
        if let Some(entry) = self.rooms.get(&message.room).filter(|_| !current) {
            entry.room.probe().note_failure(&panic);
        }
        if current {
            self.start_room(message.room.clone(), Some(&panic), ctx);
        }
        self.metrics.room_restarts.increment(1);
        tracing::error!(room = %message.room, panic, handled = message.handled, "a room panicked and was started again");
    }
}

impl Handler<RestartRoom> for Registry {
    type Result = bool;

    fn handle(&mut self, message: RestartRoom, _: &mut Self::Context) -> bool {
        let _handling = self.census.registry.handling();
        let Some(entry) = self.rooms.get_mut(&message.room).filter(|entry| entry.room.connected()) else {
            return false;
        };
        let probe = Arc::new(Probe::after(entry.room.probe(), None));
        // What is on its way was counted by the former probe; the new one begins with what is sent from here on.
        entry.room.do_send(StartAgain { probe: probe.clone() });
        entry.room = entry.room.probed(probe.clone());
        self.census.list_room(message.room.clone(), probe);
        tracing::warn!(room = %message.room, "a room was started again by an operator");
        true
    }
}

impl Handler<Flush> for Registry {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        let _handling = self.census.registry.handling();
    }
}

impl Handler<ProvokePanic> for Registry {
    type Result = ();

    fn handle(&mut self, message: ProvokePanic, ctx: &mut Self::Context) {
        let _handling = self.census.registry.handling();
        let name = message.room.clone();
        self.room(&name, ctx).room.do_send(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_goes_only_when_nothing_is_on_its_way_to_it() {
        let life = Life { generation: 7, sent: 3 };
        assert!(life.may_end(7, 3));
        assert!(!life.may_end(7, 2), "one message has not been handled");
        assert!(!life.may_end(6, 3), "an earlier life asked");
    }
}
