//! Instances come and go, and the database does, while all of them share rooms.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::house::{House, free_port};
use crate::support::people::{BISTRO, CHEF, LINE_COOK};
use crate::support::proxy::Proxy;
use crate::support::stock::{Backend, Pace, always_recovered, connect, connections, has_each_once, recovered, seen};
use crate::support::{Driver, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

fn join(driver: &Driver, url: &str, name: &str, user: &str) {
    connect(driver, url, name, &token(user), &["websocket"]);
    driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
}

/// Holds the database's one write lock until it is dropped.
fn lock(house: &House) -> SqliteConnection {
    let mut connection = house.database();
    connection.batch_execute("BEGIN IMMEDIATE").unwrap();
    connection
}

fn offsets(driver: &Driver, client: &str) -> Vec<Value> {
    let events = driver.events(client).into_iter().filter(|(name, _)| name == "e");
    events.map(|(_, args)| args[1].clone()).collect()
}

#[test]
fn while_the_database_is_away_events_reach_other_instances_too_and_are_not_sent_again_when_stored() {
    let (cluster, driver) = (Cluster::start(2), Driver::node());
    for (index, name) in ["chef0", "chef1"].into_iter().enumerate() {
        join(&driver, &cluster.url(index), name, CHEF);
    }
    let backends = [Backend::new(&cluster.url(0)), Backend::new(&cluster.url(1))];
    backends[0].publish(&kitchen(), 0);
    ["chef0", "chef1"].iter().for_each(|chef| has_each_once(&driver, chef, 1));
    let since = offsets(&driver, "chef0").remove(0);
    let locked = lock(&cluster.house);
    for n in 1..100 {
        assert_eq!(backends[0].publish(&kitchen(), n)["durable"], false);
    }
    ["chef0", "chef1"].iter().for_each(|chef| has_each_once(&driver, chef, 100));
    // The other one publishes too; each has an order of its own.
    for n in 100..150 {
        assert_eq!(backends[1].publish(&kitchen(), n)["durable"], false);
    }
    for chef in ["chef0", "chef1"] {
        has_each_once(&driver, chef, 150);
        assert!(offsets(&driver, chef).iter().all(|offset| *offset == since), "none has a place yet");
    }
    drop(locked);
    for index in 0..2 {
        eventually("what was held back is stored", || (cluster.count(index, "expeditor_log_held") == 0).then_some(()));
    }
    eventually("that it is durable again", || {
        let publish = json!({ "room": kitchen(), "event": "probe", "payload": null });
        (backends[0].ask(&publish)["durable"] == true && backends[1].ask(&publish)["durable"] == true).then_some(())
    });
    backends[1].publish(&kitchen(), 150);
    ["chef0", "chef1"].iter().for_each(|chef| has_each_once(&driver, chef, 151));
    // All of it is in the log, each once.
    connect(&driver, &cluster.url(1), "late", &token(LINE_COOK), &["websocket"]);
    let joined = driver.ask_ok("late", "kitchen:join", &json!({ "venueId": BISTRO, "since": since }));
    assert_eq!(joined["complete"], true);
    driver.call("wait", json!({ "client": "late", "event": "e", "count": 150 }));
    let mut all = seen(&driver, "late");
    all.sort_unstable();
    assert_eq!(all, (1..=150).collect::<Vec<_>>());
    // Who has had them live goes on from there.
    driver.call("dropTransport", json!({ "client": "chef1" }));
    backends[0].publish(&kitchen(), 151);
    has_each_once(&driver, "chef1", 152);
    assert_eq!(recovered(&driver, "chef1"), [false, true]);
}

#[test]
fn a_publish_that_is_repeated_at_another_instance_while_the_database_is_away_goes_out_once() {
    let (cluster, driver) = (Cluster::start(2), Driver::node());
    let chefs = ["chef0", "chef1"];
    (0..).zip(chefs).for_each(|(index, name)| join(&driver, &cluster.url(index), name, CHEF));
    let backends = [Backend::new(&cluster.url(0)), Backend::new(&cluster.url(1))];
    let named = |n: u64| json!({ "room": kitchen(), "event": "e", "payload": { "n": n }, "id": format!("order-{n}") });
    let stored = backends[0].ask(&named(0));
    chefs.iter().for_each(|chef| has_each_once(&driver, chef, 1));
    let locked = lock(&cluster.house);
    let unstored = backends[0].ask(&named(1));
    assert_eq!((&stored["durable"], &unstored["durable"]), (&json!(true), &json!(false)));
    chefs.iter().for_each(|chef| has_each_once(&driver, chef, 2));
    // The first one there waits until the instance knows of the outage, too.
    let other = json!({ "room": kitchen(), "event": "e", "payload": { "n": 2 } });
    assert_eq!(backends[1].ask(&other)["durable"], false);
    for (n, first) in [(0, &stored), (1, &unstored)] {
        let again = backends[1].ask(&named(n));
        assert_eq!((&again["offset"], &again["durable"]), (&first["offset"], &first["durable"]), "{n}");
    }
    let contradicting = json!({ "room": kitchen(), "event": "e", "payload": { "n": 9 }, "id": "order-1" });
    assert_eq!(backends[1].ask(&contradicting)["error"]["code"], "INVALID_DATA");
    drop(locked);
    for index in 0..2 {
        eventually("what was held back is stored", || (cluster.count(index, "expeditor_log_held") == 0).then_some(()));
    }
    backends[1].insist(&kitchen(), 3);
    chefs.iter().for_each(|chef| has_each_once(&driver, chef, 4));
}

#[test]
fn what_was_relayed_before_it_was_stored_and_comes_late_is_not_sent_twice() {
    let (cluster, driver) = (Cluster::start(2), Driver::node());
    for (index, name) in ["chef0", "chef1"].into_iter().enumerate() {
        join(&driver, &cluster.url(index), name, CHEF);
    }
    let backend = Backend::new(&cluster.url(0));
    backend.publish(&kitchen(), 0);
    has_each_once(&driver, "chef1", 1);
    let locked = lock(&cluster.house);
    // Redis has the frames, and hands them on only after the other instance has found the events in the log.
    cluster.redis.signal("STOP");
    (1..20).for_each(|n| assert_eq!(backend.publish(&kitchen(), n)["durable"], false));
    drop(locked);
    has_each_once(&driver, "chef1", 20);
    let relayed = || cluster.metric(1, "expeditor_relayed_events_total{direction=\"in\"}");
    let before = relayed();
    cluster.redis.signal("CONT");
    cluster.relays();
    backend.publish(&kitchen(), 20);
    has_each_once(&driver, "chef1", 21);
    eventually("the relay", || (relayed() > before).then_some(()));
    has_each_once(&driver, "chef1", 21);
}

#[test]
fn who_comes_to_a_room_between_an_events_going_out_elsewhere_and_its_storing_gets_it() {
    let (cluster, driver) = (Cluster::start(2), Driver::node());
    join(&driver, &cluster.url(1), "early", CHEF);
    let backend = Backend::new(&cluster.url(0));
    backend.publish(&kitchen(), 0);
    has_each_once(&driver, "early", 1);
    let locked = lock(&cluster.house);
    assert_eq!(backend.publish(&kitchen(), 1)["durable"], false);
    has_each_once(&driver, "early", 2);
    // Its instance stores it only after another has let somebody in.
    cluster.servers[0].program.signal("STOP");
    drop(locked);
    connect(&driver, &cluster.url(1), "late", &token(LINE_COOK), &["websocket"]);
    eventually("the entry", || {
        (driver.ask("late", "kitchen:join", &json!({ "venueId": BISTRO }))["ok"] == true).then_some(())
    });
    cluster.servers[0].program.signal("CONT");
    driver.call("wait", json!({ "client": "late", "event": "e", "count": 1 }));
    backend.publish(&kitchen(), 2);
    has_each_once(&driver, "early", 3);
    driver.call("wait", json!({ "client": "late", "event": "e", "count": 2 }));
    assert_eq!(seen(&driver, "late"), [1, 2]);
}

#[test]
fn a_volatile_event_reaches_other_instances_and_is_stored_nowhere() {
    let (cluster, driver) = (Cluster::start(2), Driver::node());
    for (index, name) in ["chef0", "chef1"].into_iter().enumerate() {
        join(&driver, &cluster.url(index), name, CHEF);
    }
    let backend = Backend::new(&cluster.url(0));
    backend.publish(&kitchen(), 0);
    ["chef0", "chef1"].iter().for_each(|chef| has_each_once(&driver, chef, 1));
    for n in 1..10 {
        backend.ask(&json!({ "room": kitchen(), "event": "e", "payload": { "n": n }, "volatile": true }));
    }
    for chef in ["chef0", "chef1"] {
        has_each_once(&driver, chef, 10);
        let offsets = offsets(&driver, chef);
        assert!(offsets.iter().all(|offset| *offset == offsets[0]), "it carries the offset before it: {offsets:?}");
    }
    driver.call("dropTransport", json!({ "client": "chef1" }));
    connections(&driver, "chef1", 2);
    backend.publish(&kitchen(), 10);
    has_each_once(&driver, "chef1", 11);
    always_recovered(&driver, "chef1");
}

#[test]
fn a_rolling_restart_of_all_three_leaves_no_gap() {
    restarts_one_after_the_other(Cluster::start(3));
}

/// Each instance is replaced by a new one while a backend publishes; its client goes on at the new one.
pub fn restarts_one_after_the_other(mut cluster: Cluster) {
    let driver = Driver::node();
    let address = |port: u16| ([127, 0, 0, 1], port).into();
    let balancers: Vec<Proxy> = cluster.servers.iter().map(|server| Proxy::to(address(server.port))).collect();
    let chefs: Vec<String> = (0..balancers.len()).map(|index| format!("chef{index}")).collect();
    for (chef, balancer) in chefs.iter().zip(&balancers) {
        join(&driver, &balancer.url(), chef, CHEF);
    }
    let backend_way = Proxy::to(address(cluster.servers[0].port));
    let done = AtomicBool::new(false);
    let published = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let backend = Backend::new(&backend_way.url());
            let (mut pace, mut n) = (Pace::start(), 0);
            while !done.load(Ordering::Relaxed) {
                backend.insist(&kitchen(), n);
                n += 1;
                pace.wait(Duration::from_millis(10));
            }
            n
        });
        for (index, balancer) in balancers.iter().enumerate() {
            let new = cluster.house.serve(free_port());
            balancer.point_at(address(new.port));
            backend_way.point_at(address(new.port));
            let mut old = std::mem::replace(&mut cluster.servers[index], new);
            old.program.signal("TERM");
            assert_eq!(old.program.exit_code(), Some(0));
        }
        cluster.relays();
        done.store(true, Ordering::Relaxed);
        publishing.join().unwrap()
    });
    for chef in &chefs {
        has_each_once(&driver, chef, published);
        connections(&driver, chef, 2);
        always_recovered(&driver, chef);
    }
}

