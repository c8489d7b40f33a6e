//! Rights that end during a session, and a database that does not answer.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::biscuits::Keys;
use crate::support::people::{BISTRO, BURGER, CHEF, GUEST, GUESTS_TAB, LINE_COOK, SERVER};
use crate::support::{Driver, Instance, SERVER_SECRET, event_args, instance, token};

const WITHIN_MS: u64 = 6_000;

fn wait_long(driver: &Driver, client: &str, event: &str) -> serde_json::Value {
    let answer = driver.call("wait", json!({ "client": client, "event": event, "timeoutMs": WITHIN_MS }));
    answer["events"][0]["args"][0].clone()
}

#[test]
fn who_lost_a_right_is_put_out_and_told() {
    let (instance, driver) = (Instance::start(), Driver::node());
    for (name, user) in [("chef", CHEF), ("server", SERVER), ("guest", GUEST)] {
        driver.connect(&instance, name, &token(user));
    }
    driver.connect(&instance, "backend", SERVER_SECRET);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    driver.ask_ok("chef", "venue:join", &json!({ "venueId": BISTRO }));
    driver.ask_ok("guest", "tab:join", &json!({ "tabId": GUESTS_TAB }));
    driver.ask_ok("server", "tab:join", &json!({ "tabId": GUESTS_TAB }));
    instance.execute(&format!(
        "UPDATE venue_staff SET status = 'TERMINATED' WHERE user_id = '{CHEF}';
         UPDATE tabs SET customer_id = NULL WHERE id = '{GUESTS_TAB}';"
    ));
    let error = wait_long(&driver, "guest", "error");
    let tab = format!("tab:{GUESTS_TAB}");
    assert_eq!(
        error,
        json!({ "code": "FORBIDDEN", "message": "Access denied to tab", "event": "tab:join", "room": tab })
    );
    driver.call("wait", json!({ "client": "chef", "event": "error", "count": 2, "timeoutMs": WITHIN_MS }));
    for room in [format!("kitchen:{BISTRO}"), format!("venue:{BISTRO}"), tab] {
        driver.ask_ok("backend", "broadcast", &json!({ "room": room, "event": "secret", "payload": {} }));
    }
    driver.wait("server", "secret", 0);
    for client in ["chef", "guest"] {
        driver.ask_ok(client, "tab:leave", &json!({ "tabId": GUESTS_TAB }));
        assert!(event_args(&driver, client, "secret").is_empty(), "{client}");
    }
    let ack = driver.ask("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    assert_eq!(ack["error"]["code"], "FORBIDDEN");
}

#[test]
fn a_backend_that_cannot_wait_has_rights_read_at_once() {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "chef", &token(CHEF));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    instance.execute(&format!("UPDATE venue_staff SET status = 'TERMINATED' WHERE user_id = '{CHEF}'"));
    let began = std::time::Instant::now();
    let body = json!({ "userId": CHEF });
    assert_eq!(instance.post_json("/api/rights", SERVER_SECRET, &body), (200, json!({ "ok": true })));
    assert_eq!(driver.wait("chef", "error", 0)["room"], format!("kitchen:{BISTRO}"));
    assert!(began.elapsed() < std::time::Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert_eq!(instance.post_json("/api/rights", SERVER_SECRET, &json!({ "userId": "nobody" })).0, 200);
    for (bearer, body, status) in [
        (SERVER_SECRET, json!({}), 400),
        (SERVER_SECRET, json!({ "userId": "" }), 400),
        (&token(CHEF), body.clone(), 401),
        ("nonsense", body.clone(), 401),
        ("", body, 401),
    ] {
        assert_eq!(instance.post_json("/api/rights", bearer, &body).0, status, "{bearer} {body}");
    }
    for path in ["/api/rights", "/api/broadcast"] {
        let nothing_there = (404, json!({ "error": "Not found" }));
        assert_eq!(instance.get_json(path, &[]), nothing_there, "{path} takes POST alone");
    }
}

/// Changes rows, and has the user's rights read again.
fn change(instance: &Instance, user: &str, sql: &str) {
    instance.execute(sql);
    assert_eq!(instance.post_json("/api/rights", SERVER_SECRET, &json!({ "userId": user })).0, 200);
}

fn verdicts(driver: &Driver, client: &str, asked: &[(&str, Value)]) -> Vec<Value> {
    let answer = |(event, payload): &(&str, Value)| match driver.ask(client, event, payload) {
        ack if ack["ok"] == true => json!("yes"),
        ack => ack["error"]["code"].clone(),
    };
    asked.iter().map(answer).collect()
}

#[test]
fn what_a_session_was_told_holds_no_longer_than_the_rows_it_rested_on() {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "chef", &token(CHEF));
    let asked = [
        ("kitchen:join", json!({ "venueId": BISTRO })),
        ("kitchen:bump", json!({ "tabItemId": BURGER })),
        ("kitchen:update-status", json!({ "tabItemId": BURGER, "status": "READY" })),
    ];
    let (yes, no) = (["yes"; 3], ["FORBIDDEN", "NOT_FOUND", "NOT_FOUND"]);
    let staff = |to: &str| change(&instance, CHEF, &format!("UPDATE venue_staff SET {to} WHERE user_id = '{CHEF}'"));
    for (to, expected) in [
        ("role = 'CHEF'", yes),
        ("status = 'TERMINATED'", no),
        ("status = 'ACTIVE'", yes),
        // Who carries plates may see the item, and say that it is delivered.
        ("role = 'BUSSER'", ["FORBIDDEN", "yes", "FORBIDDEN"]),
        ("role = 'CHEF'", yes),
    ] {
        staff(to);
        // Asked twice: what is kept is what is answered.
        assert_eq!([(); 2].map(|()| verdicts(&driver, "chef", &asked)), [expected; 2], "{to}");
    }
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    change(&instance, CHEF, &format!("UPDATE users SET status = 'BANNED' WHERE id = '{CHEF}'"));
    assert_eq!(driver.wait("chef", "$disconnect", 0), "io server disconnect");
}

