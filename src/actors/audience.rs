//! An Audience holds the members of all rooms on one worker thread, and hands
//! them their events. It decides nothing: who is a member, and in which order
//! events come, is the rooms' and the sequencer's business.

use std::collections::HashMap;
use std::rc::Rc;

use actix::prelude::*;
use indexmap::IndexMap;
use metrics::Counter;

use super::logged::Logged;
use super::messages::{
    AddMember, Begin, Deliver, EnteredAt, FindMembers, GoLive, Hold, Outlet, RemoveMember, Reply, SessionKey,
};
use super::seat::Seat;
use crate::domain::{LogId, RoomName};

type Members = IndexMap<SessionKey, Rc<Seat>>;

pub struct Audience {
    rooms: HashMap<RoomName, Members>,
    /// Those of `rooms` by session, with the number of rooms that each is in.
    seats: HashMap<SessionKey, (Rc<Seat>, usize)>,
    log: LogId,
    deliveries: Counter,
}

impl Audience {
    pub fn start(log: LogId, deliveries: Counter) -> Addr<Self> {
        Self::create(|_| Self { rooms: HashMap::new(), seats: HashMap::new(), log, deliveries })
    }

    fn deliver(&self, event: &std::sync::Arc<Logged>) {
        let delivered = match event.rooms() {
            [room] => self.rooms.get(room).map_or(0, |members| {
                members.values().for_each(|seat| seat.take(event, self.log));
                members.len()
            }),
            rooms => {
                // A session in several of the rooms gets it once.
                let members: IndexMap<_, _> = rooms.iter().filter_map(|room| self.rooms.get(room)).flatten().collect();
                members.values().for_each(|seat| seat.take(event, self.log));
                members.len()
            }
        };
        self.deliveries.increment(delivered as u64);
    }
}

fn answer(outlet: &dyn Outlet, reply: &Reply) {
    if let Some(event) = &reply.event {
        outlet.push_notice(event);
    }
    if let Some((ack, answer)) = &reply.ack {
        outlet.push_ack(*ack, answer);
    }
}

impl Actor for Audience {
    type Context = Context<Self>;
}

impl Handler<Deliver> for Audience {
    type Result = ();

    fn handle(&mut self, message: Deliver, _: &mut Self::Context) {
        self.deliver(&message.event);
    }
}

impl Handler<AddMember> for Audience {
    type Result = ();

    fn handle(&mut self, message: AddMember, _: &mut Self::Context) {
        let AddMember { room, key, outlet, session, begin, at, reply, entered } = message;
        // The reply first: the room's events follow it.
        answer(&*outlet, &reply);
        let (seat, rooms) = self.seats.entry(key).or_insert_with(|| (Rc::new(Seat::new(outlet, session)), 0));
        let live_through = seat.live_through();
        match begin {
            Begin::Now | Begin::After(_) => {}
            Begin::Held => seat.hold(),
            Begin::FromLog => seat.step_back(),
        }
        if self.rooms.entry(room).or_default().insert(key, seat.clone()).is_none() {
            *rooms += 1;
        }
        if let Some(entered) = entered {
            // A session that has gone needs no word.
            entered.send(EnteredAt { at, held: true, live_through }).ok();
        }
    }
}

impl Handler<RemoveMember> for Audience {
    type Result = ();

    fn handle(&mut self, message: RemoveMember, _: &mut Self::Context) {
        if let Some(members) = self.rooms.get_mut(&message.room) {
            let was_in = members.swap_remove(&message.key).is_some();
            if members.is_empty() {
                self.rooms.remove(&message.room);
            }
            if was_in && let Some((_, rooms)) = self.seats.get_mut(&message.key) {
                *rooms -= 1;
                if *rooms == 0 {
                    self.seats.remove(&message.key);
                }
            }
        }
        answer(&*message.outlet, &message.reply);
    }
}

impl Handler<FindMembers> for Audience {
    type Result = Vec<SessionKey>;

    fn handle(&mut self, message: FindMembers, _: &mut Self::Context) -> Self::Result {
        self.rooms.get(&message.room).map(|members| members.keys().copied().collect()).unwrap_or_default()
    }
}

impl Handler<Hold> for Audience {
    type Result = ();

    fn handle(&mut self, message: Hold, _: &mut Self::Context) {
        if let Some((seat, _)) = self.seats.get(&message.key) {
            seat.hold();
        }
    }
}

impl Handler<GoLive> for Audience {
    type Result = bool;

    fn handle(&mut self, message: GoLive, _: &mut Self::Context) -> Self::Result {
        // A session in no room any more has nothing to wait for.
        self.seats.get(&message.key).is_none_or(|(seat, _)| seat.go_live(message.through, self.log))
    }
}
