//! An Audience holds the members of all rooms on one worker thread, and hands
//! them their events. It decides nothing: who is a member, and in which order
//! events come, is the rooms' business.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use indexmap::IndexMap;
use metrics::Counter;

use super::messages::{AddMember, Deliver, FindMembers, Outlet, RemoveMember, Reply, SessionKey};
use super::publication::Publication;
use crate::domain::RoomName;

type Members = IndexMap<SessionKey, Arc<dyn Outlet>>;

pub struct Audience {
    rooms: HashMap<RoomName, Members>,
    deliveries: Counter,
}

impl Audience {
    pub fn start(deliveries: Counter) -> Addr<Self> {
        Self::create(|_| Self { rooms: HashMap::new(), deliveries })
    }

    fn deliver(&self, publication: &Publication) {
        let packet = publication.packet();
        let delivered = match publication.rooms() {
            [room] => self.rooms.get(room).map_or(0, |members| {
                members.values().for_each(|outlet| outlet.push_event(packet));
                members.len()
            }),
            rooms => {
                // A session in several of the rooms gets it once.
                let members: IndexMap<_, _> = rooms.iter().filter_map(|room| self.rooms.get(room)).flatten().collect();
                members.values().for_each(|outlet| outlet.push_event(packet));
                members.len()
            }
        };
        self.deliveries.increment(delivered as u64);
    }
}

fn answer(outlet: &dyn Outlet, reply: &Reply) {
    if let Some(event) = &reply.event {
        outlet.push_event(event);
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
        self.deliver(&message.publication);
    }
}

impl Handler<AddMember> for Audience {
    type Result = ();

    fn handle(&mut self, message: AddMember, _: &mut Self::Context) {
        // The reply first: the room's events follow it.
        answer(&*message.outlet, &message.reply);
        self.rooms.entry(message.room).or_default().insert(message.key, message.outlet);
    }
}

impl Handler<RemoveMember> for Audience {
    type Result = ();

    fn handle(&mut self, message: RemoveMember, _: &mut Self::Context) {
        if let Some(members) = self.rooms.get_mut(&message.room) {
            members.swap_remove(&message.key);
            if members.is_empty() {
                self.rooms.remove(&message.room);
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