#[test]
fn redis_and_an_instance_restart_in_the_middle_of_events() {
    let (mut cluster, driver) = (Cluster::start(2), Driver::node());
    let address = |port: u16| ([127, 0, 0, 1], port).into();
    let balancer = Proxy::to(address(cluster.servers[1].port));
    join(&driver, &cluster.url(0), "chef0", CHEF);
    join(&driver, &balancer.url(), "chef1", CHEF);
    let backend = Backend::new(&cluster.url(0));
    let done = AtomicBool::new(false);
    let published = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                backend.insist(&kitchen(), n);
                n += 1;
            }
            n
        });
        for _ in 0..3 {
            cluster.redis.kill();
            let new = cluster.house.serve(free_port());
            balancer.point_at(address(new.port));
            std::mem::replace(&mut cluster.servers[1], new).kill();
            cluster.redis.start_again();
            cluster.relays();
        }
        done.store(true, Ordering::Relaxed);
        publishing.join().unwrap()
    });
    for chef in ["chef0", "chef1"] {
        has_each_once(&driver, chef, published);
    }
    always_recovered(&driver, "chef1");
}

#[test]
fn without_redis_instances_find_each_others_events_through_the_database() {
    let (house, driver) = (House::new(&[]), Driver::node());
    let servers = [house.serve(free_port()), house.serve(free_port())];
    for (server, name) in servers.iter().zip(["chef0", "chef1"]) {
        join(&driver, &server.url(), name, CHEF);
    }
    let backends = servers.each_ref().map(|server| Backend::new(&server.url()));
    for n in 0..100 {
        backends[n as usize % 2].publish(&kitchen(), n);
    }
    ["chef0", "chef1"].iter().for_each(|chef| has_each_once(&driver, chef, 100));
}
