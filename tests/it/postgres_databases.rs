//! What the service makes in a PostgreSQL database, what it leaves alone there, and what it says that it lacks.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use expeditor::config::Config;
use expeditor::store::migrations;
use serde_json::{Value, json};

use crate::support::house::{House, free_port};
use crate::support::instance::{SAMPLE, config};
use crate::support::people::{BISTRO, BURGER, CHEF, LINE_COOK};
use crate::support::postgres::{APPLICATION, Postgres};
use crate::support::program::run;
use crate::support::proxy::Proxy;
use crate::support::stock::{Backend, always_recovered, connect, has_each_once, seen};
use crate::support::{Driver, Instance, token};

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
    let in_schema = format!("{url}?schema=Point%20of%20sale");
    server.psql("elsewhere", "CREATE SCHEMA \"Point of sale\"").unwrap();
    migrate(&config(&in_schema, &[]));
    server.psql("elsewhere", &format!("SET search_path = \"Point of sale\"; {SAMPLE}")).unwrap();
    assert_eq!(
        server.psql("elsewhere", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
        Ok("0".to_owned())
    );
    let (instance, driver) = (Instance::on(&in_schema, &[]), Driver::node());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    driver.call("disconnect", json!({ "client": "chef" }));
}

/// The newest migrations by their folders, the newest first.
fn newest_migrations(count: usize) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.into_iter().rev().take(count).collect()
}

/// Makes the service's schema what it was before this migration.
fn undo(server: &Postgres, database: &str, migration: &Path) {
    let name = migration.file_name().unwrap().to_str().unwrap();
    // `2026-11-26-000008_name` is version 20261126000008.
    let version = name.split('_').next().unwrap().replace('-', "");
    server.psql(database, &std::fs::read_to_string(migration.join("down.sql")).unwrap()).unwrap();
    let forget = format!("DELETE FROM realtime.__diesel_schema_migrations WHERE version = '{version}' RETURNING 1");
    assert_eq!(server.psql(database, &forget), Ok("1".to_owned()), "{name}");
}

fn definitions(server: &Postgres, database: &str) -> String {
    let query = "SELECT string_agg(definition, chr(10) ORDER BY definition) FROM (
            SELECT concat_ws(' ', table_name, column_name, data_type, column_default, is_nullable) AS definition
            FROM information_schema.columns WHERE table_schema = 'realtime'
            UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'realtime'
        ) AS parts";
    server.psql(database, query).unwrap()
}

/// What the log has, and what was published under a name.
fn log_rows(server: &Postgres, database: &str) -> String {
    let rows =
        "SELECT concat_ws(chr(10), (SELECT string_agg(e::text, chr(10) ORDER BY position) FROM realtime.log_events e),
        (SELECT string_agg(p::text, chr(10) ORDER BY position) FROM realtime.log_publishes p))";
    server.psql(database, rows).unwrap()
}

#[test]
fn a_database_that_is_behind_is_brought_up_to_date_by_whoever_starts_first_and_keeps_what_is_in_it() {
    let (server, driver) = (Postgres::start(), Driver::node());
    for behind in [1, 3] {
        let (database, chef) = (format!("behind{behind}"), format!("chef{behind}"));
        let url = server.application(&database);
        let house = House::new(&[("DATABASE_URL", &url), ("DRAIN_SECS", "1")]);
        let before = house.serve(free_port());
        let balancer = Proxy::to(([127, 0, 0, 1], before.port).into());
        connect(&driver, &balancer.url(), &chef, &token(CHEF), &["websocket"]);
        driver.ask_ok(&chef, "kitchen:join", &json!({ "venueId": BISTRO }));
        let backend = Backend::new(&before.url());
        let answers: Vec<Value> = (0..20).map(|n| backend.insist(&kitchen(), n)).collect();
        has_each_once(&driver, &chef, 20);
        before.kill();
        let (schema, rows) = (definitions(&server, &database), log_rows(&server, &database));
        assert!(rows.lines().count() >= 40, "{rows}");
        newest_migrations(behind).iter().for_each(|migration| undo(&server, &database, migration));
        assert_ne!(definitions(&server, &database), schema, "it is an older one");
        let servers = [(); 3].map(|()| house.spawn(free_port(), &[]));
        servers.iter().for_each(|server| drop(server.program.line("listening")));
        let lines = servers.iter().flat_map(|server| server.program.lines());
        assert_eq!(lines.filter(|line| line.contains("\"applied\"")).count(), behind, "by one of them");
        assert_eq!(definitions(&server, &database), schema);
        assert_eq!(log_rows(&server, &database), rows);
        // The client has its session back, what was published is known, and what is new follows.
        let backend = Backend::new(&servers[1].url());
        (0..20).for_each(|n| assert_eq!(backend.insist(&kitchen(), n), answers[n as usize]));
        balancer.point_at(([127, 0, 0, 1], servers[0].port).into());
        (20..30).for_each(|n| assert_eq!(backend.insist(&kitchen(), n)["durable"], true));
        has_each_once(&driver, &chef, 30);
        always_recovered(&driver, &chef);
        // What was in it is served to whoever asks for it.
        let late = format!("late{behind}");
        connect(&driver, &servers[2].url(), &late, &token(LINE_COOK), &["websocket"]);
        let since = json!({ "venueId": BISTRO, "since": answers[4]["offset"] });
        assert_eq!(driver.ask_ok(&late, "kitchen:join", &since)["complete"], true);
        driver.call("wait", json!({ "client": late, "event": "e", "count": 25 }));
        assert_eq!(seen(&driver, &late), (5..30).collect::<Vec<_>>());
    }
}

#[test]
fn a_role_that_lacks_a_right_is_told_what_to_grant() {
    const PASSWORD: &str = "correct-horse-battery-staple";
    let server = Postgres::with(&[""; 0], "host all app,\"Kitchen staff\" 127.0.0.1/32 scram-sha-256");
    server.application("shop");
    for role in ["app", "\"Kitchen staff\""] {
        server.psql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    }
    let url = |role: &str| format!("postgresql://{role}:{PASSWORD}@127.0.0.1:{}/shop", server.port);
    // Where nothing is wrong with the database, this is.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let stops_with = |url: &str| {
        let variables = [("HOST", "127.0.0.1"), ("PORT", port.as_str()), ("DATABASE_URL", url)];
        let output = run(server.folder(), &["serve"], &variables);
        let [printed, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(!format!("{printed}{error}").contains(PASSWORD), "{printed}{error}");
        assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
        error
    };
    let error = stops_with(&url("app"));
    assert!(error.starts_with("expeditor: DATABASE_URL: "), "{error}");
    assert!(error.contains("GRANT CREATE ON DATABASE shop TO app"), "{error}");
    let error = stops_with(&url("Kitchen%20staff"));
    assert!(error.contains("TO \"Kitchen staff\""), "{error}");
    let error = stops_with(&url("app").replace(PASSWORD, "another"));
    assert!(error.contains("password authentication failed") && !error.contains("another"), "{error}");
    // Each of what it is told is run, until it is content.
    let mut granted = Vec::new();
    loop {
        let error = stops_with(&url("app"));
        if error.starts_with("expeditor: PORT: ") {
            break;
        }
        let grant = &error[error.find("GRANT").unwrap()..];
        let grant = grant.trim_end().split(" (or").next().unwrap().to_owned();
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
