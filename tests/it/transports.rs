//! Every stock client, over every transport, goes through every event, allowed and refused.

use serde_json::{Value, json};

use crate::support::people::{
    BISTRO, BISTRO_TABLE, BURGER, CHEF, DINER, DINER_TAB, DINER_TABLE, GUEST, GUESTS_NOTE, GUESTS_TAB, SOUP,
};
use crate::support::{Driver, Instance, SERVER_SECRET, token};

#[test]
fn socket_io_client_over_websocket() {
    go_through_every_event(&Driver::node(), &["websocket"], "websocket");
}

#[test]
fn socket_io_client_over_polling() {
    go_through_every_event(&Driver::node(), &["polling"], "polling");
}

#[test]
fn socket_io_client_from_polling_to_websocket() {
    go_through_every_event(&Driver::node(), &["polling", "websocket"], "websocket");
}

#[test]
fn python_socketio_over_websocket() {
    go_through_every_event(&Driver::python(), &["websocket"], "websocket");
}

#[test]
fn python_socketio_over_polling() {
    go_through_every_event(&Driver::python(), &["polling"], "polling");
}

#[test]
fn python_socketio_from_polling_to_websocket() {
    go_through_every_event(&Driver::python(), &["polling", "websocket"], "websocket");
}

fn go_through_every_event(driver: &Driver, transports: &[&str], ends_on: &str) {
    let instance = Instance::start();
    for (name, token) in [("chef", token(CHEF)), ("guest", token(GUEST)), ("backend", SERVER_SECRET.to_owned())] {
        let answer = driver.try_connect(&instance, name, &token, transports);
        assert_eq!(answer["outcome"], "connected", "{name}: {answer}");
    }
    allowed(driver);
    refused(driver);
    let state = driver.call("state", json!({ "client": "chef" }));
    assert_eq!(state["transport"], ends_on, "{state}");
    for client in ["chef", "guest", "backend"] {
        driver.call("disconnect", json!({ "client": client }));
    }
}

/// Each event with an acknowledgement, and its reply event where it has one.
fn allowed(driver: &Driver) {
    let steps = [
        ("chef", "tab:join", json!({ "tabId": GUESTS_TAB }), "tab:joined", json!({ "tabId": GUESTS_TAB })),
        ("chef", "venue:join", json!({ "venueId": BISTRO }), "venue:joined", json!({ "venueId": BISTRO })),
        ("chef", "kitchen:join", json!({ "venueId": BISTRO }), "kitchen:joined", json!({ "venueId": BISTRO })),
        // Again: it is answered as the first time, and changes nothing.
        ("chef", "kitchen:join", json!({ "venueId": BISTRO }), "kitchen:joined", json!({ "venueId": BISTRO })),
        ("chef", "table:join", json!({ "tableId": BISTRO_TABLE }), "table:joined", json!({ "tableId": BISTRO_TABLE })),
        ("guest", "tab:join", json!({ "tabId": GUESTS_TAB }), "tab:joined", json!({ "tabId": GUESTS_TAB })),
        (
            "guest",
            "notification:read",
            json!({ "notificationId": GUESTS_NOTE }),
            "notification:read-success",
            json!({ "notificationId": GUESTS_NOTE }),
        ),
        (
            "guest",
            "notification:read",
            json!({ "notificationId": GUESTS_NOTE }),
            "notification:read-success",
            json!({ "notificationId": GUESTS_NOTE }),
        ),
        ("chef", "kitchen:update-status", json!({ "tabItemId": BURGER, "status": "READY" }), "", Value::Null),
        ("chef", "kitchen:bump", json!({ "tabItemId": BURGER }), "kitchen:bumped", json!({ "tabItemId": BURGER })),
    ];
    for (client, event, payload, reply, members) in steps {
        let seen = driver.events(client).len() as u64;
        let ack = driver.ask_ok(client, event, &payload);
        if !reply.is_empty() {
            assert_eq!(driver.wait(client, reply, seen), members, "{client} {event}");
            for (member, value) in members.as_object().unwrap() {
                assert_eq!(&ack[member], value, "{client} {event}: the acknowledgement has the reply's members");
            }
        }
    }
    let updates: Vec<Value> = (0..2).map(|index| nth_update(driver, index)).collect();
    for (update, status) in updates.iter().zip(["READY", "DELIVERED"]) {
        assert_eq!(update["tabItemId"], BURGER);
        assert_eq!(update["tabId"], GUESTS_TAB);
        assert_eq!(update["status"], status);
        let timestamp = update["timestamp"].as_str().unwrap();
        let parsed = chrono::NaiveDateTime::parse_from_str(timestamp, "%Y-%m-%dT%H:%M:%S%.3fZ");
        assert!(parsed.is_ok() && timestamp.len() == 24, "{timestamp} is ISO 8601 with milliseconds in UTC");
    }
    assert_eq!(crate::support::event_args(driver, "chef", "kitchen:order-updated").len(), 2, "each came once");
    broadcast(driver);
    for (event, payload) in [
        ("tab:leave", json!({ "tabId": GUESTS_TAB })),
        ("venue:leave", json!({ "venueId": BISTRO })),
        ("kitchen:leave", json!({ "venueId": BISTRO })),
        ("table:leave", json!({ "tableId": BISTRO_TABLE })),
        ("table:leave", json!({ "tableId": BISTRO_TABLE })),
    ] {
        driver.ask_ok("chef", event, &payload);
    }
    // Out of the room: the next event of the tab is for the guest alone.
    driver.ask_ok(
        "backend",
        "broadcast",
        &json!({ "room": format!("tab:{GUESTS_TAB}"), "event": "tab:closed", "payload": {} }),
    );
    driver.wait("guest", "tab:closed", 0);
    driver.ask_ok("chef", "tab:leave", &json!({ "tabId": GUESTS_TAB }));
    assert!(crate::support::event_args(driver, "chef", "tab:closed").is_empty());
}

