//! Who was in which room at which of an audience's turns, and who was behind then. The audience
//! notes changes alone, so an event costs nothing here however many members it goes to.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::actors::messages::SessionKey;
use crate::domain::RoomName;

/// How a session is sent its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// As they come.
    Live,
    /// Kept while it reads its past.
    Held,
    /// Read by it from the log.
    Behind,
}

impl Flow {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Held => "held",
            Self::Behind => "behind",
        }
    }
}

/// A turn is one event that came to the audience.
#[derive(Clone, Copy, Debug)]
struct Moment {
    turn: u64,
    at: Instant,
}

/// A session's time in a room.
#[derive(Debug)]
struct Stay {
    key: SessionKey,
    from: Moment,
    until: Option<Moment>,
}

struct FlowChange {
    key: SessionKey,
    from: Moment,
    flow: Flow,
}

#[derive(Default)]
struct Noted {
    rooms: HashMap<RoomName, VecDeque<Stay>>,
    /// The rooms of those that have left, in the order of their leaving.
    left: VecDeque<(RoomName, SessionKey)>,
    flows: VecDeque<FlowChange>,
    /// Leavings up to this turn may have been forgotten.
    forgotten: u64,
}

/// Written by one audience.
#[derive(Default)]
pub struct Journal {
    turn: AtomicU64,
    noted: Mutex<Noted>,
}

/// A session that is or was in a room.
#[derive(Clone, Debug)]
pub struct Seen {
    pub key: SessionKey,
    /// Whether it came in after the turn that was asked for.
    pub later: bool,
    pub entered: Instant,
    pub left: Option<Instant>,
    /// Whether it was in the room at the turn.
    pub present: bool,
    /// At the turn.
    pub flow: Flow,
    /// When it was next sent events as they came.
    pub live_again: Option<Instant>,
}

impl Journal {
    /// Leavings and changes of flow that are remembered.
    const REMEMBERED: usize = 20_000;

    /// Another event has come; its turn.
    pub fn next_turn(&self) -> u64 {
        // Only the audience writes.
        let turn = self.turn.load(Ordering::Relaxed) + 1;
        self.turn.store(turn, Ordering::Relaxed);
        turn
    }

    fn now(&self) -> Moment {
        Moment { turn: self.turn.load(Ordering::Relaxed), at: Instant::now() }
    }

    pub fn entered(&self, room: RoomName, key: SessionKey) {
        let from = self.now();
        let mut noted = self.noted.lock();
        // Most rooms are a user's own, with one member.
        let stays = noted.rooms.entry(room).or_insert_with(|| VecDeque::with_capacity(1));
        stays.push_back(Stay { key, from, until: None });
    }

    pub fn left(&self, room: &RoomName, key: SessionKey) {
        let now = self.now();
        let mut noted = self.noted.lock();
        let stays = noted.rooms.get_mut(room).into_iter().flatten();
        if let Some(stay) = stays.rev().find(|stay| stay.key == key && stay.until.is_none()) {
            stay.until = Some(now);
            noted.left.push_back((room.clone(), key));
            noted.forget_oldest();
        }
    }

    pub fn flows(&self, key: SessionKey, flow: Flow) {
        let from = self.now();
        let mut noted = self.noted.lock();
        noted.flows.push_back(FlowChange { key, from, flow });
        if noted.flows.len() > Self::REMEMBERED {
            noted.flows.pop_front();
        }
    }

    /// Who is in a room.
    pub fn members(&self, room: &RoomName) -> Vec<(SessionKey, Instant)> {
        let noted = self.noted.lock();
        let stays = noted.rooms.get(room).into_iter().flatten().filter(|stay| stay.until.is_none());
        stays.map(|stay| (stay.key, stay.from.at)).collect()
    }

    /// The rooms of every session that is in any.
    pub fn memberships(&self) -> HashMap<SessionKey, Vec<RoomName>> {
        let mut found: HashMap<SessionKey, Vec<RoomName>> = HashMap::new();
        for (room, stays) in &self.noted.lock().rooms {
            for stay in stays.iter().filter(|stay| stay.until.is_none()) {
                found.entry(stay.key).or_default().push(room.clone());
            }
        }
        found
    }

    /// Who was in the room as the event of this turn came, or was there before or after.
    /// `false` where some may be missing.
    pub fn around(&self, room: &RoomName, turn: u64) -> (Vec<Seen>, bool) {
        self.look(room, turn, |stay| {
            // A change is noted with the number of the turn before it.
            let later = stay.from.turn >= turn;
            (later, !later && stay.until.is_none_or(|until| until.turn >= turn))
        })
    }

