//! Many at once: nobody is lost, and everybody sees one order.

use serde_json::{Value, json};

use crate::support::people::{BISTRO, CHEF, LINE_COOK, OWNER, SERVER};
use crate::support::{Driver, Instance, SERVER_SECRET, event_args, eventually, token};

#[test]
fn two_thousand_connect_and_join_in_one_moment() {
    // One user may have a thousand.
    const USERS: [&str; 3] = [OWNER, CHEF, LINE_COOK];
    let (instance, driver) = (Instance::start(), Driver::node());
    let connecting = USERS.map(|user| {
        let request = json!({
            "prefix": format!("display-{user}-"), "count": 700, "url": instance.url(), "auth": { "token": token(user) },
            "transports": ["websocket"], "joinEvent": "kitchen:join", "joinPayload": { "venueId": BISTRO },
        });
        driver.begin("connectMany", request)
    });
    for connecting in connecting {
        let answer = connecting.done();
        assert_eq!((&answer["connected"], &answer["joined"]), (&json!(700), &json!(700)), "{answer}");
    }
    driver.connect(&instance, "backend", SERVER_SECRET);
    driver.ask_ok(
        "backend",
        "broadcast",
        &json!({ "room": format!("kitchen:{BISTRO}"), "event": "e", "payload": { "n": 1 } }),
    );
    driver.call("waitAll", json!({ "prefix": "display", "event": "e", "count": 1, "timeoutMs": 30_000 }));
    driver.call("disconnectAll", json!({ "prefix": "display" }));
}

fn join_kitchen(driver: &Driver, instance: &Instance, count: usize, transports: &[&str]) {
    let answer = driver.call(
        "connectMany",
        json!({
            "prefix": "display", "count": count, "url": instance.url(), "auth": { "token": token(CHEF) },
            "transports": transports, "joinEvent": "kitchen:join", "joinPayload": { "venueId": BISTRO },
        }),
    );
    assert_eq!(answer["joined"], json!(count), "{answer}");
}

fn publish(driver: &Driver, publisher: &str, start: usize, count: usize) -> crate::support::client::Pending {
    let payload = json!({ "room": format!("kitchen:{BISTRO}"), "event": "kitchen:new-order", "payload": { "n": 0 } });
    driver.begin(
        "emitMany",
        json!({
            "client": publisher, "event": "broadcast", "args": [payload], "counterPath": "payload.n",
            "count": count, "start": start, "ack": true,
        }),
    )
}

fn sequences(driver: &Driver, count: usize) -> Value {
    driver.call(
        "waitAll",
        json!({ "prefix": "display", "event": "kitchen:new-order", "count": count, "timeoutMs": 60_000 }),
    );
    driver.call("sequences", json!({ "prefix": "display", "event": "kitchen:new-order", "path": "n" }))
}

#[test]
fn a_thousand_events_reach_a_room_of_two_hundred_in_order() {
    for transports in [["websocket"].as_slice(), &["polling"], &["polling", "websocket"]] {
        let (instance, driver) = (Instance::start(), Driver::node());
        let count = if transports == ["websocket"] { 200 } else { 50 };
        join_kitchen(&driver, &instance, count, transports);
        driver.connect(&instance, "backend", SERVER_SECRET);
        assert_eq!(publish(&driver, "backend", 0, 1000).done()["acked"], 1000);
        let seen = sequences(&driver, 1000);
        assert_eq!(seen["distinctOrders"], 1, "{transports:?}");
        assert_eq!(seen["lengths"], json!({ "min": 1000, "max": 1000 }));
        assert_eq!((&seen["ordered"], &seen["duplicates"]), (&json!(true), &json!(0)));
        driver.call("disconnectAll", json!({ "prefix": "display" }));
    }
}

