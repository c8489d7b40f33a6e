//! A session's place in an audience: whether it is sent its events as they come, has them
//! kept for a moment, or reads them from the log.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use actix::Recipient;

use super::insight::{self, Journal, Probe, State};
use super::logged::Logged;
use super::messages::{Begin, Closing, FellBehind, GoneLive, Leaves, Outlet, SessionKey};
use crate::domain::{Except, LogId, Offset, Position, RoomName};

/// Of one thread, hence the cells.
pub struct Seat {
    key: SessionKey,
    socket_id: Arc<str>,
    outlet: Arc<dyn Outlet>,
    session: Recipient<FellBehind>,
    /// The session's.
    probe: Arc<Probe>,
    journal: Arc<Journal>,
    flow: RefCell<Flow>,
    live: Cell<bool>,
    /// Up to where the session has had its events; `None` while it has had none on this connection.
    last: Cell<Option<Position>>,
    rooms: RefCell<Vec<SeatRoom>>,
}

/// A room that the session is in, with the events after `at`.
struct SeatRoom {
    room: RoomName,
    at: Position,
    /// The entry's number, among all.
    entry: u64,
    /// Entered while the session was not live: whatever it is reading does not include this room.
    late: bool,
}

enum Flow {
    /// Sent as they come.
    Live,
    /// Kept until the session has read up to them.
    Held { events: Vec<Arc<Logged>>, weight: usize },
    /// For the session to read from the log.
    Behind,
}

impl Seat {
    /// What is kept for a session while it reads; past it the session reads on.
    const MAX_HELD: usize = 1_024;
    const MAX_HELD_WEIGHT: usize = 1024 * 1024;

    pub fn new(
        key: SessionKey,
        socket_id: Arc<str>,
        outlet: Arc<dyn Outlet>,
        session: Recipient<FellBehind>,
        probe: Arc<Probe>,
        journal: Arc<Journal>,
    ) -> Self {
        Self {
            key,
            socket_id,
            outlet,
            session,
            probe,
            journal,
            flow: RefCell::new(Flow::Live),
            live: Cell::new(true),
            last: Cell::new(None),
            rooms: RefCell::default(),
        }
    }

    /// The session is in a room from `at` on.
    pub fn enter(&self, room: &RoomName, at: Position, entry: u64, begin: Begin) {
        // What it reads from the log itself it reads from where it knows.
        let late = !self.live.get() && begin != Begin::FromLog;
        let mut rooms = self.rooms.borrow_mut();
        if !rooms.iter().any(|entered| entered.room == *room) {
            if rooms.is_empty() {
                // Its user's own, and the one that it is here for.
                rooms.reserve_exact(2);
            }
            rooms.push(SeatRoom { room: room.clone(), at, entry, late });
        }
        drop(rooms);
        match begin {
            Begin::Now | Begin::After(_) => {}
            Begin::Held => self.hold(),
            Begin::FromLog => self.step_back(),
        }
    }

    /// The rooms that the session is in, and the position that it has each one's events after.
    pub fn rooms(&self) -> Vec<(RoomName, Position)> {
        self.rooms.borrow().iter().map(|entered| (entered.room.clone(), entered.at)).collect()
    }

    /// The session is no longer in the room; whether it is in none now.
    pub fn leave(&self, room: &RoomName) -> bool {
        let mut rooms = self.rooms.borrow_mut();
        rooms.retain(|entered| entered.room != *room);
        rooms.is_empty()
    }

    /// From where a session that has had everything up to `after` is to read each of its rooms.
    fn starts(&self, after: Position) -> Vec<(RoomName, Position)> {
        let mut rooms = self.rooms.borrow_mut();
        let start = |entered: &mut SeatRoom| {
            let late = std::mem::take(&mut entered.late);
            (entered.room.clone(), if late { entered.at } else { entered.at.max(after) })
        };
        rooms.iter_mut().map(start).collect()
    }

    /// An event that went out without a place has one now.
    pub fn note_placed(&self, position: Position) {
        if self.live.get() {
            self.last.set(self.last.get().max(Some(position)));
        }
    }

    /// Notes for the operator how the session is sent its events from here on.
    fn note(&self, flow: insight::Flow) {
        let probe = &self.probe;
        probe.set_behind(self.last.get().unwrap_or_default());
        probe.set_state(match flow {
            insight::Flow::Live => State::Running,
            insight::Flow::Held => State::Reading,
            insight::Flow::Behind => State::Behind,
        });
        self.journal.flows(self.key, flow);
    }

    pub fn flow(&self) -> insight::Flow {
        match *self.flow.borrow() {
            Flow::Live => insight::Flow::Live,
            Flow::Held { .. } => insight::Flow::Held,
            Flow::Behind => insight::Flow::Behind,
        }
    }

    /// Up to where the session has had its events on this connection.
    pub fn last(&self) -> Option<Position> {
        self.last.get()
    }

