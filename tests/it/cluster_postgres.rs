//! Instances on one PostgreSQL and one Redis: what holds on the embedded database holds here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{have_one_order, is_recovered_at_another};
use crate::cluster_node::{answers_what_node_asks, moves_the_lease_on, reaches_all_four};
use crate::cluster_outage::restarts_one_after_the_other;
use crate::cluster_redis::{Traffic, outlives_redis};
use crate::support::biscuits::{Keys, expeditor};
use crate::support::cluster::Cluster;
use crate::support::house::{Server, free_port};
use crate::support::mixed::Mixed;
use crate::support::people::{BISTRO, CHEF};
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::stock::{Backend, Pace, always_recovered, connect, recovered, seen};
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

#[test]
fn three_instances_have_one_order_of_20_000_events_on_postgres() {
    let postgres = Postgres::start();
    have_one_order(&Cluster::on_postgres(3, &postgres), 20_000);
}

#[test]
fn a_client_of_a_killed_instance_is_recovered_at_another_on_postgres() {
    let postgres = Postgres::start();
    is_recovered_at_another(Cluster::on_postgres(3, &postgres));
}

#[test]
fn a_rolling_restart_of_all_three_leaves_no_gap_on_postgres() {
    let postgres = Postgres::start();
    restarts_one_after_the_other(Cluster::on_postgres(3, &postgres));
}

#[test]
fn redis_is_killed_for_ten_seconds_and_comes_back_empty_on_postgres() {
    let postgres = Postgres::start();
    outlives_redis(Traffic::among(Cluster::on_postgres(3, &postgres)));
}

#[test]
fn whoever_publishes_reaches_the_clients_of_all_four_on_postgres() {
    let postgres = Postgres::start();
    let mixed = Mixed::among(Cluster::on_postgres(2, &postgres));
    reaches_all_four(&mixed);
}

#[test]
fn what_a_node_server_asks_of_its_peers_does_not_time_out_on_postgres() {
    let postgres = Postgres::start();
    answers_what_node_asks(&Mixed::among(Cluster::on_postgres(2, &postgres)));
}

#[test]
fn the_lease_moves_on_when_its_holder_dies_on_postgres() {
    let postgres = Postgres::start();
    moves_the_lease_on(Mixed::among(Cluster::on_postgres(2, &postgres)));
}

#[test]
fn a_token_that_is_revoked_from_the_command_line_ends_its_sessions_at_every_instance_at_once() {
    const ROUNDS: u32 = 12;
    let postgres = Postgres::start();
    let url = postgres.application("restaurant");
    let (keys, driver) = (Keys::generate(1), Driver::node());
    let migrated = expeditor(&["migrate"], &[("DATABASE_URL", &url)], "");
    assert!(migrated.contains("log"), "{migrated}");
    let instances = [(); 2].map(|()| Instance::on(&url, &[("BISCUIT_PUBLIC_KEY", &keys.public)]));
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN expeditor'";
    eventually("both listen", || (postgres.psql("restaurant", listening).unwrap() == "2").then_some(()));
    let mut took = Duration::ZERO;
    for round in 0..ROUNDS {
        let display = keys.mint(&["--device", &format!("d{round}"), "--staff", &format!("{BISTRO}=CHEF")]);
        let clients = [0, 1].map(|index| format!("display{round}.{index}"));
        for (instance, client) in instances.iter().zip(&clients) {
            driver.connect(instance, client, &display);
        }
        expeditor(&["token", "revoke"], &[("DATABASE_URL", &url)], &display);
        let began = Instant::now();
        for client in &clients {
            driver.call("wait", json!({ "client": client, "event": "$disconnect", "count": 1 }));
        }
        took += began.elapsed();
    }
    // By the looks that each makes by itself it would be twice that, and more.
    assert!(took < ROUNDS * Duration::from_millis(125), "{took:?}");
}

/// A publisher's events have its number in front of their own: there is no order between publishers in an outage.
const OF_ONE: u64 = 1_000_000;

/// Holds events to be those that each publisher has published, each once, and each publisher's in its order.
fn are_all_of(whose: &str, events: &[u64], published: &[u64]) {
    let mut by_publisher: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    events.iter().for_each(|n| by_publisher.entry(n / OF_ONE).or_default().push(n % OF_ONE));
    for (publisher, count) in (0..).zip(published) {
        let had = by_publisher.remove(&publisher).unwrap_or_default();
        let odd = (0..*count).zip(&had).find(|(expected, n)| expected != *n);
        assert!(
            odd.is_none() && had.len() as u64 == *count,
            "{whose} has {} of {count} of publisher {publisher}; expected and had first: {odd:?}",
            had.len()
        );
    }
    assert!(by_publisher.is_empty(), "{whose}");
}

