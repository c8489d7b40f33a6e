//! The service on a PostgreSQL database: what it makes there and what it leaves alone, several instances on one
//! database, and a server that goes away.

use std::time::{Duration, Instant};

use expeditor::config::Config;
use expeditor::store::migrations;
use serde_json::json;

use crate::support::instance::{SAMPLE, config};
use crate::support::people::{BISTRO, BURGER, CHEF, FRIES, GUEST, GUESTS_NOTE, LINE_COOK, SERVER};
use crate::support::postgres::{APPLICATION, Postgres};
use crate::support::stock::{Backend, Pace, always_recovered, connect, connections, has_each_once, recovered, seen};
use crate::support::{Driver, Instance, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

fn migrate(config: &Config) -> Vec<String> {
    migrations::run(&config.database).unwrap()
}

/// What is in the application's schema, definitions and rows.
fn application(server: &Postgres, database: &str) -> String {
    let definitions = "SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, udt_name, column_default,
            is_nullable, datetime_precision), chr(10) ORDER BY table_name, ordinal_position)
        FROM information_schema.columns WHERE table_schema = 'public'";
    let indexes = "SELECT string_agg(indexdef, chr(10) ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'";
    let others = "SELECT string_agg(concat_ws(' ', relname, relkind), chr(10) ORDER BY relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace";
    let rows = "SELECT concat_ws(chr(10), (SELECT string_agg(u::text, chr(10) ORDER BY u.id) FROM public.users u),
            (SELECT string_agg(t::text, chr(10) ORDER BY t.id) FROM public.tabs t),
            (SELECT string_agg(i::text, chr(10) ORDER BY i.id) FROM public.tab_items i))";
    [definitions, indexes, others, rows].map(|query| server.psql(database, query).unwrap()).join("\n")
}

fn stored(server: &Postgres, database: &str) -> i64 {
    server.psql(database, "SELECT count(*) FROM realtime.log_events").unwrap().parse().unwrap()
}

#[test]
fn the_applications_database_is_left_as_it_is() {
    let server = Postgres::start();
    let url = server.application("shop");
    let before = application(&server, "shop");
    let names = migrate(&config(&url, &[]));
    assert!(names.len() >= 3 && names.iter().all(|name| !name.contains("application_tables")), "{names:?}");
    let instance = Instance::on(&url, &[]);
    assert_eq!(instance.get("/health/ready", &[]).0, 200);
    assert_eq!(Backend::new(&instance.url()).publish(&kitchen(), 0)["durable"], true);
    drop(instance);
    assert_eq!(application(&server, "shop"), before);
    assert_eq!(stored(&server, "shop"), 1);
    assert!(migrate(&config(&url, &[])).is_empty(), "nothing is left to do");
}

#[test]
fn an_empty_database_gets_the_same_tables_as_the_application_makes() {
    let server = Postgres::start();
    server.application("made");
    let url = server.empty("empty");
    let names = migrate(&config(&url, &[]));
    assert!(names[0].contains("application_tables"), "{names:?}");
    server.psql("empty", SAMPLE).unwrap();
    let at = |name| {
        let text = application(&server, name);
        // When the rows were loaded is all that differs.
        text.lines().filter(|line| !line.starts_with('(')).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(at("empty"), at("made"));
    assert_eq!(Instance::on(&url, &[]).get("/health/ready", &[]).0, 200);
    // In a schema of another name, too.
    let url = server.empty("elsewhere");
    let named = format!("{url}?schema=Point%20of%20sale");
    server.psql("elsewhere", "CREATE SCHEMA \"Point of sale\"").unwrap();
    migrate(&config(&named, &[]));
    server.psql("elsewhere", &format!("SET search_path = \"Point of sale\"; {SAMPLE}")).unwrap();
    assert_eq!(
        server.psql("elsewhere", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
        Ok("0".to_owned())
    );
    let (instance, driver) = (Instance::on(&named, &[]), Driver::node());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn a_database_one_version_behind_is_brought_up_to_date_by_whoever_starts_first() {
    let server = Postgres::start();
    let url = server.application("shop");
    migrate(&config(&url, &[]));
    server
        .psql(
            "shop",
            "DROP TABLE realtime.leases; DELETE FROM realtime.__diesel_schema_migrations
             WHERE version = (SELECT max(version) FROM realtime.__diesel_schema_migrations)",
        )
        .unwrap();
    let starting: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || migrate(&config(&url, &[])).len())
        })
        .collect();
    let applied: usize = starting.into_iter().map(|start| start.join().unwrap()).sum();
    assert_eq!(applied, 1, "by one of them");
    assert_eq!(server.psql("shop", "SELECT count(*) FROM realtime.leases"), Ok("0".to_owned()));
}

