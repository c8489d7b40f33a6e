//! Who did what to which ticket: in the store and in the log, what was refused included, and never a token.

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::biscuits::{Keys, revoke};
use crate::support::house::{House, free_port};
use crate::support::instance::connect;
use crate::support::people::{BANNED, BISTRO, BURGER, CHEF, DINER_TAB, GUEST, GUESTS_NOTE, GUESTS_TAB, OWNER, SERVER};
use crate::support::stock::Backend;
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};
use expeditor::domain::{AuditOutcome, AuditRecord, AuditTarget};

#[derive(diesel::QueryableByName)]
struct Sum {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    times: i64,
}

#[derive(diesel::QueryableByName)]
struct Kept {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    rows: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    first: i64,
}

const OPERATOR: &str = "the-operators-token-of-32-bytes!";

fn instance() -> Instance {
    Instance::with(&[("ADMIN_TOKEN", OPERATOR)])
}

fn ask(instance: &Instance, query: &str) -> (u16, Value) {
    let bearer = format!("Bearer {OPERATOR}");
    instance.get_json(&format!("/admin/api/audit{query}"), &[("authorization", &bearer)])
}

fn records(instance: &Instance, query: &str) -> Vec<Value> {
    let (status, answer) = ask(instance, query);
    assert_eq!(status, 200, "{answer}");
    answer["records"].as_array().unwrap().clone()
}

/// Waits for the records of a query to be this many, and returns them.
fn eventually_records(instance: &Instance, query: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} records of {query}"), || {
        let found = records(instance, query);
        (found.len() == count).then_some(found)
    })
}

/// Everything that the trail holds, as text.
fn whole(instance: &Instance) -> String {
    json!(records(instance, "?limit=1000")).to_string()
}

