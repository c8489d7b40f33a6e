//! What a session knows and decides, without an actor.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::actors::messages::Subject;
use crate::domain::{ErrorCode, EventPacket, Identity, Position, Refusal, RoomKind, RoomName, packet};

/// Who the session is, and the rooms it is in or on its way into.
pub struct SessionState {
    pub identity: Identity,
    rooms: HashMap<RoomName, Membership>,
    max_rooms: usize,
}

/// A room of a session.
#[derive(Default)]
struct Membership {
    /// The row that the right to be in it rests on, besides the user's own.
    rests_on: Option<Subject>,
    /// The session has all of the room's events after this; `None` while it is on its way in.
    from: Option<Position>,
}

impl SessionState {
    pub fn new(identity: Identity, max_rooms: usize) -> Self {
        Self { identity, rooms: HashMap::new(), max_rooms }
    }

    /// Notes the room of the user, which comes with connecting.
    pub fn enter_own_room(&mut self) {
        if let Some(user) = self.identity.user() {
            self.rooms.insert(RoomName::user(&user.id), Membership::default());
        }
    }

    /// Notes a room, and the row that the right to be in it rests on.
    ///
    /// # Errors
    /// `TOO_MANY_ROOMS`; the room that comes with connecting does not count.
    pub fn enter(&mut self, room: &RoomName, rests_on: Option<Subject>) -> Result<(), Refusal> {
        let entered = self.rooms.keys().filter(|room| room.kind() != RoomKind::User).count();
        if !self.rooms.contains_key(room) && entered >= self.max_rooms {
            return Err(Refusal::new(ErrorCode::TooManyRooms, "Too many rooms"));
        }
        // One that it is in already keeps its place.
        self.rooms.entry(room.clone()).or_default().rests_on = rests_on;
        Ok(())
    }

    /// The room has taken the session in, with the events after `from`.
    pub fn entered(&mut self, room: &RoomName, from: Position) {
        if let Some(membership) = self.rooms.get_mut(room) {
            membership.from.get_or_insert(from);
        }
    }

    /// Notes a room of a session that comes back, with the events after `from`.
    pub fn restore(&mut self, room: &RoomName, rests_on: Option<Subject>, from: Position) {
        self.rooms.insert(room.clone(), Membership { rests_on, from: Some(from) });
    }

    /// From where a client that has had everything up to `after` needs each room's events.
    pub fn starts(&self, after: Position) -> Vec<(RoomName, Position)> {
        let start = |(room, membership): (&RoomName, &Membership)| Some((room.clone(), membership.from?.max(after)));
        self.rooms.iter().filter_map(start).collect()
    }

    /// Every room, and the position that the session has its events after; `None` while it is on its way in.
    pub fn starts_of_all(&self) -> Vec<(RoomName, Option<Position>)> {
        self.rooms.iter().map(|(room, membership)| (room.clone(), membership.from)).collect()
    }

    /// Forgets a room; `Some` if the session was in it, with the row that it rested on.
    pub fn leave(&mut self, room: &RoomName) -> Option<Option<Subject>> {
        self.rooms.remove(room).map(|membership| membership.rests_on)
    }

    pub fn rooms(&self) -> Vec<RoomName> {
        self.rooms.keys().cloned().collect()
    }

    pub fn take_rooms(&mut self) -> impl Iterator<Item = (RoomName, Option<Subject>)> + use<> {
        std::mem::take(&mut self.rooms).into_iter().map(|(room, membership)| (room, membership.rests_on))
    }
}

