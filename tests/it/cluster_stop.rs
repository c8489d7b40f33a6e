//! An instance that stops leaves nothing in its queue to Redis.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::people::{BISTRO, CHEF};
use crate::support::redis::RedisServer;
use crate::support::stock::{Backend, connect, has_each_once};
use crate::support::{Driver, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

/// Publishes that are stored nowhere, in one request.
fn volatile(count: u64) -> Value {
    (0..count)
        .map(|n| json!({ "room": kitchen(), "event": "e", "payload": { "n": n }, "volatile": true }))
        .collect::<Vec<_>>()
        .into()
}

#[test]
fn a_stop_waits_for_a_slow_redis_to_take_what_was_accepted() {
    const VOLATILE: u64 = 400;
    const KEPT: u64 = 50;
    let (mut cluster, driver) = (Cluster::start(2), Driver::node());
    connect(&driver, &cluster.url(1), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    // Listens as a Node server does.
    let mut listening = cluster.redis.connection();
    let mut node = listening.as_pubsub();
    node.subscribe("socket.io-request#/#").unwrap();
    node.psubscribe("socket.io#/#*").unwrap();
    node.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    eventually("that it is known", || (cluster.count(0, "expeditor_bridge_node_servers") == 1).then_some(()));
    let mut stopping = cluster.servers.remove(0);
    let backend = Backend::new(&stopping.url());
    // Longer than the stop takes by itself, shorter than what counts as no answer.
    let mut redis = cluster.redis.connection();
    redis::cmd("CLIENT").arg(&["PAUSE", "700", "ALL"]).exec(&mut redis).unwrap();
    backend.ask(&volatile(VOLATILE));
    let kept = (0..KEPT).map(|_| json!({ "room": kitchen(), "event": "kept", "payload": null }));
    backend.ask(&kept.collect::<Vec<_>>().into());
    stopping.program.signal("TERM");
    assert_eq!(stopping.program.exit_code(), Some(0));
    has_each_once(&driver, "chef", VOLATILE);
    for copy in 0..VOLATILE + KEPT {
        node.get_message().unwrap_or_else(|error| panic!("copy {copy}: {error}"));
    }
}

#[test]
fn a_stop_does_not_wait_for_a_redis_that_is_gone() {
    let mut cluster = Cluster::with(1, RedisServer::start(), &[("DRAIN_SECS", "30")]);
    let backend = Backend::new(&cluster.url(0));
    cluster.redis.kill();
    (0..5).for_each(|_| drop(backend.ask(&volatile(1_000))));
    let began = Instant::now();
    cluster.servers[0].program.signal("TERM");
    assert_eq!(cluster.servers[0].program.exit_code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}
