//! The program from outside: faults of its configuration, its commands, its end.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::people::{BISTRO, CHEF};
use crate::support::poller::Poller;
use crate::support::program::{Program, run};
use crate::support::{Driver, Instance, SERVER_SECRET, USER_SECRET, event_args, token};

fn fails_with(arguments: &[&str], variables: &[(&str, &str)], line: &str) {
    let folder = tempdir().unwrap();
    let output = run(folder.path(), arguments, variables);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{variables:?}");
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
    fails_with(&[], &[("POLICY_FILE", "/nowhere")], "POLICY_FILE: /nowhere: it cannot be read");
    fails_with(&[], &[("POLICY_FILE", "/dev/null")], "POLICY_FILE: /dev/null: it allows nothing; it takes");
    fails_with(&[], &[("BISCUIT_PUBLIC_KEY", "1=xyz")], "BISCUIT_PUBLIC_KEY: key 1 is not 64 hexadecimal digits");
    fails_with(&[], &[("PORT", "70000")], "PORT: \"70000\"");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fails_with(&[], &[("HOST", "127.0.0.1"), ("PORT", &port)], &format!("PORT: cannot listen on 127.0.0.1:{port}"));
    // What is wrong is said before the port is looked at, let alone bound.
    let production = [("NODE_ENV", "production"), ("HOST", "127.0.0.1"), ("PORT", &port)];
    fails_with(&[], &production, "NEXTAUTH_SECRET: missing");
    fails_with(&["healthcheck"], &[("HOST", "127.0.0.1"), ("PORT", "1")], "not ready");
}

