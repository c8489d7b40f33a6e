//! What peers ask of each other, and the answers that they wait for.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{NodeEvent, OWN, member};
use crate::bus::Garbage;
use crate::bus::json::{self, Binary};
use crate::domain::PublishRequest;

/// Sessions that a request is about: those in one of the rooms, or all, but those in one of the others.
/// A session is in a room of its own id too.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Selection {
    #[serde(default)]
    pub rooms: Vec<String>,
    #[serde(default)]
    pub except: Vec<String>,
}

/// What a peer asks of all others.
#[derive(Debug)]
pub enum Request {
    Sockets {
        id: String,
        of: Selection,
    },
    AllRooms {
        id: String,
    },
    Join {
        id: Option<String>,
        of: Selection,
        rooms: Vec<String>,
    },
    Leave {
        id: Option<String>,
        of: Selection,
        rooms: Vec<String>,
    },
    Disconnect {
        id: Option<String>,
        of: Selection,
    },
    Fetch {
        id: String,
        of: Selection,
    },
    /// For code on the server, which there is none of here.
    ServerSideEmit {
        id: Option<String>,
    },
    /// An event whose recipients are to acknowledge it.
    Broadcast {
        id: String,
        event: Result<NodeEvent, Garbage>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    #[serde(rename = "type")]
    kind: u8,
    uid: Option<String>,
    request_id: Option<String>,
    opts: Option<Selection>,
    #[serde(default)]
    rooms: Vec<String>,
    sid: Option<String>,
    room: Option<String>,
    packet: Option<AskedPacket>,
}

#[derive(Deserialize)]
struct AskedPacket {
    #[serde(default)]
    data: Vec<Box<RawValue>>,
    /// Whether there was binary data in it.
    #[serde(skip)]
    binary: bool,
}

/// `None` where an instance of ours has asked.
///
/// # Errors
/// Why it is no request.
pub fn read_request(bytes: &[u8], max_payload: usize) -> Result<Option<Request>, Garbage> {
    if bytes.len() > max_payload * 2 + 65_536 {
        return Err(Garbage::TooLarge);
    }
    // The adapter writes some requests as JSON and one as msgpack, and tells them by the first byte.
    let mut binary = false;
    let asked = if bytes.first() == Some(&b'{') {
        serde_json::from_slice(bytes)
    } else {
        let value = json::read(bytes)?;
        let packet = member(&value, "packet").map(|packet| json::text(packet, Binary::Refused));
        binary = matches!(packet, Some(Err(Garbage::Binary)));
        // It is answered all the same.
        serde_json::from_str(&json::text(&value, Binary::Dropped)?)
    };
    let mut asked: Asked = asked.map_err(|_| Garbage::Malformed)?;
    if let Some(packet) = &mut asked.packet {
        packet.binary = binary;
    }
    if asked.uid.as_ref().is_some_and(|uid| uid.starts_with(OWN)) {
        return Ok(None);
    }
    understood(asked, max_payload).map(Some)
}

fn understood(asked: Asked, max_payload: usize) -> Result<Request, Garbage> {
    let Asked { kind, request_id: id, opts, rooms, sid, room, packet, .. } = asked;
    let named = |id: Option<String>| id.ok_or(Garbage::Malformed);
    // Older peers name one socket and one room instead.
    let by_id = sid.map(|sid| Selection { rooms: vec![sid], except: Vec::new() });
    let moved = |rooms: Vec<String>| if by_id.is_some() { Ok(room.into_iter().collect()) } else { distinct(rooms) };
    let of = opts.or_else(|| by_id.clone());
    Ok(match kind {
        0 => Request::Sockets { id: named(id)?, of: Selection { rooms, except: Vec::new() } },
        1 => Request::AllRooms { id: named(id)? },
        2 => Request::Join { id, of: of.ok_or(Garbage::Malformed)?, rooms: moved(rooms)? },
        3 => Request::Leave { id, of: of.ok_or(Garbage::Malformed)?, rooms: moved(rooms)? },
        4 => Request::Disconnect { id, of: of.ok_or(Garbage::Malformed)? },
        5 => Request::Fetch { id: named(id)?, of: of.unwrap_or_default() },
        6 => Request::ServerSideEmit { id },
        7 => Request::Broadcast { id: named(id)?, event: broadcast(of.unwrap_or_default(), packet, max_payload) },
        _ => return Err(Garbage::Request),
    })
}

/// Each once, and no more than one event may be for: every one is a message to each session that the request is about.
fn distinct(rooms: Vec<String>) -> Result<Vec<String>, Garbage> {
    let mut distinct: Vec<String> = Vec::new();
    for room in rooms {
        if distinct.contains(&room) {
            continue;
        }
        if distinct.len() == PublishRequest::MAX_ROOMS {
            return Err(Garbage::Room);
        }
        distinct.push(room);
    }
    Ok(distinct)
}

fn broadcast(of: Selection, packet: Option<AskedPacket>, max_payload: usize) -> Result<NodeEvent, Garbage> {
    let AskedPacket { data, binary } = packet.ok_or(Garbage::Malformed)?;
    let mut data = data.into_iter();
    let name = data.next().and_then(|name| serde_json::from_str(name.get()).ok()).ok_or(Garbage::Event)?;
    let payload = data.next().unwrap_or_else(|| RawValue::NULL.to_owned());
    if data.next().is_some() {
        return Err(Garbage::Arguments);
    }
    if binary {
        return Err(Garbage::Binary);
    }
    if payload.get().len() > max_payload {
        return Err(Garbage::TooLarge);
    }
    Ok(NodeEvent { rooms: of.rooms, except: of.except, name, payload, volatile: false })
}

pub fn sockets(id: &str, sockets: Vec<Value>) -> Value {
    json!({ "requestId": id, "sockets": sockets })
}

pub fn rooms(id: &str, rooms: Vec<String>) -> Value {
    json!({ "requestId": id, "rooms": rooms })
}

pub fn done(id: &str) -> Value {
    json!({ "requestId": id })
}

/// Nobody here has an answer, but nobody is to wait for one.
pub fn nothing_to_say(id: &str) -> Value {
    json!({ "type": 6, "requestId": id, "data": null })
}

/// How many acknowledgements will come.
pub fn client_count(id: &str, count: usize) -> Value {
    json!({ "type": 8, "requestId": id, "clientCount": count })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1_000;

    #[test]
    fn requests_are_read_in_both_forms() {
        let fetch = br#"{"uid":"abc","requestId":"r","type":5,"opts":{"rooms":["x"],"except":[]}}"#;
        assert!(matches!(read_request(fetch, MAX), Ok(Some(Request::Fetch { of, .. })) if of.rooms == ["x"]));
        let own = format!(r#"{{"uid":"{}","requestId":"r","type":1}}"#, crate::bus::adapter::uid(1));
        assert!(read_request(own.as_bytes(), MAX).unwrap().is_none());
        let asked = json!({ "uid": "a", "requestId": "r", "type": 7, "packet": { "data": ["e", { "n": 1 }] }, "opts": { "rooms": ["x"] } });
        let packed = rmp_serde::to_vec_named(&asked).unwrap();
        let Ok(Some(Request::Broadcast { event: Ok(event), .. })) = read_request(&packed, MAX) else { panic!() };
        assert_eq!((event.name.as_str(), event.payload.get()), ("e", r#"{"n":1}"#));
        assert_eq!(read_request(br#"{"type":99}"#, MAX).unwrap_err(), Garbage::Request);
    }

    #[test]
    fn a_request_names_few_rooms_to_enter_or_leave_however_often() {
        for kind in [2, 3] {
            let ask = |rooms: Vec<String>| {
                let asked = json!({ "uid": "a", "type": kind, "opts": { "rooms": [], "except": [] }, "rooms": rooms });
                read_request(asked.to_string().as_bytes(), MAX)
            };
            let named = |count: usize| (0..count).map(|n| format!("r{n}")).collect::<Vec<_>>();
            let often = [named(PublishRequest::MAX_ROOMS), named(PublishRequest::MAX_ROOMS)].concat();
            let Ok(Some(Request::Join { rooms, .. } | Request::Leave { rooms, .. })) = ask(often) else { panic!() };
            assert_eq!(rooms, named(PublishRequest::MAX_ROOMS));
            assert_eq!(ask(named(PublishRequest::MAX_ROOMS + 1)).unwrap_err(), Garbage::Room);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_request(&bytes, MAX);
        }
    }
}
