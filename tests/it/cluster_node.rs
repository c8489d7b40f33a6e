//! Node servers with the Redis adapter and this service in one cluster, in both directions.

use serde_json::{Value, json};

use crate::support::mixed::{Mixed, OURS, THEIRS};
use crate::support::people::{BISTRO, CHEF, DINER};
use crate::support::stock::{Backend, has_each_once, seen};
use crate::support::{event_args, eventually};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

#[test]
fn whoever_publishes_reaches_the_clients_of_all_four() {
    reaches_all_four(&Mixed::start());
}

/// Every server of the cluster publishes, and an emitter does.
pub fn reaches_all_four(mixed: &Mixed) {
    let Mixed { cluster, nodes, driver } = mixed;
    let rooms = json!([kitchen()]);
    // One after the other: between publishers there is no order until an event has its place.
    let reached = |count: u64| OURS.iter().chain(&THEIRS).for_each(|client| has_each_once(driver, client, count));
    Backend::new(&cluster.url(0)).publish(&kitchen(), 0);
    reached(1);
    Backend::new(&cluster.url(1)).publish(&kitchen(), 1);
    reached(2);
    for (n, node) in (2..).zip(nodes) {
        node.call("emit", json!({ "rooms": rooms, "event": "e", "args": [{ "n": n }] }));
        reached(n + 1);
    }
    nodes[0].call("emitterEmit", json!({ "rooms": rooms, "event": "e", "args": [{ "n": 4 }] }));
    reached(5);
    let several = json!([kitchen(), format!("venue:{BISTRO}")]);
    nodes[1].call("emit", json!({ "rooms": several, "event": "e", "args": [{ "n": 5 }], "volatile": true }));
    reached(6);
    let publish = json!({ "rooms": several, "event": "e", "payload": { "n": 6 }, "volatile": true });
    Backend::new(&cluster.url(0)).ask(&publish);
    reached(7);
    nodes[0].call("emitMany", json!({ "room": kitchen(), "first": 7, "count": 500 }));
    reached(507);
    // Each of them has been numbered once, and no Node server was sent its own again.
    let offsets = |client| {
        let events = driver.events(client).into_iter().filter(|(name, _)| name == "e");
        events.map(|(_, args)| args.get(1).cloned()).collect::<Vec<_>>()
    };
    assert_eq!(offsets("ours0"), offsets("ours1"));
    assert!(offsets("node0").iter().all(Option::is_none), "Node's clients get no offset");
}

#[test]
fn what_a_node_server_asks_of_its_peers_does_not_time_out() {
    answers_what_node_asks(&Mixed::start());
}

/// A Node server's requests to all servers are answered by all.
pub fn answers_what_node_asks(mixed: &Mixed) {
    let Mixed { nodes: [node, _], driver, .. } = mixed;
    let mut everybody: Vec<Value> = OURS.iter().chain(&THEIRS).map(|client| mixed.socket_id(client)).collect();
    everybody.sort_by_key(ToString::to_string);
    let sorted = |mut ids: Vec<Value>| {
        ids.sort_by_key(ToString::to_string);
        ids
    };
    let fetched = node.call("fetchSockets", json!({ "rooms": [kitchen()] }));
    let fetched = fetched["sockets"].as_array().unwrap();
    assert_eq!(sorted(fetched.iter().map(|socket| socket["id"].clone()).collect()), everybody);
    let ours = fetched.iter().find(|socket| socket["id"] == mixed.socket_id("ours0")).unwrap();
    let rooms = ours["rooms"].as_array().unwrap();
    assert!(rooms.contains(&kitchen().into()) && rooms.contains(&format!("user:{CHEF}").into()), "{rooms:?}");
    assert_eq!(ours["auth"], json!({}), "no token is handed out");
    let rooms = node.call("allRooms", json!({}))["rooms"].as_array().unwrap().clone();
    assert!(rooms.contains(&kitchen().into()) && rooms.contains(&format!("user:{CHEF}").into()));
    let answers = node.call("serverSideEmit", json!({}))["answers"].as_array().unwrap().clone();
    assert_eq!(answers.iter().filter(|answer| **answer == "node").count(), 1);
    assert_eq!(answers.len(), 3, "two of ours have nothing to say, but say so");
    // The stock clients of `driver` acknowledge nothing; a room with none of Node's has no answers to wait for.
    driver.ask_ok("ours0", "venue:join", &json!({ "venueId": BISTRO }));
    let asked = json!({ "rooms": [format!("venue:{BISTRO}")], "event": "e", "args": [{ "n": 0 }] });
    assert_eq!(node.call("emitWithAck", asked)["answers"], json!([]));
    has_each_once(driver, "ours0", 1);
}

