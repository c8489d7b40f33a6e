//! The service goes and comes back, and its clients miss nothing.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde_json::json;

use crate::support::house::{House, free_port};
use crate::support::people::{BISTRO, BURGER, CHEF};
use crate::support::proxy::Proxy;
use crate::support::stock::{Backend, Pace, always_recovered, connect, connections, has_each_once};
use crate::support::{Driver, SERVER_SECRET, token};

const CLIENTS: [(&str, &[&str]); 3] =
    [("websocket", &["websocket"]), ("polling", &["polling"]), ("upgrading", &["polling", "websocket"])];

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

fn connect_all(driver: &Driver, url: &str) {
    for (name, transports) in CLIENTS {
        connect(driver, url, name, &token(CHEF), transports);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
}

#[test]
fn a_service_that_was_killed_goes_on_where_it_stopped() {
    // socketio/socket.io issue 5413
    let (house, driver, port) = (House::new(&[]), Driver::node(), free_port());
    let mut server = house.serve(port);
    connect_all(&driver, &server.url());
    let backend = Backend::new(&server.url());
    for round in 0..3 {
        (round * 20..round * 20 + 10).for_each(|n| drop(backend.insist(&kitchen(), n)));
        server.kill();
        server = house.serve(port);
        (round * 20 + 10..round * 20 + 20).for_each(|n| drop(backend.insist(&kitchen(), n)));
        for (name, _) in CLIENTS {
            connections(&driver, name, round as usize + 2);
        }
    }
    for (name, _) in CLIENTS {
        has_each_once(&driver, name, 60);
        always_recovered(&driver, name);
    }
}

#[test]
fn a_client_that_is_upgrading_as_the_service_is_killed_is_recovered() {
    let (house, driver, port) = (House::new(&[]), Driver::node(), free_port());
    let mut server = house.serve(port);
    let backend = Backend::new(&server.url());
    connect(&driver, &server.url(), "chef", &token(CHEF), &["polling", "websocket"]);
    // It has not upgraded yet, or just has; either way it has not seen an event, or entered a room.
    for n in 0..6 {
        server.kill();
        server = house.serve(port);
        backend.insist(&format!("user:{CHEF}"), n);
        connections(&driver, "chef", n as usize + 2);
    }
    has_each_once(&driver, "chef", 6);
    always_recovered(&driver, "chef");
}

#[test]
fn a_rolling_restart_leaves_no_gap() {
    // Old and new side by side on one database, behind a balancer that sends new connections to the new one.
    let (house, driver) = (House::new(&[("DRAIN_SECS", "4")]), Driver::node());
    let mut old = house.serve(free_port());
    let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let balancer = Proxy::to(address(old.port));
    connect_all(&driver, &balancer.url());
    for round in 0..2 {
        // The backend stays with the old one for as long as that takes anything.
        let request = json!({ "client": "backend", "url": old.url(), "auth": { "token": SERVER_SECRET }, "transports": ["websocket"] });
        driver.call("connect", request);
        let publish = |n: u64| {
            let publish = json!({ "room": kitchen(), "event": "e", "payload": { "n": n }, "id": format!("e{n}") });
            let request =
                json!({ "client": "backend", "event": "broadcast", "args": [publish], "ack": true, "timeoutMs": 700 });
            let answer = driver.begin("emit", request).outcome();
            answer["ok"] == true && answer["ack"][0]["ok"] == true
        };
        let first = round * 200;
        (first..first + 10).for_each(|n| assert!(publish(n)));
        let new = house.serve(free_port());
        balancer.point_at(address(new.port));
        old.program.signal("TERM");
        let backend = Backend::new(&new.url());
        let mut pace = Pace::start();
        let mut moved = false;
        for n in first + 10..first + 200 {
            // What the old one does not acknowledge any more is published to the new one, by the same name.
            moved = moved || !publish(n);
            if moved {
                backend.insist(&kitchen(), n);
            }
            pace.wait(Duration::from_millis(20));
        }
        assert_eq!(old.program.exit_code(), Some(0));
        old = new;
    }
    for (name, _) in CLIENTS {
        has_each_once(&driver, name, 400);
        always_recovered(&driver, name);
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Text)]
    event: String,
    #[diesel(sql_type = Text)]
    payload: String,
}

#[derive(QueryableByName)]
struct Status {
    #[diesel(sql_type = Text)]
    kitchen_status: String,
}

#[test]
fn twenty_kills_in_a_minute_lose_nothing_that_was_acknowledged() {
    let (house, driver, port) = (House::new(&[("LOG_MAX_EVENTS", "1000000")]), Driver::node(), free_port());
    let mut server = house.serve(port);
    let backend = Backend::new(&server.url());
    connect_all(&driver, &server.url());
    connect(&driver, &server.url(), "cook", &token(CHEF), &["websocket"]);
    let done = AtomicBool::new(false);
    let (published, bumped) = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let mut published = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(backend.insist(&kitchen(), published)["durable"], true);
                published += 1;
            }
            published
        });
        let bumping = scope.spawn(|| {
            // Acknowledged changes, in order.
            let mut bumped = Vec::new();
            for status in ["IN_PROGRESS", "READY", "SENT"].iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let payload = json!({ "tabItemId": BURGER, "status": status });
                let request = json!({ "client": "cook", "event": "kitchen:update-status", "args": [payload], "ack": true, "timeoutMs": 1500 });
                let answer = driver.begin("emit", request).outcome();
                bumped.push((*status, answer["ok"] == true && answer["ack"][0]["ok"] == true));
            }
            bumped
        });
        let mut pace = Pace::start();
        for _ in 0..20 {
            pace.wait(Duration::from_millis(1_200));
            server.program.signal("KILL");
            server.program.exit_code();
            server = house.serve(port);
        }
        done.store(true, Ordering::Relaxed);
        (publishing.join().unwrap(), bumping.join().unwrap())
    });
    for (name, _) in CLIENTS {
        has_each_once(&driver, name, published);
        always_recovered(&driver, name);
    }
    let mut database = house.database();
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT position, event, payload FROM log_events JOIN log_rooms ON log_rooms.id = room_id WHERE name LIKE 'kitchen:%' ORDER BY position",
    )
    .load(&mut database)
    .unwrap();
    let numbers: HashSet<i64> = rows.iter().map(|row| row.position).collect();
    assert_eq!(numbers.len(), rows.len(), "a number was used twice");
    let stored: Vec<u64> =
        rows.iter().filter(|row| row.event == "e").map(|row| value(&row.payload)["n"].as_u64().unwrap()).collect();
    assert!(stored.iter().copied().eq(0..published), "each once, in order: {} rows of {published}", stored.len());
    // Every acknowledged change has its event, and the item's status is that of its last event.
    let events: Vec<String> = rows
        .iter()
        .filter(|row| row.event == "kitchen:order-updated")
        .map(|row| value(&row.payload)["status"].as_str().unwrap().to_owned())
        .collect();
    let status: Status = diesel::sql_query(format!("SELECT kitchen_status FROM tab_items WHERE id = '{BURGER}'"))
        .get_result(&mut database)
        .unwrap();
    assert_eq!(events.last(), Some(&status.kitchen_status));
    let mut rest = events.iter();
    for (asked, acknowledged) in &bumped {
        // One that was not acknowledged may be stored or not.
        assert!(!acknowledged || rest.any(|event| event == asked), "an acknowledged change is missing");
    }
    let acknowledged = bumped.iter().filter(|(_, acknowledged)| *acknowledged).count();
    assert!(acknowledged > 100 && published > 500, "{acknowledged} changes, {published} publishes");
}

fn value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}
