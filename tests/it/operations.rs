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
    let ours = words.filter(|word| ["expeditor_", "socket_", "process_"].iter().any(|prefix| word.starts_with(prefix)));
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

/// What says nothing of a process that maps its database's file.
const WITHOUT_PANEL: [&str; 2] = ["process_virtual_memory_bytes", "process_virtual_memory_max_bytes"];

#[test]
fn every_metric_is_explained_and_on_the_dashboard() {
    let text = Instance::start().get("/metrics", &[]).1;
    let there: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).map(str::to_owned).collect();
    assert!(there.len() > 40, "{there:?}");
    let operations = document("OPERATIONS.md");
    let rows = operations.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let mut explained: Vec<String> = rows.flat_map(|names| metrics_in(names).into_iter()).collect();
    explained.sort_unstable();
    let twice: Vec<_> = explained.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    assert!(twice.is_empty(), "{twice:?} are explained twice");
    let explained: BTreeSet<String> = explained.into_iter().collect();
    let dashboard = metrics_in(&document("grafana-dashboard.json"));
    let without_row: Vec<_> = there.difference(&explained).collect();
    assert!(without_row.is_empty(), "{without_row:?} are in no row of OPERATIONS.md");
    let without_panel = there.difference(&dashboard).filter(|name| !WITHOUT_PANEL.contains(&name.as_str()));
    let without_panel: Vec<_> = without_panel.collect();
    assert!(without_panel.is_empty(), "{without_panel:?} are on no panel of the dashboard");
    let gone: Vec<_> = explained.difference(&there).collect();
    assert!(gone.is_empty(), "{gone:?} are explained and not there");
}

#[test]
fn the_metrics_tell_joins_by_outcome_what_the_database_took_and_what_the_process_takes() {
    let (instance, driver) = (Instance::start(), Driver::node());
    driver.connect(&instance, "chef", &token(CHEF));
    let join = |event: &str, data: Value| driver.ask("chef", event, &data);
    let offset = join("kitchen:join", json!({ "venueId": BISTRO }))["offset"].clone();
    join("kitchen:join", json!({ "venueId": BISTRO, "since": offset }));
    join("venue:join", json!({ "venueId": BISTRO, "since": "of no log" }));
    join("venue:join", json!({ "venueId": "cvenueother0001" }));
    join("venue:join", json!({}));
    for (outcome, count) in [("entered", 1), ("replayed", 1), ("incomplete", 1), ("forbidden", 1), ("invalid", 1)] {
        let metric = format!(r#"expeditor_joins_total{{outcome="{outcome}"}}"#);
        assert_eq!(instance.metric(&metric), count, "{outcome}");
    }
    let asked =
        |query| instance.metric(&format!(r#"expeditor_store_seconds_count{{backend="sqlite",query="{query}"}}"#));
    assert!(asked("users") >= 4 && asked("orders") == 1, "{} {}", asked("users"), asked("orders"));
    assert_eq!(instance.metric(r#"expeditor_store_failures_total{backend="sqlite",cause="timeout"}"#), 0);
    assert!(instance.metric("process_resident_memory_bytes") > 1_000_000);
    assert!(instance.metric("process_open_fds") > 2 && instance.metric("process_threads") > 1);
    let text = instance.get("/metrics", &[]).1;
    for name in
        ["process_cpu_seconds_total ", "process_start_time_seconds ", r#"expeditor_worker_lag_seconds{worker="0"} "#]
    {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
    }
}

#[test]
fn how_late_a_worker_is_at_the_worst_shows() {
    let instance = Instance::with(&[("WORKERS", "1")]);
    let lag = || {
        let text = instance.get("/metrics", &[]).1;
        let line = text.lines().find_map(|line| line.strip_prefix(r#"expeditor_worker_lag_seconds{worker="0"} "#));
        line.and_then(|value| value.parse::<f64>().ok()).unwrap_or_default()
    };
    eventually("a worker that waits for nobody", || {
        let lag = lag();
        (lag > 0.0 && lag < 0.2).then_some(())
    });
}

#[test]
fn prometheus_takes_the_alerts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/prometheus-rules.yml");
    promtool(&["check", "rules", path.to_str().unwrap()], None);
    // Figures that are well raise none, and each that is not raises its own.
    let figures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prometheus-rules.yml");
    promtool(&["test", "rules", figures.to_str().unwrap()], None);
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
