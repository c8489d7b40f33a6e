//! `GET /asyncapi.json`: the events of both directions, as AsyncAPI 3. The names, statuses and codes are
//! those that the code uses; what is said about each stands in one table for each direction.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::HttpState;
use crate::domain::{Command, ErrorCode, KitchenStatus, RoomKind};

const KINDS: [RoomKind; 4] = [RoomKind::Tab, RoomKind::Venue, RoomKind::Kitchen, RoomKind::Table];

pub async fn show(state: web::Data<HttpState>) -> HttpResponse {
    HttpResponse::Ok().json(document(state.max_payload))
}

/// An event that clients may send.
struct FromClient {
    name: &'static str,
    summary: &'static str,
    payload: Value,
    /// Members of a successful acknowledgement.
    ack: Value,
}

/// An event that clients are sent.
struct ToClient {
    name: &'static str,
    summary: &'static str,
    payload: Value,
    /// Whether its second argument is an offset.
    numbered: bool,
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

/// The member of a payload that names a room of this kind.
fn member(kind: RoomKind) -> &'static str {
    match kind {
        RoomKind::Tab => "tabId",
        RoomKind::Venue | RoomKind::Kitchen => "venueId",
        RoomKind::Table => "tableId",
        RoomKind::User => "userId",
    }
}

fn room_events(name: &'static str) -> Option<FromClient> {
    let kind =
        KINDS.into_iter().find(|kind| name.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with(':')))?;
    let id = member(kind);
    let join = kind.join_event() == Some(name);
    if !join && name.strip_prefix(kind.as_str()) != Some(":leave") {
        return None;
    }
    let (summary, ack) = if join {
        (
            "Enters the room; the events after `since` follow.",
            object(
                &[id],
                json!({ id: reference("Id"), "offset": reference("Offset"), "complete": { "type": "boolean" } }),
            ),
        )
    } else {
        ("Leaves the room.", object(&[], json!({})))
    };
    let since = json!({ "description": "An offset that the client has had.", "type": "string" });
    Some(FromClient { name, summary, payload: object(&[id], json!({ id: reference("Id"), "since": since })), ack })
}

fn from_client(name: &'static str) -> FromClient {
    if let Some(event) = room_events(name) {
        return event;
    }
    let item = json!({ "tabItemId": reference("Id") });
    let (summary, payload, ack) = match name {
        "kitchen:update-status" => (
            "Gives an item a state; `kitchen:order-updated` goes to its venue and kitchen.",
            object(
                &["tabItemId", "status"],
                json!({ "tabItemId": reference("Id"), "status": reference("KitchenStatus") }),
            ),
            object(&[], json!({})),
        ),
        "kitchen:bump" => {
            ("The same with `DELIVERED`.", object(&["tabItemId"], item.clone()), object(&["tabItemId"], item))
        }
        "notification:read" => {
            let id = json!({ "notificationId": { "type": "string" } });
            (
                "Marks one of the user's notifications as read.",
                object(&["notificationId"], id.clone()),
                object(&["notificationId"], id),
            )
        }
        "broadcast" => ("Publishes to rooms; for the backend.", reference("Publish"), reference("Published")),
        _ => ("", json!({}), json!({})),
    };
    FromClient { name, summary, payload, ack }
}

fn to_client() -> Vec<ToClient> {
    let published = |name, summary| ToClient { name, summary, payload: json!({ "type": "object" }), numbered: true };
    let mut events = vec![
        published("tab:item-added", "An item was ordered. What the backend publishes, byte for byte."),
        published("tab:status-changed", "A tab has another status. What the backend publishes."),
        published("tab:closed", "A tab was paid. What the backend publishes."),
        published("kitchen:new-order", "A ticket for the kitchen. What the backend publishes."),
        published("notification:new", "A notification for the user. What the backend publishes."),
    ];
    let updated = json!({
        "tabItemId": reference("Id"), "tabId": reference("Id"), "status": reference("KitchenStatus"),
        "timestamp": { "type": "string", "format": "date-time" },
    });
    let to_one = |name, summary, payload| ToClient { name, summary, payload, numbered: false };
    events.push(ToClient {
        name: "kitchen:order-updated",
        summary: "An item has another state.",
        payload: object(&["tabItemId", "tabId", "status", "timestamp"], updated),
        numbered: true,
    });
    for (kind, name) in KINDS.into_iter().zip(["tab:joined", "venue:joined", "kitchen:joined", "table:joined"]) {
        let payload = object(&[member(kind)], json!({ member(kind): reference("Id") }));
        events.push(to_one(name, "The session is in the room.", payload));
    }
    let orders = json!({ "venueId": reference("Id"), "orders": { "type": "array", "items": { "type": "object" } }, "offset": reference("Offset") });
    events.push(to_one(
        "kitchen:orders",
        "What the kitchen has to do as the session enters.",
        object(&["venueId", "orders", "offset"], orders),
    ));
    let item = object(&["tabItemId"], json!({ "tabItemId": reference("Id") }));
    events.push(to_one("kitchen:bumped", "The item is delivered.", item));
    let read = object(&["notificationId"], json!({ "notificationId": { "type": "string" } }));
    events.push(to_one("notification:read-success", "The notification is read.", read));
    events.push(to_one("error", "An event was not carried out, or a right was lost.", reference("Failure")));
    events
}

