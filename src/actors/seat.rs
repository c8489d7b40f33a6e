//! A session's place in an audience: whether it is sent its events as they come, has them
//! kept for a moment, or reads them from the log.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::Session;
use super::insight::{self, Journal, Post, State};
use super::logged::Logged;
use super::messages::{Closing, FellBehind, Outlet, SessionKey};
use crate::domain::{LogId, Offset, Position};

/// Of one thread, hence the cells.
pub struct Seat {
    key: SessionKey,
    outlet: Arc<dyn Outlet>,
    session: Post<Session>,
    journal: Arc<Journal>,
    flow: RefCell<Flow>,
    live: Cell<bool>,
    /// Up to where the session has had its events; `None` while it has had none on this connection.
    last: Cell<Option<Position>>,
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

    pub fn new(key: SessionKey, outlet: Arc<dyn Outlet>, session: Post<Session>, journal: Arc<Journal>) -> Self {
        let (flow, live, last) = (RefCell::new(Flow::Live), Cell::new(true), Cell::new(None));
        Self { key, outlet, session, journal, flow, live, last }
    }

    /// Notes for the operator how the session is sent its events from here on.
    fn note(&self, flow: insight::Flow) {
        let probe = self.session.probe();
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
    pub fn take(&self, event: &Arc<Logged>, log: LogId) {
        if self.live.get() {
            self.send(event, log);
        } else {
            self.keep(event);
        }
    }

    fn send(&self, event: &Arc<Logged>, log: LogId) {
        let (Some(position), Some(packet)) = (event.position(), event.packet()) else {
            return self.send_unplaced(event, log);
        };
        // What the session has read from the log already.
        if self.last.get() >= Some(position) {
            return;
        }
        if self.outlet.push_event(packet) {
            self.last.set(Some(position));
        } else {
            self.step_back();
            self.session.do_send(FellBehind { after: self.last.get().unwrap_or_default() });
        }
    }

    fn send_unplaced(&self, event: &Logged, log: LogId) {
        let before = self.last.get().map(|position| Offset::at(log, position).to_string());
        if !self.outlet.push_event(&event.packet_with(before.as_deref().unwrap_or_default())) {
            self.miss(event);
        }
    }

    /// An event that the log does not have (yet) cannot be read from it. One that is stored later is
    /// there when the client comes back.
    fn miss(&self, event: &Logged) {
        if !event.is_volatile() {
            self.outlet.close(Closing::AtOnce);
        }
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

    /// The client has been sent everything up to and with `through`; `false` where more came since than was kept.
    pub fn go_live(&self, through: Position, log: LogId) -> bool {
        let flow = std::mem::replace(&mut *self.flow.borrow_mut(), Flow::Live);
        let events = match flow {
            Flow::Live => Vec::new(),
            Flow::Held { events, .. } => events,
            Flow::Behind => {
                *self.flow.borrow_mut() = Flow::Behind;
                return false;
            }
        };
        self.last.set(self.last.get().max(Some(through)));
        self.live.set(true);
        self.note(insight::Flow::Live);
        // One that is not taken makes the session fall behind, and those after it are kept no more.
        events.iter().for_each(|event| self.take(event, log));
        true
    }
}
