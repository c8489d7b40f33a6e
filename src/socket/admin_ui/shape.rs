//! A session in the shape of the Admin UI's `SerializedSocket`.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::actors::insight::SessionRecord;
use crate::domain::RoomName;

/// As `JSON.stringify(new Date())` has it.
pub fn iso(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The headers and the query of the handshake are not kept; its auth object is never shown.
pub fn serialized(record: &SessionRecord, rooms: &[RoomName]) -> Value {
    let id = &record.life.socket_id;
    let issued = record.connected_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    // A Node socket is in a room of its own name.
    let rooms = std::iter::once(&**id).chain(rooms.iter().map(RoomName::as_str));
    json!({
        "id": id,
        "clientId": id.get(..12).unwrap_or(id),
        "transport": record.outlet().map(|outlet| outlet.transport()),
        "nsp": "/",
        "data": { "user": record.life.who },
        "handshake": {
            "address": record.address,
            "headers": {},
            "query": {},
            "issued": issued.as_millis() as u64,
            "secure": false,
            "time": iso(record.connected_at),
            "url": "/socket.io/",
            "xdomain": false,
        },
        "rooms": rooms.collect::<Vec<_>>(),
    })
}
