//! The database does not answer for a while: live events arrive all the same, and are stored afterwards.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use serde_json::json;

use crate::support::instance::connect as open;
use crate::support::people::{BISTRO, BURGER, CHEF, LINE_COOK};
use crate::support::stock::{Backend, connect, connections, has_each_once, recovered};
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

/// Holds the database's one write lock until it is dropped.
pub fn lock(instance: &Instance) -> SqliteConnection {
    let mut connection = open(&instance.database);
    connection.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn while_the_database_is_locked_events_arrive_and_are_stored_in_order_afterwards() {
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    for (name, transport) in [("chef", "websocket"), ("poller", "polling")] {
        connect(&driver, &instance.url(), name, &token(CHEF), &[transport]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    connect(&driver, &instance.url(), "backend", SERVER_SECRET, &["websocket"]);
    backend.publish(&kitchen(), 0);
    has_each_once(&driver, "chef", 1);
    let locked = lock(&instance);
    let began = Instant::now();
    for n in 1..200 {
        let answer = backend.publish(&kitchen(), n);
        assert_eq!(answer["durable"], false, "{answer}");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "only the first waits: {:?}", began.elapsed());
    // Live clients have them, with the offset that stood before.
    for name in ["chef", "poller"] {
        has_each_once(&driver, name, 200);
        let offsets: Vec<_> =
            driver.events(name).into_iter().filter(|(name, _)| name == "e").map(|(_, args)| args[1].clone()).collect();
        assert!(offsets[1..].iter().all(|offset| *offset == offsets[0]), "{offsets:?}");
    }
    eventually("what is held back", || (instance.metric("expeditor_log_held") >= 100).then_some(()));
    let (status, ready) = instance.get_json("/health/ready", &[]);
    assert_eq!((status, &ready["ready"], &ready["database"]), (503, &json!(false), &json!(false)));
    // A backend that loses its connection now, and shows its `pid`, is let in to publish.
    driver.call("dropTransport", json!({ "client": "backend" }));
    connections(&driver, "backend", 2);
    let probe = json!({ "room": kitchen(), "event": "probe", "payload": null });
    assert_eq!(driver.ask_ok("backend", "broadcast", &probe)["durable"], false);
    // A change cannot be promised, and says so; the client is not left without an answer.
    let answer = driver.ask("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    assert_eq!(answer["error"]["code"], "UNAVAILABLE", "{answer}");
    // The same name again is the same publish, though it is not stored yet.
    let publish = json!({ "room": kitchen(), "event": "e", "payload": { "n": 200 }, "id": "twice" });
    assert_eq!(backend.ask(&publish)["durable"], false);
    assert_eq!(backend.ask(&publish)["durable"], false);
    drop(locked);
    eventually("all is stored", || {
        (instance.metric("expeditor_log_held") == 0 && instance.stored_events() >= 202).then_some(())
    });
    eventually("ready again", || (instance.get("/health/ready", &[]).0 == 200).then_some(()));
    assert_eq!(backend.publish(&kitchen(), 201)["durable"], true);
    assert_eq!(backend.ask(&publish)["durable"], true, "known by its name, and stored");
    for name in ["chef", "poller"] {
        has_each_once(&driver, name, 202);
    }
    // All of it can be had from the log, in order.
    let since = driver.events("chef").into_iter().find(|(name, _)| name == "e").unwrap().1[1].clone();
    connect(&driver, &instance.url(), "late", &token(LINE_COOK), &["websocket"]);
    let joined = driver.ask_ok("late", "kitchen:join", &json!({ "venueId": BISTRO, "since": since }));
    assert_eq!(joined["complete"], true, "{joined}");
    driver.call("wait", json!({ "client": "late", "event": "e", "count": 201 }));
    assert_eq!(crate::support::stock::seen(&driver, "late"), (1..202).collect::<Vec<_>>());
    // And a client that was there goes on from the last.
    driver.call("dropTransport", json!({ "client": "chef" }));
    backend.publish(&kitchen(), 202);
    has_each_once(&driver, "chef", 203);
    assert_eq!(recovered(&driver, "chef"), [false, true]);
    for name in ["chef", "poller", "late"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}

#[test]
fn who_comes_back_while_the_database_is_locked_is_recovered_once_it_answers() {
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    backend.publish(&kitchen(), 0);
    has_each_once(&driver, "chef", 1);
    driver.call("pauseReconnecting", json!({ "client": "chef" }));
    let locked = lock(&instance);
    (1..50).for_each(|n| assert_eq!(backend.publish(&kitchen(), n)["durable"], false));
    driver.call("resumeReconnecting", json!({ "client": "chef" }));
    // It is sent away, to try again.
    eventually("an attempt", || {
        let errors =
            driver.events("chef").into_iter().filter(|(name, _)| name == "$connect_error" || name == "$disconnect");
        (errors.count() >= 2 || instance.metric("expeditor_connect_refused_total{cause=\"unavailable\"}") > 0)
            .then_some(())
    });
    drop(locked);
    connections(&driver, "chef", 2);
    has_each_once(&driver, "chef", 50);
    assert_eq!(recovered(&driver, "chef"), [false, true]);
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn a_database_that_refuses_writes_is_the_same() {
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    instance.execute("CREATE TRIGGER full BEFORE INSERT ON log_events BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    (0..50).for_each(|n| assert_eq!(backend.publish(&kitchen(), n)["durable"], false));
    has_each_once(&driver, "chef", 50);
    assert_eq!(instance.get("/health/ready", &[]).0, 503);
    instance.execute("DROP TRIGGER full");
    eventually("all is stored", || (instance.stored_events() == 50).then_some(()));
    eventually("ready again", || (instance.get("/health/ready", &[]).0 == 200).then_some(()));
    assert_eq!(backend.publish(&kitchen(), 50)["durable"], true);
    has_each_once(&driver, "chef", 51);
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn what_is_held_back_has_a_bound() {
    let instance = Instance::start();
    let backend = Backend::new(&instance.url());
    let locked = lock(&instance);
    let big = json!({ "room": kitchen(), "event": "e", "payload": "x".repeat(900_000) });
    let answers: Vec<_> = (0..80).map(|_| backend.ask(&big)).collect();
    let taken = answers.iter().take_while(|answer| answer["ok"] == true).count();
    assert!((70..80).contains(&taken), "64 MiB: {taken}");
    assert!(answers[taken..].iter().all(|answer| answer["error"]["code"] == "UNAVAILABLE"));
    drop(locked);
    eventually("all is stored", || (instance.stored_events() == i64::try_from(taken).unwrap()).then_some(()));
    eventually("it is taken again", || (backend.ask(&big)["durable"] == true).then_some(()));
}
