//! What a room knows and decides, without an actor.

use std::collections::{HashMap, VecDeque};

use crate::actors::messages::SessionKey;

/// A room's members by the worker thread they are on, and the work that waits
/// while the room stands at an event that other rooms have not reached.
pub struct RoomState<W> {
    members: HashMap<SessionKey, usize>,
    /// How many members each worker thread has.
    per_audience: Vec<usize>,
    standing: bool,
    backlog: VecDeque<W>,
    /// Messages from the registry that were handled, for its count of those on their way.
    handled: u64,
}

impl<W> Default for RoomState<W> {
    fn default() -> Self {
        Self {
            members: HashMap::new(),
            per_audience: Vec::new(),
            standing: false,
            backlog: VecDeque::new(),
            handled: 0,
        }
    }
}

impl<W> RoomState<W> {
    pub fn enter(&mut self, key: SessionKey, audience: usize) {
        if self.per_audience.len() <= audience {
            self.per_audience.resize(audience + 1, 0);
        }
        if self.members.insert(key, audience).is_none() {
            self.per_audience[audience] += 1;
        }
    }

    pub fn leave(&mut self, key: SessionKey) {
        if let Some(audience) = self.members.remove(&key) {
            self.per_audience[audience] -= 1;
        }
    }

    /// Its members are to be found anew; what waits goes on waiting.
    pub fn forget_members(&mut self) {
        self.members.clear();
        self.per_audience.clear();
    }

    /// A bit for each worker thread that has members.
    pub fn audiences(&self) -> u64 {
        let bit = |(index, count): (usize, &usize)| u64::from(*count > 0) << index;
        self.per_audience.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit)
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.backlog.is_empty() && !self.standing
    }

    /// From now on work waits.
    pub fn stand(&mut self) {
        self.standing = true;
    }

    pub fn resume(&mut self) {
        self.standing = false;
    }

    /// Takes a message's work in, and gives it back where it may be done now. What waits comes out of
    /// [`Self::next_work`] later, in order.
    pub fn accept(&mut self, work: W) -> Option<W> {
        self.handled += 1;
        if !self.standing && self.backlog.is_empty() {
            return Some(work);
        }
        self.backlog.push_back(work);
        self.next_work()
    }

    /// The next work that may be done now.
    pub fn next_work(&mut self) -> Option<W> {
        if self.standing { None } else { self.backlog.pop_front() }
    }

    pub fn handled(&self) -> u64 {
        self.handled
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn work_waits_while_the_room_stands() {
        let mut room = RoomState::default();
        assert_eq!(room.accept('a'), Some('a'));
        room.stand();
        assert_eq!(room.accept('b'), None);
        assert_eq!(room.next_work(), None);
        assert!(!room.is_empty());
        room.resume();
        assert_eq!(room.accept('c'), Some('b'));
        assert_eq!(room.next_work(), Some('c'));
        assert_eq!(room.next_work(), None);
        assert_eq!(room.handled(), 3);
        assert!(room.is_empty());
    }

    proptest! {
        #[test]
        fn the_audiences_are_those_of_the_members(
            steps in prop::collection::vec((any::<bool>(), 0u64..20), 0..200),
        ) {
            // A session stays on its thread for life.
            let thread_of = |key: u64| (key % 5) as usize;
            let mut room = RoomState::<()>::default();
            let mut model = std::collections::BTreeSet::new();
            for (enter, key) in steps {
                if enter {
                    room.enter(key, thread_of(key));
                    model.insert(key);
                } else {
                    room.leave(key);
                    model.remove(&key);
                }
                let expected = model.iter().fold(0u64, |bits, key| bits | 1 << thread_of(*key));
                prop_assert_eq!(room.audiences(), expected);
                prop_assert_eq!(room.len(), model.len());
            }
        }
    }
}
