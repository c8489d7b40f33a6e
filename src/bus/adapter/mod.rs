//! The wire protocol of `@socket.io/redis-adapter` 8 with its default key, for the namespace `/`: what it
//! publishes to rooms (here), what it asks of its peers, and the answers it waits for (`requests`). Read and
//! written by the ClusterBridge; what a request may do is not decided here.

mod requests;

use rmpv::ValueRef;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub use requests::{Request, Selection, client_count, done, nothing_to_say, read_request, rooms, sockets};

use super::Garbage;
use super::json::{self, Binary};
use super::relay::InstanceId;

/// Where the adapter publishes what is for everybody or for several rooms. One room's is `…#room#`.
pub const EVENTS: &str = "socket.io#/#";
/// All of them.
pub const ROOMS: &str = "socket.io#/#*";
pub const REQUESTS: &str = "socket.io-request#/#";
pub const RESPONSES: &str = "socket.io-response#/#";

/// By this our instances know what one of them has published.
const OWN: &str = "expeditor-";

pub fn uid(instance: InstanceId) -> String {
    format!("{OWN}{instance:016x}")
}

/// The packet of an event for one or several rooms, and the channel that it goes to. `None` where JSON
/// goes deeper than is read.
pub fn event(uid: &str, name: &str, payload: &str, rooms: &[&str], volatile: bool) -> Option<(String, Vec<u8>)> {
    let channel = match rooms {
        [room] => format!("{EVENTS}{room}#"),
        _ => EVENTS.to_owned(),
    };
    let packet = Packet { kind: 2, data: (name, Transcoded(payload)), nsp: "/" };
    let opts = Opts { rooms, except: [], flags: Flags { volatile: volatile.then_some(true) } };
    let mut bytes = Vec::with_capacity(payload.len() + 128);
    (uid, packet, opts).serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map()).ok()?;
    Some((channel, bytes))
}

#[derive(Serialize)]
struct Packet<'a> {
    #[serde(rename = "type")]
    kind: u8,
    data: (&'a str, Transcoded<'a>),
    nsp: &'a str,
}

#[derive(Serialize)]
struct Opts<'a> {
    rooms: &'a [&'a str],
    except: [&'a str; 0],
    flags: Flags,
}

#[derive(Serialize)]
struct Flags {
    #[serde(skip_serializing_if = "Option::is_none")]
    volatile: Option<bool>,
}

/// JSON text, written as whatever the serializer writes.
struct Transcoded<'a>(&'a str);

impl Serialize for Transcoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_transcode::transcode(&mut serde_json::Deserializer::from_str(self.0), serializer)
    }
}

/// An event that a Node server or an emitter has published.
#[derive(Debug)]
pub struct NodeEvent {
    pub rooms: Vec<String>,
    pub except: Vec<String>,
    pub name: String,
    pub payload: Box<RawValue>,
    pub volatile: bool,
}

/// `None` where it is one that an instance of ours has published.
///
/// # Errors
/// Why it is no event of a room.
pub fn read_event(bytes: &[u8], max_payload: usize) -> Result<Option<NodeEvent>, Garbage> {
    if is_own(bytes) {
        return Ok(None);
    }
    // In msgpack a payload is hardly ever longer than in JSON.
    if bytes.len() > max_payload * 2 + 65_536 {
        return Err(Garbage::TooLarge);
    }
    let value = json::read(bytes)?;
    let ValueRef::Array(parts) = &value else { return Err(Garbage::Malformed) };
    let [_, packet, opts, ..] = &parts[..] else { return Err(Garbage::Malformed) };
    if member(packet, "nsp").and_then(text).is_some_and(|nsp| nsp != "/") {
        return Err(Garbage::Room);
    }
    if member(packet, "type").and_then(number) != Some(2) {
        return Err(Garbage::Malformed);
    }
    let Some(ValueRef::Array(data)) = member(packet, "data") else { return Err(Garbage::Malformed) };
    let name = data.first().and_then(text).ok_or(Garbage::Event)?.to_owned();
    let payload = match &data[1..] {
        [] => "null".to_owned(),
        [payload] => json::text(payload, Binary::Refused)?,
        // A room's event has one payload: a part of what was published would be something else.
        _ => return Err(Garbage::Arguments),
    };
    if payload.len() > max_payload {
        return Err(Garbage::TooLarge);
    }
    let volatile = member(opts, "flags").and_then(|flags| member(flags, "volatile"));
    Ok(Some(NodeEvent {
        rooms: texts(member(opts, "rooms")),
        except: texts(member(opts, "except")),
        name,
        payload: RawValue::from_string(payload).map_err(|_| Garbage::Malformed)?,
        volatile: volatile == Some(&ValueRef::Boolean(true)),
    }))
}

/// An array of three whose first is a text with our prefix; nothing of it is read.
fn is_own(bytes: &[u8]) -> bool {
    let ([0x93, 0xa0..=0xbf, text @ ..] | [0x93, 0xd9, _, text @ ..]) = bytes else { return false };
    text.starts_with(OWN.as_bytes())
}

fn member<'a, 'b>(value: &'b ValueRef<'a>, name: &str) -> Option<&'b ValueRef<'a>> {
    let ValueRef::Map(members) = value else { return None };
    members.iter().find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value)
}

fn text<'b>(value: &'b ValueRef<'_>) -> Option<&'b str> {
    if let ValueRef::String(text) = value { text.as_str() } else { None }
}

fn number(value: &ValueRef<'_>) -> Option<u64> {
    if let ValueRef::Integer(number) = value { number.as_u64() } else { None }
}

fn texts(value: Option<&ValueRef<'_>>) -> Vec<String> {
    let Some(ValueRef::Array(items)) = value else { return Vec::new() };
    items.iter().filter_map(text).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1_000;

    #[test]
    fn what_is_written_can_be_read_but_is_known_as_ours() {
        let payload = r#"{"z":1,"a":[1.5,null,"x"],"big":9007199254740993}"#;
        let (channel, bytes) = event(&uid(7), "kitchen:new-order", payload, &["kitchen:c1"], true).unwrap();
        assert_eq!(channel, "socket.io#/#kitchen:c1#");
        assert!(read_event(&bytes, MAX).unwrap().is_none());
        let (channel, bytes) = event("node", "e", payload, &["a:1", "b:2"], true).unwrap();
        assert_eq!(channel, EVENTS);
        let read = read_event(&bytes, MAX).unwrap().unwrap();
        assert_eq!((read.payload.get(), read.rooms, read.volatile), (payload, vec!["a:1".into(), "b:2".into()], true));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_event(&bytes, MAX);
        }

        #[test]
        fn bent_packets_do_no_harm(index in 0usize..80, byte: u8) {
            let (_, mut bytes) = event("node", "e", r#"{"a":[1,{"b":null}]}"#, &["a:1", "b:2"], true).unwrap();
            let index = index % bytes.len();
            bytes[index] = byte;
            let _ = read_event(&bytes, MAX);
        }
    }
}