    /// Takes an event of one of the session's rooms.
    pub fn take(&self, event: &Arc<Logged>, log: LogId, leaves: Leaves) {
        if self.live.get() {
            self.send(event, log, leaves);
        } else {
            self.keep(event);
        }
    }

    fn send(&self, event: &Arc<Logged>, log: LogId, leaves: Leaves) {
        let (Some(position), Some(packet)) = (event.position(), event.packet()) else {
            return self.send_unplaced(event, log, leaves);
        };
        // What the session has read from the log already.
        if self.last.get() >= Some(position) {
            return;
        }
        if self.outlet.push_event(packet, leaves) {
            self.last.set(Some(position));
        } else {
            self.step_back();
            let after = self.last.get().unwrap_or_default();
            self.session.do_send(FellBehind { after, starts: self.starts(after) });
        }
    }

    fn send_unplaced(&self, event: &Logged, log: LogId, leaves: Leaves) {
        let before = self.last.get().map(|position| Offset::at(log, position).to_string());
        if !self.outlet.push_event(&event.packet_with(before.as_deref().unwrap_or_default()), leaves) {
            self.miss(event);
        }
    }

    /// An event that the log does not have (yet) cannot be read from it. One that is stored later is
    /// there when the client comes back.
    fn miss(&self, event: &Logged) {
        if !event.is_volatile() {
            self.close();
        }
    }

    pub fn close(&self) {
        self.outlet.close(Closing::AtOnce);
    }

    fn keep(&self, event: &Arc<Logged>) {
        let mut flow = self.flow.borrow_mut();
        match &mut *flow {
            Flow::Held { events, weight } => {
                if events.len() < Self::MAX_HELD && *weight < Self::MAX_HELD_WEIGHT {
                    *weight += event.weight();
                    events.push(event.clone());
                    return;
                }
                events.iter().filter(|event| event.position().is_none()).for_each(|event| self.miss(event));
                *flow = Flow::Behind;
                self.note(insight::Flow::Behind);
            }
            Flow::Live | Flow::Behind => {}
        }
        if event.position().is_none() {
            self.miss(event);
        }
    }

    /// Up to where the session has had everything, if it is sent events as they come.
    pub fn live_through(&self) -> Option<Position> {
        self.live.get().then(|| self.last.get().unwrap_or_default())
    }

    pub fn hold(&self) {
        self.live.set(false);
        let mut flow = self.flow.borrow_mut();
        if !matches!(*flow, Flow::Held { .. }) {
            *flow = Flow::Held { events: Vec::new(), weight: 0 };
            self.note(insight::Flow::Held);
        }
    }

    pub fn step_back(&self) {
        self.live.set(false);
        *self.flow.borrow_mut() = Flow::Behind;
        self.note(insight::Flow::Behind);
    }

    /// The client has been sent everything up to and with `through`.
    pub fn go_live(&self, through: Position, log: LogId) -> GoneLive {
        if self.rooms.borrow().iter().any(|entered| entered.late && entered.at < through) {
            return GoneLive::ReadOn(self.starts(through));
        }
        let flow = std::mem::replace(&mut *self.flow.borrow_mut(), Flow::Live);
        let events = match flow {
            Flow::Live => Vec::new(),
            Flow::Held { events, .. } => events,
            Flow::Behind => {
                *self.flow.borrow_mut() = Flow::Behind;
                return GoneLive::ReadOn(self.starts(through));
            }
        };
        self.rooms.borrow_mut().iter_mut().for_each(|entered| entered.late = false);
        if through > 0 {
            self.last.set(self.last.get().max(Some(through)));
        }
        self.live.set(true);
        self.note(insight::Flow::Live);
        // One that is not taken makes the session fall behind, and those after it are kept no more.
        events
            .iter()
            .filter(|event| self.is_in_one_of(event.rooms()))
            // It may have entered such a room while the event was kept.
            .filter(|event| !event.except().is_some_and(|except| self.is_excepted(except)))
            .for_each(|event| self.take(event, log, Leaves::WithTheTurn));
        GoneLive::Live
    }

    /// Whether it was in one of the rooms by the time of that entry, and is still.
    pub fn was_in_one_of(&self, rooms: &[RoomName], entry: u64) -> bool {
        self.rooms.borrow().iter().any(|entered| entered.entry <= entry && rooms.contains(&entered.room))
    }

    /// Whether the event is not for it.
    pub fn is_excepted(&self, except: &Except) -> bool {
        except.names_socket(&self.socket_id) || self.is_in_one_of(except.rooms())
    }

    /// It may have left a room while that room's events were kept.
    fn is_in_one_of(&self, rooms: &[RoomName]) -> bool {
        self.rooms.borrow().iter().any(|entered| rooms.contains(&entered.room))
    }
}

#[cfg(test)]
mod tests;