#[test]
fn three_publishers_are_seen_in_one_order_by_all_on_several_workers() {
    for (workers, displays, transports) in
        [("1", 200, ["websocket"]), ("3", 200, ["websocket"]), ("3", 30, ["polling"])]
    {
        let (instance, driver) = (Instance::with(&[("WORKERS", workers)]), Driver::node());
        join_kitchen(&driver, &instance, displays, &transports);
        for name in ["a", "b", "c"] {
            driver.connect(&instance, name, SERVER_SECRET);
        }
        let publishing: Vec<_> = ["a", "b", "c"]
            .iter()
            .enumerate()
            .map(|(index, name)| publish(&driver, name, index * 10_000, 400))
            .collect();
        publishing.into_iter().for_each(|pending| assert_eq!(pending.done()["acked"], 400));
        let seen = sequences(&driver, 1200);
        assert_eq!(seen["distinctOrders"], 1, "{workers} workers, {transports:?}");
        assert_eq!((&seen["lengths"]["max"], &seen["duplicates"]), (&json!(1200), &json!(0)));
        let order: Vec<u64> = seen["orders"][0].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        for publisher in 0..3 {
            let own: Vec<u64> = order.iter().copied().filter(|n| n / 10_000 == publisher).collect();
            assert!(own.is_sorted(), "a publisher's events keep their order");
        }
        driver.call("disconnectAll", json!({ "prefix": "display" }));
    }
}

#[test]
fn a_publishers_order_is_kept_over_every_transport() {
    // A polling publisher's requests reach one worker after the other.
    let (instance, driver, python) = (Instance::with(&[("WORKERS", "3")]), Driver::node(), Driver::python());
    join_kitchen(&driver, &instance, 10, &["websocket"]);
    let ways = [["polling"].as_slice(), &["polling", "websocket"], &["websocket"]];
    let publishers = ways.iter().flat_map(|way| [(&driver, way), (&python, way)]);
    for (index, (publisher, transports)) in publishers.enumerate() {
        let name = format!("publisher{index}");
        assert_eq!(publisher.try_connect(&instance, &name, SERVER_SECRET, transports)["outcome"], "connected");
        let payload =
            json!({ "room": format!("kitchen:{BISTRO}"), "event": "kitchen:new-order", "payload": { "n": 0 } });
        // Without acknowledgements: python-socketio's polling takes no more than 16 packets in one answer.
        let request = json!({
            "client": name, "event": "broadcast", "args": [payload], "counterPath": "payload.n",
            "count": 500, "start": index * 500, "ack": false,
        });
        publisher.call("emitMany", request);
        let seen = sequences(&driver, (index + 1) * 500);
        assert_eq!((&seen["distinctOrders"], &seen["ordered"]), (&json!(1), &json!(true)), "{name} {transports:?}");
        assert_eq!(seen["duplicates"], 0, "{name} {transports:?}");
    }
    driver.call("disconnectAll", json!({ "prefix": "display" }));
}

