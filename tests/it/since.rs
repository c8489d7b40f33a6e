//! `since`: a room's past, from an offset that the application kept.

use serde_json::{Value, json};

use crate::support::people::{BISTRO, CHEF, GUESTS_TAB, LINE_COOK};
use crate::support::stock::{Backend, always_recovered, connect, has_each_once, recovered};
use crate::support::{Driver, Instance, event_args, eventually, token};

fn tab() -> String {
    format!("tab:{GUESTS_TAB}")
}

/// The names of a client's events, from index `from` on, and the number of each `e`.
fn story(driver: &Driver, client: &str, from: usize) -> Vec<String> {
    let events = driver.events(client).into_iter().skip(from);
    let tell = |(name, args): (String, Vec<Value>)| if name == "e" { format!("e{}", args[0]["n"]) } else { name };
    events.map(tell).collect()
}

fn many(room: &str, from: u64, to: u64) -> Value {
    (from..to).map(|n| json!({ "room": room, "event": "e", "payload": { "n": n, "text": "x".repeat(200) } })).collect()
}

#[test]
fn the_events_after_since_follow_the_reply_also_across_a_page_reload() {
    for transports in [["websocket"], ["polling"]] {
        let (instance, driver) = (Instance::start(), Driver::node());
        let backend = Backend::new(&instance.url());
        connect(&driver, &instance.url(), "first", &token(CHEF), &transports);
        let joined = driver.ask_ok("first", "tab:join", &json!({ "tabId": GUESTS_TAB }));
        assert!(joined["offset"].is_string() && joined.get("complete").is_none(), "{joined}");
        backend.publish(&tab(), 0);
        has_each_once(&driver, "first", 1);
        let kept = driver.events("first").into_iter().rfind(|(name, _)| name == "e").unwrap().1[1].clone();
        driver.call("disconnect", json!({ "client": "first" }));
        backend.ask(&many(&tab(), 1, 700));
        // The page is loaded again: a new session.
        connect(&driver, &instance.url(), "again", &token(CHEF), &transports);
        let joined = driver.ask_ok("again", "tab:join", &json!({ "tabId": GUESTS_TAB, "since": kept }));
        assert_eq!(joined["complete"], true, "{joined}");
        backend.publish(&tab(), 700);
        driver.call("wait", json!({ "client": "again", "event": "e", "count": 700, "timeoutMs": 10_000 }));
        let expected: Vec<String> = ["$connect", "tab:joined"]
            .map(str::to_owned)
            .into_iter()
            .chain((1..=700).map(|n| format!("e{n}")))
            .collect();
        assert_eq!(story(&driver, "again", 0), expected, "{transports:?}");
        // From the offset of a join on.
        let joined = driver.ask_ok("again", "tab:join", &json!({ "tabId": GUESTS_TAB, "since": joined["offset"] }));
        assert_eq!(joined["complete"], true, "{joined}");
        driver.call("wait", json!({ "client": "again", "event": "e", "count": 701 }));
        assert_eq!(story(&driver, "again", 702), ["tab:joined", "e700"]);
        driver.call("disconnect", json!({ "client": "again" }));
    }
}

#[test]
fn since_that_cannot_be_honoured_says_so_and_replays_nothing() {
    let (instance, driver) = (Instance::with(&[("LOG_MAX_EVENTS", "20")]), Driver::node());
    let backend = Backend::new(&instance.url());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    let first = backend.publish(&tab(), 0)["offset"].clone();
    let (log, _) = first.as_str().unwrap().split_once('.').unwrap();
    backend.ask(&many(&tab(), 1, 60));
    eventually("pruning", || (instance.stored_events() <= 22).then_some(()));
    let other_log = format!("zz.{}", 1);
    for since in
        [json!(other_log), json!("garbage"), json!(format!("{log}.zzzzz")), first.clone(), json!("x".repeat(2_000))]
    {
        let joined = driver.ask_ok("chef", "tab:join", &json!({ "tabId": GUESTS_TAB, "since": since }));
        assert_eq!(joined["complete"], false, "{since}: {joined}");
        assert!(joined["offset"].is_string());
        let joined = driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO, "since": "garbage" }));
        assert_eq!(joined["complete"], false);
    }
    // A room without an event has nothing since then, unless it may be one that has been forgotten.
    for complete in [true, false] {
        let joined = driver.ask_ok("chef", "venue:join", &json!({ "venueId": BISTRO, "since": first }));
        assert_eq!(joined["complete"], complete, "{joined}");
        instance.execute("UPDATE log_head SET forgotten_through = 30");
    }
    // The kitchen's orders stand in for the events that cannot be had.
    driver.call("wait", json!({ "client": "chef", "event": "kitchen:orders", "count": 5 }));
    assert!(event_args(&driver, "chef", "e").is_empty());
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn a_replay_that_is_cut_anywhere_goes_on_where_it_was() {
    for transports in [["websocket"], ["polling"]] {
        let (instance, driver) = (Instance::start(), Driver::node());
        let backend = Backend::new(&instance.url());
        let start = backend.publish(&format!("user:{CHEF}"), 0)["offset"].clone();
        (0..4).for_each(|part| drop(backend.ask(&many(&tab(), part * 250, part * 250 + 250))));
        for cut_after in [1, 100, 255, 256, 257, 600, 999] {
            let name = format!("chef{cut_after}");
            connect(&driver, &instance.url(), &name, &token(CHEF), &transports);
            // Cut as the client has had so many.
            driver.call("dropAfter", json!({ "client": name, "event": "e", "count": cut_after, "emit": ["tab:join", { "tabId": GUESTS_TAB, "since": start }] }));
            driver.call("wait", json!({ "client": name, "event": "e", "count": 1000, "timeoutMs": 20_000 }));
            has_each_once(&driver, &name, 1000);
            always_recovered(&driver, &name);
            driver.call("disconnect", json!({ "client": name }));
        }
    }
}

#[test]
fn a_replay_that_is_cut_before_its_first_event_is_not_taken_for_one_that_was_had() {
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    let start = backend.publish(&format!("user:{LINE_COOK}"), 0)["offset"].clone();
    backend.ask(&many(&tab(), 0, 50));
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    // The newest event of all is one that the client has had: in another room.
    backend.ask(&json!({ "room": format!("user:{CHEF}"), "event": "other", "payload": 1 }));
    driver.wait("chef", "other", 0);
    let emit = json!(["tab:join", { "tabId": GUESTS_TAB, "since": start }]);
    driver.call("dropBehind", json!({ "client": "chef", "text": "tab:joined", "emit": emit }));
    has_each_once(&driver, "chef", 50);
    assert_eq!(recovered(&driver, "chef"), [false, true]);
    driver.call("disconnect", json!({ "client": "chef" }));
}