/// The message of the specification for a command that failed on our side.
pub const fn failure_message(event: &'static str) -> &'static str {
    match event.as_bytes() {
        b"tab:join" => "Failed to join tab",
        b"venue:join" => "Failed to join venue",
        b"kitchen:join" => "Failed to join kitchen",
        b"table:join" => "Failed to join table",
        b"kitchen:update-status" => "Failed to update order status",
        b"kitchen:bump" => "Failed to bump order",
        b"notification:read" => "Failed to mark notification as read",
        b"broadcast" => "Failed to broadcast",
        _ => "Failed",
    }
}

/// What a client is told of a command that was carried out.
#[derive(Clone, Default)]
pub struct Success {
    /// The reply event, if the command has one; its payload's members are in the acknowledgement too.
    pub event: Option<&'static str>,
    pub members: serde_json::Map<String, serde_json::Value>,
    /// Members of the acknowledgement alone.
    pub ack_members: serde_json::Map<String, serde_json::Value>,
}

impl Success {
    /// The same, with one more member in the acknowledgement.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.ack_members.insert(member.to_owned(), value.into());
        self
    }

    /// A reply event with one member.
    pub fn replying(event: &'static str, member: &'static str, value: &str) -> Self {
        let mut members = serde_json::Map::new();
        members.insert(member.to_owned(), value.into());
        Self { event: Some(event), members, ..Self::default() }
    }

    /// The reply to a join.
    pub fn joined(room: &RoomName) -> Self {
        match room.kind() {
            RoomKind::Tab => Self::replying("tab:joined", "tabId", room.id()),
            RoomKind::Venue => Self::replying("venue:joined", "venueId", room.id()),
            RoomKind::Kitchen => Self::replying("kitchen:joined", "venueId", room.id()),
            RoomKind::Table => Self::replying("table:joined", "tableId", room.id()),
            RoomKind::User => Self::default(),
        }
    }

    pub fn event_packet(&self) -> Option<EventPacket> {
        self.event.map(|event| EventPacket::of(event, &self.members))
    }

    /// `{ok: true, …}`
    pub fn ack(mut self) -> Box<RawValue> {
        self.members.insert("ok".to_owned(), true.into());
        self.members.append(&mut self.ack_members);
        packet::raw(&self.members)
    }
}

/// `{ok: false, error: {code, message, …}}`
pub fn refused_ack(refusal: &Refusal) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Ack<'a> {
        ok: bool,
        error: &'a Refusal,
    }
    packet::raw(&Ack { ok: false, error: refusal })
}

/// The `error` event: `{message, code, event, …}`, with the room where one was lost.
pub fn error_packet(refusal: &Refusal, event: &str, room: Option<&RoomName>) -> EventPacket {
    #[derive(Serialize)]
    struct Payload<'a> {
        #[serde(flatten)]
        refusal: &'a Refusal,
        event: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
    }
    // An unknown event's name comes back, but not at any length.
    let end = event.char_indices().nth(128).map_or(event.len(), |(end, _)| end);
    let payload = Payload { refusal, event: &event[..end], room: room.map(RoomName::as_str) };
    EventPacket::of("error", &payload)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{UserFacts, UserId};

    fn room(text: &str) -> RoomName {
        RoomName::parse(text).unwrap()
    }

    #[test]
    fn rooms_are_bounded_and_joining_twice_changes_nothing() {
        let facts = UserFacts { id: UserId::parse("u").unwrap(), staff: vec![] };
        let mut session = SessionState::new(Identity::User(Arc::new(facts)), 2);
        session.enter_own_room();
        session.enter(&room("tab:c00000001"), None).unwrap();
        session.enter(&room("tab:c00000002"), None).unwrap();
        session.enter(&room("tab:c00000002"), None).unwrap();
        let refusal = session.enter(&room("tab:c00000003"), None).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::TooManyRooms);
        assert!(session.leave(&room("tab:c00000001")).is_some());
        session.enter(&room("tab:c00000003"), None).unwrap();
        assert!(session.leave(&room("tab:c00000001")).is_none());
    }

    #[test]
    fn a_room_is_read_from_where_the_session_entered_it() {
        let mut session = SessionState::new(Identity::System, 2);
        session.enter(&room("tab:c00000001"), None).unwrap();
        assert!(session.starts(5).is_empty(), "it is not in yet");
        session.entered(&room("tab:c00000001"), 7);
        session.entered(&room("tab:c00000001"), 9);
        assert_eq!(session.starts(5), [(room("tab:c00000001"), 7)]);
        assert_eq!(session.starts(8), [(room("tab:c00000001"), 8)]);
    }

    #[test]
    fn answers_have_the_contracts_shapes() {
        let success = Success::joined(&room("tab:c00000001"));
        assert_eq!(success.event_packet().unwrap().text(), r#"2["tab:joined",{"tabId":"c00000001"}]"#);
        assert_eq!(success.ack().get(), r#"{"ok":true,"tabId":"c00000001"}"#);
        let refusal = Refusal::invalid("tabId");
        assert_eq!(
            refused_ack(&refusal).get(),
            r#"{"ok":false,"error":{"code":"INVALID_DATA","message":"Invalid data","field":"tabId"}}"#
        );
        assert_eq!(
            error_packet(&refusal, "tab:join", None).text(),
            r#"2["error",{"code":"INVALID_DATA","message":"Invalid data","field":"tabId","event":"tab:join"}]"#
        );
    }

    #[test]
    fn a_long_event_name_does_not_come_back_whole() {
        let packet = error_packet(&Refusal::invalid("event"), &"é".repeat(1000), None);
        assert!(packet.text().len() < 400);
    }
}
