//! Clients that lose their connection and come back: nothing missed, nothing twice.

use serde_json::{Value, json};

use crate::support::people::{BISTRO, CHEF, GUEST, GUESTS_TAB, LINE_COOK};
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

/// Connects a stock client that reconnects by itself, as it does by default.
fn connect(driver: &Driver, instance: &Instance, name: &str, token: &str, transports: &[&str]) {
    let answer = driver.call(
        "connect",
        json!({
            "client": name, "url": instance.url(), "auth": { "token": token }, "transports": transports,
            "options": { "reconnection": true, "reconnectionDelay": 100, "randomizationFactor": 0 },
        }),
    );
    assert_eq!(answer["outcome"], "connected", "{name}: {answer}");
}

fn publish(driver: &Driver, room: &str, n: u64) -> Value {
    driver.ask_ok("backend", "broadcast", &json!({ "room": room, "event": "e", "payload": { "n": n } }))
}

/// The `n` of every event `e` that the client has seen, in order.
fn seen(driver: &Driver, client: &str) -> Vec<u64> {
    let events = driver.events(client).into_iter().filter(|(name, _)| name == "e");
    events.map(|(_, args)| args[0]["n"].as_u64().unwrap()).collect()
}

/// Whether each connection of the client was a recovered one.
fn recovered(driver: &Driver, client: &str) -> Vec<bool> {
    let connects = driver.events(client).into_iter().filter(|(name, _)| name == "$connect");
    connects.map(|(_, args)| args[1] == true).collect()
}

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

#[test]
fn a_dropped_client_has_its_rooms_and_what_it_missed_on_every_transport() {
    for transports in [["websocket"].as_slice(), &["polling"], &["polling", "websocket"]] {
        let (instance, driver) = (Instance::start(), Driver::node());
        driver.connect(&instance, "backend", SERVER_SECRET);
        connect(&driver, &instance, "chef", &token(CHEF), transports);
        driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
        for n in 0..60 {
            if n % 10 == 5 {
                let back = || recovered(&driver, "chef").len() as u64 > n / 10;
                eventually("the client is back", || back().then_some(()));
                driver.call("dropTransport", json!({ "client": "chef" }));
            }
            publish(&driver, &kitchen(), n);
        }
        driver.call("wait", json!({ "client": "chef", "event": "e", "count": 60, "timeoutMs": 10_000 }));
        assert_eq!(seen(&driver, "chef"), (0..60).collect::<Vec<_>>(), "{transports:?}");
        eventually("the last reconnect", || (recovered(&driver, "chef").len() == 7).then_some(()));
        let outcomes = recovered(&driver, "chef");
        assert!(!outcomes[0] && outcomes[1..].iter().all(|outcome| *outcome), "{transports:?}: {outcomes:?}");
        driver.call("disconnect", json!({ "client": "chef" }));
    }
}

#[test]
fn a_client_that_has_seen_no_event_yet_is_recovered() {
    // socketio/socket.io issue 5538
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    connect(&driver, &instance, "guest", &token(GUEST), &["websocket"]);
    driver.ask_ok("guest", "tab:join", &json!({ "tabId": GUESTS_TAB }));
    driver.call("dropTransport", json!({ "client": "guest" }));
    publish(&driver, &format!("tab:{GUESTS_TAB}"), 0);
    publish(&driver, &format!("user:{GUEST}"), 1);
    driver.call("wait", json!({ "client": "guest", "event": "e", "count": 2 }));
    assert_eq!(seen(&driver, "guest"), [0, 1]);
    assert_eq!(recovered(&driver, "guest"), [false, true]);
    driver.call("disconnect", json!({ "client": "guest" }));
}

#[test]
fn another_user_has_nothing_of_a_pid() {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    driver.call("rawWebsocket", json!({ "client": "chef", "url": instance.websocket_url() }));
    let connect = |client: &str, auth: &Value| {
        driver.call("rawSend", json!({ "client": client, "text": format!("40{auth}") }));
        let frames = driver.call("wait", json!({ "client": client, "event": "$frame", "count": 2 }));
        let frame = frames["events"][1]["args"][0].as_str().unwrap().to_owned();
        serde_json::from_str::<Value>(frame.strip_prefix("40").unwrap()).unwrap()["pid"].as_str().unwrap().to_owned()
    };
    let pid = connect("chef", &json!({ "token": token(CHEF) }));
    driver.call("rawWebsocket", json!({ "client": "thief", "url": instance.websocket_url() }));
    let other = connect("thief", &json!({ "token": token(LINE_COOK), "pid": pid, "offset": "" }));
    assert_ne!(pid, other);
    for client in ["chef", "thief"] {
        driver.call("rawSend", json!({ "client": client, "text": "1" }));
        driver.call("wait", json!({ "client": client, "event": "$close" }));
    }
}
