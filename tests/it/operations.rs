//! What operators are given: the dashboard and the alerts speak of metrics that there are, and
//! Prometheus's own tool takes the rules and the metrics.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::people::{BISTRO, CHEF};
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The metrics that an expression speaks of.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("expeditor_") || word.starts_with("socket_"));
    ours.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

/// The text of an instance that has done something of everything.
fn metrics_text() -> String {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "backend", SERVER_SECRET);
    driver.connect(&instance, "chef", &token(CHEF));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    for _ in 0..32 {
        driver.ask_ok(
            "backend",
            "broadcast",
            &json!({ "room": format!("kitchen:{BISTRO}"), "event": "e", "payload": 1 }),
        );
    }
    eventually("the gauges", || {
        (instance.metric(r#"expeditor_connections{transport="websocket"}"#) == 2).then_some(())
    });
    instance.get("/metrics", &[]).1
}

fn promtool(arguments: &[&str], input: Option<&str>) {
    let mut command = Command::new("promtool");
    let mut process = command.args(arguments).stdin(Stdio::piped()).spawn().expect("`make test` installs promtool");
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(input.unwrap_or_default().as_bytes()).unwrap();
    drop(stdin);
    assert!(process.wait().unwrap().success(), "promtool {arguments:?}");
}

#[test]
fn the_dashboard_and_the_alerts_speak_of_metrics_that_there_are() {
    let text = metrics_text();
    let there: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    let rules = document("prometheus-rules.yml");
    let expressions = rules.lines().filter(|line| line.trim_start().starts_with("expr:"));
    let mut wanted: BTreeSet<String> = expressions.flat_map(metrics_in).collect();
    let dashboard: Value = serde_json::from_str(&document("grafana-dashboard.json")).unwrap();
    for target in dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap())
    {
        wanted.extend(metrics_in(target["expr"].as_str().unwrap()));
    }
    assert!(wanted.len() > 15, "{wanted:?}");
    let missing: Vec<_> = wanted.iter().filter(|name| !there.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let without_help = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let without_help: Vec<_> = without_help.filter(|name| !there.contains(name)).collect();
    assert!(without_help.is_empty(), "{without_help:?}");
    promtool(&["check", "metrics"], Some(&text));
}

#[test]
fn prometheus_takes_the_alerts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/prometheus-rules.yml");
    promtool(&["check", "rules", path.to_str().unwrap()], None);
}

#[test]
fn the_events_are_described_in_asyncapi() {
    let (status, document) = Instance::start().get("/asyncapi.json", &[]);
    assert_eq!(status, 200);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/asyncapi.mjs");
    let mut process = Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    let names = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<&str> = names.lines().collect();
    for event in expeditor::domain::Command::EVENTS {
        assert!(names.contains(event), "{event}");
    }
    assert!(names.contains("kitchen:orders") && names.contains("error"), "{names:?}");
}
