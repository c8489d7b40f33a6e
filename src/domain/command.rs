//! What a client may ask for, parsed from its event.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Cuid, NotificationId, Refusal, RoomName};

/// The four states a client may give an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KitchenStatus {
    Sent,
    InProgress,
    Ready,
    Delivered,
}

impl KitchenStatus {
    pub const ALL: [Self; 4] = [Self::Sent, Self::InProgress, Self::Ready, Self::Delivered];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "SENT",
            Self::InProgress => "IN_PROGRESS",
            Self::Ready => "READY",
            Self::Delivered => "DELIVERED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// The name of an event to publish: not empty, at most 128 bytes, and none of
/// those that Socket.IO's clients reserve (socket.io-parser, `RESERVED_EVENTS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventName(Box<str>);

impl EventName {
    const MAX_BYTES: usize = 128;
    const RESERVED: [&'static str; 6] =
        ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

    pub fn parse(text: &str) -> Option<Self> {
        let valid = !text.is_empty()
            && text.len() <= Self::MAX_BYTES
            && !text.chars().any(char::is_control)
            && !Self::RESERVED.contains(&text);
        valid.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One publish: to rooms, an event with its payload.
#[derive(Debug)]
pub struct PublishRequest {
    /// At least one, each once.
    pub rooms: Vec<RoomName>,
    pub event: EventName,
    pub payload: Box<RawValue>,
    /// The publisher's own name for this publish.
    pub id: Option<Box<str>>,
    pub volatile: bool,
}

impl PublishRequest {
    pub const MAX_ROOMS: usize = 64;
    const MAX_ID_BYTES: usize = 128;

    /// # Errors
    /// `INVALID_DATA` with the field at fault.
    pub fn parse(json: &str) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            room: Option<Value>,
            rooms: Option<Value>,
            event: Option<Value>,
            #[serde(borrow)]
            payload: Option<&'a RawValue>,
            id: Option<Value>,
            volatile: Option<Value>,
        }
        let wire: Wire<'_> = serde_json::from_str(json).map_err(|_| Refusal::invalid("data"))?;
        let rooms = match (wire.room, wire.rooms) {
            (Some(room), None) => vec![room_name(&room).ok_or(Refusal::invalid("room"))?],
            (None, Some(Value::Array(names))) => Self::room_list(&names)?,
            (None, None) => return Err(Refusal::invalid("room")),
            (_, Some(_)) => return Err(Refusal::invalid("rooms")),
        };
        let event =
            wire.event.as_ref().and_then(Value::as_str).and_then(EventName::parse).ok_or(Refusal::invalid("event"))?;
        let id = match wire.id {
            None | Some(Value::Null) => None,
            Some(Value::String(id))
                if (1..=Self::MAX_ID_BYTES).contains(&id.len()) && !id.contains(char::is_control) =>
            {
                Some(id.into())
            }
            Some(_) => return Err(Refusal::invalid("id")),
        };
        let volatile = match wire.volatile {
            None | Some(Value::Null) => false,
            Some(Value::Bool(volatile)) => volatile,
            Some(_) => return Err(Refusal::invalid("volatile")),
        };
        let payload = wire.payload.map_or_else(|| RawValue::NULL.to_owned(), ToOwned::to_owned);
        Ok(Self { rooms, event, payload, id, volatile })
    }

    fn room_list(names: &[Value]) -> Result<Vec<RoomName>, Refusal> {
        if names.is_empty() || names.len() > Self::MAX_ROOMS {
            return Err(Refusal::invalid("rooms"));
        }
        let mut rooms: Vec<RoomName> = Vec::with_capacity(names.len());
        for name in names {
            let room = room_name(name).ok_or(Refusal::invalid("rooms"))?;
            if !rooms.contains(&room) {
                rooms.push(room);
            }
        }
        Ok(rooms)
    }
}

fn room_name(value: &Value) -> Option<RoomName> {
    value.as_str().and_then(RoomName::parse)
}

/// A client's event, understood.
#[derive(Debug)]
pub enum Command {
    /// `since` is what the client says that it has had; whether it is an offset, and of use, is seen later.
    Join {
        room: RoomName,
        since: Option<Box<str>>,
    },
    Leave(RoomName),
    UpdateStatus {
        item: Cuid,
        status: KitchenStatus,
    },
    Bump {
        item: Cuid,
    },
    ReadNotification {
        notification: NotificationId,
    },
    Publish(PublishRequest),
}

impl Command {
    /// The event names that a client may send; all else is unknown.
    pub const EVENTS: [&'static str; 12] = [
        "tab:join",
        "tab:leave",
        "venue:join",
        "venue:leave",
        "kitchen:join",
        "kitchen:leave",
        "table:join",
        "table:leave",
        "kitchen:update-status",
        "kitchen:bump",
        "notification:read",
        "broadcast",
    ];

    /// The name with a life as long as the program, `None` if it is unknown:
    /// a metric's label comes from here, never from a client.
    pub fn known_event(name: &str) -> Option<&'static str> {
        Self::EVENTS.into_iter().find(|known| *known == name)
    }

