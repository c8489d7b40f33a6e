//! Clients that lose their connection and come back: nothing missed, nothing twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::people::{BISTRO, BISTRO_TABLE, CHEF, GUEST, GUESTS_TAB, LINE_COOK};
use crate::support::stock::{Backend, Pace, always_recovered, connect, connections, has_each_once, recovered, seen};
use crate::support::{Driver, Instance, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

#[test]
fn a_dropped_client_has_its_rooms_and_what_it_missed_on_every_transport() {
    for transports in [["websocket"].as_slice(), &["polling"], &["polling", "websocket"]] {
        let (instance, driver) = (Instance::start(), Driver::node());
        let backend = Backend::new(&instance.url());
        connect(&driver, &instance.url(), "chef", &token(CHEF), transports);
        driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
        for n in 0..60 {
            if n % 10 == 5 {
                let back = || recovered(&driver, "chef").len() as u64 > n / 10;
                eventually("the client is back", || back().then_some(()));
                driver.call("dropTransport", json!({ "client": "chef" }));
            }
            backend.publish(&kitchen(), n);
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
    let backend = Backend::new(&instance.url());
    connect(&driver, &instance.url(), "guest", &token(GUEST), &["websocket"]);
    driver.ask_ok("guest", "tab:join", &json!({ "tabId": GUESTS_TAB }));
    driver.call("dropTransport", json!({ "client": "guest" }));
    backend.publish(&format!("tab:{GUESTS_TAB}"), 0);
    backend.publish(&format!("user:{GUEST}"), 1);
    driver.call("wait", json!({ "client": "guest", "event": "e", "count": 2 }));
    assert_eq!(seen(&driver, "guest"), [0, 1]);
    assert_eq!(recovered(&driver, "guest"), [false, true]);
    driver.call("disconnect", json!({ "client": "guest" }));
}

#[test]
fn another_user_has_nothing_of_a_pid() {
    let (instance, driver) = (Instance::start(), Driver::node());
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

const TRANSPORTS: [&[&str]; 3] = [&["websocket"], &["polling"], &["polling", "websocket"]];

#[test]
fn a_hundred_drops_in_a_minute_of_steady_publishing_leave_no_gap() {
    // socketio/socket.io issue 4880: there it recovers only once
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    let names = ["websocket", "polling", "upgrading"];
    for (name, transports) in names.iter().zip(TRANSPORTS) {
        connect(&driver, &instance.url(), name, &token(CHEF), transports);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    let mut pace = Pace::start();
    for n in 0..1_200 {
        backend.publish(&kitchen(), n);
        pace.wait(Duration::from_millis(50));
        if n % 12 == 5 {
            for name in names {
                // One that is not back yet is dropped as it connects.
                driver.begin("dropTransport", json!({ "client": name })).outcome();
            }
        }
    }
    for name in names {
        has_each_once(&driver, name, 1_200);
        connections(&driver, name, 90);
        always_recovered(&driver, name);
        driver.call("disconnect", json!({ "client": name }));
    }
}

#[test]
fn a_session_of_four_rooms_has_all_of_them_back() {
    for transports in TRANSPORTS {
        let (instance, driver) = (Instance::start(), Driver::node());
        let backend = Backend::new(&instance.url());
        connect(&driver, &instance.url(), "chef", &token(CHEF), transports);
        let joins = [
            ("kitchen:join", json!({ "venueId": BISTRO })),
            ("venue:join", json!({ "venueId": BISTRO })),
            ("tab:join", json!({ "tabId": GUESTS_TAB })),
            ("table:join", json!({ "tableId": BISTRO_TABLE })),
        ];
        joins.iter().for_each(|(event, payload)| drop(driver.ask_ok("chef", event, payload)));
        let rooms = [
            kitchen(),
            format!("venue:{BISTRO}"),
            format!("tab:{GUESTS_TAB}"),
            format!("table:{BISTRO_TABLE}"),
            format!("user:{CHEF}"),
        ];
        for n in 0..50 {
            if n % 25 == 10 {
                let connected = || driver.call("state", json!({ "client": "chef" }))["connected"] == true;
                eventually("the client is back", || connected().then_some(()));
                driver.call("dropTransport", json!({ "client": "chef" }));
            }
            if n % 10 == 3 {
                // In several of the rooms at once, and delivered once.
                let publish = json!({ "rooms": rooms, "event": "e", "payload": { "n": n } });
                assert_eq!(backend.ask(&publish)["ok"], true);
            } else {
                backend.publish(&rooms[n as usize % 5], n);
            }
        }
        has_each_once(&driver, "chef", 50);
        always_recovered(&driver, "chef");
        // A room that was left is not had back.
        driver.ask_ok("chef", "venue:leave", &json!({ "venueId": BISTRO }));
        driver.call("dropTransport", json!({ "client": "chef" }));
        backend.publish(&rooms[1], 1_000);
        backend.publish(&rooms[0], 50);
        has_each_once(&driver, "chef", 51);
        driver.call("disconnect", json!({ "client": "chef" }));
    }
}

#[test]
fn nine_hundred_events_that_wait_come_in_order_before_anything_newer() {
    for transports in TRANSPORTS {
        let (instance, driver) = (Instance::start(), Driver::node());
        let backend = Backend::new(&instance.url());
        connect(&driver, &instance.url(), "chef", &token(CHEF), transports);
        driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
        backend.publish(&kitchen(), 0);
        has_each_once(&driver, "chef", 1);
        driver.call("pauseReconnecting", json!({ "client": "chef" }));
        let publishes = |from: u64, to: u64| {
            (from..to)
                .map(|n| json!({ "room": kitchen(), "event": "e", "payload": { "n": n, "text": "x".repeat(400) } }))
                .collect::<Value>()
        };
        backend.ask(&publishes(1, 901));
        // Others come from before it is back until after it has read those.
        let done = AtomicBool::new(false);
        let others = std::thread::scope(|scope| {
            let publishing = scope.spawn({
                let (done, backend, publishes) = (&done, &backend, &publishes);
                move || {
                    let mut next = 901;
                    while !done.load(Ordering::Relaxed) {
                        backend.ask(&publishes(next, next + 2));
                        next += 2;
                    }
                    next
                }
            });
            driver.call("resumeReconnecting", json!({ "client": "chef" }));
            driver.call("wait", json!({ "client": "chef", "event": "e", "match": { "n": 910 }, "timeoutMs": 30_000 }));
            done.store(true, Ordering::Relaxed);
            publishing.join().unwrap()
        });
        has_each_once(&driver, "chef", others);
        assert_eq!(recovered(&driver, "chef"), [false, true], "{transports:?}");
        driver.call("disconnect", json!({ "client": "chef" }));
    }
}

#[test]
fn a_volatile_event_spoils_no_offset() {
    // socketio/socket.io pull request 5539
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let volatile = |payload: Value| {
        backend.ask(&json!({ "room": kitchen(), "event": "v", "payload": payload, "volatile": true }));
    };
    // Before any other event; and a payload that could be taken for an offset.
    volatile(json!("1.zz"));
    driver.call("wait", json!({ "client": "chef", "event": "v", "count": 1 }));
    driver.call("dropTransport", json!({ "client": "chef" }));
    backend.publish(&kitchen(), 0);
    backend.publish(&kitchen(), 1);
    has_each_once(&driver, "chef", 2);
    volatile(json!("a string"));
    volatile(json!(null));
    driver.call("wait", json!({ "client": "chef", "event": "v", "count": 3 }));
    driver.call("dropTransport", json!({ "client": "chef" }));
    backend.publish(&kitchen(), 2);
    has_each_once(&driver, "chef", 3);
    connections(&driver, "chef", 3);
    always_recovered(&driver, "chef");
    let offsets: Vec<Value> =
        driver.events("chef").into_iter().filter(|(name, _)| name == "v").map(|(_, args)| args[1].clone()).collect();
    let last =
        driver.events("chef").into_iter().rfind(|(name, args)| name == "e" && args[0]["n"] == 1).unwrap().1[1].clone();
    assert_eq!(offsets, [json!(""), last.clone(), last]);
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn a_long_quiet_connection_is_recovered() {
    // socketio/socket.io issue 5282: there nothing but pings ages the offset away
    let (instance, driver) = (Instance::with(&[("PING_INTERVAL", "300")]), Driver::node());
    let backend = Backend::new(&instance.url());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    connect(&driver, &instance.url(), "guest", &token(GUEST), &["polling"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    driver.ask_ok("guest", "tab:join", &json!({ "tabId": GUESTS_TAB }));
    backend.publish(&format!("user:{GUEST}"), 0);
    has_each_once(&driver, "guest", 1);
    // Others go on, so that the quiet ones' offsets are far behind; then hours pass: the rows say that it was seen 20 hours ago.
    let busy: Value = (0..900)
        .map(|n| json!({ "room": format!("user:{CHEF}-other"), "event": "e", "payload": { "n": n } }))
        .collect();
    (0..12).for_each(|_| drop(backend.ask(&busy)));
    instance.execute("UPDATE session_rooms SET seen_at = seen_at - 20 * 3600000");
    driver.call("dropTransport", json!({ "client": "chef" }));
    driver.call("dropTransport", json!({ "client": "guest" }));
    backend.publish(&kitchen(), 0);
    backend.publish(&format!("tab:{GUESTS_TAB}"), 1);
    has_each_once(&driver, "chef", 1);
    has_each_once(&driver, "guest", 2);
    assert_eq!(recovered(&driver, "chef"), [false, true]);
    assert_eq!(recovered(&driver, "guest"), [false, true]);
    driver.call("disconnect", json!({ "client": "chef" }));
    driver.call("disconnect", json!({ "client": "guest" }));
}