/// Publishes at each instance while `trouble` lasts; how many there were, and how many of them were not stored at once.
fn publish_during(backends: &[Backend], trouble: impl FnOnce()) -> Vec<(u64, u64)> {
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..)
            .zip(backends)
            .map(|(index, backend)| scope.spawn(move || publish_until(done, backend, index * OF_ONE)))
            .collect();
        trouble();
        done.store(true, Ordering::Relaxed);
        publishers.into_iter().map(|publisher| publisher.join().unwrap()).collect()
    })
}

fn publish_until(done: &AtomicBool, backend: &Backend, first: u64) -> (u64, u64) {
    let (mut pace, mut n, mut unstored) = (Pace::start(), 0, 0);
    while !done.load(Ordering::Relaxed) {
        unstored += u64::from(backend.publish(&kitchen(), first + n)["durable"] == false);
        n += 1;
        pace.wait(Duration::from_millis(20));
    }
    (n, unstored)
}

/// The number of every event in the log, in order.
fn logged(postgres: &Postgres) -> Vec<u64> {
    let query =
        "SELECT string_agg(payload::json ->> 'n', ',' ORDER BY position) FROM realtime.log_events WHERE event = 'e'";
    let numbers = postgres.psql("restaurant", query).unwrap();
    numbers.split(',').map(|number| number.parse().unwrap()).collect()
}

#[test]
fn postgres_is_killed_for_ten_seconds_and_live_events_reach_all_three_instances_all_the_same() {
    let mut postgres = Postgres::start();
    let (cluster, driver) = (Cluster::on_postgres(3, &postgres), Driver::node());
    let chefs = ["chef0", "chef1", "chef2"];
    for (index, name) in chefs.into_iter().enumerate() {
        connect(&driver, &cluster.url(index), name, &token(CHEF), &["websocket"]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    let backends: Vec<Backend> = cluster.servers.iter().map(|server| Backend::new(&server.url())).collect();
    let counts = publish_during(&backends, || {
        let mut away = Pace::start();
        away.wait(Duration::from_secs(1));
        postgres.kill();
        away.wait(Duration::from_secs(9));
        // What is published now is seen now: nothing waits for the database.
        let live = json!({ "room": kitchen(), "event": "live", "payload": null });
        assert_eq!(backends[0].ask(&live)["durable"], false);
        chefs.iter().for_each(|chef| drop(driver.wait(chef, "live", 0)));
        away.wait(Duration::from_secs(1));
        postgres.restart();
        let probe = json!({ "room": kitchen(), "event": "probe", "payload": null });
        for backend in &backends {
            eventually("durable again", || (backend.ask(&probe)["durable"] == true).then_some(()));
        }
        away.wait(Duration::from_secs(1));
    });
    let published: Vec<u64> = counts.iter().map(|(published, _)| *published).collect();
    assert!(counts.iter().all(|(_, unstored)| *unstored > 300), "most of ten seconds: {counts:?}");
    let all = published.iter().sum::<u64>();
    for index in 0..3 {
        eventually("what was held back is stored", || (cluster.count(index, "expeditor_log_held") == 0).then_some(()));
    }
    are_all_of("the log", &logged(&postgres), &published);
    for chef in chefs {
        driver.call("wait", json!({ "client": chef, "event": "e", "count": all }));
        are_all_of(chef, &seen(&driver, chef), &published);
        assert_eq!(recovered(&driver, chef), [false], "{chef} has noticed nothing");
    }
}

/// What one publisher does while an instance is killed: requests with several events each, every one with a name.
struct Publisher<'a> {
    number: u64,
    /// How many events it has published.
    published: u64,
    first: &'a Backend,
    other: &'a Backend,
}

impl Publisher<'_> {
    const EVENTS: u64 = 5;

    /// The answers to one request, or `None` where there are none.
    fn ask(&self, backend: &Backend, from: u64) -> Option<Value> {
        let publish = |n: u64| {
            let n = self.number * OF_ONE + n;
            json!({ "room": kitchen(), "event": "e", "payload": { "n": n }, "id": format!("k{n}") })
        };
        let body = Value::from((from..from + Self::EVENTS).map(publish).collect::<Vec<_>>());
        let (status, answers) = backend.post(SERVER_SECRET, &body.to_string())?;
        let durable = answers.as_array().is_some_and(|answers| answers.iter().all(|answer| answer["durable"] == true));
        assert!(status == 200 && durable, "{status} {answers}");
        Some(answers)
    }

    /// Publishes at the first until it is killed, and what that did not answer once more at the other. How many
    /// requests had to be repeated.
    fn publish(mut self, requests: u64, answered: &AtomicU64) -> u64 {
        let mut backend = self.first;
        let (mut last, mut repeated) = (None, 0);
        for _ in 0..requests {
            let from = self.published;
            let answers = self.ask(backend, from).unwrap_or_else(|| {
                repeated += 1;
                backend = self.other;
                if let Some((from, answers)) = &last {
                    assert_eq!(self.ask(backend, *from).as_ref(), Some(answers), "the same answer to the same name");
                }
                self.ask(backend, from).expect("an answer")
            });
            last = Some((from, answers));
            self.published += Self::EVENTS;
            answered.fetch_add(1, Ordering::Relaxed);
        }
        repeated
    }
}

