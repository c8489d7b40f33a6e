//! How much one client, one address or one user may have, and how long it may keep the service waiting.
//! Whoever meets a limit of connections is let in as soon as there is room, without anyone's help.

use std::time::Duration;

use expeditor::telemetry::Metrics;
use serde_json::{Value, json};

use crate::support::people::{BISTRO, CHEF, OWNER};
use crate::support::plain::Plain;
use crate::support::poller::Poller;
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

fn met(instance: &Instance, limit: &str) -> u64 {
    instance.metric(&format!("expeditor_limited_total{{limit=\"{limit}\"}}"))
}

/// A stock client that goes on trying by itself.
fn begin(driver: &Driver, instance: &Instance, name: &str, user: &str) {
    let request = json!({
        "client": name, "url": instance.url(), "auth": { "token": user }, "transports": ["websocket"],
        "options": { "reconnection": true, "reconnectionDelay": 100, "reconnectionDelayMax": 200 }, "wait": false,
    });
    driver.call("connect", request);
}

fn is_connected(driver: &Driver, name: &str) -> bool {
    driver.events(name).iter().any(|(event, _)| event == "$connect")
}

fn was_sent_away(driver: &Driver, name: &str) -> bool {
    driver.events(name).iter().any(|(event, _)| event == "$connect_error")
}

#[test]
fn one_address_has_so_many_connections_and_the_next_gets_in_when_one_goes() {
    let instance = Instance::with(&[("MAX_CONNECTIONS_PER_ADDRESS", "4")]);
    let driver = Driver::node();
    let mut held: Vec<_> = (0..4).map(|_| Plain::connect(instance.address)).collect();
    // The last of them is in when it is answered.
    held[3].send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    held[3].read_until("200 OK");
    assert!(Plain::connect(instance.address).ended_after() < Duration::from_secs(2));
    begin(&driver, &instance, "chef", &token(CHEF));
    eventually("a refusal", || was_sent_away(&driver, "chef").then_some(()));
    assert!(!is_connected(&driver, "chef") && met(&instance, "connections_per_address") >= 2);
    held.pop();
    eventually("its way in", || is_connected(&driver, "chef").then_some(()));
}

#[test]
fn there_are_so_many_connections_in_all() {
    let instance = Instance::with(&[("MAX_CONNECTIONS", "3"), ("MAX_CONNECTIONS_PER_ADDRESS", "100")]);
    let mut held: Vec<_> = (0..3).map(|_| Plain::connect(instance.address)).collect();
    assert!(Plain::connect(instance.address).ended_after() < Duration::from_secs(2));
    assert_eq!(met(&instance, "connections"), 1);
    held.pop();
    eventually("a place", || {
        let mut next = Plain::connect(instance.address);
        (next.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n") && next.ended_or("200 OK")).then_some(())
    });
}

#[test]
fn behind_a_trusted_proxy_each_client_counts_and_a_forged_address_does_not() {
    let instance = Instance::with(&[("MAX_CONNECTIONS_PER_ADDRESS", "2"), ("TRUSTED_PROXIES", "127.0.0.1")]);
    let driver = Driver::node();
    let open = |name: &str, address: &str| {
        let headers = json!({ "x-forwarded-for": address });
        let request = json!({ "client": name, "url": instance.websocket_url(), "headers": headers });
        driver.call("rawWebsocket", request)
    };
    for (index, address) in ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3"].into_iter().enumerate() {
        assert_eq!(open(&format!("client{index}"), address)["outcome"], "open");
    }
    // What the client itself wrote stands before what the proxy has seen.
    let crowded = open("more", "10.9.9.9, 10.0.0.1");
    assert_eq!((&crowded["outcome"], &crowded["status"]), (&json!("refused"), &json!(503)));
    assert_eq!(met(&instance, "connections_per_address"), 1);
    let polling = instance.get("/socket.io/?EIO=4&transport=polling", &[("x-forwarded-for", "10.0.0.1")]);
    assert_eq!(polling.0, 503);
    assert_eq!(instance.get("/socket.io/?EIO=4&transport=polling", &[("x-forwarded-for", "10.0.0.2")]).0, 200);
}

#[test]
fn polling_sessions_without_a_connection_count_as_well() {
    let instance = Instance::with(&[("MAX_CONNECTIONS_PER_ADDRESS", "5")]);
    let open = || instance.get("/socket.io/?EIO=4&transport=polling", &[]).0;
    assert_eq!([open(), open(), open(), open(), open()], [200; 5]);
    assert_eq!((open(), met(&instance, "connections_per_address")), (503, 1));
}

