//! What an operator sees while the database is away, and after.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, TimeDelta, Utc};
use expeditor::actors::messages::ProvokePanic;
use expeditor::domain::RoomName;
use serde_json::{Value, json};

use crate::admin::{ADMIN, ask, kitchen};
use crate::outage::lock;
use crate::support::biscuits::{Keys, revoke};
use crate::support::people::{BISTRO, BURGER, CHEF};
use crate::support::postgres::Postgres;
use crate::support::stock::Backend;
use crate::support::{Driver, Instance, eventually, token};

fn actor(instance: &Instance, kind: &str) -> Value {
    ask(instance, &format!("actors?kind={kind}"))["actors"][0].clone()
}

fn metric(instance: &Instance, line: &str) -> f64 {
    let text = instance.get("/metrics", &[]).1;
    let value = text.lines().find_map(|candidate| candidate.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn the_monitor_of_revocations_is_shown_and_goes_on_after_a_failure_and_a_panic() {
    let (keys, driver) = (Keys::generate(1), Driver::node());
    let instance = Instance::with(&[("ADMIN_TOKEN", ADMIN), ("BISCUIT_PUBLIC_KEY", &keys.public)]);
    let display = keys.mint(&["--device", "pass", "--staff", &format!("{BISTRO}=CHEF")]);
    driver.connect(&instance, "display", &display);
    let monitor = || actor(&instance, "revocations");
    let becomes = |what: &str, is: &dyn Fn(&Value) -> bool| {
        eventually(what, || Some(monitor()).filter(is));
    };
    becomes("the watched token", &|monitor| {
        let looked = monitor["sinceLookMs"].as_u64().is_some_and(|ms| ms < 2_000);
        let mailbox = &monitor["mailbox"];
        looked && monitor["state"] == "running" && mailbox["high"] == 1 && mailbox["depth"] == 0
    });
    let handled = monitor()["handled"].as_u64().unwrap();
    becomes("the looks count", &|monitor| monitor["handled"].as_u64() > Some(handled));
    assert!(monitor()["handlingUs"]["p50"].is_number());
    assert_eq!(ask(&instance, "actors")["house"]["away"], json!([]));
    instance.execute("ALTER TABLE revocations RENAME TO revocations_away");
    becomes("looks that fail", &|monitor| {
        monitor["state"] == "outage" && monitor["sinceLookMs"].as_u64().is_some_and(|ms| ms > 1_500)
    });
    assert_eq!(ask(&instance, "actors")["house"]["away"], json!(["revocations"]));
    instance.execute("ALTER TABLE revocations_away RENAME TO revocations");
    becomes("a look that does not", &|monitor| monitor["state"] == "running");
    let room = RoomName::parse(&kitchen()).unwrap();
    instance.services().revocations.do_send(ProvokePanic { room });
    becomes("the panic", &|monitor| {
        let failure = monitor["lastFailure"].as_str().unwrap_or_default();
        monitor["restarts"] == 1 && failure.contains("provoked by a test")
    });
    eventually("the metrics", || {
        let restarts = instance.metric(r#"expeditor_actor_restarts_total{actor="revocations"}"#);
        let looked = metric(&instance, r#"expeditor_last_look_timestamp_seconds{actor="revocations"}"#);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        (restarts == 1 && (0.0..15.0).contains(&(now - looked))).then_some(())
    });
    revoke(&instance.database, &display, &[]);
    assert_eq!(driver.wait("display", "$disconnect", 0), "io server disconnect", "it watches what it watched before");
}

#[test]
fn while_the_database_is_locked_it_shows_what_is_held_back_and_since_when() {
    let (instance, driver) = (Instance::with(&[("ADMIN_TOKEN", ADMIN)]), Driver::node());
    let backend = Backend::new(&instance.url());
    driver.connect(&instance, "chef", &token(CHEF));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    assert_eq!(backend.publish(&kitchen(), 0)["durable"], true);
    let house = || ask(&instance, "actors")["house"].clone();
    let sequencer = || actor(&instance, "sequencer");
    let nothing_waits = |what: &str| {
        eventually(what, || {
            let house = house();
            let shown = (&house["waitingForLog"], &house["heldBack"], &house["awaySince"], &house["durable"]);
            (shown == (&json!(0), &json!(0), &Value::Null, &json!(true))).then_some(())
        });
    };
    nothing_waits("an answer that waited for the disk is not counted any more");
    let began = Utc::now() - TimeDelta::milliseconds(1);
    let locked = lock(&instance);
    // One that waits, in the batch that the database does not take.
    assert_eq!(backend.publish(&kitchen(), 1)["durable"], false);
    let first = house();
    assert_eq!((&first["waitingForLog"], &first["heldBack"]), (&json!(1), &json!(1)), "nothing else has come");
    assert_eq!(sequencer()["state"], "outage");
    let since = first["awaySince"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    assert!(began <= since && since <= Utc::now(), "{since}");
    for n in 2..=30 {
        assert_eq!(backend.publish(&kitchen(), n)["durable"], false);
    }
    // A change waits for a moment, and is refused when it has waited for too long: nothing else is going on then.
    let refused = driver.ask("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    assert_eq!(refused["error"]["code"], "UNAVAILABLE");
    let later = house();
    assert_eq!(
        (&later["waitingForLog"], &later["heldBack"], sequencer()["lag"].as_u64()),
        (&json!(30), &json!(30), Some(30))
    );
    assert_eq!(later["awaySince"], first["awaySince"]);
    let (status, ready) = instance.get_json("/health/ready", &[]);
    assert_eq!((status, &ready["ready"], &ready["database"]), (503, &json!(false), &json!(false)));
    assert_eq!(instance.metric("expeditor_log_held"), 30);
    eventually("the metrics", || {
        let lasted = (Utc::now() - since).as_seconds_f64();
        let shown = metric(&instance, "expeditor_log_outage_seconds");
        (shown > 0.0 && shown <= lasted && instance.metric("expeditor_log_waiting") == 30).then_some(())
    });
    drop(locked);
    nothing_waits("all is stored");
    assert_eq!(sequencer()["state"], "running");
    assert_eq!(instance.get("/health/ready", &[]).0, 200);
    eventually("the metrics are as before", || {
        let gauges = ["expeditor_log_held", "expeditor_log_outage_seconds", "expeditor_log_waiting"];
        gauges.iter().all(|gauge| metric(&instance, gauge) == 0.0).then_some(())
    });
}

#[test]
fn with_postgresql_killed_it_shows_what_is_held_back_and_who_reads_in_vain() {
    let (mut server, keys, driver) = (Postgres::start(), Keys::generate(1), Driver::node());
    let variables = [("ADMIN_TOKEN", ADMIN), ("BISCUIT_PUBLIC_KEY", keys.public.as_str()), ("DATABASE_TIMEOUT", "500")];
    let instance = Instance::on(&server.application("restaurant"), &variables);
    let backend = Backend::new(&instance.url());
    driver.connect(&instance, "chef", &token(CHEF));
    driver.connect(&instance, "display", &keys.mint(&["--device", "pass", "--staff", &format!("{BISTRO}=CHEF")]));
    assert_eq!(backend.publish(&kitchen(), 0)["durable"], true);
    let house = || ask(&instance, "actors")["house"].clone();
    server.kill();
    for n in 1..=20 {
        assert_eq!(backend.publish(&kitchen(), n)["durable"], false);
    }
    assert_eq!(house()["heldBack"], 20);
    assert!(house()["awaySince"].is_string() && house()["durable"] == false);
    eventually("nothing is read", || (house()["away"] == json!(["rights", "revocations"])).then_some(()));
    // A biscuit cannot be looked at now, which is nobody's fault.
    let operator = keys.mint(&["--role", "ADMIN"]);
    let by = |token: &str| instance.get("/admin/api/actors", &[("authorization", &format!("Bearer {token}"))]).0;
    assert_eq!((by(&operator), by(ADMIN), by("wrong")), (503, 200, 401));
    assert_eq!(instance.metric(r#"expeditor_admin_refusals_total{cause="wrong"}"#), 1);
    server.restart();
    eventually("all is as before", || {
        let house = house();
        let held = (&house["heldBack"], &house["waitingForLog"], &house["awaySince"], &house["away"]);
        (held == (&json!(0), &json!(0), &Value::Null, &json!([]))).then_some(())
    });
    assert_eq!(by(&operator), 200);
}

#[test]
fn an_index_that_does_not_follow_shows() {
    let instance = Instance::start();
    instance.execute("CREATE TRIGGER stop BEFORE INSERT ON log_index BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_eq!(Backend::new(&instance.url()).publish(&kitchen(), 0)["durable"], true);
    let lag = || instance.services().store.index_lag().as_secs_f64();
    eventually("the index stays behind", || (lag() > 3.0).then_some(()));
    eventually("the metric", || (metric(&instance, "expeditor_index_lag_seconds") > 3.0).then_some(()));
    instance.execute("DROP TRIGGER stop");
    eventually("it follows", || (lag() < 1.0).then_some(()));
    eventually("the metric tells it", || (metric(&instance, "expeditor_index_lag_seconds") < 3.0).then_some(()));
}
