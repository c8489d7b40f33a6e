//! What commands do to the database, and what the HTTP side says of it all.

use diesel::prelude::*;
use serde_json::json;

use crate::support::people::{BISTRO, BURGER, CHEF, FRIES, GUEST, GUESTS_NOTE, SERVER};
use crate::support::{Driver, Instance, event_args, instance, token};

fn item(instance: &Instance, id: &str) -> (String, bool, bool) {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        kitchen_status: String,
        #[diesel(sql_type = diesel::sql_types::Bool)]
        prepared: bool,
        #[diesel(sql_type = diesel::sql_types::Bool)]
        delivered: bool,
    }
    let query = format!(
        "SELECT kitchen_status, prepared_at IS NOT NULL AS prepared, delivered_at IS NOT NULL AS delivered
         FROM tab_items WHERE id = '{id}'"
    );
    let row: Row = diesel::sql_query(query).get_result(&mut instance::connect(&instance.database)).unwrap();
    (row.kitchen_status, row.prepared, row.delivered)
}

#[test]
fn a_change_is_stored_and_a_change_in_place_is_not_broadcast_again() {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "chef", &token(CHEF));
    driver.connect(&instance, "server", &token(SERVER));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    driver.ask_ok("server", "venue:join", &json!({ "venueId": BISTRO }));
    for status in ["IN_PROGRESS", "READY", "READY"] {
        driver.ask_ok("chef", "kitchen:update-status", &json!({ "tabItemId": BURGER, "status": status }));
    }
    assert_eq!(item(&instance, BURGER), ("READY".to_owned(), true, false));
    // A server may deliver, though not cook.
    let ack = driver.ask("server", "kitchen:update-status", &json!({ "tabItemId": FRIES, "status": "READY" }));
    assert_eq!(ack["error"]["code"], "FORBIDDEN");
    driver.ask_ok("server", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    assert_eq!(item(&instance, BURGER), ("DELIVERED".to_owned(), true, true));
    assert_eq!(item(&instance, FRIES), ("SENT".to_owned(), false, false));
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": FRIES }));
    for client in ["chef", "server"] {
        driver.call("wait", json!({ "client": client, "event": "kitchen:order-updated", "count": 4 }));
        let statuses: Vec<_> = event_args(&driver, client, "kitchen:order-updated")
            .iter()
            .map(|update| update["status"].clone())
            .collect();
        assert_eq!(statuses, ["IN_PROGRESS", "READY", "DELIVERED", "DELIVERED"], "{client}");
    }
}

#[test]
fn a_notification_is_read_by_its_own_user() {
    #[derive(QueryableByName)]
    struct Noted {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        read: bool,
        #[diesel(sql_type = diesel::sql_types::Bool)]
        dated: bool,
    }
    let (instance, driver) = (Instance::start(), Driver::node());
    let read = || {
        let noted = format!("SELECT read, read_at IS NOT NULL AS dated FROM notifications WHERE id = '{GUESTS_NOTE}'");
        let row: Noted = diesel::sql_query(noted).get_result(&mut instance::connect(&instance.database)).unwrap();
        (row.read, row.dated)
    };
    driver.connect(&instance, "chef", &token(CHEF));
    let ack = driver.ask("chef", "notification:read", &json!({ "notificationId": GUESTS_NOTE }));
    assert_eq!((&ack["error"]["code"], read()), (&json!("NOT_FOUND"), (false, false)));
    driver.connect(&instance, "guest", &token(GUEST));
    driver.ask_ok("guest", "notification:read", &json!({ "notificationId": GUESTS_NOTE }));
    assert_eq!(read(), (true, true));
}

