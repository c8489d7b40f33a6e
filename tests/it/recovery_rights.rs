//! Who comes back is looked at again: what it may no longer have it does not get.

use serde_json::{Value, json};

use crate::support::people::{BISTRO, CHEF, GUESTS_TAB, LINE_COOK};
use crate::support::stock::{Backend, connect, connections, has_each_once, recovered, seen};
use crate::support::{Driver, Instance, event_args, eventually, token};

#[test]
fn a_user_whose_staff_record_ended_while_away_is_not_put_back_and_is_told() {
    for transports in [["websocket"], ["polling"]] {
        let (instance, driver) = (Instance::start(), Driver::node());
        let backend = Backend::new(&instance.url());
        connect(&driver, &instance.url(), "chef", &token(CHEF), &transports);
        connect(&driver, &instance.url(), "cook", &token(LINE_COOK), &transports);
        for name in ["chef", "cook"] {
            driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
        }
        let kitchen = format!("kitchen:{BISTRO}");
        backend.publish(&kitchen, 0);
        has_each_once(&driver, "chef", 1);
        driver.call("pauseReconnecting", json!({ "client": "chef" }));
        instance.execute(&format!("UPDATE venue_staff SET status = 'TERMINATED' WHERE user_id = '{CHEF}'"));
        backend.publish(&kitchen, 1);
        driver.call("resumeReconnecting", json!({ "client": "chef" }));
        connections(&driver, "chef", 2);
        assert_eq!(recovered(&driver, "chef"), [false, true], "its session goes on without that room");
        let error = eventually("the client is told", || event_args(&driver, "chef", "error").pop());
        assert_eq!((&error["code"], &error["room"]), (&json!("FORBIDDEN"), &json!(kitchen)), "{error}");
        // The rest of its session is there, and nothing of the kitchen, now and after another drop.
        backend.publish(&kitchen, 2);
        backend.publish(&format!("user:{CHEF}"), 100);
        driver.call("wait", json!({ "client": "chef", "event": "e", "match": { "n": 100 } }));
        driver.call("dropTransport", json!({ "client": "chef" }));
        connections(&driver, "chef", 3);
        backend.publish(&kitchen, 3);
        backend.publish(&format!("user:{CHEF}"), 101);
        driver.call("wait", json!({ "client": "chef", "event": "e", "match": { "n": 101 } }));
        assert_eq!(seen(&driver, "chef"), [0, 100, 101]);
        assert_eq!(event_args(&driver, "chef", "error").len(), 1, "told once");
        has_each_once(&driver, "cook", 4);
        for name in ["chef", "cook"] {
            driver.call("disconnect", json!({ "client": name }));
        }
    }
}

/// Connects a bare websocket and returns the CONNECT packet's members.
fn connect_raw(driver: &Driver, instance: &Instance, client: &str, auth: &Value) -> Value {
    let answer = driver.answer_to_connect(instance, client, auth);
    serde_json::from_str(answer.strip_prefix("40").unwrap()).unwrap()
}

fn frames(driver: &Driver, client: &str) -> Vec<String> {
    event_args(driver, client, "$frame").iter().map(|frame| frame.as_str().unwrap().to_owned()).collect()
}

#[test]
fn another_user_with_the_same_pid_gets_nothing_and_disturbs_nobody() {
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    let pid = connect_raw(&driver, &instance, "chef", &json!({ "token": token(CHEF) }))["pid"].clone();
    let join = json!(["tab:join", { "tabId": GUESTS_TAB }]);
    driver.call("rawSend", json!({ "client": "chef", "text": format!("420{join}") }));
    driver.call("wait", json!({ "client": "chef", "event": "$frame", "count": 4 }));
    backend.publish(&format!("tab:{GUESTS_TAB}"), 0);
    // One who might be in that room itself, had it asked for it.
    let other =
        connect_raw(&driver, &instance, "thief", &json!({ "token": token(LINE_COOK), "pid": pid, "offset": "" }));
    assert_ne!(other["pid"], pid);
    backend.publish(&format!("tab:{GUESTS_TAB}"), 1);
    backend.publish(&format!("user:{LINE_COOK}"), 2);
    driver.call("wait", json!({ "client": "thief", "event": "$frame", "count": 3 }));
    let had: Vec<String> = frames(&driver, "thief").into_iter().filter(|frame| frame.starts_with("42")).collect();
    assert!(had.len() == 1 && had[0].contains("\"n\":2"), "{had:?}");
    driver.call("wait", json!({ "client": "chef", "event": "$frame", "count": 6 }));
    assert_eq!(frames(&driver, "chef").iter().filter(|frame| frame.starts_with("42[\"e\"")).count(), 2);
    hang_up(&driver, &["chef", "thief"]);
}

fn hang_up(driver: &Driver, clients: &[&str]) {
    for client in clients {
        driver.call("rawSend", json!({ "client": client, "text": "1" }));
        driver.call("wait", json!({ "client": client, "event": "$close" }));
    }
}

#[test]
fn a_second_connection_with_the_same_pid_replaces_the_first() {
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    let first = connect_raw(&driver, &instance, "first", &json!({ "token": token(CHEF) }));
    let join = json!(["tab:join", { "tabId": GUESTS_TAB }]);
    driver.call("rawSend", json!({ "client": "first", "text": format!("420{join}") }));
    driver.call("wait", json!({ "client": "first", "event": "$frame", "count": 4 }));
    let second = connect_raw(&driver, &instance, "second", &json!({ "token": token(CHEF), "pid": first["pid"] }));
    assert_eq!(second["pid"], first["pid"]);
    assert_ne!(second["sid"], first["sid"], "socket.id is new");
    driver.call("wait", json!({ "client": "first", "event": "$close" }));
    backend.publish(&format!("tab:{GUESTS_TAB}"), 0);
    driver.call("wait", json!({ "client": "second", "event": "$frame", "count": 3 }));
    assert!(frames(&driver, "second")[2].starts_with(r#"42["e",{"n":0}"#));
    assert_eq!(frames(&driver, "first").len(), 4);
    assert_eq!(instance.services().directory.len(), 1);
    hang_up(&driver, &["second"]);
}

#[test]
fn an_earlier_sessions_offset_with_a_pid_is_understood() {
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    let own = format!("user:{CHEF}");
    let earlier = backend.publish(&own, 0)["offset"].clone();
    backend.publish(&own, 1);
    let pid = connect_raw(&driver, &instance, "first", &json!({ "token": token(CHEF) }))["pid"].clone();
    hang_up(&driver, &["first"]);
    backend.publish(&own, 2);
    let auth = json!({ "token": token(CHEF), "pid": pid, "offset": earlier });
    assert_eq!(connect_raw(&driver, &instance, "second", &auth)["pid"], pid);
    backend.publish(&own, 3);
    driver.call("wait", json!({ "client": "second", "event": "$frame", "count": 4 }));
    let had: Vec<String> = frames(&driver, "second").split_off(2);
    assert!(had[0].contains(r#"{"n":2}"#) && had[1].contains(r#"{"n":3}"#), "{had:?}");
    hang_up(&driver, &["second"]);
}
