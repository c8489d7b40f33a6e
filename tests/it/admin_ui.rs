//! The official Socket.IO Admin UI in the namespace `/admin`.

use std::path::Path;

use serde_json::{Value, json};

use crate::admin::{ADMIN, kitchen, socket_id, start};
use crate::support::biscuits::{Keys, attenuate, revoke};
use crate::support::people::{BISTRO, CHEF, GUEST, LINE_COOK};
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

/// The events of an operator's client that have this name, whole.
fn told(driver: &Driver, event: &str) -> Vec<Vec<Value>> {
    let events = driver.events("operator").into_iter().filter(|(name, _)| name == event);
    events.map(|(_, arguments)| arguments).collect()
}

fn connect(driver: &Driver, instance: &Instance, auth: &Value) -> Value {
    connect_as("operator", driver, instance, auth)
}

fn connect_as(client: &str, driver: &Driver, instance: &Instance, auth: &Value) -> Value {
    let request = json!({ "client": client, "url": instance.url(), "namespace": "/admin", "auth": auth, "transports": ["websocket"] });
    driver.call("connect", request)
}

fn command(driver: &Driver, arguments: &[Value]) {
    let (event, arguments) = (&arguments[0], &arguments[1..]);
    driver.call("emit", json!({ "client": "operator", "event": event, "args": arguments }));
}

#[test]
fn only_the_token_lets_it_in() {
    let (instance, driver) = (start(), Driver::node());
    for wrong in
        [json!({}), json!({ "username": "x", "password": "wrong" }), json!({ "sessionId": "guessed" }), json!(7)]
    {
        let answer = connect(&driver, &instance, &wrong);
        assert_eq!(
            (&answer["outcome"], &answer["message"]),
            (&json!("refused"), &json!("invalid credentials")),
            "{wrong}"
        );
    }
    let answer = connect(&driver, &instance, &json!({ "username": "anyone", "password": ADMIN }));
    assert_eq!(answer["outcome"], "connected");
    driver.wait("operator", "config", 0);
    let pass = told(&driver, "session")[0][0].clone();
    assert_eq!(connect(&driver, &instance, &json!({ "sessionId": pass }))["outcome"], "connected", "after a reload");
}