#[test]
fn a_payload_keeps_its_bytes() {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "backend", crate::support::SERVER_SECRET);
    let url = instance.websocket_url();
    driver.call("rawWebsocket", json!({ "client": "raw", "url": url }));
    let auth = json!({ "token": token(GUEST) });
    driver.call("rawSend", json!({ "client": "raw", "text": format!("40{auth}") }));
    driver.call("wait", json!({ "client": "raw", "event": "$frame", "count": 2 }));
    driver.call("rawWebsocket", json!({ "client": "rawBackend", "url": url }));
    let auth = json!({ "token": crate::support::SERVER_SECRET });
    driver.call("rawSend", json!({ "client": "rawBackend", "text": format!("40{auth}") }));
    driver.call("wait", json!({ "client": "rawBackend", "event": "$frame", "count": 2 }));
    let payload = r#"{ "z":1.50, "a":"\u00e9\ud83c\udf55",  "big":12345678901234567890 }"#;
    let text = format!(r#"42["broadcast",{{"room":"user:{GUEST}","event":"notification:new","payload":{payload}}}]"#);
    driver.call("rawSend", json!({ "client": "rawBackend", "text": text }));
    let seen = driver.call("wait", json!({ "client": "raw", "event": "$frame", "count": 3 }));
    let frame = seen["events"][2]["args"][0].as_str().unwrap();
    assert!(frame.starts_with(&format!(r#"42["notification:new",{payload},""#)), "{frame}");
    for client in ["raw", "rawBackend"] {
        driver.call("rawSend", json!({ "client": client, "text": "1" }));
        driver.call("wait", json!({ "client": client, "event": "$close" }));
    }
}

#[test]
fn health_metrics_and_what_is_not_there() {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "chef", &token(CHEF));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    driver.ask("chef", "made:up", &json!({}));
    driver.ask("chef", "kitchen:join", &json!({ "venueId": "nope" }));

    let (status, health) = instance.get_json("/health", &[]);
    assert_eq!((status, &health["status"], &health["connections"]), (200, &json!("ok"), &json!(1)));
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    let (status, ready) = instance.get_json("/health/ready", &[]);
    assert_eq!(status, 200);
    assert_eq!(ready, json!({ "ready": true, "database": true, "cluster": true, "draining": false }));

    let (_, figures) = instance.get_json("/metrics", &[("accept", "application/json")]);
    assert_eq!((&figures["connections"], &figures["rooms"]), (&json!(1), &json!(2)));
    assert!(figures["uptime"].as_f64().unwrap() > 0.0);
    let (_, text) = instance.get("/metrics", &[]);
    for line in [
        "socket_connections 1",
        r#"socket_events_total{event="kitchen:join",status="success"} 1"#,
        r#"socket_events_total{event="kitchen:join",status="refused"} 1"#,
        r#"socket_events_total{event="unknown",status="refused"} 1"#,
        r#"socket_event_duration_seconds_bucket{event="kitchen:join",le="0.001"}"#,
        r#"socket_event_duration_seconds_bucket{event="kitchen:join",le="1"}"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("made:up"), "a client made a label");

    let (status, body) = instance.get_json("/nowhere", &[]);
    assert_eq!((status, body), (404, json!({ "error": "Not found" })));
    let (status, _) = instance.get_json("/demo/state?venue=x", &[]);
    assert_eq!(status, 404, "the demo is not there outside of the demo");
}

#[test]
fn only_pages_of_allowed_origins_connect() {
    let (instance, driver) = (Instance::with(&[("CORS_ORIGINS", "https://pos.example.com")]), Driver::node());
    let own = instance.url();
    for (origin, outcome) in [
        ("https://pos.example.com", "open"),
        ("http://localhost:3000", "open"),
        (own.as_str(), "open"),
        ("https://evil.example.com", "refused"),
    ] {
        let headers = json!({ "Origin": origin });
        let request = json!({ "client": origin, "url": instance.websocket_url(), "headers": headers });
        let answer = driver.call("rawWebsocket", request);
        assert_eq!(answer["outcome"], outcome, "{origin}: {answer}");
    }
}

#[test]
fn pages_of_allowed_origins_may_poll() {
    let instance = Instance::with(&[("CORS_ORIGINS", "https://pos.example.com")]);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let url = format!("{}/socket.io/?EIO=4&transport=polling", instance.url());
    let answer = |method: &str, sid: &str, origin: &str| {
        let request = ureq::http::Request::builder().method(method).uri(format!("{url}{sid}"));
        let request = request.header("origin", origin).header("access-control-request-method", "POST");
        let mut response = agent.run(request.body("40").unwrap()).unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let headers = (header("access-control-allow-origin"), header("access-control-allow-credentials"));
        (headers, response.body_mut().read_to_string().unwrap())
    };
    let (pos, evil) = ("https://pos.example.com", "https://evil.example.com");
    let open: serde_json::Value = serde_json::from_str(&answer("GET", "", pos).1[1..]).unwrap();
    let sid = format!("&sid={}", open["sid"].as_str().unwrap());
    // Opening, sending, what a browser asks beforehand, and errors: without the first header a
    // browser keeps the answer from the page, whatever the second says.
    for (method, sid) in [("GET", ""), ("POST", &*sid), ("OPTIONS", ""), ("GET", "&sid=unknown")] {
        let expected = (Some(pos.to_owned()), Some("true".to_owned()));
        assert_eq!(answer(method, sid, pos).0, expected, "{method} {sid}");
        assert_eq!(answer(method, sid, evil).0.0, None, "{method} {sid}");
    }
}
