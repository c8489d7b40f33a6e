//! Socket.IO packets as text, encoded once for all who receive them.
//!
//! Wire facts: Socket.IO protocol 5, packet types 2 (EVENT) and 3 (ACK); the
//! root namespace is not written.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

/// An event for the clients of a room: `["name",payload]`, encoded once.
#[derive(Clone, Debug)]
pub struct EventPacket(Arc<Encoded>);

#[derive(Debug)]
struct Encoded {
    name: Box<str>,
    payload: Box<RawValue>,
    /// `2["name",payload]`
    text: Box<str>,
}

impl EventPacket {
    /// The payload's bytes are kept as they are.
    pub fn new(name: &str, payload: Box<RawValue>) -> Self {
        let quoted = json(&name);
        let text = format!("2[{quoted},{}]", payload.get()).into_boxed_str();
        Self(Arc::new(Encoded { name: name.into(), payload, text }))
    }

    /// An event whose payload is made here.
    pub fn of<T: Serialize>(name: &str, payload: &T) -> Self {
        Self::new(name, raw(payload))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn payload(&self) -> &RawValue {
        &self.0.payload
    }

    /// The Socket.IO packet, without Engine.IO's `4` before it.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether two packets are one and the same encoding.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// An acknowledgement packet, `3<id>[answer]`.
pub fn ack_text(id: i64, answer: &RawValue) -> String {
    format!("3{id}[{}]", answer.get())
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
    fn a_payload_keeps_its_bytes() {
        let payload = RawValue::from_string(r#"{ "b":1.0, "a":"\u00e9" }"#.into()).unwrap();
        let packet = EventPacket::new("a\"b", payload);
        assert_eq!(packet.text(), r#"2["a\"b",{ "b":1.0, "a":"\u00e9" }]"#);
    }
}