#[test]
fn a_biscuit_lets_it_in_as_the_policy_says_and_its_end_ends_it() {
    let (keys, driver) = (Keys::generate(1), Driver::node());
    let instance = Instance::with(&[("BISCUIT_PUBLIC_KEY", &keys.public), ("ADMIN_TOKEN", ADMIN)]);
    let by = |client: &str, token: &str| connect_as(client, &driver, &instance, &json!({ "password": token }));
    let operator = keys.mint(&["--role", "ADMIN"]);
    let backend = keys.mint(&["--role", "SYSTEM"]);
    let no_longer_operator = attenuate(&operator, &["--check", r#"check if operation("tab:join")"#]);
    for other in [&backend, &no_longer_operator, &Keys::generate(2).mint(&["--role", "ADMIN"])] {
        assert_eq!(by("other", other)["message"], "invalid credentials");
    }
    assert_eq!(instance.metric(r#"expeditor_admin_refusals_total{cause="wrong"}"#), 3);
    let (short, lasting) =
        (attenuate(&operator, &["--expires-in", "6s"]), attenuate(&operator, &["--expires-in", "1h"]));
    for (client, token) in [("short", &*short), ("revoked", &*operator), ("attenuated", &*lasting), ("token", ADMIN)] {
        assert_eq!(by(client, token)["outcome"], "connected", "{client}");
    }
    let pass = driver.wait("revoked", "session", 0);
    let by_pass = |client: &str| connect_as(client, &driver, &instance, &json!({ "sessionId": pass }));
    assert_eq!(by_pass("reloaded")["outcome"], "connected");
    driver.call("emit", json!({ "client": "revoked", "event": "emit", "args": ["/", kitchen(), "closing", 5] }));
    let records = |query: &str| {
        let path = format!("/admin/api/audit{query}");
        let (status, answer) = instance.get_json(&path, &[("authorization", &format!("Bearer {ADMIN}"))]);
        assert_eq!(status, 200, "{answer}");
        answer["records"].as_array().unwrap().clone()
    };
    let by_name = |record: &Value| record["actor"].as_str().is_some_and(|name| name.starts_with("ADMIN (token "));
    eventually("the emit is on record", || records("?action=admin:emit").first().filter(|it| by_name(it)).map(drop));
    let end = driver.call("wait", json!({ "client": "short", "event": "$disconnect", "timeoutMs": 15_000 }));
    assert_eq!(end["events"][0]["args"][0], "io server disconnect");
    revoke(&instance.database, &operator, &["--reason", "lost"]);
    for client in ["revoked", "reloaded", "attenuated"] {
        assert_eq!(driver.wait(client, "$disconnect", 0), "io server disconnect", "{client}");
    }
    for answer in [by("again", &operator), by("again", &lasting), by_pass("again")] {
        assert_eq!(answer["message"], "invalid credentials");
    }
    let ended = eventually("the ends are on record", || {
        let records = records("?action=session:end");
        (records.len() == 4).then_some(records)
    });
    assert!(ended.iter().all(by_name), "{ended:?}");
    let causes: Vec<_> = ended.iter().map(|record| record["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["revoked", "revoked", "revoked", "expired"]);
    driver.call("emit", json!({ "client": "token", "event": "emit", "args": ["/", kitchen(), "closing", 5] }));
    eventually("who has the token goes on", || {
        records("?action=admin:emit").iter().any(|record| record["actor"] == "ADMIN").then_some(())
    });
}

#[test]
fn who_guesses_has_to_wait_even_with_a_biscuit() {
    let (keys, driver) = (Keys::generate(1), Driver::node());
    let instance = Instance::with(&[("BISCUIT_PUBLIC_KEY", &keys.public), ("ADMIN_MAX_FAILURES", "2")]);
    let operator = keys.mint(&["--role", "ADMIN"]);
    for token in ["wrong", &keys.mint(&["--role", "SYSTEM"]), &operator] {
        let answer = connect(&driver, &instance, &json!({ "password": token }));
        assert_eq!(answer["message"], "invalid credentials");
    }
    for (cause, count) in [("wrong", 2), ("too_many", 1)] {
        assert_eq!(instance.metric(&format!(r#"expeditor_admin_refusals_total{{cause="{cause}"}}"#)), count, "{cause}");
    }
    assert_eq!(instance.metric(r#"expeditor_limited_total{limit="admin_attempts"}"#), 1);
    let asked = || instance.metric(r#"expeditor_store_seconds_count{backend="sqlite",query="users"}"#);
    let (before, of_a_user) = (asked(), keys.mint(&["--role", "ADMIN", "--user", CHEF]));
    assert_eq!(connect(&driver, &instance, &json!({ "password": of_a_user }))["message"], "invalid credentials");
    let bearer = format!("Bearer {of_a_user}");
    assert_eq!(instance.get("/admin/api/actors", &[("authorization", &bearer)]).0, 429);
    assert_eq!(asked(), before, "what is not looked at costs the database nothing");
    eventually("it has waited", || {
        let answer = connect(&driver, &instance, &json!({ "password": operator }));
        (answer["outcome"] == "connected").then_some(())
    });
}

#[test]
fn it_is_told_of_everything_but_payloads_and_its_commands_obey_the_policy() {
    let (instance, driver) = (start(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    driver.connect(&instance, "chef", &token(CHEF));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    connect(&driver, &instance, &json!({ "username": "anyone", "password": ADMIN }));
    let all = driver.wait("operator", "all_sockets", 0);
    assert_eq!(all.as_array().unwrap().len(), 2);
    let chef = socket_id(&driver, "chef");
    let shown = all.as_array().unwrap().iter().find(|socket| socket["id"] == chef).unwrap();
    let rooms = shown["rooms"].as_array().unwrap();
    assert!(rooms.contains(&json!(kitchen())) && rooms.contains(&json!(chef)), "{shown}");
    assert_eq!((&shown["nsp"], &shown["transport"]), (&json!("/"), &json!("websocket")));
    driver.wait("operator", "server_stats", 0);
    let stats = &told(&driver, "server_stats")[0][0];
    assert_eq!(stats["namespaces"][0], json!({ "name": "/", "socketsCount": 2 }), "{stats}");
    driver.connect(&instance, "guest", &token(GUEST));
    let guest = socket_id(&driver, "guest");
    let is_guest = |arguments: &Vec<Value>| arguments[0]["id"] == guest;
    eventually("the guest is shown", || told(&driver, "socket_connected").iter().any(is_guest).then_some(()));
    // A guest may not be in a kitchen, whoever wants it.
    command(&driver, &[json!("join"), json!("/"), json!(kitchen()), json!(guest)]);
    driver.call("wait", json!({ "client": "guest", "event": "error", "match": { "code": "FORBIDDEN" } }));
    driver.connect(&instance, "cook", &token(LINE_COOK));
    let cook = socket_id(&driver, "cook");
    let is_cook = |arguments: &Vec<Value>| arguments[0]["id"] == cook;
    eventually("the cook is shown", || told(&driver, "socket_connected").iter().any(is_cook).then_some(()));
    command(&driver, &[json!("join"), json!("/"), json!(kitchen()), json!(cook)]);
    driver.call("wait", json!({ "client": "cook", "event": "kitchen:joined" }));
    let joined = [json!("/"), json!(kitchen()), json!(cook)];
    eventually("the join is shown", || {
        told(&driver, "room_joined").iter().any(|told| told[..3] == joined).then_some(())
    });
    let secret = json!({ "room": kitchen(), "event": "kitchen:new-order", "payload": { "dish": "a secret soup" } });
    driver.ask_ok("backend", "broadcast", &secret);
    let sent = [json!("/"), json!(cook), json!(["kitchen:new-order"])];
    eventually("the event is shown", || told(&driver, "event_sent").iter().any(|told| told[..3] == sent).then_some(()));
    command(&driver, &[json!("emit"), json!("/"), json!(kitchen()), json!("closing"), json!({ "in": 5 })]);
    assert_eq!(driver.wait("cook", "closing", 0), json!({ "in": 5 }));
    command(&driver, &[json!("emit"), json!("/"), json!(guest), json!("note"), json!("for the guest")]);
    assert_eq!(driver.wait("guest", "note", 0), json!("for the guest"));
    command(&driver, &[json!("leave"), json!("/"), json!(kitchen()), json!(cook)]);
    eventually("the leaving is shown", || {
        told(&driver, "room_left").iter().any(|told| told[..3] == joined).then_some(())
    });
    command(&driver, &[json!("_disconnect"), json!("/"), json!(false), json!(guest)]);
    driver.call("wait", json!({ "client": "guest", "event": "$disconnect" }));
    let gone = |told: &Vec<Value>| told[1] == guest;
    eventually("the end is shown", || told(&driver, "socket_disconnected").iter().any(gone).then_some(()));
    let everything = format!("{:?}", driver.events("operator"));
    for secret in ["a secret soup", SERVER_SECRET, &token(CHEF), "pid\":\""] {
        assert!(!everything.contains(secret), "{secret}");
    }
}

#[test]
fn the_page_from_its_package_connects_and_acts() {
    const PAGE: &str = "http://admin-ui.test";
    let instance = Instance::with(&[("ADMIN_TOKEN", ADMIN), ("CORS_ORIGINS", PAGE)]);
    let (driver, browser) = (Driver::node(), Driver::browser());
    driver.connect(&instance, "chef", &token(CHEF));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/node_modules/@socket.io/admin-ui/ui/dist");
    browser.call("open", json!({ "page": "ui", "url": PAGE, "folder": folder }));
    let do_in = |op: &str, mut request: Value| {
        request["page"] = "ui".into();
        browser.call(op, request)
    };
    let field = |label: &str| format!(".v-dialog .v-text-field:has(label:text-is(\"{label}\")) input");
    do_in("waitFor", json!({ "selector": field("Server URL") }));
    for (label, text) in [("Server URL", instance.url()), ("Username", "anyone".into()), ("Password", ADMIN.into())] {
        do_in("fill", json!({ "selector": field(label), "text": text }));
    }
    do_in("click", json!({ "selector": ".v-dialog button:has-text('Connect')" }));
    do_in("waitFor", json!({ "selector": ".v-dialog--active", "state": "detached" }));
    let chef = socket_id(&driver, "chef");
    do_in("evaluate", json!({ "script": "location.hash = '#/sockets/'" }));
    do_in("waitFor", json!({ "selector": format!("text={chef}") }));
    do_in("click", json!({ "selector": format!("tr:has-text('{chef}') button >> nth=-1") }));
    driver.call("wait", json!({ "client": "chef", "event": "$disconnect" }));
    do_in("waitFor", json!({ "selector": "text=Disconnected >> nth=0" }));
}
