//! Who takes in what Node servers publish, while the database is away for all or for one: each event comes once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::mixed::{Mixed, OURS, THEIRS};
use crate::support::people::BISTRO;
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::stock::{Pace, seen};

/// A Node server that publishes event after event.
struct Publishing<'a> {
    mixed: &'a Mixed,
    published: u64,
}

impl Publishing<'_> {
    fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        let (mut pace, began) = (Pace::start(), Instant::now());
        while !done() {
            assert!(began.elapsed() < Duration::from_secs(20), "never came: {what}");
            let event = json!({ "room": format!("kitchen:{BISTRO}"), "first": self.published, "count": 1 });
            self.mixed.nodes[0].call("emitMany", event);
            self.published += 1;
            pace.wait(Duration::from_millis(10));
        }
    }

    fn a_while(&mut self, time: Duration) {
        let began = Instant::now();
        self.until("the time", || began.elapsed() > time);
    }

    /// Holds every client to have each event once. Between two publishers there is no order.
    fn has_come(&self) {
        for client in OURS.iter().chain(&THEIRS) {
            let wait = json!({ "client": client, "event": "e", "count": self.published, "timeoutMs": 10_000 });
            let answer = self.mixed.driver.begin("wait", wait).outcome();
            let mut seen = seen(&self.mixed.driver, client);
            seen.sort_unstable();
            let odd = (0..self.published).zip(&seen).find(|(expected, n)| expected != *n);
            assert!(
                answer["ok"] == true && odd.is_none() && seen.len() as u64 == self.published,
                "{client} has {} of {}; expected and had first: {odd:?}",
                seen.len(),
                self.published
            );
        }
    }

    /// The database is there for all again, and everything is stored, once.
    fn is_stored(&mut self, postgres: &Postgres) {
        let cluster = &self.mixed.cluster;
        self.until("an end of the outage", || {
            (0..2).all(|index| cluster.count(index, "expeditor_log_held") == 0)
                && [0, 1].iter().filter(|index| cluster.count(**index, "expeditor_bridge_lease") == 1).count() == 1
        });
        self.a_while(Duration::from_secs(1));
        self.has_come();
        let query = "SELECT count(*), count(DISTINCT payload) FROM realtime.log_events WHERE event = 'e'";
        let all = format!("{0}|{0}", self.published);
        crate::support::eventually("all of it in the log", || {
            (postgres.psql("restaurant", query).unwrap() == all).then_some(())
        });
    }
}

#[test]
fn events_of_node_servers_go_on_while_postgres_does_not_answer() {
    let postgres = Postgres::start();
    let mixed = Mixed::among(Cluster::on_postgres(2, &postgres));
    let mut publishing = Publishing { mixed: &mixed, published: 0 };
    publishing.a_while(Duration::from_millis(500));
    postgres.signal("STOP");
    // Past the lease's end and past what the store waits for an answer.
    publishing.a_while(Duration::from_secs(8));
    publishing.has_come();
    postgres.signal("CONT");
    publishing.is_stored(&postgres);
}

#[test]
fn an_instance_that_alone_has_lost_postgres_leaves_the_events_of_node_servers_to_another() {
    let postgres = Postgres::start();
    let proxies = [(); 2].map(|()| Proxy::to(SocketAddr::from(([127, 0, 0, 1], postgres.port))));
    let mixed = Mixed::among(Cluster::on_postgres_by(&proxies, &postgres));
    let holder = mixed.cluster.lease_holder();
    let other = 1 - holder;
    let mut publishing = Publishing { mixed: &mixed, published: 0 };
    publishing.a_while(Duration::from_millis(500));
    proxies[holder].cut(true);
    publishing.until("another holder", || mixed.cluster.count(other, "expeditor_bridge_lease") == 1);
    // Past what the store of the one without a database waits for an answer.
    publishing.a_while(Duration::from_secs(5));
    assert_eq!(mixed.cluster.count(holder, "expeditor_bridge_lease"), 0);
    publishing.has_come();
    proxies[holder].cut(false);
    publishing.is_stored(&postgres);
}
