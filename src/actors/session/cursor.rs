//! Where a session is in the log while it reads it for its client, and the offsets that its
//! client gets on the way.

use crate::actors::logged::Logged;
use crate::domain::{EventPacket, LogId, Offset, Position, RoomName};

/// A reader of some rooms.
#[derive(Clone, Debug)]
pub struct Cursor {
    log: LogId,
    /// What the client has had: all of the session's rooms up to here, but for those in `rooms` that are before it.
    head: Position,
    /// Read up to here, for each room that is read.
    rooms: Vec<(RoomName, Position)>,
    /// Where the reading ends and `head` moves to; `None` for as far as the log goes.
    up_to: Option<Position>,
}

impl Cursor {
    /// Reads all rooms of a session on from where each is.
    pub fn all(log: LogId, head: Position, rooms: Vec<(RoomName, Position)>) -> Self {
        Self { log, head, rooms, up_to: None }
    }

    /// Replays one room's past, up to `up_to`, to a session that has had all else up to `head`.
    pub fn replay(log: LogId, head: Position, room: RoomName, after: Position, up_to: Position) -> Self {
        Self { log, head, rooms: vec![(room, after)], up_to: Some(up_to) }
    }

    pub fn starts(&self) -> Vec<(RoomName, Position)> {
        self.rooms.clone()
    }

    pub fn up_to(&self) -> Option<Position> {
        self.up_to
    }

    /// The packet for an event of the page, `None` where the client has had it.
    pub fn packet(&self, event: &Logged, is_last: bool) -> Option<EventPacket> {
        let position = event.position()?;
        if !self.rooms.iter().any(|(room, after)| *after < position && event.rooms().contains(room)) {
            return None;
        }
        if let Some(up_to) = self.up_to.filter(|_| is_last) {
            return Some(event.packet_with(&Offset::at(self.log, up_to).to_string()));
        }
        // All rooms are read in one order: past `head`, none of them is behind.
        if position > self.head && self.up_to.is_none() {
            return event.packet().cloned();
        }
        let behind = self.rooms.iter().map(|(room, after)| (room.clone(), (*after).max(position)));
        let behind = behind.filter(|(_, after)| *after < self.head || self.up_to.is_some()).collect();
        Some(event.packet_with(&Offset { log: self.log, head: self.head, behind }.to_string()))
    }

    /// The client has been sent everything up to this position.
    pub fn advance(&mut self, through: Position) {
        for (_, after) in &mut self.rooms {
            *after = (*after).max(through);
        }
        if self.up_to.is_none() {
            self.head = self.head.max(through);
        }
    }

    /// Reads no more of a room: the session is no longer in it.
    pub fn forget(&mut self, room: &RoomName) {
        self.rooms.retain(|(name, _)| name != room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(text: &str) -> RoomName {
        RoomName::parse(text).unwrap()
    }

    fn event(position: Position, rooms: &[&str]) -> Logged {
        Logged::placed(rooms.iter().map(|name| room(name)).collect(), "e", "1", LogId(1), position)
    }

    fn offset(cursor: &mut Cursor, event: &Logged, is_last: bool) -> Option<String> {
        let packet = cursor.packet(event, is_last)?;
        cursor.advance(event.position().unwrap());
        packet.offset().map(str::to_owned)
    }

    const A: &str = "tab:c0000000a";
    const B: &str = "tab:c0000000b";

    #[test]
    fn reading_on_gives_each_event_its_own_offset() {
        let mut cursor = Cursor::all(LogId(1), 5, vec![(room(A), 5), (room(B), 8)]);
        assert_eq!(offset(&mut cursor, &event(6, &[A]), false).unwrap(), "1.6");
        assert_eq!(offset(&mut cursor, &event(7, &[B]), false), None, "before the session was in that room");
        assert_eq!(offset(&mut cursor, &event(9, &[A, B]), false).unwrap(), "1.9");
    }

    #[test]
    fn a_replayed_room_is_named_until_it_has_caught_up() {
        let mut cursor = Cursor::replay(LogId(1), 8, room(B), 3, 9);
        assert_eq!(offset(&mut cursor, &event(4, &[B]), false).unwrap(), format!("1.8-4-{B}"));
        assert_eq!(offset(&mut cursor, &event(7, &[B]), true).unwrap(), "1.9");
    }

    #[test]
    fn a_replay_that_was_cut_goes_on_where_it_was() {
        let offset_of_client = Offset::parse(&format!("1.8-4-{B}")).unwrap();
        let rooms = [A, B].map(|name| (room(name), offset_of_client.position_in(&room(name)))).to_vec();
        let mut cursor = Cursor::all(LogId(1), 8, rooms);
        assert_eq!(offset(&mut cursor, &event(6, &[A, B]), false).unwrap(), format!("1.8-6-{B}"));
        assert_eq!(offset(&mut cursor, &event(7, &[A]), false), None, "the client has had it");
        assert_eq!(offset(&mut cursor, &event(9, &[A]), false).unwrap(), "1.9");
    }
}