#[test]
fn requests_of_older_adapters_are_answered_too() {
    let mixed = Mixed::start();
    let mut redis = mixed.cluster.redis.connection();
    let mut listening = mixed.cluster.redis.connection();
    let mut responses = listening.as_pubsub();
    responses.subscribe("socket.io-response#/#").unwrap();
    responses.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let mut answers = |request: Value, count: usize| {
        redis::cmd("PUBLISH").arg("socket.io-request#/#").arg(request.to_string()).exec(&mut redis).unwrap();
        let mut answer = || serde_json::from_slice(responses.get_message().unwrap().get_payload_bytes()).unwrap();
        (0..count).map(|_| answer()).collect::<Vec<Value>>()
    };
    let ids = answers(json!({ "uid": "old", "requestId": "s", "type": 0, "rooms": [kitchen()] }), 4);
    let ours = mixed.socket_id("ours0");
    assert!(ids.iter().any(|answer| answer["sockets"].as_array().is_some_and(|ids| ids.contains(&ours))), "{ids:?}");
    let venue = format!("venue:{BISTRO}");
    let joined = answers(json!({ "uid": "old", "requestId": "j", "type": 2, "sid": ours, "room": venue }), 1);
    assert_eq!(joined, [json!({ "requestId": "j" })], "by the one that has it");
    mixed.driver.wait("ours0", "venue:joined", 0);
    answers(json!({ "uid": "old", "requestId": "l", "type": 3, "sid": ours, "room": venue }), 1);
    let left = answers(json!({ "uid": "old", "requestId": "d", "type": 4, "sid": ours, "close": true }), 1);
    assert_eq!(left[0]["requestId"], "d");
    mixed.driver.call("wait", json!({ "client": "ours0", "event": "$disconnect", "count": 1 }));
}

#[test]
fn what_a_node_server_does_with_our_sessions_obeys_the_policy() {
    let mixed = Mixed::start();
    let Mixed { cluster, nodes: [node, _], driver } = &mixed;
    let backend = Backend::new(&cluster.url(1));
    let (own, other) = (format!("venue:{BISTRO}"), format!("venue:{DINER}"));
    node.call("socketsJoin", json!({ "rooms": [kitchen()], "join": [own, other, "no such form"] }));
    for client in OURS {
        driver.wait(client, "venue:joined", 0);
        assert_eq!(driver.wait(client, "error", 0)["code"], "FORBIDDEN");
    }
    backend.publish(&own, 0);
    // A room of another house: nobody is in it.
    backend.ask(&json!({ "room": other, "event": "secret", "payload": null }));
    backend.publish(&own, 1);
    node.call("socketsLeave", json!({ "rooms": [kitchen()], "leave": [own] }));
    OURS.iter().for_each(|client| has_each_once(driver, client, 2));
    eventually("the leave", || {
        let fetched = node.call("fetchSockets", json!({ "rooms": [own] }));
        let ours =
            fetched["sockets"].as_array().unwrap().iter().filter(|socket| socket["id"] == mixed.socket_id("ours1"));
        (ours.count() == 0).then_some(())
    });
    assert!(OURS.iter().all(|client| event_args(driver, client, "secret").is_empty()));
    node.call("disconnectSockets", json!({ "rooms": [mixed.socket_id("ours0")] }));
    driver.call("wait", json!({ "client": "ours0", "event": "$disconnect", "count": 1 }));
    assert!(driver.events("ours1").iter().all(|(name, _)| name != "$disconnect"));
}

#[test]
fn what_cannot_be_an_event_of_a_room_is_ignored_with_its_cause() {
    let mixed = Mixed::start();
    let Mixed { cluster, nodes: [node, _], driver } = &mixed;
    let holder = cluster.lease_holder();
    let ignored = |cause: &str| cluster.count(holder, &format!("expeditor_bridge_ignored_total{{cause=\"{cause}\"}}"));
    node.call("emit", json!({ "rooms": ["lobby"], "event": "e", "args": [{ "n": 9 }] }));
    node.call("emit", json!({ "rooms": [], "event": "e", "args": [{ "n": 9 }] }));
    node.call("emit", json!({ "rooms": [kitchen()], "event": "e", "args": ["x".repeat(1_100_000)] }));
    node.call("emitMany", json!({ "room": kitchen(), "first": 0, "count": 1 }));
    has_each_once(driver, "ours0", 1);
    assert_eq!((ignored("room"), ignored("too_large")), (2, 1));
}

#[test]
fn the_lease_moves_on_when_its_holder_dies() {
    moves_the_lease_on(Mixed::start());
}

/// The instance that takes in what Node servers publish is killed: the other one does it then.
pub fn moves_the_lease_on(mut mixed: Mixed) {
    let holder = mixed.cluster.lease_holder();
    let left = 1 - holder;
    mixed.nodes[0].call("emitMany", json!({ "room": kitchen(), "first": 0, "count": 10 }));
    has_each_once(&mixed.driver, OURS[left], 10);
    mixed.cluster.servers.remove(holder).kill();
    let began = std::time::Instant::now();
    assert_eq!(mixed.cluster.lease_holder(), 0);
    assert!(began.elapsed() < std::time::Duration::from_secs(6), "{:?}", began.elapsed());
    let mut n = 10;
    eventually("an event of a Node server", || {
        mixed.nodes[1].call("emitMany", json!({ "room": kitchen(), "first": n, "count": 1 }));
        n += 1;
        (seen(&mixed.driver, OURS[left]).len() > 10).then_some(())
    });
    let seen = seen(&mixed.driver, OURS[left]);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "each once, in order");
}

#[test]
fn an_instance_that_stops_leaves_the_lease_to_another_at_once() {
    let mut mixed = Mixed::start();
    let holder = mixed.cluster.lease_holder();
    let mut stopping = mixed.cluster.servers.remove(holder);
    stopping.program.signal("TERM");
    stopping.program.exit_code();
    assert_eq!(mixed.cluster.lease_holder(), 0);
    mixed.nodes[0].call("emitMany", json!({ "room": kitchen(), "first": 0, "count": 10 }));
    eventually("the events", || (seen(&mixed.driver, OURS[1 - holder]).len() >= 10).then_some(()));
    has_each_once(&mixed.driver, OURS[1 - holder], 10);
}