#[test]
fn a_role_that_lacks_a_right_is_told_what_to_grant() {
    let server = Postgres::start();
    server.application("shop");
    server.psql("postgres", "CREATE ROLE app LOGIN").unwrap();
    server.psql("shop", "CREATE ROLE \"Kitchen staff\" LOGIN").unwrap();
    let url = |role: &str| format!("postgresql://{role}@127.0.0.1:{}/shop", server.port);
    let refused = |role: &str| {
        let error = migrations::run(&config(&url(role), &[]).database).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let error = refused("app");
    assert!(error.contains("GRANT CREATE ON DATABASE shop TO app"), "{error}");
    let error = refused("Kitchen%20staff");
    assert!(error.contains("TO \"Kitchen staff\""), "{error}");
    // Each of what it is told is run, until it is content.
    let mut granted = Vec::new();
    while let Err(error) = migrations::run(&config(&url("app"), &[]).database) {
        let error = error.to_string();
        let grant = &error[error.find("GRANT").unwrap()..];
        let grant = grant.split(" (or").next().unwrap().to_owned();
        server.psql("shop", &grant).unwrap();
        assert!(!granted.contains(&grant), "{granted:?}");
        granted.push(grant);
    }
    assert!(granted.len() >= 3, "{granted:?}");
    let (instance, driver) = (Instance::on(&url("app"), &[]), Driver::node());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    driver.call("disconnect", json!({ "client": "chef" }));
    drop(instance);
    // One that finds everything in place needs no right to create.
    server
        .psql(
            "shop",
            "CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA realtime TO plain; GRANT pg_read_all_data TO plain",
        )
        .unwrap();
    server
        .psql(
            "shop",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA realtime TO plain;
             GRANT UPDATE (kitchen_status, prepared_at, delivered_at) ON tab_items TO plain;
             GRANT UPDATE (read, read_at) ON notifications TO plain",
        )
        .unwrap();
    assert!(migrations::run(&config(&url("plain"), &[]).database).unwrap().is_empty());
    // Of an application that has only some of its tables, nothing is touched.
    let url = server.empty("half");
    server.psql("half", &APPLICATION[..APPLICATION.find("CREATE TABLE venues").unwrap()]).unwrap();
    let error = migrations::run(&config(&url, &[]).database).unwrap_err().to_string();
    assert!(error.contains("but not") && error.contains("tab_items"), "{error}");
}

#[test]
fn clients_and_kitchens_are_served_as_on_the_embedded_database() {
    let server = Postgres::start();
    let url = server.application("shop");
    let (instance, driver) = (Instance::on(&url, &[]), Driver::node());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    let joined = driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    assert!(joined["offset"].is_string(), "{joined}");
    let orders = driver.events("chef").into_iter().find(|(name, _)| name == "kitchen:orders");
    let orders = orders.expect("the kitchen's orders").1[0]["orders"].clone();
    assert_eq!(orders[0]["items"][0]["modifiers"], json!(["NO ONIONS"]), "{orders}");
    driver.ask_ok("chef", "kitchen:update-status", &json!({ "tabItemId": FRIES, "status": "READY" }));
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    driver.call("wait", json!({ "client": "chef", "event": "kitchen:order-updated", "count": 2 }));
    let row = |item: &str| {
        let query = format!(
            "SELECT kitchen_status, prepared_at IS NOT NULL, delivered_at IS NOT NULL FROM tab_items WHERE id = '{item}'"
        );
        server.psql("shop", &query).unwrap()
    };
    assert_eq!((row(FRIES), row(BURGER)), ("READY|t|f".to_owned(), "DELIVERED|f|t".to_owned()));
    // A change that is there already is a success, and no event.
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    connect(&driver, &instance.url(), "guest", &token(GUEST), &["websocket"]);
    driver.ask_ok("guest", "notification:read", &json!({ "notificationId": GUESTS_NOTE }));
    connect(&driver, &instance.url(), "server", &token(SERVER), &["polling"]);
    let answer = driver.ask("server", "kitchen:join", &json!({ "venueId": BISTRO }));
    assert_eq!(answer["error"]["code"], "FORBIDDEN", "{answer}");
    // An item that the application has locked is refused soon, and holds up nothing else.
    let hold = format!("BEGIN; SELECT 1 FROM tab_items WHERE id = '{FRIES}' FOR UPDATE; SELECT pg_sleep(3)");
    std::thread::scope(|scope| {
        let holding = scope.spawn(|| server.psql("shop", &hold).unwrap());
        eventually("the row is locked", || {
            let query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
            (server.psql("shop", query).unwrap() == "1").then_some(())
        });
        let answer = driver.ask("chef", "kitchen:bump", &json!({ "tabItemId": FRIES }));
        assert_eq!(answer["ok"], false, "{answer}");
        assert_eq!(Backend::new(&instance.url()).publish(&kitchen(), 0)["durable"], true);
        holding.join().unwrap();
    });
    has_each_once(&driver, "chef", 1);
    for name in ["chef", "guest", "server"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}

#[test]
fn who_comes_back_has_what_it_missed() {
    let server = Postgres::start();
    let url = server.application("shop");
    let (instance, driver) = (Instance::on(&url, &[]), Driver::node());
    let backend = Backend::new(&instance.url());
    for (name, transport) in [("chef", "websocket"), ("poller", "polling")] {
        connect(&driver, &instance.url(), name, &token(CHEF), &[transport]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    for n in 0..60 {
        if n % 20 == 10 {
            driver.call("dropTransport", json!({ "client": "chef" }));
        }
        backend.publish(&kitchen(), n);
    }
    has_each_once(&driver, "chef", 60);
    has_each_once(&driver, "poller", 60);
    always_recovered(&driver, "chef");
    assert!(recovered(&driver, "chef").len() > 1);
    let since = driver.events("chef").into_iter().find(|(name, _)| name == "e").unwrap().1[1].clone();
    connect(&driver, &instance.url(), "late", &token(LINE_COOK), &["websocket"]);
    let joined = driver.ask_ok("late", "kitchen:join", &json!({ "venueId": BISTRO, "since": since }));
    assert_eq!(joined["complete"], true, "{joined}");
    driver.call("wait", json!({ "client": "late", "event": "e", "count": 59 }));
    assert_eq!(seen(&driver, "late"), (1..60).collect::<Vec<_>>());
    for name in ["chef", "poller", "late"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}

/// Two instances, a publisher at each, and a client at each: 5,000 events in one order.
pub fn two_instances_agree(url: &str, variables: &[(&str, &str)]) {
    const EACH: u64 = 2_500;
    let instances = [Instance::on(url, variables), Instance::on(url, variables)];
    let driver = Driver::node();
    for (name, instance) in ["one", "other"].iter().zip(&instances) {
        connect(&driver, &instance.url(), name, &token(CHEF), &["websocket"]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    std::thread::scope(|scope| {
        for (index, instance) in instances.iter().enumerate() {
            let backend = Backend::new(&instance.url());
            scope.spawn(move || {
                for first in (0..EACH).step_by(50) {
                    let publish =
                        |n| json!({ "room": kitchen(), "event": "e", "payload": { "n": 2 * n + index as u64 } });
                    let answers = backend.ask(&(first..first + 50).map(publish).collect());
                    let answers = answers.as_array().unwrap();
                    assert!(answers.iter().all(|answer| answer["durable"] == true), "{answers:?}");
                }
            });
        }
    });
    let numbers = |name: &str| {
        let request = json!({ "client": name, "event": "e", "count": 2 * EACH, "timeoutMs": 30_000 });
        driver.begin("wait", request).outcome();
        seen(&driver, name)
    };
    let (one, other) = (numbers("one"), numbers("other"));
    assert_eq!(one.len() as u64, 2 * EACH);
    assert!(one == other, "one order for both");
    for index in 0..2 {
        let of_one: Vec<_> = one.iter().filter(|n| **n % 2 == index).collect();
        assert!(of_one.len() as u64 == EACH && of_one.windows(2).all(|pair| pair[0] < pair[1]), "each once, in order");
    }
    for name in ["one", "other"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}

#[test]
fn two_instances_without_redis_have_one_order() {
    let server = Postgres::start();
    two_instances_agree(&server.application("shop"), &[]);
}

#[test]
fn an_idle_instance_hears_of_anothers_event() {
    let server = Postgres::start();
    let url = server.application("shop");
    let (one, other) = (Instance::on(&url, &[]), Instance::on(&url, &[]));
    let driver = Driver::node();
    connect(&driver, &other.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN expeditor'";
    eventually("both listen", || (server.psql("shop", listening).unwrap() == "2").then_some(()));
    let backend = Backend::new(&one.url());
    // Long enough for looks to have become seldom; then each comes well before the next of them would.
    let mut pace = Pace::start();
    let mut slowest = Duration::ZERO;
    for n in 0..4 {
        pace.wait(Duration::from_millis(if n == 0 { 6_000 } else { 1_100 }));
        backend.publish(&kitchen(), n);
        let began = Instant::now();
        has_each_once(&driver, "chef", n + 1);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    // Without notifications it is looked for, if later.
    server
        .psql("shop", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN expeditor'")
        .unwrap();
    backend.publish(&kitchen(), 4);
    has_each_once(&driver, "chef", 5);
    eventually("both listen again", || (server.psql("shop", listening).unwrap() == "2").then_some(()));
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn with_the_server_killed_for_ten_seconds_events_arrive_and_all_are_stored_afterwards() {
    let mut server = Postgres::start();
    let url = server.application("shop");
    let (instance, driver) = (Instance::on(&url, &[]), Driver::node());
    let backend = Backend::new(&instance.url());
    for (name, transport) in [("chef", "websocket"), ("poller", "polling")] {
        connect(&driver, &instance.url(), name, &token(CHEF), &[transport]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    let began = Instant::now();
    let mut pace = Pace::start();
    let (mut killed, mut back, mut undurable, mut n) = (false, false, 0, 0);
    while n < 1_300 {
        if !killed && began.elapsed() > Duration::from_secs(1) {
            server.kill();
            killed = true;
        }
        if killed && !back && began.elapsed() > Duration::from_secs(11) {
            server.restart();
            back = true;
        }
        undurable += u64::from(backend.insist(&kitchen(), n)["durable"] == false);
        n += 1;
        pace.wait(Duration::from_millis(10));
    }
    assert!(back && undurable > 300, "{undurable}");
    eventually("durable again", || (backend.insist(&kitchen(), n)["durable"] == true).then_some(()));
    for name in ["chef", "poller"] {
        has_each_once(&driver, name, n + 1);
        assert_eq!(recovered(&driver, name), [false], "it never left");
    }
    let query = "SELECT count(*), count(DISTINCT payload), string_agg(payload::json ->> 'n', ',' ORDER BY position) FROM realtime.log_events";
    let (counts, order) =
        server.psql("shop", query).unwrap().rsplit_once('|').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(counts, format!("{}|{}", n + 1, n + 1));
    assert_eq!(order, (0..=n).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    eventually("ready again", || (instance.get("/health/ready", &[]).0 == 200).then_some(()));
    // And a client that was there goes on from the last.
    driver.call("dropTransport", json!({ "client": "chef" }));
    backend.insist(&kitchen(), n + 1);
    connections(&driver, "chef", 2);
    has_each_once(&driver, "chef", n + 2);
    always_recovered(&driver, "chef");
    for name in ["chef", "poller"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}