#[test]
fn and_so_they_do_in_all() {
    // The one connection that they all come by is a trusted proxy's, so each counts for its client's address.
    let limits = [("MAX_CONNECTIONS", "4"), ("MAX_CONNECTIONS_PER_ADDRESS", "3"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let instance = Instance::with(&limits);
    let mut proxy = Plain::connect(instance.address);
    for (client, answer) in [(1, "\"sid\""), (2, "\"sid\""), (3, "\"sid\""), (4, "\"sid\""), (5, " 503 ")] {
        let head = format!("host: x\r\nx-forwarded-for: 10.0.0.{client}");
        proxy.send(&format!("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n{head}\r\n\r\n"));
        proxy.read_until(answer);
    }
    assert_eq!(met(&instance, "connections"), 1);
}

#[test]
fn one_user_has_so_many_sessions_and_other_users_and_the_backend_have_theirs() {
    let instance = Instance::with(&[("MAX_SESSIONS_PER_USER", "2")]);
    let driver = Driver::node();
    driver.connect(&instance, "first", &token(CHEF));
    driver.connect(&instance, "second", &token(CHEF));
    begin(&driver, &instance, "third", &token(CHEF));
    eventually("two attempts", || (met(&instance, "sessions_per_user") > 1).then_some(()));
    driver.connect(&instance, "owner", &token(OWNER));
    for name in ["a", "b", "c"] {
        driver.connect(&instance, name, SERVER_SECRET);
    }
    assert!(!is_connected(&driver, "third"));
    driver.call("disconnect", json!({ "client": "first" }));
    eventually("its way in", || is_connected(&driver, "third").then_some(()));
    driver.ask_ok("third", "kitchen:join", &json!({ "venueId": BISTRO }));
}

#[test]
fn a_connection_without_a_whole_request_head_ends() {
    let instance = Instance::with(&[("HANDSHAKE_TIMEOUT", "700")]);
    let slow = || Plain::connect(instance.address);
    let (mut silent, mut begun, mut second) = (slow(), slow(), slow());
    begun.send("GET /health HTTP/1.1\r\nhost:");
    second.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    second.read_until("200 OK");
    second.send("GET /health HT");
    for connection in [&mut silent, &mut begun, &mut second] {
        let took = connection.ended_after();
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    assert_eq!(met(&instance, "head_timeout"), 3);
}

#[test]
fn a_byte_now_and_then_wins_no_time() {
    let instance = Instance::with(&[("HANDSHAKE_TIMEOUT", "1000"), ("REQUEST_TIMEOUT", "1000")]);
    let head = "GET /health HTTP/1.1\r\nx: ".to_owned() + &"y".repeat(60);
    let body = |path: &str, extra: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{extra}content-length: 1000\r\n\r\n");
        (head, "z".repeat(60))
    };
    let bearer = format!("authorization: Bearer {SERVER_SECRET}\r\n");
    let poller = Poller::connect(&instance, &token(CHEF));
    let own = poller.path();
    for (first, rest) in
        [(String::new(), head), body("/api/broadcast", &bearer), body("/api/rights", &bearer), body(&own, "")]
    {
        let mut connection = Plain::connect(instance.address);
        connection.send(&first);
        // A byte each 100 ms: six seconds for the whole.
        let sent = connection.trickle(&rest, Duration::from_millis(100));
        assert!(sent < 40, "{sent} bytes of {rest:?} behind {first:?}");
    }
    assert_eq!(met(&instance, "body_timeout"), 3);
    assert!(met(&instance, "head_timeout") >= 1);
}

#[test]
fn a_transport_that_nobody_is_let_in_on_ends() {
    let instance = Instance::with(&[("HANDSHAKE_TIMEOUT", "700")]);
    let driver = Driver::node();
    let open = |name: &str| driver.call("rawWebsocket", json!({ "client": name, "url": instance.websocket_url() }));
    for name in ["silent", "refused", "left", "used"] {
        assert_eq!(open(name)["outcome"], "open");
    }
    let send = |name: &str, text: String| driver.call("rawSend", json!({ "client": name, "text": text }));
    let frames =
        |name: &str, count: u64| driver.call("wait", json!({ "client": name, "event": "$frame", "count": count }));
    send("refused", format!("40{}", json!({ "token": "nonsense" })));
    for name in ["left", "used"] {
        send(name, format!("40{}", json!({ "token": token(CHEF) })));
        frames(name, 2);
    }
    send("left", "41".to_owned());
    for name in ["silent", "refused", "left"] {
        driver.call("wait", json!({ "client": name, "event": "$close", "count": 1, "timeoutMs": 5_000 }));
    }
    assert_eq!(met(&instance, "connect_timeout"), 3);
    send("used", format!("420{}", json!(["kitchen:join", { "venueId": BISTRO }])));
    frames("used", 4);
    // Polling without CONNECT: the session is not there any longer.
    let opened = instance.get("/socket.io/?EIO=4&transport=polling", &[]).1;
    let sid = serde_json::from_str::<Value>(&opened[1..]).unwrap()["sid"].as_str().unwrap().to_owned();
    eventually("its end", || {
        (instance.get(&format!("/socket.io/?EIO=4&transport=polling&sid={sid}"), &[]).0 >= 400).then_some(())
    });
}

#[test]
fn an_upgrade_that_is_begun_and_not_carried_on_ends() {
    let instance = Instance::with(&[("HANDSHAKE_TIMEOUT", "700")]);
    let poller = Poller::connect(&instance, &token(CHEF));
    let mut websocket = Plain::connect(instance.address);
    assert!(websocket.upgrade(&format!("&sid={}", poller.sid())).contains("101"));
    assert!(websocket.ended_after() < Duration::from_secs(3));
    assert_eq!(met(&instance, "upgrade_timeout"), 1);
    eventually("the session's end", || instance.services().directory.is_empty().then_some(()));
}

#[test]
fn who_takes_no_answer_is_let_go() {
    let instance = Instance::with(&[("REQUEST_TIMEOUT", "700"), ("HANDSHAKE_TIMEOUT", "20000")]);
    let mut greedy = Plain::connect(instance.address);
    // Requests without end, and not a byte read: once the buffers of both sides are full, nothing is taken.
    let request = "GET /asyncapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50);
    eventually("its end", || (!greedy.send(&request) || met(&instance, "answer_timeout") > 0).then_some(()));
    assert_eq!(met(&instance, "answer_timeout"), 1);
}

#[test]
fn what_a_client_does_too_often_is_counted() {
    let instance = Instance::with(&[
        ("RATE_LIMIT_POINTS", "5"),
        ("MAX_ROOMS_PER_SESSION", "1"),
        ("MAX_PAYLOAD", "1000"),
        ("ADMIN_MAX_FAILURES", "3"),
        ("ADMIN_TOKEN", "the-operators-token-of-32-bytes!"),
    ]);
    let driver = Driver::node();
    for name in ["one", "two"] {
        driver.connect(&instance, name, &token(CHEF));
    }
    driver.ask_ok("one", "kitchen:join", &json!({ "venueId": BISTRO }));
    assert_eq!(driver.ask("one", "venue:join", &json!({ "venueId": BISTRO }))["error"]["code"], "TOO_MANY_ROOMS");
    let long = json!({ "venueId": BISTRO, "x": "y".repeat(1_200) });
    assert_eq!(driver.ask("one", "venue:join", &long)["error"]["code"], "TOO_LARGE");
    // Its other session has what is left.
    driver.ask_ok("two", "kitchen:join", &json!({ "venueId": BISTRO }));
    driver.ask_ok("two", "kitchen:join", &json!({ "venueId": BISTRO }));
    for name in ["one", "two"] {
        assert_eq!(driver.ask(name, "kitchen:join", &json!({ "venueId": BISTRO }))["error"]["code"], "RATE_LIMITED");
    }
    let guess = || instance.get("/admin/api/actors", &[("authorization", "Bearer wrong")]).0;
    assert_eq!([guess(), guess(), guess(), guess()], [401, 401, 401, 429]);
    for (limit, count) in [("rooms", 1), ("payload", 1), ("events", 2), ("admin_attempts", 1)] {
        assert_eq!(met(&instance, limit), count, "{limit}");
    }
}

#[test]
fn bodies_that_are_too_large_are_counted_on_each_path() {
    let instance = Instance::with(&[("MAX_PAYLOAD", "1000")]);
    let poller = Poller::connect(&instance, &token(CHEF));
    let paths = [("/api/broadcast", 1_000), ("/api/rights", 16 * 1024), (&poller.path(), 2_000)];
    for (count, (path, limit)) in (1..).zip(paths) {
        let mut connection = Plain::connect(instance.address);
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SERVER_SECRET}\r\n");
        // More is announced; nothing after the byte that was too many is waited for.
        connection.send(&format!("{head}content-length: 20000\r\n\r\n{}", "x".repeat(limit + 1)));
        connection.read_until(" 413 ");
        assert_eq!(met(&instance, "payload"), count, "{path}");
    }
}

#[test]
fn no_limit_is_without_a_test_here() {
    for limit in Metrics::LIMITS {
        assert!(include_str!("limits.rs").contains(&format!("\"{limit}\"")), "{limit}");
    }
}
