//! Socket.IO packets as text, encoded once for all who receive them.
//!
//! Wire facts: Socket.IO protocol 5, packet types 2 (EVENT) and 3 (ACK); the
//! root namespace is not written.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

/// An event for clients, encoded once: `2["name",payload]`, or `2["name",payload,"offset"]`
/// where it is a room's.
#[derive(Clone, Debug)]
pub struct EventPacket(Arc<Encoded>);

#[derive(Debug)]
struct Encoded {
    name: Box<str>,
    text: Box<str>,
    payload: Range<usize>,
    offset: Option<Box<str>>,
}

impl EventPacket {
    /// The payload's bytes are kept as they are.
    pub fn new(name: &str, payload: &RawValue) -> Self {
        Self::encode(name, payload.get(), None)
    }

    /// An event whose payload is made here.
    pub fn of<T: Serialize>(name: &str, payload: &T) -> Self {
        Self::new(name, &raw(payload))
    }

    /// A room's event; `payload` is JSON.
    pub fn with_offset(name: &str, payload: &str, offset: &str) -> Self {
        Self::encode(name, payload, Some(offset))
    }

    fn encode(name: &str, payload: &str, offset: Option<&str>) -> Self {
        let quoted = json(&name);
        let mut text = String::with_capacity(quoted.len() + payload.len() + offset.map_or(0, str::len) + 8);
        text.push_str("2[");
        text.push_str(&quoted);
        text.push(',');
        let start = text.len();
        text.push_str(payload);
        let payload = start..text.len();
        if let Some(offset) = offset {
            // An offset has nothing that JSON escapes but what a room's id may have.
            text.push(',');
            text.push_str(&json(&offset));
        }
        text.push(']');
        Self(Arc::new(Encoded { name: name.into(), text: text.into(), payload, offset: offset.map(Into::into) }))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// JSON.
    pub fn payload(&self) -> &str {
        &self.0.text[self.0.payload.clone()]
    }

    pub fn offset(&self) -> Option<&str> {
        self.0.offset.as_deref()
    }

    /// The Socket.IO packet, without Engine.IO's `4` before it.
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

/// An acknowledgement packet, `3<id>[answer]`.
pub fn ack_text(id: i64, answer: &RawValue) -> String {
    format!("3{id}[{}]", answer.get())
}

/// A JSON object with one more member, a string.
///
/// # Panics
/// Where it is no object with members, which our own answers always are.
pub fn with_member(object: &RawValue, name: &str, value: &str) -> Box<RawValue> {
    let members = object.get().strip_suffix('}').expect("an answer is an object");
    let text = format!("{members},{}:{}}}", json(&name), json(&value));
    RawValue::from_string(text).expect("an object with one more member is JSON")
}

/// JSON of a value that this program made.
///
/// # Panics
/// Where the value has a map with keys that are no strings, which ours never have.
pub fn raw<T: Serialize>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("our own types serialize to JSON")
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types serialize to JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_added() {
        let object = RawValue::from_string(r#"{"ok":true}"#.into()).unwrap();
        assert_eq!(with_member(&object, "offset", "k.1").get(), r#"{"ok":true,"offset":"k.1"}"#);
    }

    #[test]
    fn a_payload_keeps_its_bytes() {
        let payload = RawValue::from_string(r#"{ "b":1.0, "a":"\u00e9" }"#.into()).unwrap();
        let packet = EventPacket::new("a\"b", &payload);
        assert_eq!(packet.text(), r#"2["a\"b",{ "b":1.0, "a":"\u00e9" }]"#);
        assert_eq!(packet.payload(), payload.get());
        let packet = EventPacket::with_offset("a\"b", payload.get(), "k.1");
        assert_eq!(packet.text(), r#"2["a\"b",{ "b":1.0, "a":"\u00e9" },"k.1"]"#);
        assert_eq!((packet.payload(), packet.offset()), (payload.get(), Some("k.1")));
    }
}
