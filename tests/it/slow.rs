//! Clients that do not read, or read slowly: they cost nobody else anything, and miss nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::house::{House, free_port};
use crate::support::people::{BISTRO, CHEF};
use crate::support::stock::{Backend, Pace, always_recovered, connect, has_each_once, recovered};
use crate::support::{Driver, Instance, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

/// A process's memory, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Publishes `count` events of about 1 KB, 500 a second, from `first` on.
fn publish(backend: &Backend, first: u64, count: u64) {
    let mut pace = Pace::start();
    for start in (first..first + count).step_by(10) {
        let publishes: Value = (start..start + 10)
            .map(|n| json!({ "room": kitchen(), "event": "e", "payload": { "n": n, "sentAt": now_ms(), "text": "x".repeat(1_000) } }))
            .collect();
        backend.ask(&publishes);
        pace.wait(Duration::from_millis(20));
    }
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[test]
fn one_that_stops_reading_slows_none_of_the_other_99_and_misses_nothing() {
    // Less than the usual half a minute until it is given up.
    let (house, driver, readers) = (House::new(&[("SLOW_CLIENT_TIMEOUT", "8000")]), Driver::node(), Driver::node());
    let server = house.serve(free_port());
    let backend = Backend::new(&server.url());
    let answer = readers.call(
        "connectMany",
        json!({
            "prefix": "reader", "count": 99, "url": server.url(), "auth": { "token": token(CHEF) },
            "transports": ["websocket"], "joinEvent": "kitchen:join", "joinPayload": { "venueId": BISTRO },
        }),
    );
    assert_eq!(answer["joined"], 99, "{answer}");
    // Before there is anything slow, for comparison.
    publish(&backend, 0, 1_000);
    readers.call("waitAll", json!({ "prefix": "reader", "event": "e", "count": 1_000, "timeoutMs": 30_000 }));
    let alone = readers.call("latencies", json!({ "prefix": "reader", "event": "e", "path": "sentAt", "from": 200 }));
    connect(&driver, &server.url(), "stuck", &token(CHEF), &["websocket"]);
    driver.ask_ok("stuck", "kitchen:join", &json!({ "venueId": BISTRO }));
    driver.call("pauseReading", json!({ "client": "stuck", "paused": true }));
    publish(&backend, 1_000, 1_000);
    let before = resident(server.program.pid());
    // Past what the kernel's buffers hold (about 6 MB), past the outbox, past its patience.
    publish(&backend, 2_000, 7_000);
    let after = resident(server.program.pid());
    readers.call("waitAll", json!({ "prefix": "reader", "event": "e", "count": 9_000, "timeoutMs": 30_000 }));
    let beside =
        readers.call("latencies", json!({ "prefix": "reader", "event": "e", "path": "sentAt", "from": 1_000 }));
    println!("memory {before} to {after} KiB; latency alone {alone}, beside a slow one {beside}");
    // The newest events are in memory, about 1.3 KB each: 7,000 are some 18 MB (with their place by room).
    assert!(after < before + 40_000, "memory grew from {before} to {after} KiB");
    // A machine that does other work too is allowed for; that anyone waits for the slow one would be seconds.
    let at = |latencies: &Value, share: &str| latencies[share].as_u64().unwrap();
    assert!(at(&beside, "p50") <= at(&alone, "p50").max(25) * 4 && at(&beside, "p95") < 1_500, "{alone} {beside}");
    driver.call("pauseReading", json!({ "client": "stuck", "paused": false }));
    driver.call("wait", json!({ "client": "stuck", "event": "e", "count": 8_000, "timeoutMs": 30_000 }));
    let numbers: Vec<u64> = crate::support::stock::seen(&driver, "stuck");
    assert!(
        numbers.iter().copied().eq(1_000..9_000),
        "{} events; connections {:?}",
        numbers.len(),
        recovered(&driver, "stuck")
    );
    always_recovered(&driver, "stuck");
}

#[test]
fn one_that_stops_for_a_while_and_one_that_reads_slowly_have_every_event() {
    let (instance, driver) = (Instance::start(), Driver::node());
    let backend = Backend::new(&instance.url());
    for name in ["stops", "slow"] {
        connect(&driver, &instance.url(), name, &token(CHEF), &["websocket"]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
        driver.call("pauseReading", json!({ "client": name, "paused": true }));
    }
    // 20 MB: more than the kernel's buffers and the outbox hold.
    for start in (0..2_000).step_by(20) {
        let publishes: Value = (start..start + 20)
            .map(|n| json!({ "room": kitchen(), "event": "e", "payload": { "n": n, "text": "x".repeat(10_000) } }))
            .collect();
        backend.ask(&publishes);
        // A little at a time: it never catches up while others publish.
        driver.call("readFor", json!({ "client": "slow", "ms": 2 }));
    }
    driver.call("pauseReading", json!({ "client": "stops", "paused": false }));
    driver.call("pauseReading", json!({ "client": "slow", "paused": false }));
    for name in ["stops", "slow"] {
        has_each_once(&driver, name, 2_000);
        assert_eq!(recovered(&driver, name), [false], "{name} was fed from the log on the same connection");
        // And is live again.
        backend.ask(&json!({ "room": kitchen(), "event": format!("live-{name}"), "payload": 1 }));
        driver.wait(name, &format!("live-{name}"), 0);
    }
    for name in ["stops", "slow"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}
