//! What the service makes in a PostgreSQL database, what it leaves alone there, and what it says that it lacks.

use expeditor::config::Config;
use expeditor::store::migrations;
use serde_json::json;

use crate::support::instance::{SAMPLE, config};
use crate::support::people::{BISTRO, BURGER, CHEF};
use crate::support::postgres::{APPLICATION, Postgres};
use crate::support::stock::{Backend, connect};
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

#[test]
fn a_database_one_version_behind_is_brought_up_to_date_by_whoever_starts_first() {
    let server = Postgres::start();
    let url = server.application("shop");
    migrate(&config(&url, &[]));
    server
        .psql(
            "shop",
            "DROP TABLE realtime.leases;
             DELETE FROM realtime.__diesel_schema_migrations WHERE version = '20261124000004'",
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