#[test]
fn what_was_done_to_a_ticket_is_there_with_who_did_it_and_who_was_refused() {
    let (instance, driver) = (instance(), Driver::node());
    for (name, user) in [("chef", CHEF), ("server", SERVER), ("guest", GUEST)] {
        driver.connect(&instance, name, &token(user));
    }
    let status = |name: &str, status: &str| {
        driver.ask(name, "kitchen:update-status", &json!({ "tabItemId": BURGER, "status": status }))
    };
    assert_eq!(status("guest", "READY")["error"]["code"], "FORBIDDEN");
    assert_eq!(status("chef", "READY")["ok"], true);
    driver.ask_ok("server", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    driver.ask_ok("guest", "notification:read", &json!({ "notificationId": GUESTS_NOTE }));
    assert_eq!(driver.ask("guest", "tab:join", &json!({ "tabId": DINER_TAB }))["ok"], false);
    assert_eq!(driver.ask("guest", "kitchen:join", &json!({ "venueId": 7 }))["error"]["code"], "INVALID_DATA");
    driver.ask_ok("guest", "tab:join", &json!({ "tabId": GUESTS_TAB }));

    let ticket = eventually_records(&instance, &format!("?subject={BURGER}"), 3);
    let shown = |record: &Value| {
        json!([record["actor"], record["action"], record["outcome"], record["cause"], record["detail"]])
    };
    assert_eq!(
        ticket.iter().map(shown).collect::<Vec<_>>(),
        [
            json!([SERVER, "kitchen:bump", "done", null, null]),
            json!([CHEF, "kitchen:update-status", "done", null, "READY"]),
            json!([GUEST, "kitchen:update-status", "refused", "FORBIDDEN", "READY"]),
        ]
    );
    assert_eq!((&ticket[0]["tab"], &ticket[0]["room"]), (&json!(GUESTS_TAB), &json!(format!("kitchen:{BISTRO}"))));
    assert_eq!((&ticket[0]["address"], &ticket[0]["times"]), (&json!("127.0.0.1"), &json!(1)));
    assert_eq!(records(&instance, &format!("?tab={GUESTS_TAB}&user={CHEF}")).len(), 1);
    // Rooms that were entered are not written down, those that were refused are.
    let guests = eventually_records(&instance, &format!("?user={GUEST}"), 4);
    let room = json!(format!("tab:{DINER_TAB}"));
    assert!(guests.iter().any(|record| record["room"] == room && record["outcome"] == "refused"));
    assert_eq!(records(&instance, "?action=notification:read")[0]["subject"], GUESTS_NOTE);
    assert_eq!(records(&instance, &format!("?user={GUEST}&outcome=refused&action=kitchen:join")).len(), 1);
}

#[test]
fn connections_requests_and_operators_that_were_refused_are_there_by_cause() {
    let (instance, driver) = (instance(), Driver::node());
    driver.try_connect(&instance, "banned", &token(BANNED), &["websocket"]);
    driver.try_connect(&instance, "nonsense", "a.b.c", &["polling"]);
    assert_eq!(instance.post_json("/api/broadcast", "wrong", &json!({})).0, 401);
    assert_eq!(instance.get("/admin/api/actors", &[("authorization", "Bearer wrong")]).0, 401);
    let causes: Vec<_> =
        eventually_records(&instance, "?action=connect", 2).iter().map(|record| record["cause"].clone()).collect();
    assert_eq!(causes, ["malformed", "user"]);
    assert_eq!(eventually_records(&instance, "?action=request", 1)[0]["actor"], Value::Null);
    assert_eq!(eventually_records(&instance, "?action=admin:access", 1)[0]["cause"], "wrong");
}

#[test]
fn a_backends_requests_have_their_clients_address_and_one_without_a_token_is_there() {
    let instance = Instance::with(&[("ADMIN_TOKEN", OPERATOR), ("TRUSTED_PROXIES", "127.0.0.1")]);
    let post = |path: &str, client: &str, token: Option<&str>, body: &Value| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("x-forwarded-for", client)];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        instance.post_with(path, &headers, body).0
    };
    let kitchen = json!({ "room": format!("kitchen:{BISTRO}"), "event": "e" });
    assert_eq!(post("/api/broadcast", "10.0.0.1", Some("wrong"), &kitchen), 401);
    assert_eq!(post("/api/broadcast", "10.0.0.2", Some(SERVER_SECRET), &kitchen), 200);
    assert_eq!(post("/api/broadcast", "10.0.0.3", Some(SERVER_SECRET), &json!({ "room": "nowhere" })), 200);
    assert_eq!(post("/api/rights", "10.0.0.4", Some(SERVER_SECRET), &json!({ "userId": OWNER })), 200);
    for _ in 0..50 {
        assert_eq!(post("/api/rights", "10.0.0.5", None, &json!({ "userId": OWNER })), 401);
    }
    let addresses =
        |query: &str| eventually_records(&instance, query, 1)[0]["address"].as_str().unwrap_or_default().to_owned();
    assert_eq!(addresses("?action=broadcast&outcome=done"), "10.0.0.2");
    assert_eq!(addresses("?action=broadcast&outcome=refused"), "10.0.0.3");
    assert_eq!(addresses("?action=rights:read"), "10.0.0.4");
    let refused = eventually("all that were refused", || {
        let records = records(&instance, "?action=request&outcome=refused");
        let times: i64 = records.iter().map(|record| record["times"].as_i64().unwrap()).sum();
        (times == 51).then_some(records)
    });
    let (first, without) = refused.split_last().unwrap();
    assert_eq!((&first["cause"], &first["address"]), (&json!("malformed"), &json!("10.0.0.1")));
    assert!(without.len() < 20, "what is alike is one row: {}", without.len());
    for record in without {
        assert_eq!((&record["cause"], &record["address"]), (&json!("missing"), &json!("10.0.0.5")));
        assert_eq!(record["actor"], Value::Null);
    }
}