#[test]
fn a_fault_leaves_no_database_behind_and_a_faulty_file_is_named() {
    let folder = tempdir().unwrap();
    let fault = |file: &str| {
        std::fs::write(folder.path().join(".env"), file).unwrap();
        let output = run(folder.path(), &[], &[]);
        assert_eq!(output.status.code(), Some(1), "{file}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        fault("DRAIN_SECS=soon\n"),
        "expeditor: DRAIN_SECS: \"soon\": invalid digit found in string; it takes seconds from 0 to 3600\n"
    );
    let line = fault("NEXTAUTH_SECRET='not closed\nPORT=1\n");
    assert_eq!(line, "expeditor: .env: a line cannot be read; it takes lines of the form NAME=VALUE\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only .env is there");
}

#[test]
fn migrate_says_what_it_applied_and_then_has_nothing_to_apply() {
    let folder = tempdir().unwrap();
    let said = |arguments: &[&str]| String::from_utf8(run(folder.path(), arguments, &[]).stdout).unwrap();
    assert!(said(&["migrate"]).starts_with("applied "));
    assert_eq!(said(&["migrate"]), "nothing to apply\n");
    assert!(folder.path().join("expeditor.db").exists());
}

#[test]
fn the_demo_keeps_to_its_own_file_where_the_databases_variable_is_empty() {
    let folder = tempdir().unwrap();
    let mut program = serve(folder.path(), "0", &[("DATABASE_URL", "")]);
    assert!(folder.path().join("expeditor-demo.db").exists());
    assert!(!folder.path().join("expeditor.db").exists());
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
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
    driver.ask("chef", "kitchen:jion", &json!({ "note": "a payload" }));
    let line: Value = serde_json::from_str(&program.line("kitchen:jion")).unwrap();
    let members: Vec<&String> = line.as_object().unwrap().keys().collect();
    assert_eq!(members, ["event", "hostname", "level", "pid", "socketId", "time", "type"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO, "note": "a payload" }));
    let line: Value = serde_json::from_str(&program.line("kitchen:join")).unwrap();
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

/// Sixty displays in the kitchen, twenty on each way, and the backend.
fn full_house(driver: &Driver, url: &str) {
    let ways =
        [("display", ["websocket"].as_slice()), ("poller", &["polling"]), ("upgraded", &["polling", "websocket"])];
    for (prefix, transports) in ways {
        let answer = driver.call(
            "connectMany",
            json!({
                "prefix": prefix, "count": 20, "url": url, "auth": { "token": token(CHEF) },
                "transports": transports, "joinEvent": "kitchen:join", "joinPayload": { "venueId": BISTRO },
            }),
        );
        assert_eq!(answer["joined"], 20, "{answer}");
    }
    let backend =
        json!({ "client": "backend", "url": url, "auth": { "token": SERVER_SECRET }, "transports": ["websocket"] });
    driver.call("connect", backend);
}

/// Publishes a batch and returns how many were accepted.
fn publish(driver: &Driver, start: u64, count: u64) -> u64 {
    let payload = json!({ "room": format!("kitchen:{BISTRO}"), "event": "e", "payload": { "n": 0 } });
    let request = json!({
        "client": "backend", "event": "broadcast", "args": [payload], "counterPath": "payload.n",
        "count": count, "start": start, "timeoutMs": 2000,
    });
    driver.call("emitMany", request)["acked"].as_u64().unwrap()
}

#[test]
fn sigterm_during_traffic_loses_no_accepted_publish() {
    const BATCH: u64 = 20;
    let (folder, port, driver) = (tempdir().unwrap(), free_port(), Driver::node());
    let mut program = serve(folder.path(), &port, &[("DRAIN_SECS", "4")]);
    full_house(&driver, &format!("http://127.0.0.1:{port}"));
    let before = publish(&driver, 0, 500);
    assert_eq!(before, 500);
    program.signal("TERM");
    let began = Instant::now();
    // The backend goes last: it publishes for as long as it is let.
    let mut accepted = before;
    loop {
        let acked = publish(&driver, accepted, BATCH);
        accepted += acked;
        if acked < BATCH {
            break;
        }
    }
    assert_eq!(program.exit_code(), Some(0));
    // The last batch's acknowledgements were waited for two seconds, in which it ended.
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let clients = ["display", "poller", "upgraded"].map(|prefix| (0..20).map(move |index| format!("{prefix}{index}")));
    let mut lengths: Vec<(u64, String)> =
        clients.into_iter().flatten().map(|client| (received(&driver, &client), client)).collect();
    lengths.sort_unstable();
    assert!(lengths[0].0 >= before, "all that was accepted before the signal reached all: {lengths:?}");
    assert!(lengths[59].0 <= accepted + BATCH, "{accepted}: {lengths:?}");
    lengths.dedup_by_key(|(count, _)| *count);
    assert!(lengths.len() > 10, "they were closed one after the other, in the middle of the traffic: {lengths:?}");
}

/// How many events a client has, which are all up to the moment that it was closed.
fn received(driver: &Driver, client: &str) -> u64 {
    driver.wait(client, "$disconnect", 0);
    let ends = event_args(driver, client, "$disconnect");
    assert_eq!(ends, ["transport close"], "{client} comes back by itself");
    let numbers: Vec<u64> =
        event_args(driver, client, "e").iter().map(|payload| payload["n"].as_u64().unwrap()).collect();
    let count = numbers.len() as u64;
    assert!(numbers.into_iter().eq(0..count), "{client} has a gap");
    count
}

#[test]
fn what_is_left_for_a_polling_client_reaches_it_before_the_close() {
    let (mut instance, driver) = (Instance::start(), Driver::node());
    let poller = Poller::connect(&instance, &token(CHEF));
    let join = json!(["kitchen:join", { "venueId": BISTRO }]);
    assert_eq!(poller.post(&format!("421{join}")), 200);
    assert!(poller.get().1.contains("kitchen:joined"));
    driver.connect(&instance, "backend", SERVER_SECRET);
    assert_eq!(publish(&driver, 0, 500), 500);
    instance.stop();
    crate::support::eventually("the close", || (instance.services().directory.len() < 2).then_some(()));
    let (mut answers, mut closed) = (Vec::new(), false);
    while !closed {
        let (status, body) = poller.get();
        assert_eq!(status, 200, "{answers:?}");
        // By itself: the stock client keeps back what comes in one answer with it.
        closed = body == "1";
        answers.push(body);
    }
    let packets: Vec<&str> = answers.iter().flat_map(|body| body.split('\u{1e}')).collect();
    // The acknowledgement of the join may have been left, too.
    let rest = |packet: &&str| !packet.starts_with("431") && !packet.starts_with(r#"42["kitchen:orders""#);
    let packets: Vec<&str> = packets.into_iter().filter(rest).collect();
    assert_eq!(packets.len(), 501);
    for (n, packet) in packets[..500].iter().enumerate() {
        assert!(packet.starts_with(&format!(r#"42["e",{{"n":{n}}},""#)), "{n}: {packet}");
    }
    assert_eq!(packets[500], "1");
}

#[test]
fn a_client_that_does_not_read_does_not_hold_up_a_stop() {
    let (folder, port, driver) = (tempdir().unwrap(), free_port(), Driver::node());
    let mut program = serve(folder.path(), &port, &[("DRAIN_SECS", "2"), ("MAX_OUTBOX", "100000000")]);
    let url = format!("http://127.0.0.1:{port}");
    let websocket = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket");
    crate::bad_input::raw_session(&driver, &websocket, "stuck", &token(CHEF));
    let join = json!(["kitchen:join", { "venueId": BISTRO }]);
    driver.call("rawSend", json!({ "client": "stuck", "text": format!("42{join}") }));
    driver.call("wait", json!({ "client": "stuck", "event": "$frame", "count": 3 }));
    driver.call("rawPause", json!({ "client": "stuck" }));
    let backend =
        json!({ "client": "backend", "url": url, "auth": { "token": SERVER_SECRET }, "transports": ["websocket"] });
    driver.call("connect", backend);
    let payload = json!({ "room": format!("kitchen:{BISTRO}"), "event": "e", "payload": "x".repeat(500_000) });
    for _ in 0..40 {
        driver.ask_ok("backend", "broadcast", &payload);
    }
    let began = Instant::now();
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    // The process needs a moment for its own end.
    assert!(began.elapsed() < Duration::from_millis(2_500), "{:?}", began.elapsed());
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
