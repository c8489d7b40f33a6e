//! The program from outside: faults of its configuration, its commands, its end.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::people::{BISTRO, CHEF};
use crate::support::program::{Program, run};
use crate::support::{Driver, SERVER_SECRET, USER_SECRET, token};

fn fails_with(arguments: &[&str], variables: &[(&str, &str)], line: &str) {
    let folder = tempdir().unwrap();
    let output = run(folder.path(), arguments, variables);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{variables:?}");
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    assert!(text.starts_with(&format!("expeditor: {line}")), "{text}");
}

#[test]
fn faults_stop_the_start_with_one_line() {
    let secrets = [("NEXTAUTH_SECRET", USER_SECRET), ("SOCKET_SERVER_SECRET", SERVER_SECRET)];
    fails_with(&[], &[("NODE_ENV", "production")], "NEXTAUTH_SECRET: missing");
    fails_with(&[], &[("NODE_ENV", "production"), secrets[0]], "SOCKET_SERVER_SECRET: missing");
    fails_with(&[], &[("DATABASE_URL", "oracle://x")], "DATABASE_URL: not a database URL; it takes");
    fails_with(&["serve"], &[("DATABASE_URL", "sqlite:///nowhere/at/all.db")], "DATABASE_URL: ");
    fails_with(&["migrate"], &[("DATABASE_URL", "sqlite:///nowhere/at/all.db")], "DATABASE_URL: ");
    fails_with(&[], &[("PORT", "70000")], "PORT: \"70000\"");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fails_with(&[], &[("HOST", "127.0.0.1"), ("PORT", &port)], &format!("PORT: cannot listen on 127.0.0.1:{port}"));
    fails_with(&["healthcheck"], &[("HOST", "127.0.0.1"), ("PORT", "1")], "not ready");
}

#[test]
fn migrate_says_what_it_applied_and_then_has_nothing_to_apply() {
    let folder = tempdir().unwrap();
    let said = |arguments: &[&str]| String::from_utf8(run(folder.path(), arguments, &[]).stdout).unwrap();
    assert!(said(&["migrate"]).starts_with("applied "));
    assert_eq!(said(&["migrate"]), "nothing to apply\n");
    assert!(folder.path().join("expeditor.db").exists());
}

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// A server with the sample restaurant's rows, and what it takes to connect to it.
fn serve(folder: &std::path::Path, port: &str, more: &[(&str, &str)]) -> Program {
    let mut variables = vec![
        ("HOST", "127.0.0.1"),
        ("PORT", port),
        ("NODE_ENV", "production"),
        ("NEXTAUTH_SECRET", USER_SECRET),
        ("SOCKET_SERVER_SECRET", SERVER_SECRET),
        ("RATE_LIMIT_POINTS", "100000"),
    ];
    variables.extend_from_slice(more);
    let program = Program::start(folder, &["serve", "--demo"], &variables);
    program.line("listening");
    program
}

#[test]
fn production_logs_have_pinos_members_and_no_payload_and_no_token() {
    let (folder, port, driver) = (tempdir().unwrap(), free_port(), Driver::node());
    let mut program = serve(folder.path(), &port, &[("LOG_LEVEL", "debug"), ("DRAIN_SECS", "1")]);
    let request = json!({
        "client": "chef", "url": format!("http://127.0.0.1:{port}"), "auth": { "token": token(CHEF) }, "transports": ["websocket"],
    });
    let id = driver.call("connect", request)["socketId"].as_str().unwrap().to_owned();
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO, "note": "a payload" }));
    let line: Value = serde_json::from_str(&program.line("socket_event")).unwrap();
    assert_eq!(
        (&line["type"], &line["event"], &line["level"]),
        (&json!("socket_event"), &json!("kitchen:join"), &json!(20))
    );
    assert_eq!(line["socketId"], id);
    assert!(line["time"].as_u64().unwrap() > 1_600_000_000_000);
    let line: Value = serde_json::from_str(&program.line("\"msg\":\"connected\"")).unwrap();
    assert_eq!((&line["level"], &line["user"]), (&json!(30), &json!(CHEF)));
    let check = || run(folder.path(), &["healthcheck"], &[("HOST", "127.0.0.1"), ("PORT", &port)]).status.success();
    assert!(check(), "the server is ready");
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    assert!(!check(), "the server is gone");
    let log: Vec<String> = program.lines().into_iter().filter(|line| line.starts_with('{')).collect();
    assert!(!log.is_empty());
    for line in log {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
        assert!(!line.contains("a payload") && !line.contains("eyJ") && !line.contains(SERVER_SECRET), "{line}");
    }
}

#[test]
fn sigterm_during_traffic_loses_no_accepted_publish() {
    let (folder, port, driver) = (tempdir().unwrap(), free_port(), Driver::node());
    let mut program = serve(folder.path(), &port, &[("DRAIN_SECS", "4")]);
    let url = format!("http://127.0.0.1:{port}");
    for (prefix, transport) in [("display", "websocket"), ("poller", "polling")] {
        let answer = driver.call(
            "connectMany",
            json!({
                "prefix": prefix, "count": 20, "url": url, "auth": { "token": token(CHEF) },
                "transports": [transport], "joinEvent": "kitchen:join", "joinPayload": { "venueId": BISTRO },
            }),
        );
        assert_eq!(answer["joined"], 20, "{answer}");
    }
    let backend =
        json!({ "client": "backend", "url": url, "auth": { "token": SERVER_SECRET }, "transports": ["websocket"] });
    driver.call("connect", backend);
    let publish = |start: usize| {
        let payload = json!({ "room": format!("kitchen:{BISTRO}"), "event": "e", "payload": { "n": 0 } });
        driver.begin(
            "emitMany",
            json!({
                "client": "backend", "event": "broadcast", "args": [payload], "counterPath": "payload.n",
                "count": 2000, "start": start, "timeoutMs": 8000,
            }),
        )
    };
    let publishing = publish(0);
    let began = Instant::now();
    program.signal("TERM");
    let accepted = publishing.done();
    assert_eq!(program.exit_code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(accepted["acked"], 2000, "the backend goes last: {accepted}");
    // Each client has everything up to the moment that it was closed, and they were closed one after the other.
    for prefix in ["display", "poller"] {
        for index in 0..20 {
            let client = format!("{prefix}{index}");
            driver.wait(&client, "$disconnect", 0);
            let ends: Vec<_> = driver.events(&client).into_iter().filter(|(event, _)| event == "$disconnect").collect();
            assert_eq!(ends[0].1[0], "transport close", "{client} comes back by itself: {ends:?}");
            let numbers: Vec<u64> = crate::support::event_args(&driver, &client, "e")
                .iter()
                .map(|payload| payload["n"].as_u64().unwrap())
                .collect();
            assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{client} has a gap");
        }
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (folder, port, driver) = (tempdir().unwrap(), free_port(), Driver::node());
    let mut program = serve(folder.path(), &port, &[("DRAIN_SECS", "60")]);
    for name in ["a", "b", "c"] {
        let url = format!("http://127.0.0.1:{port}");
        driver.call(
            "connect",
            json!({ "client": name, "url": url, "auth": { "token": token(CHEF) }, "transports": ["websocket"] }),
        );
    }
    program.signal("TERM");
    program.line("stopping");
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(130));
}