#[test]
fn what_operators_and_backends_do_is_there_and_no_token_ever() {
    let (instance, driver) = (instance(), Driver::node());
    let user_token = token(CHEF);
    driver.connect(&instance, "chef", &user_token);
    driver.connect(&instance, "backend", SERVER_SECRET);
    let kitchen = format!("kitchen:{BISTRO}");
    driver.ask_ok("backend", "broadcast", &json!({ "room": kitchen, "event": "e", "payload": { "secret": "sauce" } }));
    assert_eq!(
        driver.ask("chef", "broadcast", &json!({ "room": kitchen, "event": "e" }))["error"]["code"],
        "FORBIDDEN"
    );
    assert_eq!(instance.post_json("/api/broadcast", SERVER_SECRET, &json!({ "room": kitchen, "event": "e" })).0, 200);
    assert_eq!(instance.post_json("/api/rights", SERVER_SECRET, &json!({ "userId": OWNER })).0, 200);
    let id = driver.events("chef")[0].1[0].as_str().unwrap().to_owned();
    assert_eq!(instance.post_json(&format!("/admin/api/sessions/{id}/disconnect"), OPERATOR, &json!({})).0, 202);
    let published: i64 = eventually("both publishes", || {
        let times = records(&instance, &format!("?action=broadcast&room={kitchen}&outcome=done"))
            .iter()
            .map(|record| record["times"].as_i64().unwrap())
            .sum();
        (times == 2).then_some(times)
    });
    assert_eq!(published, 2);
    assert_eq!(eventually_records(&instance, "?action=broadcast&outcome=refused", 1)[0]["actor"], CHEF);
    assert_eq!(eventually_records(&instance, "?action=rights:read", 1)[0]["subject"], OWNER);
    let disconnected = &eventually_records(&instance, "?action=admin:disconnect", 1)[0];
    assert_eq!((&disconnected["actor"], &disconnected["subject"]), (&json!("ADMIN"), &json!(id)));
    assert_eq!(eventually_records(&instance, "?action=session:end", 1)[0]["cause"], "operator");
    let text = whole(&instance);
    for secret in [SERVER_SECRET, OPERATOR, user_token.as_str(), user_token.rsplit('.').next().unwrap(), "sauce"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn what_happens_again_and_again_is_one_row_with_a_count() {
    let (instance, driver) = (instance(), Driver::node());
    driver.connect(&instance, "guest", &token(GUEST));
    let many = json!({
        "client": "guest", "event": "kitchen:bump", "args": [{ "tabItemId": BURGER }], "counterPath": "n", "count": 500, "start": 0,
    });
    driver.begin("emitMany", many).outcome();
    let rows = eventually("all of them", || {
        let rows = records(&instance, "?action=kitchen:bump&outcome=refused");
        let times: i64 = rows.iter().map(|row| row["times"].as_i64().unwrap()).sum();
        (times == 500).then_some(rows)
    });
    assert!(rows.len() < 20, "{} rows", rows.len());
}

fn record(subject: usize) -> AuditRecord {
    AuditRecord {
        actor: Some("u".into()),
        action: "kitchen:bump",
        outcome: AuditOutcome::Done,
        cause: None,
        target: AuditTarget::subject(&subject.to_string()),
        session: None,
        address: None,
    }
}

#[test]
fn it_is_read_a_page_at_a_time_and_a_wrong_question_is_told() {
    let instance = instance();
    (0..250).for_each(|subject| instance.services().audit.record(record(subject)));
    eventually_records(&instance, "?limit=1000", 250);
    let (mut seen, mut before) = (Vec::<usize>::new(), String::new());
    loop {
        let (_, page) = ask(&instance, &format!("?user=u&limit=100{before}"));
        seen.extend(
            page["records"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["subject"].as_str().unwrap().parse::<usize>().unwrap()),
        );
        let Some(next) = page["next"].as_i64() else { break };
        before = format!("&before={next}");
    }
    assert!(seen.iter().copied().eq((0..250).rev()), "{seen:?}");
    for wrong in ["?action=dance", "?outcome=maybe", "?room=nowhere", "?limit=x"] {
        assert_eq!(
            instance.get(&format!("/admin/api/audit{wrong}"), &[("authorization", &format!("Bearer {OPERATOR}"))]).0,
            400
        );
    }
    assert_eq!(instance.get("/admin/api/audit", &[]).0, 401);
}

/// More than its queue and a batch hold.
const MANY: usize = 60_000;

#[test]
fn while_the_database_is_away_it_holds_nobody_up_and_counts_what_it_drops() {
    let (instance, driver) = (instance(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    let mut holder = connect(&instance.database);
    holder.batch_execute("BEGIN EXCLUSIVE").unwrap();
    let began = std::time::Instant::now();
    (0..MANY).for_each(|subject| instance.services().audit.record(record(subject)));
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    let dropped = instance.metric("expeditor_audit_dropped_total");
    assert!(dropped > 0);
    holder.batch_execute("ROLLBACK").unwrap();
    drop(holder);
    eventually("what was kept", || {
        let rows = instance.metric("expeditor_audit_rows_total");
        (rows + instance.metric("expeditor_audit_dropped_total") >= MANY as u64 && rows > 0).then_some(())
    });
    driver.ask_ok("backend", "broadcast", &json!({ "room": format!("kitchen:{BISTRO}"), "event": "e" }));
}

#[test]
fn it_is_in_the_log_whatever_else_is_too_much_and_survives_a_stop() {
    let house = House::new(&[("LOG_LEVEL", "error"), ("ADMIN_TOKEN", OPERATOR)]);
    let mut server = house.spawn(free_port(), &[]);
    let backend = Backend::new(&server.url());
    let refused = || backend.post("wrong", "{}").map(|(status, _)| status);
    assert_eq!(eventually("an answer", refused), 401);
    let line: Value = serde_json::from_str(&server.program.line("\"action\":\"request\"")).unwrap();
    assert_eq!(
        (&line["outcome"], &line["cause"], &line["level"]),
        (&json!("refused"), &json!("malformed"), &json!(30))
    );
    // Told in the last moment before a stop.
    assert_eq!(refused(), Some(401));
    server.program.signal("TERM");
    assert_eq!(server.program.exit_code(), Some(0));
    let query = diesel::sql_query("SELECT sum(times) AS times FROM audit_log WHERE action = 'request'");
    assert_eq!(query.get_result::<Sum>(&mut house.database()).unwrap().times, 2);
}

#[test]
fn it_is_kept_for_so_long_and_so_many_rows() {
    let house = House::new(&[("AUDIT_MAX_ROWS", "1000"), ("AUDIT_MAX_AGE_DAYS", "1"), ("ADMIN_TOKEN", OPERATOR)]);
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3500)";
    // The first 1,000 are of long ago, the others of now.
    let insert = format!(
        "INSERT INTO audit_log (at, times, action, outcome)
         {numbers} SELECT CASE WHEN i <= 1000 THEN 1 ELSE unixepoch() * 1000 END, 1, 'connect', 'refused' FROM n"
    );
    house.database().batch_execute(&insert).unwrap();
    let server = house.serve(free_port());
    let kept = || -> Kept {
        let query = diesel::sql_query("SELECT count(*) AS rows, min(id) AS first FROM audit_log");
        query.get_result(&mut house.database()).unwrap()
    };
    eventually("the newest 1,000", || {
        let Kept { rows, first } = kept();
        (rows == 1_000 && first == 2_501).then_some(())
    });
    server.kill();
}

#[test]
fn a_revocation_and_the_session_that_it_ended_are_there() {
    let keys = Keys::generate(1);
    let instance = Instance::with(&[("ADMIN_TOKEN", OPERATOR), ("BISCUIT_PUBLIC_KEY", &keys.public)]);
    let driver = Driver::node();
    let display = keys.mint(&["--device", "pass", "--staff", &format!("{BISTRO}=CHEF")]);
    driver.connect(&instance, "display", &display);
    revoke(&instance.database, &display, &["--reason", "lost"]);
    let ended = &eventually_records(&instance, "?action=session:end", 1)[0];
    assert_eq!(ended["cause"], "revoked");
    let actor = ended["actor"].as_str().unwrap();
    assert!(actor.starts_with("device pass (token "), "{actor}");
    let revoked = &eventually_records(&instance, "?action=token:revoke", 1)[0];
    assert_eq!(revoked["actor"], "command line");
    assert!(revoked["subject"].as_str().unwrap().len() >= 32);
    assert!(!whole(&instance).contains(&display));
}