    /// The same for an event that did not come to this audience, as nobody here was in the room.
    pub fn before(&self, room: &RoomName, at: Instant) -> (Vec<Seen>, bool) {
        self.look(room, u64::MAX, |stay| (stay.from.at > at, false))
    }

    fn look(&self, room: &RoomName, turn: u64, place: impl Fn(&Stay) -> (bool, bool)) -> (Vec<Seen>, bool) {
        let noted = self.noted.lock();
        let stays = noted.rooms.get(room).into_iter().flatten();
        let mut seen: Vec<Seen> = stays
            .map(|stay| {
                let (later, present) = place(stay);
                let left = stay.until.map(|until| until.at);
                let (entered, key) = (stay.from.at, stay.key);
                Seen { key, later, entered, left, present, flow: Flow::Live, live_again: None }
            })
            .collect();
        let mut places: HashMap<SessionKey, Vec<usize>> = HashMap::new();
        for (place, one) in seen.iter().enumerate() {
            places.entry(one.key).or_default().push(place);
        }
        for change in &noted.flows {
            for place in places.get(&change.key).into_iter().flatten() {
                seen[*place].take_in(change, turn);
            }
        }
        (seen, noted.forgotten < turn)
    }
}

impl Seen {
    fn take_in(&mut self, change: &FlowChange, turn: u64) {
        // An event that a live session's outlet did not take is the first that it is behind with.
        let by_this_event = change.from.turn == turn && change.flow == Flow::Behind && self.flow == Flow::Live;
        if change.from.turn < turn || (by_this_event && self.present) {
            self.flow = change.flow;
        } else if change.flow == Flow::Live && change.from.at >= self.entered {
            self.live_again.get_or_insert(change.from.at);
        }
    }
}

impl Noted {
    fn forget_oldest(&mut self) {
        if self.left.len() <= Journal::REMEMBERED {
            return;
        }
        let Some((room, key)) = self.left.pop_front() else { return };
        let Some(stays) = self.rooms.get_mut(&room) else { return };
        if let Some(at) = stays.iter().position(|stay| stay.key == key && stay.until.is_some())
            && let Some(Stay { until: Some(until), .. }) = stays.remove(at)
        {
            self.forgotten = self.forgotten.max(until.turn);
        }
        if stays.is_empty() {
            self.rooms.remove(&room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> RoomName {
        RoomName::parse("tab:c12345678").unwrap()
    }

    fn fate(journal: &Journal, key: SessionKey, turn: u64) -> Seen {
        let (seen, whole) = journal.around(&room(), turn);
        assert!(whole);
        seen.into_iter().find(|one| one.key == key).unwrap()
    }

    #[test]
    fn it_tells_who_was_there_as_an_event_came() {
        let journal = Journal::default();
        journal.entered(room(), 1);
        journal.entered(room(), 2);
        journal.left(&room(), 2);
        let turn = journal.next_turn();
        journal.entered(room(), 3);
        journal.left(&room(), 1);
        let one = fate(&journal, 1, turn);
        assert!(one.present && one.left.is_some() && one.flow == Flow::Live);
        assert!(!fate(&journal, 2, turn).present && !fate(&journal, 2, turn).later);
        assert!(fate(&journal, 3, turn).later);
        assert_eq!(journal.members(&room()).len(), 1);
        assert_eq!(journal.memberships()[&3], [room()]);
    }

    #[test]
    fn it_tells_who_was_behind_and_since_when_no_more() {
        let journal = Journal::default();
        journal.entered(room(), 1);
        let first = journal.next_turn();
        journal.flows(1, Flow::Held);
        journal.flows(1, Flow::Live);
        let second = journal.next_turn();
        journal.flows(1, Flow::Behind);
        let third = journal.next_turn();
        assert_eq!(fate(&journal, 1, first).flow, Flow::Live);
        assert_eq!(fate(&journal, 1, second).flow, Flow::Behind);
        assert_eq!((fate(&journal, 1, third).flow, fate(&journal, 1, third).live_again), (Flow::Behind, None));
        journal.flows(1, Flow::Held);
        journal.flows(1, Flow::Live);
        assert!(fate(&journal, 1, third).live_again.is_some());
    }

    #[test]
    fn it_is_bounded() {
        let journal = Journal::default();
        let turn = journal.next_turn();
        for key in 0..=Journal::REMEMBERED as u64 {
            journal.entered(room(), key);
            journal.left(&room(), key);
        }
        let (seen, whole) = journal.around(&room(), turn);
        assert_eq!((seen.len(), whole), (Journal::REMEMBERED, false));
    }
}
