//! Publishes that are repeated, and publishes over HTTP.

use serde_json::{Value, json};

use crate::support::house::{House, free_port};
use crate::support::people::{BISTRO, CHEF};
use crate::support::stock::{Backend, connect, has_each_once, seen};
use crate::support::{Driver, Instance, SERVER_SECRET, event_args, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

#[test]
fn a_publish_that_is_repeated_is_answered_as_before_and_delivered_once() {
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    driver.connect(&instance, "backend", SERVER_SECRET);
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let publish = |n: u64, id: &str| json!({ "room": kitchen(), "event": "e", "payload": { "n": n }, "id": id });
    let first = backend.ask(&publish(0, "order-0"));
    assert_eq!((&first["id"], &first["durable"]), (&json!("order-0"), &json!(true)));
    backend.publish(&kitchen(), 1);
    assert_eq!(backend.ask(&publish(0, "order-0")), first, "over HTTP");
    assert_eq!(driver.ask_ok("backend", "broadcast", &publish(0, "order-0")), first, "over the socket");
    // Both in one request, in one batch: still one.
    let both = backend.ask(&json!([publish(2, "order-2"), publish(2, "order-2")]));
    assert_eq!(both[0], both[1]);
    for other in
        [publish(9, "order-0"), json!({ "room": kitchen(), "event": "f", "payload": { "n": 0 }, "id": "order-0" })]
    {
        let answer = backend.ask(&other);
        assert_eq!((&answer["ok"], &answer["error"]["code"]), (&json!(false), &json!("INVALID_DATA")), "{answer}");
        assert_eq!(driver.ask("backend", "broadcast", &other)["error"]["code"], "INVALID_DATA");
    }
    // One that is not kept has a name as well.
    let volatile = json!({ "room": kitchen(), "event": "v", "payload": 1, "id": "v", "volatile": true });
    let answers = [backend.ask(&volatile), backend.ask(&volatile)];
    assert_eq!((&answers[0]["ok"], &answers[1]["ok"], &answers[0]["id"]), (&json!(true), &json!(true), &json!("v")));
    backend.publish(&kitchen(), 3);
    has_each_once(&driver, "chef", 4);
    assert_eq!(event_args(&driver, "chef", "v").len(), 1);
    for name in ["chef", "backend"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}

#[test]
fn http_takes_one_publish_or_many_and_answers_in_their_order() {
    let (instance, driver) = (Instance::with(&[("MAX_PAYLOAD", "20000")]), Driver::node());
    let backend = Backend::new(&instance.url());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    backend.publish(&kitchen(), 0);
    let mut list: Vec<Value> = (1..100)
        .map(|n| json!({ "room": kitchen(), "event": "e", "payload": { "n": n }, "id": n.to_string() }))
        .collect();
    list.insert(50, json!({ "room": "nowhere", "event": "e", "payload": 1 }));
    let answers = backend.ask(&json!(list));
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 100);
    assert_eq!(answers[50]["error"]["code"], "INVALID_DATA");
    for (publish, answer) in list.iter().zip(answers).filter(|(publish, _)| publish["room"] != "nowhere") {
        assert_eq!((&answer["id"], &answer["ok"], &answer["durable"]), (&publish["id"], &json!(true), &json!(true)));
    }
    has_each_once(&driver, "chef", 100);
    let status = |secret: &str, body: &str| backend.post(secret, body).unwrap().0;
    assert_eq!(status("wrong", "{}"), 401);
    assert_eq!(status(&token(CHEF), "{}"), 401, "a user's token is none of a backend");
    assert_eq!(status(SERVER_SECRET, "{\"room\""), 400);
    assert_eq!(status(SERVER_SECRET, ""), 400);
    assert_eq!(status(SERVER_SECRET, &format!("\"{}\"", "x".repeat(20_000))), 413);
    assert_eq!(seen(&driver, "chef").len(), 100);
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn the_name_of_a_backends_scheme_is_of_either_case() {
    let instance = Instance::start();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let headers = [("authorization", &*format!("{scheme} {SERVER_SECRET}"))];
        let publish = json!({ "room": kitchen(), "event": "e", "payload": 1 });
        assert_eq!(instance.post_with("/api/broadcast", &headers, &publish).0, 200, "{scheme}");
        assert_eq!(instance.post_with("/api/rights", &headers, &json!({ "userId": "nobody" })).0, 200, "{scheme}");
    }
}

#[test]
fn http_says_that_it_stops() {
    let (house, driver) = (House::new(&[("DRAIN_SECS", "3")]), Driver::node());
    let server = house.serve(free_port());
    let backend = Backend::new(&server.url());
    for name in ["a", "b", "c", "d"] {
        connect(&driver, &server.url(), name, &token(CHEF), &["websocket"]);
    }
    server.program.signal("TERM");
    server.program.line("stopping");
    let (status, answer) = backend.post(SERVER_SECRET, "{}").unwrap();
    assert_eq!((status, answer), (503, json!({ "error": "Shutting down" })));
}