fn nth_update(driver: &Driver, index: usize) -> Value {
    let answer = driver.call("wait", json!({ "client": "chef", "event": "kitchen:order-updated", "count": index + 1 }));
    answer["events"][index]["args"][0].clone()
}

fn broadcast(driver: &Driver) {
    let ack = driver.ask_ok(
        "backend",
        "broadcast",
        &json!({ "room": format!("tab:{GUESTS_TAB}"), "event": "tab:item-added", "payload": { "n": 1 }, "id": "mine" }),
    );
    assert_eq!(ack["id"], "mine");
    assert_eq!(ack["durable"], true);
    assert!(ack["offset"].as_str().is_some_and(|offset| !offset.is_empty()), "{ack}");
    assert_eq!(driver.wait("guest", "tab:item-added", 0), json!({ "n": 1 }));
    assert_eq!(driver.wait("chef", "tab:item-added", 0), json!({ "n": 1 }));
    // To several rooms: who is in more than one of them gets it once.
    let rooms = json!([format!("tab:{GUESTS_TAB}"), format!("venue:{BISTRO}"), format!("kitchen:{BISTRO}")]);
    driver.ask_ok("backend", "broadcast", &json!({ "rooms": rooms, "event": "tab:status-changed" }));
    driver.ask_ok("backend", "broadcast", &json!({ "rooms": rooms, "event": "tab:item-added", "payload": { "n": 2 } }));
    driver.call("wait", json!({ "client": "chef", "event": "tab:item-added", "count": 2 }));
    assert_eq!(crate::support::event_args(driver, "chef", "tab:status-changed"), [Value::Null]);
    // The user's room comes with connecting.
    driver.ask_ok(
        "backend",
        "broadcast",
        &json!({ "room": format!("user:{GUEST}"), "event": "notification:new", "payload": { "id": "x" } }),
    );
    assert_eq!(driver.wait("guest", "notification:new", 0), json!({ "id": "x" }));
}

/// Each event refused, by acknowledgement and by `error` event.
fn refused(driver: &Driver) {
    let steps = [
        ("guest", "tab:join", json!({ "tabId": DINER_TAB }), "FORBIDDEN", "Access denied to tab"),
        ("guest", "tab:join", json!({ "tabId": "cnosuchtabatall" }), "FORBIDDEN", "Access denied to tab"),
        ("guest", "venue:join", json!({ "venueId": BISTRO }), "FORBIDDEN", "Not authorized for this venue"),
        ("guest", "kitchen:join", json!({ "venueId": BISTRO }), "FORBIDDEN", "Not authorized for kitchen"),
        ("chef", "table:join", json!({ "tableId": DINER_TABLE }), "FORBIDDEN", "Access denied to table"),
        ("chef", "kitchen:join", json!({ "venueId": DINER }), "FORBIDDEN", "Not authorized for kitchen"),
        (
            "chef",
            "kitchen:update-status",
            json!({ "tabItemId": SOUP, "status": "READY" }),
            "NOT_FOUND",
            "Order item not found",
        ),
        ("chef", "kitchen:bump", json!({ "tabItemId": "cnosuchitematall" }), "NOT_FOUND", "Order item not found"),
        ("guest", "kitchen:bump", json!({ "tabItemId": BURGER }), "FORBIDDEN", "Not authorized for kitchen"),
        ("chef", "notification:read", json!({ "notificationId": GUESTS_NOTE }), "NOT_FOUND", "Notification not found"),
        (
            "chef",
            "broadcast",
            json!({ "room": format!("tab:{GUESTS_TAB}"), "event": "x" }),
            "FORBIDDEN",
            "Unauthorized broadcast",
        ),
        ("backend", "tab:join", json!({ "tabId": GUESTS_TAB }), "FORBIDDEN", "Access denied to tab"),
        ("backend", "broadcast", json!({ "room": "lobby", "event": "x" }), "INVALID_DATA", "Invalid data"),
        ("chef", "tab:leave", json!({ "tabId": 5 }), "INVALID_DATA", "Invalid data"),
        ("chef", "venue:leave", json!({}), "INVALID_DATA", "Invalid data"),
        ("chef", "kitchen:leave", json!({ "venueId": "short" }), "INVALID_DATA", "Invalid data"),
        ("chef", "table:leave", json!(null), "INVALID_DATA", "Invalid data"),
        ("chef", "kitchen:update-status", json!({ "tabItemId": BURGER }), "INVALID_DATA", "Invalid data"),
    ];
    for (client, event, payload, code, message) in steps {
        let seen = driver.events(client).len() as u64;
        let ack = driver.ask(client, event, &payload);
        assert_eq!((&ack["ok"], &ack["error"]["code"]), (&json!(false), &json!(code)), "{client} {event}: {ack}");
        let error = driver.wait(client, "error", seen);
        assert_eq!(error["code"], code);
        assert_eq!(error["message"], message);
        assert_eq!(error["event"], event);
    }
}
