//! How PostgreSQL is reached: through a pooler, over a network that stops, and when an answer is lost.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use expeditor::store::migrations;
use serde_json::json;

use crate::postgres::two_instances_agree;
use crate::support::house::{House, free_port};
use crate::support::instance::config;
use crate::support::people::{BISTRO, CHEF, LINE_COOK};
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::stock::{Backend, connect, has_each_once};
use crate::support::{Driver, Instance, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

/// Every event in the log, by its number, in order.
fn logged(server: &Postgres) -> Vec<u64> {
    let query = "SELECT string_agg(payload::json ->> 'n', ',' ORDER BY position) FROM realtime.log_events";
    let numbers = server.psql("shop", query).unwrap();
    numbers.split(',').filter(|number| !number.is_empty()).map(|number| number.parse().unwrap()).collect()
}

#[test]
fn behind_a_transaction_pooler_nothing_outlives_its_transaction() {
    let server = Postgres::start();
    server.application("shop");
    let pooler = PgBouncer::start(&server);
    two_instances_agree(&pooler.url(), &[]);
    nothing_is_left(&pooler);
    // Notifications go past it, if there is a way.
    let direct = server.url("shop");
    let variables = [("DIRECT_URL", direct.as_str())];
    let (one, other, driver) =
        (Instance::on(&pooler.url(), &variables), Instance::on(&pooler.url(), &variables), Driver::node());
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN expeditor'";
    eventually("both listen", || (server.psql("shop", listening).unwrap() == "2").then_some(()));
    connect(&driver, &other.url(), "cook", &token(LINE_COOK), &["websocket"]);
    driver.ask_ok("cook", "kitchen:join", &json!({ "venueId": BISTRO }));
    let backend = Backend::new(&one.url());
    (0..20).for_each(|n| drop(backend.publish(&kitchen(), n)));
    has_each_once(&driver, "cook", 20);
    driver.call("disconnect", json!({ "client": "cook" }));
}

#[test]
fn a_pooler_that_the_url_does_not_tell_of_is_found_out() {
    let server = Postgres::start();
    let direct = server.application("shop");
    // It refuses what it cannot keep for one client, or is told to leave it out. Of one connection all is seen that is left.
    for more in ["", "ignore_startup_parameters = options\n"] {
        let pooler = PgBouncer::with(&server, &format!("default_pool_size = 1\n{more}"));
        two_instances_agree(&pooler.url_without_a_word(), &[("DIRECT_URL", &direct)]);
        nothing_is_left(&pooler);
    }
}

#[test]
fn where_a_pooler_passes_no_notifications_on_the_operator_is_told_and_nobody_counts_on_them() {
    let server = Postgres::start();
    let direct = server.application("shop");
    let pooler = PgBouncer::with(&server, "default_pool_size = 1\n");
    let url = pooler.url_without_a_word();
    let listening =
        |instance: &Instance| instance.services().store.news().expect("it hears of others").borrow().listening;
    // The program, for what it says, and an instance whose belief can be seen.
    let house = House::new(&[("DATABASE_URL", &url)]);
    let (program, instance) = (house.serve(free_port()), Instance::on(&url, &[]));
    let told = program.program.line("DIRECT_URL");
    assert!(told.contains("\"level\":40") && told.contains("notifications of the database are not heard"), "{told}");
    eventually("it has given up", || {
        (pooler_sql(&pooler, "SELECT count(*) FROM pg_listening_channels()") == "0").then_some(())
    });
    nothing_is_left(&pooler);
    assert!(!listening(&instance), "a LISTEN that was taken is not enough");
    let lines = program.program.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("DIRECT_URL")).count(), 1, "once: {lines:?}");
    drop((program, instance));
    // With a way past it they are heard, and nothing is said.
    let variables = [("DIRECT_URL", direct.as_str())];
    let (program, instance) = (house.serve_with(free_port(), &variables), Instance::on(&url, &variables));
    eventually("it listens", || listening(&instance).then_some(()));
    assert!(program.program.lines().iter().all(|line| !line.contains("DIRECT_URL")));
    // In another database there is nothing to hear of this one.
    let elsewhere = server.empty("elsewhere");
    let program = house.serve_with(free_port(), &[("DIRECT_URL", &elsewhere)]);
    program.program.line("to the same database");
}

/// Whoever else uses the pooler's connections finds nothing of the service's on them.
fn nothing_is_left(pooler: &PgBouncer) {
    let left =
        "SELECT count(*) FROM pg_prepared_statements UNION ALL SELECT current_setting('statement_timeout')::bigint
        UNION ALL SELECT count(*) FROM pg_listening_channels()";
    for _ in 0..6 {
        assert_eq!(pooler_sql(pooler, left), "0\n0\n0");
        assert!(!pooler_sql(pooler, "SHOW search_path").contains("realtime"));
    }
}

