//! What a Node server or an emitter may say of an event besides a room and a payload: it reaches this service's
//! sessions as it reaches Node's, or none of them, and is counted.

use serde_json::{Value, json};

use crate::support::mixed::{Mixed, OURS, THEIRS};
use crate::support::people::{BISTRO, CHEF};
use crate::support::stock::has_each_once;
use crate::support::{event_args, eventually};

/// A Node server's way to publish, and an emitter's.
const WAYS: [&str; 2] = ["emit", "emitterEmit"];

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

fn venue() -> String {
    format!("venue:{BISTRO}")
}

/// Publishes in both ways what reaches Node's clients, and none of ours, for this cause.
fn is_refused(mixed: &Mixed, cause: &str, publish: &Value) {
    let Mixed { cluster, nodes: [node, _], driver } = mixed;
    let holder = cluster.lease_holder();
    let before = cluster.ignored(holder, cause);
    WAYS.iter().for_each(|way| drop(node.call(way, publish.clone())));
    eventually(cause, || (cluster.ignored(holder, cause) == before + 2).then_some(()));
    let event = publish["event"].as_str().unwrap();
    for client in THEIRS {
        driver.call("wait", json!({ "client": client, "event": event, "count": 2 }));
    }
    // What is published next has been stored after it, and finds nothing before it.
    let last = format!("after {event}");
    node.call("emit", json!({ "rooms": [kitchen()], "event": last, "args": [null] }));
    for client in OURS {
        driver.wait(client, &last, 0);
        assert_eq!(event_args(driver, client, event), [] as [Value; 0], "{client}");
    }
}

#[test]
fn an_event_with_binary_data_or_several_arguments_is_refused_whole() {
    let mixed = Mixed::start();
    let bytes = json!({ "$bytes": [1, 2, 3] });
    let to_kitchen = |event: &str, args: Value| json!({ "rooms": [kitchen()], "event": event, "args": args });
    is_refused(&mixed, "binary", &to_kitchen("all binary", json!([bytes])));
    is_refused(&mixed, "binary", &to_kitchen("binary inside", json!([{ "picture": { "data": [bytes] } }])));
    is_refused(&mixed, "arguments", &to_kitchen("two", json!([{ "n": 1 }, { "n": 2 }])));
    is_refused(&mixed, "arguments", &to_kitchen("binary behind", json!([{ "n": 1 }, bytes])));
}

#[test]
fn an_event_for_everybody_or_not_for_those_of_too_many_rooms_is_refused() {
    let mixed = Mixed::start();
    is_refused(&mixed, "room", &json!({ "event": "to all", "args": [1] }));
    is_refused(&mixed, "room", &json!({ "event": "to all but", "except": [venue()], "args": [1] }));
    let many: Vec<String> = (0..65).map(|n| format!("user:{CHEF}-{n}")).collect();
    is_refused(&mixed, "except", &json!({ "rooms": [kitchen()], "except": many, "event": "not to many", "args": [1] }));
}

#[test]
fn an_event_for_several_rooms_comes_once_and_other_sockets_may_be_excepted() {
    let mixed = Mixed::start();
    let Mixed { nodes: [node, _], driver, .. } = &mixed;
    for client in OURS {
        driver.ask_ok(client, "venue:join", &json!({ "venueId": BISTRO }));
    }
    THEIRS.iter().for_each(|client| drop(driver.ask_ok(client, "enter", &venue().into())));
    // The lobby is a room that only Node has.
    let rooms = json!([kitchen(), venue(), "lobby"]);
    for (n, way) in (0..).zip(WAYS) {
        node.call(way, json!({ "rooms": rooms, "event": "e", "args": [{ "n": n }] }));
        OURS.iter().chain(&THEIRS).for_each(|client| has_each_once(driver, client, n + 1));
    }
    // As `socket.to(room)` does it.
    for (n, way) in (2..).zip(WAYS) {
        let but = [mixed.socket_id("node0"), "lobby".into()];
        node.call(way, json!({ "rooms": rooms, "except": but, "event": "e", "args": [{ "n": n }] }));
        OURS.iter().for_each(|client| has_each_once(driver, client, n + 1));
        driver.call("wait", json!({ "client": "node1", "event": "e", "count": n + 1 }));
    }
    assert_eq!(event_args(driver, "node0", "e").len(), 2);
    // No payload is `null` here.
    node.call("emit", json!({ "rooms": [kitchen()], "event": "bare", "args": [] }));
    OURS.iter().for_each(|client| assert_eq!(driver.wait(client, "bare", 0), Value::Null));
}

#[test]
fn an_event_that_is_to_be_acknowledged_is_held_to_the_same() {
    let mixed = Mixed::start();
    let Mixed { cluster, nodes: [node, _], driver } = &mixed;
    let holder = cluster.lease_holder();
    driver.ask_ok("ours0", "venue:join", &json!({ "venueId": BISTRO }));
    let ask = |args: Value| {
        let asked = node.call("emitWithAck", json!({ "rooms": [venue()], "event": "e", "args": args }));
        assert_eq!(asked["answers"], json!([]), "nobody has to wait");
    };
    ask(json!([{ "n": 9 }, { "n": 9 }]));
    ask(json!([{ "n": { "$bytes": [9] } }]));
    ask(json!([{ "n": 0 }]));
    has_each_once(driver, "ours0", 1);
    assert_eq!((cluster.ignored(holder, "arguments"), cluster.ignored(holder, "binary")), (1, 1));
}
