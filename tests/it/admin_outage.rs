//! What an operator sees while the database is away, and after.

use std::time::{SystemTime, UNIX_EPOCH};

use expeditor::actors::messages::ProvokePanic;
use expeditor::domain::RoomName;
use serde_json::{Value, json};

use crate::admin::{ADMIN, ask, kitchen};
use crate::support::biscuits::{Keys, revoke};
use crate::support::people::BISTRO;
use crate::support::{Driver, Instance, eventually};

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
        let restarts = metric(&instance, r#"expeditor_actor_restarts_total{actor="revocations"}"#);
        let looked = metric(&instance, r#"expeditor_last_look_timestamp_seconds{actor="revocations"}"#);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        (restarts == 1.0 && (0.0..15.0).contains(&(now - looked))).then_some(())
    });
    revoke(&instance.database, &display, &[]);
    assert_eq!(driver.wait("display", "$disconnect", 0), "io server disconnect", "it watches what it watched before");
}
