//! An Audience holds the members of all rooms on one worker thread, and hands
//! them their events. It decides nothing: who is a member, and in which order
//! events come, is the rooms' and the sequencer's business.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use indexmap::IndexMap;
use tracing::Span;

use super::insight::{AudienceRecord, Census, Journal, Post, Probe};
use super::logged::Logged;
use super::messages::{
    AddMember, Deliver, EnteredAt, FindMembers, GoLive, GoneLive, Hold, InspectMembers, InspectSeat, Leaves,
    MemberView, Outlet, Placed, RemoveMember, Reply, SessionKey,
};
use super::seat::Seat;
use crate::domain::{Except, LogId, Position, RoomName};
use crate::telemetry::{Metrics, spans};

/// One event in so many has its time put into the metrics, which cost more than the way does.
const SAMPLED: u64 = 16;

type Members = IndexMap<SessionKey, Rc<Seat>>;

pub struct Audience {
    rooms: HashMap<RoomName, Members>,
    /// Those of `rooms`, by session.
    seats: HashMap<SessionKey, Rc<Seat>>,
    log: LogId,
    metrics: Arc<Metrics>,
    index: usize,
    probe: Arc<Probe>,
    journal: Arc<Journal>,
    census: Arc<Census>,
}

impl Audience {
    /// To be called on the worker thread that has this index.
    pub fn start(index: usize, log: LogId, metrics: Arc<Metrics>, census: Arc<Census>) -> Post<Self> {
        let (probe, journal) = (Arc::<Probe>::default(), Arc::<Journal>::default());
        let (rooms, seats) = (HashMap::new(), HashMap::new());
        let audience = Self {
            rooms,
            seats,
            log,
            metrics,
            index,
            probe: probe.clone(),
            journal: journal.clone(),
            census: census.clone(),
        };
        let audience = Post::new(Self::create(|_| audience), probe);
        census.list_audience(AudienceRecord { index, audience: audience.clone(), journal });
        audience
    }

    fn deliver(&self, event: &Arc<Logged>, span: &Span) {
        let turn = self.journal.next_turn();
        let leaves = if self.probe.depth() == 0 { Leaves::Now } else { Leaves::WithTheTurn };
        let delivered = match (event.except(), event.rooms()) {
            (Some(except), _) => self.deliver_but(event, except, leaves),
            (None, [room]) => self.rooms.get(room).map_or(0, |members| {
                members.values().for_each(|seat| seat.take(event, self.log, leaves));
                members.len()
            }),
            (None, rooms) => {
                let members = self.members_of(rooms);
                members.values().for_each(|seat| seat.take(event, self.log, leaves));
                members.len()
            }
        };
        spans::reached(span, delivered);
        self.metrics.deliveries.increment(delivered as u64);
        self.census.count_deliveries(delivered);
        if let Some(way) = event.way() {
            let took = way.hand_over(self.index, turn, delivered);
            self.census.latency.record(took);
            if turn.is_multiple_of(SAMPLED) {
                self.metrics.delivery.record(took.as_secs_f64());
            }
        }
    }

    /// A session in several of the rooms is here once.
    fn members_of(&self, rooms: &[RoomName]) -> IndexMap<&SessionKey, &Rc<Seat>> {
        rooms.iter().filter_map(|room| self.rooms.get(room)).flatten().collect()
    }

    fn deliver_but(&self, event: &Arc<Logged>, except: &Except, leaves: Leaves) -> usize {
        let mut members = self.members_of(event.rooms());
        members.retain(|_, seat| !seat.is_excepted(except));
        members.values().for_each(|seat| seat.take(event, self.log, leaves));
        members.len()
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
        let _handling = self.probe.handling();
        self.deliver(&message.event, &message.span);
    }
}

impl Handler<Placed> for Audience {
    type Result = ();

    fn handle(&mut self, message: Placed, _: &mut Self::Context) {
        let _handling = self.probe.handling();
        let Some(position) = message.event.position() else { return };
        let Placed { event, entry } = message;
        for seat in self.members_of(event.rooms()).values() {
            if seat.was_in_one_of(event.rooms(), entry) {
                seat.note_placed(position);
            } else {
                seat.take(&event, self.log, Leaves::WithTheTurn);
            }
        }
    }
}

impl Handler<AddMember> for Audience {
    type Result = ();

    fn handle(&mut self, message: AddMember, _: &mut Self::Context) {
        let _handling = self.probe.handling();
        let AddMember { room, key, socket_id, outlet, session, probe, begin, at, entry, reply, entered } = message;
        // The reply first: the room's events follow it.
        answer(&*outlet, &reply);
        let journal = &self.journal;
        let new_seat = || Rc::new(Seat::new(key, socket_id, outlet, session, probe, journal.clone()));
        let seat = self.seats.entry(key).or_insert_with(new_seat);
        let live_through = seat.live_through();
        seat.enter(&room, at, entry, begin);
        if self.rooms.entry(room.clone()).or_default().insert(key, seat.clone()).is_none() {
            self.journal.entered(room, key);
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
        let _handling = self.probe.handling();
        if let Some(members) = self.rooms.get_mut(&message.room) {
            let was_in = members.swap_remove(&message.key).is_some();
            if members.is_empty() {
                self.rooms.remove(&message.room);
            }
            if was_in {
                self.journal.left(&message.room, message.key);
            }
            if was_in && self.seats.get(&message.key).is_some_and(|seat| seat.leave(&message.room)) {
                self.seats.remove(&message.key);
            }
        }
        answer(&*message.outlet, &message.reply);
    }
}

impl Handler<FindMembers> for Audience {
    type Result = Vec<SessionKey>;

    fn handle(&mut self, message: FindMembers, _: &mut Self::Context) -> Self::Result {
        let _handling = self.probe.handling();
        self.rooms.get(&message.room).map(|members| members.keys().copied().collect()).unwrap_or_default()
    }
}

impl Handler<Hold> for Audience {
    type Result = ();

    fn handle(&mut self, message: Hold, _: &mut Self::Context) {
        let _handling = self.probe.handling();
        if let Some(seat) = self.seats.get(&message.key) {
            seat.hold();
        }
    }
}

impl Handler<GoLive> for Audience {
    type Result = GoneLive;

    fn handle(&mut self, message: GoLive, _: &mut Self::Context) -> Self::Result {
        let _handling = self.probe.handling();
        // A session in no room any more has nothing to wait for.
        self.seats.get(&message.key).map_or(GoneLive::Live, |seat| seat.go_live(message.through, self.log))
    }
}

impl Handler<InspectSeat> for Audience {
    type Result = Vec<(RoomName, Position)>;

    fn handle(&mut self, message: InspectSeat, _: &mut Self::Context) -> Self::Result {
        let _handling = self.probe.handling();
        self.seats.get(&message.key).map(|seat| seat.rooms()).unwrap_or_default()
    }
}

impl Handler<InspectMembers> for Audience {
    type Result = Vec<MemberView>;

    fn handle(&mut self, message: InspectMembers, _: &mut Self::Context) -> Self::Result {
        let _handling = self.probe.handling();
        let members = self.rooms.get(&message.room).into_iter().flatten();
        members.map(|(key, seat)| MemberView { key: *key, flow: seat.flow(), last: seat.last() }).collect()
    }
}
