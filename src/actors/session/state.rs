//! What a session knows and decides, without an actor.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::actors::messages::Subject;
use crate::domain::{ErrorCode, EventPacket, Identity, Refusal, RoomKind, RoomName, packet};

/// Who the session is, and the rooms it is in or on its way into.
pub struct SessionState {
    pub identity: Identity,
    /// With the row that the right to be in each rests on, besides the user's own.
    rooms: HashMap<RoomName, Option<Subject>>,
    max_rooms: usize,
}

impl SessionState {
    pub fn new(identity: Identity, max_rooms: usize) -> Self {
        Self { identity, rooms: HashMap::new(), max_rooms }
    }

    /// Notes the room of the user, which comes with connecting.
    pub fn enter_own_room(&mut self, room: RoomName) {
        self.rooms.insert(room, None);
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
        self.rooms.insert(room.clone(), rests_on);
        Ok(())
    }

    pub fn is_in(&self, room: &RoomName) -> bool {
        self.rooms.contains_key(room)
    }

    /// Notes a room of a session that comes back.
    pub fn restore(&mut self, room: &RoomName, rests_on: Option<Subject>) {
        self.rooms.insert(room.clone(), rests_on);
    }

    /// Forgets a room; `Some` if the session was in it, with the row that it rested on.
    pub fn leave(&mut self, room: &RoomName) -> Option<Option<Subject>> {
        self.rooms.remove(room)
    }

    pub fn rooms(&self) -> Vec<RoomName> {
        self.rooms.keys().cloned().collect()
    }

    pub fn take_rooms(&mut self) -> HashMap<RoomName, Option<Subject>> {
        std::mem::take(&mut self.rooms)
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

/// An event's name as it is shown: a client may have made it up, at any length.
pub fn bounded_name(event: &str) -> &str {
    let end = event.char_indices().nth(128).map_or(event.len(), |(end, _)| end);
    &event[..end]
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
    let payload = Payload { refusal, event: bounded_name(event), room: room.map(RoomName::as_str) };
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
        session.enter_own_room(room("user:u"));
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
    fn answers_have_the_specifications_shapes() {
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
