//! The newest events, in memory: a reader goes to the database only for what is older.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::actors::logged::{LogPage, Logged};
use crate::domain::{Position, RoomName};

/// Everything after `since`, by room.
pub struct Tail {
    events: VecDeque<Arc<Logged>>,
    by_room: HashMap<RoomName, VecDeque<Arc<Logged>>>,
    since: Position,
    weight: usize,
}

impl Tail {
    /// Two seconds of a very busy house, or an hour of a usual one.
    pub const MAX_EVENTS: usize = 20_000;
    /// Bytes, about.
    const MAX_WEIGHT: usize = 64 * 1024 * 1024;

    /// Knows nothing up to and with `since`.
    pub fn new(since: Position) -> Self {
        Self { events: VecDeque::new(), by_room: HashMap::new(), since, weight: 0 }
    }

    /// Adds an event with a position after all that are here.
    pub fn push(&mut self, event: Arc<Logged>) {
        self.weight += event.weight();
        for room in event.rooms() {
            self.by_room.entry(room.clone()).or_default().push_back(event.clone());
        }
        self.events.push_back(event);
        while self.events.len() > Self::MAX_EVENTS || self.weight > Self::MAX_WEIGHT {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.events.pop_front() else { return };
        self.weight -= oldest.weight();
        self.since = oldest.position().unwrap_or(self.since);
        for room in oldest.rooms() {
            if let Some(events) = self.by_room.get_mut(room) {
                events.pop_front();
                if events.is_empty() {
                    self.by_room.remove(room);
                }
            }
        }
    }

    /// Whether everything after this position is here.
    pub fn covers(&self, after: Position) -> bool {
        after >= self.since
    }

    /// Whether the room has an event after this position that may be missed; yes, if it cannot be told.
    pub fn may_have_after(&self, room: &RoomName, after: Position) -> bool {
        let newest = self.by_room.get(room).and_then(VecDeque::back);
        !self.covers(after) || newest.and_then(|event| event.position()) > Some(after)
    }

    /// The rooms' events after each one's position, up to and with `up_to`; `None` where they are not all here.
    pub fn read(&self, starts: &[(RoomName, Position)], up_to: Position, limit: usize) -> Option<LogPage> {
        if !starts.iter().all(|(_, after)| self.covers(*after)) {
            return None;
        }
        let mut events: Vec<Arc<Logged>> = Vec::new();
        for (room, after) in starts {
            let Some(of_room) = self.by_room.get(room) else { continue };
            let first = of_room.partition_point(|event| event.position() <= Some(*after));
            let wanted = of_room.range(first..).take_while(|event| event.position() <= Some(up_to));
            events.extend(wanted.take(limit).cloned());
        }
        if starts.len() > 1 {
            events.sort_by_key(|event| event.position());
            events.dedup_by_key(|event| event.position());
        }
        Some(page(events, up_to, limit))
    }
}

/// Cuts what was read to its limit.
fn page(mut events: Vec<Arc<Logged>>, up_to: Position, limit: usize) -> LogPage {
    // As many as the limit in one room may hide that there are more.
    let complete = events.len() < limit;
    events.truncate(limit);
    let through = if complete { up_to } else { events.last().and_then(|event| event.position()).unwrap_or(up_to) };
    LogPage { events, through, complete }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::LogId;

    fn room(index: usize) -> RoomName {
        RoomName::parse(&format!("tab:c0000000{index}")).unwrap()
    }

    fn event(position: Position, rooms: &[usize]) -> Arc<Logged> {
        let rooms = rooms.iter().map(|index| room(*index)).collect();
        Arc::new(Logged::placed(rooms, "e", "1", LogId(1), position))
    }

    fn positions(page: &LogPage) -> Vec<Position> {
        page.events.iter().filter_map(|event| event.position()).collect()
    }

    #[test]
    fn what_is_dropped_is_not_claimed() {
        let mut tail = Tail::new(5);
        assert!(tail.read(&[(room(0), 4)], 5, 10).is_none());
        for position in 6..6 + Tail::MAX_EVENTS as u64 + 3 {
            tail.push(event(position, &[0]));
        }
        assert!(!tail.covers(7) && tail.covers(8));
        assert!(tail.may_have_after(&room(1), 7) && !tail.may_have_after(&room(1), 8));
        assert!(tail.read(&[(room(0), 7)], 100, 10).is_none());
        assert_eq!(positions(&tail.read(&[(room(0), 8)], 100, 3).unwrap()), [9, 10, 11]);
    }

    proptest! {
        /// Reading page by page gives each event of the rooms after their positions once, in order.
        #[test]
        fn pages_are_whole(
            events in prop::collection::vec(prop::collection::vec(0usize..4, 1..3), 0..60),
            starts in prop::collection::vec(0u64..40, 1..4),
            limit in 1usize..7,
        ) {
            let mut tail = Tail::new(0);
            let mut log = Vec::new();
            for (position, rooms) in (1u64..).zip(events) {
                let mut rooms = rooms;
                rooms.dedup();
                tail.push(event(position, &rooms));
                log.push((position, rooms));
            }
            let head = log.len() as u64;
            let starts: Vec<_> = starts.into_iter().enumerate().collect();
            let expected: Vec<u64> = log.iter()
                .filter(|(position, rooms)| starts.iter().any(|(index, after)| rooms.contains(index) && position > after))
                .map(|(position, _)| *position)
                .collect();
            let mut read = Vec::new();
            let mut at: Vec<_> = starts.iter().map(|(index, after)| (room(*index), *after)).collect();
            loop {
                let page = tail.read(&at, head, limit).unwrap();
                read.extend(positions(&page));
                for (_, after) in &mut at {
                    *after = (*after).max(page.through);
                }
                if page.complete {
                    break;
                }
            }
            prop_assert_eq!(read, expected);
        }
    }
}
