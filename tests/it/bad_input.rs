//! Bad input gets the specification's answer, and the session goes on; what is no packet ends the connection.

use serde_json::{Value, json};

use crate::support::people::{BANNED, BISTRO, CHEF, GUESTS_TAB, USER_SECRET, seconds, sign};
use crate::support::{Driver, Instance, SERVER_SECRET, event_args, token};

const MAX_PAYLOAD: usize = 10_000;

fn instance() -> Instance {
    Instance::with(&[("MAX_PAYLOAD", &MAX_PAYLOAD.to_string())])
}

fn assert_alive(driver: &Driver, client: &str) {
    driver.ask_ok(client, "kitchen:join", &json!({ "venueId": BISTRO }));
}

#[test]
fn wrong_payloads_name_the_field_at_fault() {
    let (instance, driver) = (instance(), Driver::node());
    driver.connect(&instance, "chef", &token(CHEF));
    for (event, payload, field) in [
        ("tab:join", json!(null), "tabId"),
        ("tab:join", json!("text"), "tabId"),
        ("tab:join", json!([1, 2]), "tabId"),
        ("tab:join", json!({}), "tabId"),
        ("tab:join", json!({ "tabId": 7 }), "tabId"),
        ("tab:join", json!({ "tabId": { "c": 1 } }), "tabId"),
        ("tab:join", json!({ "tabId": "not-a-cuid" }), "tabId"),
        ("tab:join", json!({ "tabId": "c".repeat(65) }), "tabId"),
        ("tab:leave", json!({ "tabId": "" }), "tabId"),
        ("venue:join", json!({ "tabId": GUESTS_TAB }), "venueId"),
        ("kitchen:join", json!({ "venueId": null }), "venueId"),
        ("table:join", json!({ "tableId": true }), "tableId"),
        ("kitchen:update-status", json!({ "tabItemId": "citem000000000000000000001" }), "status"),
        ("kitchen:update-status", json!({ "tabItemId": "citem000000000000000000001", "status": "CANCELED" }), "status"),
        ("kitchen:bump", json!({ "tabItemId": "x" }), "tabItemId"),
        ("notification:read", json!({ "notificationId": 1 }), "notificationId"),
        ("no:such:event", json!({}), "event"),
        ("constructor", json!({}), "event"),
    ] {
        let ack = driver.ask("chef", event, &payload);
        let expected =
            json!({ "ok": false, "error": { "code": "INVALID_DATA", "message": "Invalid data", "field": field } });
        assert_eq!(ack, expected, "{event} {payload}");
    }
    // Members that are not listed are ignored.
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO, "role": "SYSTEM", "extra": { "deep": [1] } }));
    assert_eq!(instance.metric(r#"socket_events_total{event="unknown",status="refused"}"#), 2);
}

#[test]
fn an_event_without_a_payload_or_an_acknowledgement_is_answered_by_event() {
    let (instance, driver) = (instance(), Driver::node());
    driver.connect(&instance, "chef", &token(CHEF));
    driver.call("emit", json!({ "client": "chef", "event": "tab:join", "args": [] }));
    let error = driver.wait("chef", "error", 0);
    assert_eq!(
        error,
        json!({ "code": "INVALID_DATA", "message": "Invalid data", "field": "tabId", "event": "tab:join" })
    );
    assert_alive(&driver, "chef");
}

#[test]
fn the_largest_message_is_taken_and_one_byte_more_is_too_large() {
    for driver in [Driver::node(), Driver::python()] {
        let instance = instance();
        for transports in [["websocket"].as_slice(), &["polling"], &["polling", "websocket"]] {
            assert_eq!(driver.try_connect(&instance, "backend", SERVER_SECRET, transports)["outcome"], "connected");
            let ask = |text: String| {
                driver.ask("backend", "broadcast", &json!({ "room": "user:nobody", "event": "e", "payload": text }))
            };
            // 42N["broadcast",{"room":"user:nobody","event":"e","payload":"x…"}], the numbers of the first acknowledgements have a digit.
            let frame = r#"420["broadcast",{"room":"user:nobody","event":"e","payload":""}]"#.len();
            let most = MAX_PAYLOAD - frame;
            assert_eq!(ask("x".repeat(most))["ok"], true, "{transports:?}");
            let ack = ask("x".repeat(most + 1));
            assert_eq!(ack["error"]["code"], "TOO_LARGE", "{transports:?}: {ack}");
            assert_eq!(ask("x".to_owned())["ok"], true, "{transports:?}");
            driver.call("disconnect", json!({ "client": "backend" }));
        }
    }
}

#[test]
fn the_limit_counts_bytes() {
    let (instance, driver) = (instance(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    let payload = json!({ "room": "user:nobody", "event": "e", "payload": "é".repeat(MAX_PAYLOAD / 2) });
    assert_eq!(driver.ask("backend", "broadcast", &payload)["error"]["code"], "TOO_LARGE");
}

#[test]
fn a_message_of_more_than_twice_the_limit_closes_the_connection() {
    let (instance, driver) = (instance(), Driver::node());
    for transport in ["websocket", "polling"] {
        driver.try_connect(&instance, transport, SERVER_SECRET, &[transport]);
        let payload = json!({ "room": "user:nobody", "event": "e", "payload": "x".repeat(2 * MAX_PAYLOAD) });
        driver.call("emit", json!({ "client": transport, "event": "broadcast", "args": [payload] }));
        driver.wait(transport, "$disconnect", 0);
    }
}

#[test]
fn binary_attachments_are_invalid_over_every_transport() {
    let binary = json!({ "$binary": "AAECAw==" });
    for driver in [Driver::node(), Driver::python()] {
        let instance = instance();
        for transports in [["websocket"].as_slice(), &["polling"], &["polling", "websocket"]] {
            for (name, token) in [("chef", token(CHEF)), ("backend", SERVER_SECRET.to_owned())] {
                assert_eq!(driver.try_connect(&instance, name, &token, transports)["outcome"], "connected");
            }
            let ack = driver.ask("chef", "tab:join", &json!({ "tabId": binary }));
            assert_eq!(ack["error"]["code"], "INVALID_DATA", "{transports:?}: {ack}");
            let room = format!("kitchen:{BISTRO}");
            let ack = driver.ask("backend", "broadcast", &json!({ "room": room, "event": "e", "payload": binary }));
            assert_eq!(ack["error"]["code"], "INVALID_DATA", "{transports:?}: {ack}");
            assert_alive(&driver, "chef");
            for name in ["chef", "backend"] {
                driver.call("disconnect", json!({ "client": name }));
            }
        }
    }
}

const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

#[test]
fn reserved_event_names_are_invalid() {
    let (instance, driver) = (instance(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    for name in RESERVED {
        let ack = driver.ask("backend", "broadcast", &json!({ "room": "user:u", "event": name, "payload": 1 }));
        assert_eq!(ack["error"]["field"], "event", "{name}: {ack}");
    }
    // The stock client does not send such an event itself; a bare websocket does.
    raw_session(&driver, &instance.websocket_url(), "raw", &token(CHEF));
    for name in RESERVED {
        driver.call("rawSend", json!({ "client": "raw", "text": format!(r#"427["{name}",{{}}]"#) }));
    }
    let answer = driver.call("wait", json!({ "client": "raw", "event": "$frame", "count": 2 + 2 * RESERVED.len() }));
    let acks = answer["events"].as_array().unwrap().iter().filter(|event| is_invalid_ack(event)).count();
    assert_eq!(acks, RESERVED.len(), "{answer}");
    end_raw(&driver, "raw");
}

fn is_invalid_ack(event: &Value) -> bool {
    event["args"][0].as_str().is_some_and(|frame| frame.starts_with("437[") && frame.contains("INVALID_DATA"))
}

/// A bare websocket that is connected; `url` is the websocket's.
pub fn raw_session(driver: &Driver, url: &str, name: &str, token: &str) {
    driver.call("rawWebsocket", json!({ "client": name, "url": url }));
    let auth = json!({ "token": token });
    driver.call("rawSend", json!({ "client": name, "text": format!("40{auth}") }));
    driver.call("wait", json!({ "client": name, "event": "$frame", "count": 2 }));
}

fn end_raw(driver: &Driver, name: &str) {
    driver.call("rawSend", json!({ "client": name, "text": "1" }));
    driver.call("wait", json!({ "client": name, "event": "$close" }));
}

#[test]
fn an_unknown_namespace_is_refused() {
    let (instance, driver) = (instance(), Driver::node());
    let request = json!({
        "client": "lost", "url": instance.url(), "auth": { "token": token(CHEF) },
        "transports": ["websocket"], "namespace": "/nowhere",
    });
    let answer = driver.call("connect", request);
    assert_eq!((&answer["outcome"], &answer["message"]), (&json!("refused"), &json!("Invalid namespace")));
    driver.call("disconnect", json!({ "client": "lost" }));
}

#[test]
fn ten_thousand_rooms_are_too_many() {
    let instance = Instance::with(&[("MAX_ROOMS_PER_SESSION", "64")]);
    let driver = Driver::node();
    instance.execute(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
         INSERT INTO tabs (id, venue_id, server_id, tab_number, status)
         SELECT 'ctabmany' || printf('%06d', i), 'cvenuebistro00000000000001', 'cuserserver000000000000002', 1000 + i, 'OPEN' FROM n",
    );
    driver.connect(&instance, "chef", &token(CHEF));
    let (mut joined, mut refused) = (0, 0);
    let asked: Vec<_> = (0..10_000)
        .map(|index| {
            let payload = json!({ "tabId": format!("ctabmany{index:06}") });
            driver.begin(
                "emit",
                json!({ "client": "chef", "event": "tab:join", "args": [payload], "ack": true, "timeoutMs": 60_000 }),
            )
        })
        .collect();
    for answer in asked {
        let ack = answer.done()["ack"][0].clone();
        if ack["ok"] == true {
            joined += 1;
        } else {
            assert_eq!(ack["error"]["code"], "TOO_MANY_ROOMS", "{ack}");
            refused += 1;
        }
    }
    assert_eq!((joined, refused), (64, 9_936));
    driver.ask_ok("chef", "tab:leave", &json!({ "tabId": "ctabmany000000" }));
    driver.ask_ok("chef", "tab:join", &json!({ "tabId": "ctabmany009999" }));
}

#[test]
fn the_rate_limit_counts_a_users_events_over_all_sessions_and_spares_the_backend() {
    let instance = Instance::with(&[("RATE_LIMIT_POINTS", "20"), ("RATE_LIMIT_DURATION", "60")]);
    let driver = Driver::node();
    for name in ["first", "second"] {
        driver.connect(&instance, name, &token(CHEF));
    }
    driver.connect(&instance, "backend", SERVER_SECRET);
    for index in 0..20 {
        let client = if index % 2 == 0 { "first" } else { "second" };
        let event = if index % 5 == 0 { "no:such:event" } else { "tab:leave" };
        let ack = driver.ask(client, event, &json!({ "tabId": GUESTS_TAB }));
        assert_ne!(ack["error"]["code"], "RATE_LIMITED", "{index}: {ack}");
    }
    let ack = driver.ask("first", "tab:leave", &json!({ "tabId": GUESTS_TAB }));
    assert_eq!(
        (&ack["error"]["code"], &ack["error"]["message"]),
        (&json!("RATE_LIMITED"), &json!("Rate limit exceeded"))
    );
    let wait = ack["error"]["retryAfterMs"].as_u64().unwrap();
    assert!((1..=3_001).contains(&wait), "{wait}");
    for _ in 0..50 {
        driver.ask_ok("backend", "broadcast", &json!({ "room": "user:nobody", "event": "e" }));
    }
    assert_eq!(event_args(&driver, "first", "error").last().unwrap()["code"], "RATE_LIMITED");
}

#[test]
fn tokens_that_do_not_hold_are_refused_and_told_no_more() {
    let (instance, driver) = (instance(), Driver::node());
    let good = token(CHEF);
    let body = good.split('.').nth(1).unwrap();
    let claims = |exp: i64, iat: i64| json!({ "sub": CHEF, "iat": seconds(iat), "exp": seconds(exp) });
    let bad = [
        ("expired", sign(&claims(-1, -60), USER_SECRET)),
        ("older than a day", sign(&claims(3600, -86_500), USER_SECRET)),
        ("truncated", good[..good.len() - 3].to_owned()),
        ("another key", sign(&claims(60, 0), "another secret, which is long enough")),
        ("none", format!("eyJhbGciOiJub25lIn0.{body}.")),
        ("banned", token(BANNED)),
        ("gone", token("cusernobody00000000000000")),
        ("no token", "x".to_owned()),
        ("long", "x".repeat(9_000)),
        ("almost the server's", SERVER_SECRET[..SERVER_SECRET.len() - 1].to_owned()),
    ];
    for (what, token) in &bad {
        for transport in ["websocket", "polling"] {
            let answer = driver.try_connect(&instance, what, token, &[transport]);
            assert_eq!(answer["outcome"], "refused", "{what}");
            assert_eq!(answer["message"], "Authentication failed", "{what} over {transport}");
        }
    }
    for auth in [json!({}), json!({ "token": null }), json!({ "token": "" }), json!(null)] {
        let request = json!({ "client": "none", "url": instance.url(), "auth": auth, "transports": ["websocket"] });
        let answer = driver.call("connect", request);
        assert_eq!(answer["message"], "Authentication token required", "{auth}");
    }
    assert_eq!(instance.metric(r#"expeditor_connect_refusals_total{cause="expired"}"#), 2);
    assert_eq!(instance.metric(r#"expeditor_connect_refusals_total{cause="missing"}"#), 4);
    assert_eq!(instance.metric(r#"expeditor_connect_refusals_total{cause="user"}"#), 4);
}

#[test]
fn a_session_ends_with_its_token() {
    let (instance, driver) = (instance(), Driver::node());
    let short = sign(&json!({ "sub": CHEF, "exp": seconds(2) }), USER_SECRET);
    driver.connect(&instance, "chef", &short);
    assert_alive(&driver, "chef");
    let error = driver.wait("chef", "error", 0);
    assert_eq!(error["code"], "TOKEN_EXPIRED");
    assert_eq!(driver.wait("chef", "$disconnect", 0), "io server disconnect");
}