fn pooler_sql(pooler: &PgBouncer, sql: &str) -> String {
    let url = pooler.url_without_a_word();
    let output = Command::new("psql").args(["-qAt", "-d", &url, "-c", sql]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// An instance on the server that waits a second for it, with a chef in the kitchen and the first event published.
fn open_kitchen(server: &Postgres) -> (Instance, Driver, Backend) {
    let url = server.application("shop");
    let (instance, driver) = (Instance::on(&url, &[("DATABASE_TIMEOUT", "1000")]), Driver::node());
    let backend = Backend::new(&instance.url());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    assert_eq!(backend.publish(&kitchen(), 0)["durable"], true);
    (instance, driver, backend)
}

#[test]
fn a_commit_whose_answer_is_lost_is_written_once() {
    let server = Postgres::start();
    let (_instance, driver, backend) = open_kitchen(&server);
    // Commits are made, and wait for a copy that nobody makes before they are answered.
    let waits = |name: &str| {
        server.psql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'")).unwrap();
        server.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    };
    waits("nobody");
    eventually("commits wait", || {
        (server.psql("shop", "SHOW synchronous_standby_names").unwrap() == "nobody").then_some(())
    });
    assert_eq!(backend.publish(&kitchen(), 1)["durable"], false);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    eventually("its commit waits", || (server.psql("shop", waiting).unwrap() != "0").then_some(()));
    // Past the time after which the connection is given up.
    let began = Instant::now();
    let mut n = 2;
    while began.elapsed() < Duration::from_secs(2) {
        assert_eq!(backend.publish(&kitchen(), n)["durable"], false);
        n += 1;
        std::thread::park_timeout(Duration::from_millis(20));
    }
    waits("");
    eventually("durable again", || (backend.insist(&kitchen(), n)["durable"] == true).then_some(()));
    has_each_once(&driver, "chef", n + 1);
    assert_eq!(logged(&server), (0..=n).collect::<Vec<_>>());
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn a_commit_that_a_falling_server_knows_nothing_of_is_made_again() {
    // Of a transaction nothing is written down before its commit, so its number is given to another afterwards.
    let mut server = Postgres::with(&["wal_writer_delay=10000"], "");
    let (_instance, driver, backend) = open_kitchen(&server);
    server
        .psql(
            "shop",
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
             CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON realtime.log_events
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
        )
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(backend.publish(&kitchen(), 1)["durable"], false));
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        eventually("its commit waits", || (server.psql("shop", waiting).unwrap() == "1").then_some(()));
        server.kill();
    });
    server.restart();
    server.psql("shop", "DROP TRIGGER waits ON realtime.log_events").unwrap();
    let n = 2;
    eventually("durable again", || (backend.insist(&kitchen(), n)["durable"] == true).then_some(()));
    has_each_once(&driver, "chef", n + 1);
    assert_eq!(logged(&server), (0..=n).collect::<Vec<_>>());
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn a_batch_that_was_given_up_does_not_come_after_all() {
    let server = Postgres::start();
    let (_instance, driver, backend) = open_kitchen(&server);
    let appends =
        "SELECT pid FROM pg_stat_activity WHERE query LIKE '%UPDATE realtime.log_head%' AND pid <> pg_backend_pid()";
    let appender = server.psql("shop", appends).unwrap();
    let signal = |signal: &str| assert!(Command::new("kill").args([signal, &appender]).status().unwrap().success());
    // What is sent to it waits in its socket, also when the service has closed that.
    signal("-STOP");
    assert_eq!(backend.publish(&kitchen(), 1)["durable"], false);
    let mut n = 2;
    eventually("the batch is given up, and written on another connection", || {
        n += 1;
        (backend.insist(&kitchen(), n - 1)["durable"] == true).then_some(())
    });
    signal("-CONT");
    let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {appender}");
    eventually("it has done what it was sent", || (server.psql("shop", &gone).unwrap() == "0").then_some(()));
    assert_eq!(logged(&server), (0..n).collect::<Vec<_>>());
    has_each_once(&driver, "chef", n);
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn a_network_that_stops_holds_nobody_up_and_leaves_no_connection_half_used() {
    let server = Postgres::start();
    let url = server.application("shop");
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], server.port)));
    let through = proxy.url().replace("http://", "postgresql://postgres@") + "/shop?sslmode=disable";
    migrations::run(&config(&url, &[]).database).unwrap();
    let (instance, driver) = (Instance::on(&through, &[("DATABASE_TIMEOUT", "1000")]), Driver::node());
    let backend = Backend::new(&instance.url());
    connect(&driver, &instance.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let mut n = 0;
    for round in 0..3 {
        (n..n + 20).for_each(|n| assert_eq!(backend.publish(&kitchen(), n)["durable"], true, "round {round}"));
        n += 20;
        proxy.cut(true);
        let began = Instant::now();
        let mut slowest = Duration::ZERO;
        while began.elapsed() < Duration::from_millis(2_500) {
            let asked = Instant::now();
            assert_eq!(backend.publish(&kitchen(), n)["durable"], false);
            slowest = slowest.max(asked.elapsed());
            n += 1;
            std::thread::park_timeout(Duration::from_millis(20));
        }
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        assert_eq!(instance.get("/health/ready", &[]).0, 503);
        let asked = Instant::now();
        assert_eq!(
            driver.ask("chef", "tab:join", &json!({ "tabId": "ctabbistro0000000000000002" }))["error"]["code"],
            "UNAVAILABLE"
        );
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
        proxy.cut(false);
        eventually("durable again", || {
            n += 1;
            (backend.insist(&kitchen(), n - 1)["durable"] == true).then_some(())
        });
        eventually("ready again", || (instance.get("/health/ready", &[]).0 == 200).then_some(()));
    }
    has_each_once(&driver, "chef", n);
    assert_eq!(logged(&server), (0..n).collect::<Vec<_>>());
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn positions_that_a_copy_lacks_are_not_given_out_again() {
    let server = Postgres::start();
    let url = server.application("shop");
    let instance = Instance::on(&url, &[]);
    let backend = Backend::new(&instance.url());
    (0..10).for_each(|n| assert_eq!(backend.publish(&kitchen(), n)["durable"], true));
    // As a copy would stand that has not had the newest when it took the server's place.
    server
        .psql("shop", "DELETE FROM realtime.log_events WHERE position > 6; UPDATE realtime.log_head SET head = 6")
        .unwrap();
    assert_eq!(backend.publish(&kitchen(), 10)["durable"], true);
    let newest =
        server.psql("shop", "SELECT max(position), (SELECT head FROM realtime.log_head) FROM realtime.log_events");
    assert_eq!(newest, Ok("11|11".to_owned()));
}
