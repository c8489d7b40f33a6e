//! The service on a PostgreSQL database: clients and kitchens, several instances, and a server that goes away.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::people::{BISTRO, BURGER, CHEF, FRIES, GUEST, GUESTS_NOTE, LINE_COOK, SERVER};
use crate::support::postgres::Postgres;
use crate::support::stock::{Backend, Pace, always_recovered, connect, connections, has_each_once, recovered, seen};
use crate::support::{Driver, Instance, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

#[test]
fn clients_and_kitchens_are_served_as_on_the_embedded_database() {
    let server = Postgres::start();
    let url = server.application("shop");
    let (instance, driver) = (Instance::on(&url, &[]), Driver::node());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    let joined = driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    assert!(joined["offset"].is_string(), "{joined}");
    let orders = driver.events("chef").into_iter().find(|(name, _)| name == "kitchen:orders");
    let orders = orders.expect("the kitchen's orders").1[0]["orders"].clone();
    assert_eq!(orders[0]["items"][0]["modifiers"], json!(["NO ONIONS"]), "{orders}");
    driver.ask_ok("chef", "kitchen:update-status", &json!({ "tabItemId": FRIES, "status": "READY" }));
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    driver.call("wait", json!({ "client": "chef", "event": "kitchen:order-updated", "count": 2 }));
    let row = |item: &str| {
        let query = format!(
            "SELECT kitchen_status, prepared_at IS NOT NULL, delivered_at IS NOT NULL FROM tab_items WHERE id = '{item}'"
        );
        server.psql("shop", &query).unwrap()
    };
    assert_eq!((row(FRIES), row(BURGER)), ("READY|t|f".to_owned(), "DELIVERED|f|t".to_owned()));
    // A change that is there already is a success, and no event.
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    connect(&driver, &instance.url(), "guest", &token(GUEST), &["websocket"]);
    driver.ask_ok("guest", "notification:read", &json!({ "notificationId": GUESTS_NOTE }));
    connect(&driver, &instance.url(), "server", &token(SERVER), &["polling"]);
    let answer = driver.ask("server", "kitchen:join", &json!({ "venueId": BISTRO }));
    assert_eq!(answer["error"]["code"], "FORBIDDEN", "{answer}");
    // An item that the application has locked is refused soon, and holds up nothing else.
    let hold = format!("BEGIN; SELECT 1 FROM tab_items WHERE id = '{FRIES}' FOR UPDATE; SELECT pg_sleep(3)");
    std::thread::scope(|scope| {
        let holding = scope.spawn(|| server.psql("shop", &hold).unwrap());
        eventually("the row is locked", || {
            let query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
            (server.psql("shop", query).unwrap() == "1").then_some(())
        });
        let answer = driver.ask("chef", "kitchen:bump", &json!({ "tabItemId": FRIES }));
        assert_eq!(answer["error"]["code"], "UNAVAILABLE", "{answer}");
        assert_eq!(Backend::new(&instance.url()).publish(&kitchen(), 0)["durable"], true);
        holding.join().unwrap();
    });
    has_each_once(&driver, "chef", 1);
    for name in ["chef", "guest", "server"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}

#[test]
fn who_comes_back_has_what_it_missed() {
    let server = Postgres::start();
    let url = server.application("shop");
    let (instance, driver) = (Instance::on(&url, &[]), Driver::node());
    let backend = Backend::new(&instance.url());
    for (name, transport) in [("chef", "websocket"), ("poller", "polling")] {
        connect(&driver, &instance.url(), name, &token(CHEF), &[transport]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    for n in 0..60_usize {
        if n % 20 == 10 {
            connections(&driver, "chef", n / 20 + 1);
            driver.call("dropTransport", json!({ "client": "chef" }));
        }
        backend.publish(&kitchen(), n as u64);
    }
    has_each_once(&driver, "chef", 60);
    has_each_once(&driver, "poller", 60);
    always_recovered(&driver, "chef");
    assert!(recovered(&driver, "chef").len() > 1);
    let since = driver.events("chef").into_iter().find(|(name, _)| name == "e").unwrap().1[1].clone();
    connect(&driver, &instance.url(), "late", &token(LINE_COOK), &["websocket"]);
    let joined = driver.ask_ok("late", "kitchen:join", &json!({ "venueId": BISTRO, "since": since }));
    assert_eq!(joined["complete"], true, "{joined}");
    driver.call("wait", json!({ "client": "late", "event": "e", "count": 59 }));
    assert_eq!(seen(&driver, "late"), (1..60).collect::<Vec<_>>());
    for name in ["chef", "poller", "late"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}

/// Two instances, a publisher at each, and a client at each: 5,000 events in one order.
pub fn two_instances_agree(url: &str, variables: &[(&str, &str)]) {
    const EACH: u64 = 2_500;
    let instances = [Instance::on(url, variables), Instance::on(url, variables)];
    let driver = Driver::node();
    for (name, instance) in ["one", "other"].iter().zip(&instances) {
        connect(&driver, &instance.url(), name, &token(CHEF), &["websocket"]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    std::thread::scope(|scope| {
        for (index, instance) in instances.iter().enumerate() {
            let backend = Backend::new(&instance.url());
            scope.spawn(move || {
                for first in (0..EACH).step_by(50) {
                    let publish =
                        |n| json!({ "room": kitchen(), "event": "e", "payload": { "n": 2 * n + index as u64 } });
                    let answers = backend.ask(&(first..first + 50).map(publish).collect());
                    let answers = answers.as_array().unwrap();
                    assert!(answers.iter().all(|answer| answer["durable"] == true), "{answers:?}");
                }
            });
        }
    });
    let numbers = |name: &str| {
        let request = json!({ "client": name, "event": "e", "count": 2 * EACH, "timeoutMs": 30_000 });
        driver.begin("wait", request).outcome();
        seen(&driver, name)
    };
    let (one, other) = (numbers("one"), numbers("other"));
    assert_eq!(one.len() as u64, 2 * EACH);
    assert!(one == other, "one order for both");
    for index in 0..2 {
        let of_one: Vec<_> = one.iter().filter(|n| **n % 2 == index).collect();
        assert!(of_one.len() as u64 == EACH && of_one.windows(2).all(|pair| pair[0] < pair[1]), "each once, in order");
    }
    for name in ["one", "other"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}

#[test]
fn two_instances_without_redis_have_one_order() {
    let server = Postgres::start();
    two_instances_agree(&server.application("shop"), &[]);
}

#[test]
fn an_idle_instance_hears_of_anothers_event() {
    let server = Postgres::start();
    let url = server.application("shop");
    let (one, other) = (Instance::on(&url, &[]), Instance::on(&url, &[]));
    let driver = Driver::node();
    connect(&driver, &other.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN expeditor'";
    eventually("both listen", || (server.psql("shop", listening).unwrap() == "2").then_some(()));
    let backend = Backend::new(&one.url());
    // Long enough for looks to have become seldom; then each comes well before the next of them would.
    let mut pace = Pace::start();
    let mut slowest = Duration::ZERO;
    for n in 0..4 {
        pace.wait(Duration::from_millis(if n == 0 { 6_000 } else { 1_100 }));
        backend.publish(&kitchen(), n);
        let began = Instant::now();
        has_each_once(&driver, "chef", n + 1);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    // Without notifications it is looked for, if later.
    server
        .psql("shop", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN expeditor'")
        .unwrap();
    backend.publish(&kitchen(), 4);
    has_each_once(&driver, "chef", 5);
    eventually("both listen again", || (server.psql("shop", listening).unwrap() == "2").then_some(()));
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn with_the_server_killed_for_ten_seconds_events_arrive_and_all_are_stored_afterwards() {
    let mut server = Postgres::start();
    let url = server.application("shop");
    let (instance, driver) = (Instance::on(&url, &[]), Driver::node());
    let backend = Backend::new(&instance.url());
    for (name, transport) in [("chef", "websocket"), ("poller", "polling")] {
        connect(&driver, &instance.url(), name, &token(CHEF), &[transport]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    let began = Instant::now();
    let mut pace = Pace::start();
    let (mut killed, mut back, mut undurable, mut n) = (false, false, 0, 0);
    while n < 1_300 {
        if !killed && began.elapsed() > Duration::from_secs(1) {
            server.kill();
            killed = true;
        }
        if killed && !back && began.elapsed() > Duration::from_secs(11) {
            server.restart();
            back = true;
        }
        undurable += u64::from(backend.insist(&kitchen(), n)["durable"] == false);
        n += 1;
        pace.wait(Duration::from_millis(10));
    }
    assert!(back && undurable > 300, "{undurable}");
    eventually("durable again", || (backend.insist(&kitchen(), n)["durable"] == true).then_some(()));
    for name in ["chef", "poller"] {
        has_each_once(&driver, name, n + 1);
        assert_eq!(recovered(&driver, name), [false], "it never left");
    }
    let query = "SELECT count(*), count(DISTINCT payload), string_agg(payload::json ->> 'n', ',' ORDER BY position) FROM realtime.log_events";
    let (counts, order) =
        server.psql("shop", query).unwrap().rsplit_once('|').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(counts, format!("{}|{}", n + 1, n + 1));
    assert_eq!(order, (0..=n).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    eventually("ready again", || (instance.get("/health/ready", &[]).0 == 200).then_some(()));
    // And a client that was there goes on from the last.
    driver.call("dropTransport", json!({ "client": "chef" }));
    backend.insist(&kitchen(), n + 1);
    connections(&driver, "chef", 2);
    has_each_once(&driver, "chef", n + 2);
    always_recovered(&driver, "chef");
    for name in ["chef", "poller"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}