#[test]
fn nor_than_the_tab_it_was_about() {
    let keys = Keys::generate(1);
    let instance = Instance::with(&[("BISCUIT_PUBLIC_KEY", &keys.public)]);
    let driver = Driver::node();
    driver.connect(&instance, "by code", &keys.mint(&["--tab", GUESTS_TAB]));
    driver.connect(&instance, "customer", &token(GUEST));
    let asked = [("tab:join", json!({ "tabId": GUESTS_TAB }))];
    let closed = format!("UPDATE tabs SET status = 'CLOSED', customer_id = NULL WHERE id = '{GUESTS_TAB}'");
    let open = format!("UPDATE tabs SET status = 'OPEN', customer_id = '{GUEST}' WHERE id = '{GUESTS_TAB}'");
    for (sql, expected) in [(&open, "yes"), (&closed, "FORBIDDEN"), (&open, "yes"), (&closed, "FORBIDDEN")] {
        change(&instance, GUEST, sql);
        for client in ["by code", "customer"] {
            let found = [(); 2].map(|()| verdicts(&driver, client, &asked).remove(0));
            assert_eq!(found, [expected; 2], "{client} {sql}");
        }
    }
}

#[test]
fn a_banned_users_sessions_end_for_good() {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "line", &token(LINE_COOK));
    instance.execute(&format!("UPDATE users SET status = 'BANNED' WHERE id = '{LINE_COOK}'"));
    assert_eq!(wait_long(&driver, "line", "$disconnect"), "io server disconnect");
    let answer = driver.try_connect(&instance, "again", &token(LINE_COOK), &["websocket"]);
    assert_eq!(answer["message"], "Authentication failed");
}