    /// `payload` is the event's first argument; members that are not listed are ignored.
    ///
    /// # Errors
    /// `INVALID_DATA` with the field at fault; for an unknown event that is `event`.
    pub fn parse(event: &str, payload: Option<&RawValue>) -> Result<Self, Refusal> {
        let json = payload.map_or("null", RawValue::get);
        if event == "broadcast" {
            return PublishRequest::parse(json).map(Self::Publish);
        }
        let member = |field: &'static str| Member::read(json, field);
        Ok(match event {
            "tab:join" => Self::Join { room: RoomName::tab(&member("tabId")?.cuid()?), since: since(json)? },
            "tab:leave" => Self::Leave(RoomName::tab(&member("tabId")?.cuid()?)),
            "venue:join" => Self::Join { room: RoomName::venue(&member("venueId")?.cuid()?), since: since(json)? },
            "venue:leave" => Self::Leave(RoomName::venue(&member("venueId")?.cuid()?)),
            "kitchen:join" => Self::Join { room: RoomName::kitchen(&member("venueId")?.cuid()?), since: since(json)? },
            "kitchen:leave" => Self::Leave(RoomName::kitchen(&member("venueId")?.cuid()?)),
            "table:join" => Self::Join { room: RoomName::table(&member("tableId")?.cuid()?), since: since(json)? },
            "table:leave" => Self::Leave(RoomName::table(&member("tableId")?.cuid()?)),
            "kitchen:update-status" => {
                Self::UpdateStatus { item: member("tabItemId")?.cuid()?, status: member("status")?.status()? }
            }
            "kitchen:bump" => Self::Bump { item: member("tabItemId")?.cuid()? },
            "notification:read" => Self::ReadNotification { notification: member("notificationId")?.id()? },
            _ => return Err(Refusal::invalid("event")),
        })
    }
}

/// A join's `since`: text, or nothing.
fn since(json: &str) -> Result<Option<Box<str>>, Refusal> {
    #[derive(Deserialize)]
    struct Since {
        since: Option<Value>,
    }
    match serde_json::from_str(json).map(|Since { since }| since) {
        Ok(None | Some(Value::Null)) => Ok(None),
        Ok(Some(Value::String(text))) => Ok(Some(text.into())),
        _ => Err(Refusal::invalid("since")),
    }
}

/// A member of a payload that has to be a string.
struct Member {
    field: &'static str,
    text: String,
}

impl Member {
    fn read(json: &str, field: &'static str) -> Result<Self, Refusal> {
        let refusal = || Refusal::invalid(field);
        let mut object: std::collections::HashMap<std::borrow::Cow<'_, str>, &RawValue> =
            serde_json::from_str(json).map_err(|_| refusal())?;
        let value = object.remove(field).ok_or_else(refusal)?;
        let text = serde_json::from_str(value.get()).map_err(|_| refusal())?;
        Ok(Self { field, text })
    }

    fn cuid(self) -> Result<Cuid, Refusal> {
        Cuid::parse(&self.text).ok_or(Refusal::invalid(self.field))
    }

    fn id(self) -> Result<NotificationId, Refusal> {
        NotificationId::parse(&self.text).ok_or(Refusal::invalid(self.field))
    }

    fn status(self) -> Result<KitchenStatus, Refusal> {
        KitchenStatus::parse(&self.text).ok_or(Refusal::invalid(self.field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(event: &str, json: &str) -> Result<Command, Refusal> {
        let payload = RawValue::from_string(json.into()).unwrap();
        Command::parse(event, Some(&payload))
    }

    fn field(result: Result<Command, Refusal>) -> &'static str {
        result.unwrap_err().field.unwrap()
    }

    #[test]
    fn every_listed_event_is_understood_and_extra_members_are_ignored() {
        let payload = r#"{"tabId":"c12345678","venueId":"c12345678","tableId":"c12345678","tabItemId":"c12345678",
            "status":"READY","notificationId":"n1","room":"tab:c12345678","event":"x","payload":1,"extra":{"a":[]}}"#;
        for event in Command::EVENTS {
            parse(event, payload).unwrap_or_else(|refusal| panic!("{event}: {refusal:?}"));
            assert_eq!(Command::known_event(event), Some(event));
        }
    }

    #[test]
    fn the_field_at_fault_is_named() {
        assert_eq!(field(parse("tab:join", "null")), "tabId");
        assert_eq!(field(parse("tab:join", "[]")), "tabId");
        assert_eq!(field(parse("tab:join", r#"{"tabId":7}"#)), "tabId");
        assert_eq!(field(parse("tab:join", r#"{"tabId":"nope"}"#)), "tabId");
        assert_eq!(field(parse("kitchen:update-status", r#"{"tabItemId":"c12345678","status":"PENDING"}"#)), "status");
        assert_eq!(field(parse("nope", "{}")), "event");
        assert_eq!(Command::parse("tab:join", None).unwrap_err().field, Some("tabId"));
    }

    #[test]
    fn a_publish_names_rooms_and_an_event() {
        let Ok(Command::Publish(publish)) =
            parse("broadcast", r#"{"rooms":["tab:c12345678","user:u","tab:c12345678"],"event":"e"}"#)
        else {
            panic!("refused")
        };
        assert_eq!(publish.rooms.len(), 2, "a room that is named twice counts once");
        assert_eq!(publish.payload.get(), "null", "an absent payload is null");
        for (json, at_fault) in [
            (r#"{"event":"e"}"#, "room"),
            (r#"{"room":"x:1","event":"e"}"#, "room"),
            (r#"{"rooms":[],"event":"e"}"#, "rooms"),
            (r#"{"rooms":"tab:c12345678","event":"e"}"#, "rooms"),
            (r#"{"room":"user:u","rooms":["user:u"],"event":"e"}"#, "rooms"),
            (r#"{"room":"user:u"}"#, "event"),
            (r#"{"room":"user:u","event":"disconnect"}"#, "event"),
            (r#"{"room":"user:u","event":"e","id":7}"#, "id"),
            (r#"{"room":"user:u","event":"e","volatile":1}"#, "volatile"),
            (r#""text""#, "data"),
        ] {
            assert_eq!(field(parse("broadcast", json)), at_fault, "{json}");
        }
    }
}