fn schemas() -> Value {
    let statuses: Vec<&str> = KitchenStatus::ALL.into_iter().map(KitchenStatus::as_str).collect();
    let room = json!({ "type": "string", "pattern": "^((tab|venue|kitchen|table):c[^\\s-]{8,63}|user:\\S{1,255})$" });
    let refusal = json!({
        "code": { "enum": ErrorCode::ALL }, "message": { "type": "string" }, "field": { "type": "string" },
        "retryAfterMs": { "type": "integer" },
    });
    let failure = json!({ "event": { "type": "string" }, "room": { "type": "string" } });
    json!({
        "Id": { "type": "string", "pattern": "^c[^\\s-]{8,63}$" },
        "Offset": { "type": "string", "description": "Names what a client has had; `\"\"` if that is nothing." },
        "KitchenStatus": { "enum": statuses },
        "Room": room,
        "Refusal": object(&["code", "message"], refusal),
        "Failure": { "allOf": [reference("Refusal"), object(&["event"], failure)] },
        "Publish": object(&["event"], json!({
            "room": reference("Room"), "rooms": { "type": "array", "minItems": 1, "maxItems": 64, "items": reference("Room") },
            "event": { "type": "string", "minLength": 1, "maxLength": 128 }, "payload": {},
            "id": { "type": "string", "minLength": 1, "maxLength": 128 }, "volatile": { "type": "boolean" },
        })),
        "Published": object(&["id", "offset", "durable"], json!({
            "id": { "type": "string" }, "offset": reference("Offset"), "durable": { "type": "boolean" },
        })),
    })
}

/// AsyncAPI's keys take no colon.
fn key(name: &str) -> String {
    name.replace(':', ".")
}

fn message(name: &str, summary: &str, payload: &Value) -> Value {
    json!({ "name": name, "title": name, "summary": summary, "payload": payload })
}

/// What the callback of an event is given.
fn ack_message(event: &FromClient) -> Value {
    let done = json!({ "allOf": [object(&["ok"], json!({ "ok": { "const": true } })), event.ack] });
    let refused = object(&["ok", "error"], json!({ "ok": { "const": false }, "error": reference("Refusal") }));
    message(&format!("{} (acknowledgement)", event.name), "", &json!({ "oneOf": [done, refused] }))
}

fn document(max_payload: usize) -> Value {
    let (mut messages, mut operations) = (Map::new(), Map::new());
    let of_channel = |key: &str| json!({ "$ref": format!("#/channels/root/messages/{key}") });
    let channel = json!({ "$ref": "#/channels/root" });
    for event in Command::EVENTS.into_iter().map(from_client) {
        let (key, ack) = (key(event.name), format!("{}.ack", key(event.name)));
        let reply = json!({ "channel": channel, "messages": [of_channel(&ack)] });
        let receive = json!({ "action": "receive", "channel": channel, "summary": event.summary, "messages": [of_channel(&key)], "reply": reply });
        operations.insert(format!("receive.{key}"), receive);
        messages.insert(ack, ack_message(&event));
        messages.insert(key, message(event.name, event.summary, &event.payload));
    }
    for event in to_client() {
        let key = key(event.name);
        let offset = if event.numbered { " Its second argument is the event's offset." } else { "" };
        let summary = format!("{}{offset}", event.summary);
        let send = json!({ "action": "send", "channel": channel, "summary": summary, "messages": [of_channel(&key)] });
        operations.insert(format!("send.{key}"), send);
        messages.insert(key, message(event.name, &summary, &event.payload));
    }
    let in_channel: Map<String, Value> =
        messages.keys().map(|key| (key.clone(), json!({ "$ref": format!("#/components/messages/{key}") }))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "expeditor",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!("Socket.IO 5 over Engine.IO 4. Every event of a client takes a callback. A message has {max_payload} bytes at most."),
        },
        "defaultContentType": "application/json",
        "servers": { "socketio": { "host": "localhost:3002", "pathname": "/socket.io/", "protocol": "ws" } },
        "channels": { "root": { "address": "/", "title": "The namespace `/`", "messages": in_channel } },
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_a_client_is_described() {
        for event in Command::EVENTS.into_iter().map(from_client) {
            assert!(!event.summary.is_empty(), "{}", event.name);
        }
    }
}