#[test]
fn a_locked_database_holds_up_nobody_else() {
    let instance = Instance::with(&[("DATABASE_TIMEOUT", "1000")]);
    let driver = Driver::node();
    driver.connect(&instance, "chef", &token(CHEF));
    driver.connect(&instance, "line", &token(LINE_COOK));
    driver.connect(&instance, "backend", SERVER_SECRET);
    driver.ask_ok("line", "kitchen:join", &json!({ "venueId": BISTRO }));
    let mut lock = instance::connect(&instance.database);
    lock.batch_execute("BEGIN EXCLUSIVE").unwrap();
    let bump = json!({ "tabItemId": "citem000000000000000000001" });
    let bumping =
        driver.begin("emit", json!({ "client": "chef", "event": "kitchen:bump", "args": [bump], "ack": true }));
    // While the chef waits, others publish and are served.
    for round in 0..50 {
        driver.ask_ok(
            "backend",
            "broadcast",
            &json!({ "room": format!("kitchen:{BISTRO}"), "event": "e", "payload": round }),
        );
    }
    driver.call("wait", json!({ "client": "line", "event": "e", "count": 50 }));
    let ack = bumping.done()["ack"][0].clone();
    assert_eq!(ack["error"]["code"], "UNAVAILABLE", "{ack}");
    assert_eq!(ack["error"]["message"], "Failed to bump order");
    lock.batch_execute("ROLLBACK").unwrap();
    driver.ask_ok("chef", "kitchen:bump", &bump);
    driver.wait("line", "kitchen:order-updated", 0);
}

#[test]
fn a_database_that_is_gone_sends_clients_away_to_try_again() {
    let (instance, driver) = (Instance::with(&[("DATABASE_TIMEOUT", "500")]), Driver::node());
    instance.execute("ALTER TABLE users RENAME TO users_away");
    assert_eq!(instance.get_json("/health/ready", &[]).1["database"], false);
    for transport in ["websocket", "polling"] {
        let options = json!({ "reconnection": true, "reconnectionDelay": 100, "reconnectionDelayMax": 200 });
        let connecting = driver.begin(
            "connectMany",
            json!({
                "prefix": transport, "count": 1, "url": instance.url(), "auth": { "token": token(CHEF) },
                "transports": [transport], "options": options, "timeoutMs": 100,
            }),
        );
        connecting.done();
    }
    let client = |transport: &str| format!("{transport}0");
    for transport in ["websocket", "polling"] {
        crate::support::eventually("it was sent away", || {
            (instance.metric(r#"expeditor_connect_refusals_total{cause="unavailable"}"#) >= 4).then_some(())
        });
        assert!(
            event_args(&driver, &client(transport), "$connect_error")
                .iter()
                .all(|message| message != "Authentication failed"),
            "the stock client would stay away"
        );
    }
    instance.execute("ALTER TABLE users_away RENAME TO users");
    for transport in ["websocket", "polling"] {
        driver.call("wait", json!({ "client": client(transport), "event": "$connect", "timeoutMs": 10_000 }));
        driver.call("disconnect", json!({ "client": client(transport) }));
    }
}

#[test]
fn a_right_that_is_given_holds_at_once_and_a_banned_user_joins_nothing() {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "guest", &token(GUEST));
    let join = json!({ "venueId": BISTRO });
    assert_eq!(driver.ask("guest", "venue:join", &join)["error"]["code"], "FORBIDDEN");
    instance.execute(&format!(
        "INSERT INTO venue_staff (id, venue_id, user_id, role) VALUES ('cstaffnew0000000', '{BISTRO}', '{GUEST}', 'HOST')"
    ));
    driver.ask_ok("guest", "venue:join", &join);
    driver.ask_ok("guest", "venue:leave", &join);
    instance.execute(&format!("UPDATE users SET status = 'SUSPENDED' WHERE id = '{GUEST}'"));
    let asked = json!({ "client": "guest", "event": "venue:join", "args": [join], "ack": true });
    let answer = driver.begin("emit", asked).outcome();
    // Unless the rows were read again meanwhile, and the session has ended before it could be refused.
    if answer["ok"] == true {
        assert_eq!(answer["ack"][0]["error"]["message"], "Not authorized for this venue");
    }
    assert_eq!(wait_long(&driver, "guest", "$disconnect"), "io server disconnect");
}