#[test]
fn the_reply_to_a_join_stands_before_every_event_of_the_room() {
    let (instance, driver) = (Instance::with(&[("WORKERS", "2")]), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    let publishing = publish(&driver, "backend", 0, 2000);
    for transports in [["websocket"].as_slice(), &["polling"]] {
        join_kitchen(&driver, &instance, 20, transports);
        for index in 0..20 {
            let events = driver.events(&format!("display{index}"));
            let place = |name: &str| events.iter().position(|(event, _)| event == name);
            let joined = place("kitchen:joined").expect("the acknowledgement came, and the event stands before it");
            assert!(place("kitchen:new-order").is_none_or(|first| joined < first), "{transports:?}");
        }
    }
    assert_eq!(publishing.done()["acked"], 2000);
    driver.call("disconnectAll", json!({ "prefix": "display" }));
}

#[test]
fn publishes_to_several_rooms_have_one_order_in_all_of_them() {
    let (instance, driver) = (Instance::with(&[("WORKERS", "2")]), Driver::node());
    join_kitchen(&driver, &instance, 20, &["websocket"]);
    for index in 0..10 {
        driver.ask_ok(&format!("display{index}"), "venue:join", &json!({ "venueId": BISTRO }));
    }
    driver.connect(&instance, "floor", &token(SERVER));
    driver.ask_ok("floor", "venue:join", &json!({ "venueId": BISTRO }));
    for name in ["a", "b", "c"] {
        driver.connect(&instance, name, SERVER_SECRET);
    }
    let (kitchen, venue) = (format!("kitchen:{BISTRO}"), format!("venue:{BISTRO}"));
    let publishing: Vec<_> = [("a", json!([kitchen, venue])), ("b", json!([venue, kitchen])), ("c", json!([kitchen]))]
        .into_iter()
        .enumerate()
        .map(|(index, (name, rooms))| {
            let payload = json!({ "rooms": rooms, "event": "kitchen:new-order", "payload": { "n": 0 } });
            driver.begin(
                "emitMany",
                json!({
                    "client": name, "event": "broadcast", "args": [payload], "counterPath": "payload.n",
                    "count": 300, "start": index * 10_000,
                }),
            )
        })
        .collect();
    publishing.into_iter().for_each(|pending| assert_eq!(pending.done()["acked"], 300));
    // All are in the kitchen, half of them in the venue too: each sees each event once, and all see one order.
    let seen = sequences(&driver, 900);
    assert_eq!(seen["distinctOrders"], 1);
    assert_eq!((&seen["lengths"]["max"], &seen["duplicates"]), (&json!(900), &json!(0)));
    // Who is in the venue alone has what is for both in the kitchen's order.
    driver.call("wait", json!({ "client": "floor", "event": "kitchen:new-order", "count": 600 }));
    let numbers = |client: &str| -> Vec<u64> {
        event_args(&driver, client, "kitchen:new-order").iter().map(|order| order["n"].as_u64().unwrap()).collect()
    };
    let mut in_the_kitchen = numbers("display0");
    in_the_kitchen.retain(|n| *n < 20_000);
    assert_eq!(numbers("floor"), in_the_kitchen);
    driver.call("disconnectAll", json!({ "prefix": "display" }));
}

#[test]
fn a_client_that_does_not_read_is_let_go_and_slows_no_other() {
    let (instance, driver) = (Instance::with(&[("SLOW_CLIENT_TIMEOUT", "2000")]), Driver::node());
    join_kitchen(&driver, &instance, 20, &["websocket"]);
    driver.call("rawWebsocket", json!({ "client": "stuck", "url": instance.websocket_url() }));
    let auth = json!({ "token": token(CHEF) });
    driver.call("rawSend", json!({ "client": "stuck", "text": format!("40{auth}") }));
    driver.call("wait", json!({ "client": "stuck", "event": "$frame", "count": 2 }));
    let join = json!(["kitchen:join", { "venueId": BISTRO }]);
    driver.call("rawSend", json!({ "client": "stuck", "text": format!("42{join}") }));
    driver.call("wait", json!({ "client": "stuck", "event": "$frame", "count": 3 }));
    driver.call("rawPause", json!({ "client": "stuck" }));
    driver.connect(&instance, "backend", SERVER_SECRET);
    let payload = json!({
        "room": format!("kitchen:{BISTRO}"), "event": "kitchen:new-order", "payload": { "n": 0, "text": "x".repeat(10_000) },
    });
    // In portions that the others keep up with, so that only who does not read at all falls behind.
    for start in (0..2000).step_by(40) {
        let request = json!({
            "client": "backend", "event": "broadcast", "args": [payload], "counterPath": "payload.n", "count": 40, "start": start,
        });
        assert_eq!(driver.call("emitMany", request)["acked"], 40);
        let caught_up =
            json!({ "prefix": "display", "event": "kitchen:new-order", "count": start + 40, "timeoutMs": 30_000 });
        driver.call("waitAll", caught_up);
    }
    let seen = sequences(&driver, 2000);
    assert_eq!((&seen["ordered"], &seen["duplicates"]), (&json!(true), &json!(0)));
    eventually("the one that does not read is let go", || {
        (instance.metric("expeditor_slow_sessions_total") == 1).then_some(())
    });
    driver.call("disconnectAll", json!({ "prefix": "display" }));
}
