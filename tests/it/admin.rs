//! Seeing inside: who may, what is shown, and what an operator can do.

use serde_json::{Value, json};

use crate::support::biscuits::{Keys, revoke};
use crate::support::people::{BISTRO, CHEF, LINE_COOK, OWNER, USER_SECRET, seconds, sign};
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

pub const ADMIN: &str = "the-tests-token-of-an-operator";

pub fn start() -> Instance {
    Instance::with(&[("ADMIN_TOKEN", ADMIN), ("SLOW_CLIENT_TIMEOUT", "60000")])
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What the API answers to an operator.
pub fn ask(instance: &Instance, path: &str) -> Value {
    let (status, body) = instance.get_json(&format!("/admin/api/{path}"), &[("authorization", &bearer(ADMIN))]);
    assert_eq!(status, 200, "{path}: {body}");
    body
}

fn act(instance: &Instance, path: &str) -> u16 {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let request = agent.post(format!("{}/admin/api/{path}", instance.url()));
    request.header("authorization", bearer(ADMIN)).send_empty().unwrap().status().as_u16()
}

pub fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

pub fn socket_id(driver: &Driver, client: &str) -> String {
    driver.call("state", json!({ "client": client }))["socketId"].as_str().unwrap().to_owned()
}

fn publish(driver: &Driver, event: &str) -> Value {
    driver.ask_ok(
        "backend",
        "broadcast",
        &json!({ "room": kitchen(), "event": event, "payload": { "secret": "soup" } }),
    )
}

#[test]
fn a_biscuit_opens_it_as_the_policy_says_until_it_is_revoked() {
    let keys = Keys::generate(1);
    let instance = Instance::with(&[("BISCUIT_PUBLIC_KEY", &keys.public)]);
    let operator = keys.mint(&["--role", "ADMIN"]);
    let look = |token: &str| instance.get("/admin/api/actors", &[("authorization", &bearer(token))]).0;
    assert_eq!(look(&operator), 200);
    for other in [keys.mint(&["--role", "SYSTEM"]), keys.mint(&["--device", "d"])] {
        assert_eq!(look(&other), 401);
    }
    assert!(revoke(&instance.database, &operator, &["--reason", "lost"]).starts_with("revoked "));
    assert_eq!(look(&operator), 401);
}

#[test]
fn only_an_operator_sees_inside() {
    let instance = start();
    let expired = sign(&json!({ "sub": OWNER, "exp": seconds(-60) }), USER_SECRET);
    // "operator:" and the token, and the same with a wrong one.
    let basic = "Basic b3BlcmF0b3I6dGhlLXRlc3RzLXRva2VuLW9mLWFuLW9wZXJhdG9y";
    let wrong_basic = "Basic b3BlcmF0b3I6d3Jvbmc=";
    for path in ["/admin", "/admin/api/actors", "/admin/api/events?id=x", "/admin/assets/admin.js", "/admin/nowhere"] {
        let (status, body) = instance.get(path, &[]);
        assert_eq!((status, body.as_str()), (401, r#"{"error":"Unauthorized"}"#), "{path}");
    }
    for wrong in
        [&bearer("wrong"), &bearer(&expired), &bearer(&token(OWNER)), &bearer(SERVER_SECRET), wrong_basic, "Basic !"]
    {
        assert_eq!(instance.get("/admin/api/actors", &[("authorization", wrong)]).0, 401, "{wrong}");
    }
    assert_eq!(instance.get("/admin/api/actors", &[("authorization", basic)]).0, 200);
    assert_eq!(instance.get("/admin/nowhere", &[("authorization", basic)]).0, 404);
    let stranger = [("authorization", basic), ("origin", "http://localhost:3000")];
    assert_eq!(
        instance.get("/admin/api/actors", &stranger).0,
        403,
        "another page's request has the browser's password"
    );
    assert!(instance.metric(r#"expeditor_admin_refusals_total{cause="wrong"}"#) >= 6);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let answer = agent.get(format!("{}/admin", instance.url())).call().unwrap();
    assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
}

#[test]
fn without_a_token_nobody_does_and_guessing_is_slow() {
    let instance = Instance::start();
    for _ in 0..20 {
        assert_eq!(instance.get("/admin", &[("authorization", "Bearer x")]).0, 401);
    }
    assert_eq!(instance.get("/admin", &[("authorization", "Bearer x")]).0, 429);
}

#[test]
fn the_tree_is_whole_and_comes_in_pages() {
    let (instance, driver) = (start(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    let many = json!({
        "prefix": "chef", "count": 50, "url": instance.url(), "auth": { "token": token(CHEF) },
        "transports": ["websocket"], "joinEvent": "kitchen:join", "joinPayload": { "venueId": BISTRO },
    });
    assert_eq!(driver.call("connectMany", many)["joined"], 50);
    publish(&driver, "e");
    let whole = ask(&instance, "actors?limit=1000");
    let names = |answer: &Value| {
        let actors = answer["actors"].as_array().unwrap().clone();
        actors.iter().map(|actor| format!("{} {}", actor["kind"], actor["name"])).collect::<Vec<_>>()
    };
    let all = names(&whole);
    // registry, sequencer, two monitors, one audience, two rooms, 51 sessions
    assert_eq!((all.len(), whole["total"].as_u64()), (4 + 1 + 2 + 51, Some(58)), "{all:?}");
    for actor in whole["actors"].as_array().unwrap() {
        for member in
            ["kind", "name", "state", "uptimeMs", "mailbox", "handled", "handlingUs", "restarts", "lastFailure"]
        {
            assert!(actor.get(member).is_some(), "{member}: {actor}");
        }
        assert!(actor["mailbox"]["depth"].is_u64() && actor["mailbox"]["high"].is_u64(), "{actor}");
    }
    let registry = &whole["actors"][0];
    assert!(registry["kind"] == "registry" && registry["handled"].as_u64() > Some(100), "{registry}");
    assert!(registry["handlingUs"]["p99"].as_f64() >= registry["handlingUs"]["p50"].as_f64(), "{registry}");
    for sort in ["name", "depth", "high", "rate", "time", "lag", "restarts"] {
        let (mut paged, mut after) = (Vec::new(), String::new());
        loop {
            let page = ask(&instance, &format!("actors?limit=10&sort={sort}{after}"));
            paged.extend(names(&page));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={}", next.replace(' ', "%20"));
        }
        // What is sorted by something that moves may move while it is read.
        if ["name", "lag", "restarts"].contains(&sort) {
            paged.sort_unstable();
            let mut expected = all.clone();
            expected.sort_unstable();
            assert_eq!(paged, expected, "{sort}");
        }
    }
    assert_eq!(ask(&instance, "actors?kind=room")["total"], 2);
    assert_eq!(ask(&instance, &format!("actors?q={CHEF}&limit=1"))["total"], 51, "the sessions and the user's room");
    let bad = instance.get("/admin/api/actors?sort=luck", &[("authorization", &bearer(ADMIN))]);
    assert_eq!(bad.0, 400);
    eventually("the first point", || {
        ask(&instance, "series")["points"].get(0).cloned().filter(|p| p["connections"] == 51)
    });
}

#[test]
fn a_room_and_a_session_are_shown_whole_and_no_secret_with_them() {
    let (instance, driver) = (start(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    let chefs_token = token(CHEF);
    driver.connect(&instance, "chef", &chefs_token);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let offset = publish(&driver, "kitchen:new-order")["offset"].clone();
    driver.wait("chef", "kitchen:new-order", 0);
    driver.ask("chef", "tab:join", &json!({ "tabId": "cunknown00000000000000009" }));
    let id = socket_id(&driver, "chef");
    let room = ask(&instance, &format!("rooms/{}", kitchen()));
    assert_eq!((&room["memberCount"], &room["offset"]), (&json!(1), &offset), "{room}");
    let member = &room["members"][0];
    assert_eq!((&member["id"], &member["who"], &member["flow"]), (&json!(id), &json!(CHEF), &json!("live")));
    assert_eq!((&member["offset"], &member["lag"]), (&offset, &json!(0)));
    assert_eq!(room["newest"][0]["event"], "kitchen:new-order");
    let session = ask(&instance, &format!("sessions/{id}"));
    assert_eq!(session["identity"]["staff"][0]["role"], "CHEF");
    assert_eq!((&session["transport"], &session["address"]), (&json!("websocket"), &json!("127.0.0.1")));
    assert!(session["tokenExpiresAt"].is_string() && session["bytes"]["sent"].as_u64() > Some(100), "{session}");
    assert_eq!(session["lastError"]["code"], "FORBIDDEN");
    let rooms: Vec<&str> =
        session["rooms"].as_array().unwrap().iter().filter_map(|room| room["name"].as_str()).collect();
    assert_eq!(rooms, [kitchen(), format!("user:{CHEF}")]);
    let event = ask(&instance, &format!("events?room={}&offset={}", kitchen(), offset.as_str().unwrap()));
    let everything = [&room, &session, &event, &ask(&instance, "actors")].map(Value::to_string).concat();
    for secret in [&chefs_token, SERVER_SECRET, USER_SECRET, ADMIN, "soup", "pid"] {
        assert!(!everything.contains(secret), "{secret}");
    }
    assert_eq!(instance.get("/admin/api/rooms/tab:cnobody0000000", &[("authorization", &bearer(ADMIN))]).0, 404);
    assert_eq!(instance.get("/admin/api/sessions/nobody", &[("authorization", &bearer(ADMIN))]).0, 404);
}

#[test]
fn an_operator_disconnects_a_session_and_starts_a_room_again() {
    let (instance, driver) = (start(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    for (name, user) in [("chef", CHEF), ("cook", LINE_COOK)] {
        driver.connect(&instance, name, &token(user));
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    let payload = json!({ "room": kitchen(), "event": "n", "payload": { "n": 0 } });
    let publishing = driver.begin(
        "emitMany",
        json!({ "client": "backend", "event": "broadcast", "args": [payload], "counterPath": "payload.n", "count": 300 }),
    );
    for restarts in 1..=3 {
        assert_eq!(act(&instance, &format!("rooms/{}/restart", kitchen())), 202);
        let room = ask(&instance, &format!("rooms/{}", kitchen()));
        assert_eq!(room["actor"]["restarts"], restarts);
    }
    assert_eq!(publishing.done()["acked"], 300, "nothing is lost");
    driver.call("waitAll", json!({ "prefix": "c", "event": "n", "count": 300 }));
    assert_eq!(act(&instance, &format!("sessions/{}/disconnect", socket_id(&driver, "chef"))), 202);
    driver.call("wait", json!({ "client": "chef", "event": "$disconnect" }));
    let reason = driver.events("chef").into_iter().find(|(name, _)| name == "$disconnect").unwrap().1[0].clone();
    assert_eq!(reason, "io server disconnect", "its client stays away");
    eventually("it is gone", || (ask(&instance, "actors?kind=session")["total"] == 2).then_some(()));
    assert_eq!(act(&instance, "rooms/kitchen:cnobody00000/restart"), 404);
    assert_eq!(act(&instance, "sessions/nobody/disconnect"), 404);
}

#[test]
fn an_operator_drains_the_instance() {
    let (instance, driver) = (start(), Driver::node());
    driver.connect(&instance, "chef", &token(CHEF));
    assert_eq!(act(&instance, "drain"), 202);
    driver.call("wait", json!({ "client": "chef", "event": "$disconnect" }));
    instance.ended();
}

fn fates(way: &Value, id: &str) -> Vec<Value> {
    way["sessions"].as_array().unwrap().iter().filter(|session| session["id"] == id).cloned().collect()
}

#[test]
fn an_events_way_is_told_for_each_that_was_there_away_slow_or_gone() {
    let (instance, driver) = (start(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    for (name, user) in [("there", CHEF), ("left", LINE_COOK)] {
        driver.connect(&instance, name, &token(user));
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    let away = json!({
        "client": "away", "url": instance.url(), "auth": { "token": token(OWNER) }, "transports": ["websocket"],
        "options": { "reconnection": true, "reconnectionDelay": 1500, "randomizationFactor": 0 },
    });
    assert_eq!(driver.call("connect", away)["outcome"], "connected");
    driver.ask_ok("away", "kitchen:join", &json!({ "venueId": BISTRO }));
    let slow = join_and_hang(&driver, &instance);
    let [there, left, was] = ["there", "left", "away"].map(|client| socket_id(&driver, client));
    driver.ask_ok("left", "kitchen:leave", &json!({ "venueId": BISTRO }));
    driver.call("dropTransport", json!({ "client": "away" }));
    eventually("it is away", || {
        let gone = instance.get(&format!("/admin/api/sessions/{was}"), &[("authorization", &bearer(ADMIN))]).0 == 404;
        gone.then_some(())
    });
    let answer = publish(&driver, "kitchen:new-order");
    driver.call("wait", json!({ "client": "away", "event": "kitchen:new-order", "timeoutMs": 10_000 }));
    let is = socket_id(&driver, "away");
    let way = ask(&instance, &format!("events?id={}", answer["id"].as_str().unwrap()));
    assert_eq!((&way["event"], &way["offset"]), (&json!("kitchen:new-order"), &answer["offset"]), "{way}");
    assert_eq!((&way["publisher"]["who"], &way["publisher"]["kind"]), (&json!("SYSTEM"), &json!("session")));
    assert!(way["receivedAt"].as_str() <= way["stored"]["at"].as_str(), "{way}");
    assert!(way["handed"][0]["at"].as_str() >= way["stored"]["at"].as_str(), "{way}");
    assert_eq!(way["complete"], true);
    assert_eq!(way["counts"], json!({ "handed": 1, "held": 0, "behind": 1, "away": 1, "left": 1 }), "{way}");
    assert_eq!(fates(&way, &there)[0]["fate"], "handed");
    assert!(fates(&way, &left)[0]["fate"] == "left" && fates(&way, &left)[0]["since"].is_string());
    assert_eq!((&fates(&way, &was)[0]["fate"], &fates(&way, &was)[0]["cameBack"]["id"]), (&json!("away"), &json!(is)));
    let slow = &fates(&way, &slow)[0];
    assert!(slow["fate"] == "behind" && slow["caughtUpAt"].is_null(), "{slow}");
    let same = ask(&instance, &format!("events?room={}&offset={}", kitchen(), answer["offset"].as_str().unwrap()));
    assert_eq!((&same["id"], &same["counts"]), (&way["id"], &way["counts"]));
    let newest = ask(&instance, &format!("events?room={}", kitchen()));
    assert_eq!(newest["events"][0]["id"], answer["id"]);
    let behind = ask(&instance, "actors?sort=lag&limit=1");
    assert!(behind["actors"][0]["state"] == "behind" && behind["actors"][0]["lag"].as_u64() > Some(0), "{behind}");
    assert_eq!(behind["house"]["behind"], 1);
    let unknown = instance.get("/admin/api/events?id=unknown", &[("authorization", &bearer(ADMIN))]);
    assert_eq!(unknown.0, 404);
}

/// Joins the kitchen on a bare websocket, reads no more, and is sent more than its connection holds.
pub fn join_and_hang(driver: &Driver, instance: &Instance) -> String {
    driver.call("rawWebsocket", json!({ "client": "slow", "url": instance.websocket_url() }));
    let send = |text: String| driver.call("rawSend", json!({ "client": "slow", "text": text }));
    send(format!("40{}", json!({ "token": token(CHEF) })));
    let frames = |count: usize| driver.call("wait", json!({ "client": "slow", "event": "$frame", "count": count }));
    let connect = frames(2)["events"][1]["args"][0].as_str().unwrap().to_owned();
    let connect: Value = serde_json::from_str(connect.strip_prefix("40").unwrap()).unwrap();
    send(format!("421{}", json!(["kitchen:join", { "venueId": BISTRO }])));
    frames(4);
    driver.call("rawPause", json!({ "client": "slow" }));
    let id = connect["sid"].as_str().unwrap().to_owned();
    let much = json!({ "room": kitchen(), "event": "much", "payload": "x".repeat(500_000) });
    eventually("it is behind", || {
        driver.ask_ok("backend", "broadcast", &much);
        (ask(instance, "actors?kind=session&sort=lag&limit=1")["house"]["behind"] == 1).then_some(())
    });
    id
}
