//! From a packet that socketioxide has read to an event of the session.
//!
//! It implements socketioxide's handler itself, rather than with a closure, because a
//! closure's future is a task of its own, and tasks of one client could overtake each
//! other. Here the event is in the session's mailbox before the next packet is read.

use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::message::{FromMessageParts, MessageHandler};
use socketioxide::socket::Socket;
use socketioxide_core::Value;

use super::link::Link;
use super::ordinary::Ordinary;
use crate::actors::Session;
use crate::actors::insight::Post;
use crate::actors::messages::{ClientEvent, EventPayload};

/// Takes every event of one client.
pub struct Intake {
    pub session: Post<Session>,
    pub link: Arc<Link>,
    /// Set where acknowledgements leave by socketioxide.
    pub ordinary: Option<Arc<Ordinary>>,
    pub max_payload: usize,
}

impl MessageHandler<LocalAdapter, Self> for Intake {
    fn call(&self, socket: Arc<Socket>, mut value: Value, ack: Option<i64>) {
        let received = Instant::now();
        if let (Some(ordinary), Some(id)) = (&self.ordinary, ack) {
            ordinary.expect_ack(id, AckSender::from_message_parts(&socket, &mut value, &ack));
        }
        let Some((name, payload)) = read(&value, ack, self.max_payload) else {
            // No packet of the protocol: nothing that follows could be trusted either.
            self.link.kill();
            return;
        };
        let slot = self.link.ingress.take();
        self.session.do_send(ClientEvent { name, payload, ack, received, slot });
    }
}

/// An event's name and payload. `None` where the arguments are no JSON.
pub(crate) fn read(value: &Value, ack: Option<i64>, max_payload: usize) -> Option<(Box<str>, EventPayload)> {
    let Value::Str(text, attachments) = value else { return None };
    let attached: usize = attachments.iter().flatten().map(bytes::Bytes::len).sum();
    if size_on_wire(text, ack) + attached > max_payload {
        return Some((event_name(text), EventPayload::TooLarge));
    }
    let arguments: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let payload = match attachments {
        Some(_) => EventPayload::Binary,
        None => EventPayload::Json(arguments.get(1).map(|argument| (*argument).to_owned())),
    };
    Some((event_name(text), payload))
}

/// The bytes of the Engine.IO message: `4`, `2`, the acknowledgement's number, the arguments.
fn size_on_wire(text: &str, ack: Option<i64>) -> usize {
    let ack = ack.map_or(0, |ack| ack.to_string().len());
    2 + ack + text.len()
}

/// The first element of a packet's array.
fn event_name(text: &str) -> Box<str> {
    let after_bracket = text.trim_start().strip_prefix('[').unwrap_or_default();
    let mut names = serde_json::Deserializer::from_str(after_bracket).into_iter::<std::borrow::Cow<'_, str>>();
    match names.next() {
        Some(Ok(name)) => name.into(),
        _ => Box::default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_without_the_rest() {
        assert_eq!(&*event_name(r#"["tab:join",{"tabId":"c12345678"}]"#), "tab:join");
        assert_eq!(&*event_name(r#" [ "a\"b" "#), "a\"b");
        assert_eq!(&*event_name("[1]"), "");
        assert_eq!(&*event_name(""), "");
    }

    #[test]
    fn the_size_is_that_of_the_message() {
        // 427["a",1]
        assert_eq!(size_on_wire(r#"["a",1]"#, Some(7)), 10);
        assert_eq!(size_on_wire(r#"["a",1]"#, None), 9);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            event_name(&text);
        }
    }
}
