//! What an operator sees of an event's way at each of several instances.

use serde_json::{Value, json};

use crate::admin::{ADMIN, kitchen};
use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::redis::RedisServer;
use crate::support::stock::Backend;

/// The way of the room's newest event of this name, as one instance has seen it.
fn way(cluster: &Cluster, index: usize, event: &str) -> Value {
    let ask = |question: &str| -> Value {
        let request = ureq::get(format!("{}/admin/api/events?{question}", cluster.url(index)));
        let mut answer = request.header("authorization", format!("Bearer {ADMIN}")).call().unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    };
    eventually("the event", || {
        let newest = ask(&format!("room={}", kitchen()));
        let found = newest["events"].as_array().unwrap().iter().find(|found| found["event"] == event)?.clone();
        let asked = match found["id"].as_str() {
            Some("") | None => format!("room={}&offset={}", kitchen(), found["offset"].as_str().unwrap()),
            Some(id) => format!("id={id}"),
        };
        Some(ask(&asked))
    })
}

#[test]
fn an_events_way_tells_when_it_was_relayed_and_when_it_came_by_the_relay() {
    let mut cluster = Cluster::with(2, RedisServer::start(), &[("ADMIN_TOKEN", ADMIN)]);
    let backend = Backend::new(&cluster.url(0));
    let publish = |event: &str| backend.ask(&json!({ "room": kitchen(), "event": event, "payload": null }));
    assert_eq!(publish("relayed")["durable"], true);
    let [here, there] = [0, 1].map(|index| way(&cluster, index, "relayed"));
    assert!(here["relayed"]["at"].as_str() >= here["stored"]["at"].as_str(), "{here}");
    assert_eq!((&here["publisher"]["kind"], &there["publisher"]["kind"]), (&json!("backend"), &json!("elsewhere")));
    assert!(there["relayed"]["at"].as_str() >= here["receivedAt"].as_str(), "{there}");
    cluster.redis.kill();
    cluster.relays_no_more();
    assert_eq!(publish("found")["durable"], true);
    let [here, there] = [0, 1].map(|index| way(&cluster, index, "found"));
    assert!(here["stored"].is_object() && here["relayed"].is_null(), "{here}");
    assert!(there["stored"].is_object() && there["relayed"].is_null(), "{there}");
}