#[test]
fn what_a_killed_instance_did_not_answer_is_there_once_when_another_has_been_asked_again() {
    const INSTANCES: usize = 3;
    const PUBLISHERS: u64 = 5;
    const REQUESTS: u64 = 100;
    let postgres = Postgres::start();
    let (mut cluster, driver) = (Cluster::on_postgres(INSTANCES, &postgres), Driver::node());
    let address = |server: &Server| ([127, 0, 0, 1], server.port).into();
    let balancers: Vec<Proxy> = cluster.servers.iter().map(|server| Proxy::to(address(server))).collect();
    let chefs: Vec<String> = (0..INSTANCES).map(|index| format!("chef{index}")).collect();
    for (chef, balancer) in chefs.iter().zip(&balancers) {
        connect(&driver, &balancer.url(), chef, &token(CHEF), &["websocket"]);
        driver.ask_ok(chef, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    // At which instance each client is, and how often it has connected.
    let mut clients = [0, 1, 2].map(|instance| (instance, 1));
    for (round, killed) in (0..).zip(0..INSTANCES) {
        let [next, elsewhere] = [1, 2].map(|further| (killed + further) % INSTANCES);
        let backends = [killed, next].map(|index| Backend::new(&cluster.url(index)));
        let (new, answered) = (cluster.house.serve(free_port()), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let publishing: Vec<_> = (0..PUBLISHERS)
                .map(|number| {
                    // One of them is at another from the beginning.
                    let [first, other] = if number == 0 { [1, 1] } else { [0, 1] }.map(|which| &backends[which]);
                    let before = round * REQUESTS * Publisher::EVENTS;
                    let (publisher, answered) = (Publisher { number, published: before, first, other }, &answered);
                    scope.spawn(move || publisher.publish(REQUESTS, answered))
                })
                .collect();
            for ((at, connections), balancer) in clients.iter_mut().zip(&balancers).filter(|((at, _), _)| *at == killed)
            {
                balancer.point_at(address(&cluster.servers[elsewhere]));
                (*at, *connections) = (elsewhere, *connections + 1);
            }
            eventually("half of the answers", || {
                (answered.load(Ordering::Relaxed) > PUBLISHERS * REQUESTS / 2).then_some(())
            });
            std::mem::replace(&mut cluster.servers[killed], new).kill();
            let repeated: Vec<u64> = publishing.into_iter().map(|publisher| publisher.join().unwrap()).collect();
            assert_eq!(repeated, [0, 1, 1, 1, 1], "it was killed in the middle");
        });
        cluster.relays();
    }
    let published = [INSTANCES as u64 * REQUESTS * Publisher::EVENTS; PUBLISHERS as usize];
    let log = logged(&postgres);
    are_all_of("the log", &log, &published);
    for (chef, (_, connected)) in chefs.iter().zip(clients) {
        driver.call("wait", json!({ "client": chef, "event": "e", "count": log.len(), "timeoutMs": 30_000 }));
        assert!(seen(&driver, chef) == log, "{chef} has another order than the log");
        assert_eq!(recovered(&driver, chef).len(), connected);
        always_recovered(&driver, chef);
    }
}
