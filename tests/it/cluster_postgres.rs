//! Instances on one PostgreSQL and one Redis: what holds on the embedded database holds here.

use std::time::Duration;

use serde_json::json;

use crate::cluster::have_one_order;
use crate::support::cluster::Cluster;
use crate::support::people::{BISTRO, CHEF};
use crate::support::postgres::Postgres;
use crate::support::stock::{Backend, Pace, connect, has_each_once, recovered};
use crate::support::{Driver, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

#[test]
fn three_instances_have_one_order_of_20_000_events_on_postgres() {
    let postgres = Postgres::start();
    have_one_order(&Cluster::on_postgres(3, &postgres), 20_000);
}

#[test]
fn postgres_is_killed_and_live_events_reach_every_instance_all_the_same() {
    let mut postgres = Postgres::start();
    let (cluster, driver) = (Cluster::on_postgres(2, &postgres), Driver::node());
    for (index, name) in ["chef0", "chef1"].into_iter().enumerate() {
        connect(&driver, &cluster.url(index), name, &token(CHEF), &["websocket"]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    let backend = Backend::new(&cluster.url(0));
    let mut n = 0;
    let mut pace = Pace::start();
    let mut publish_until = |condition: &mut dyn FnMut(bool) -> bool| {
        loop {
            let durable = backend.publish(&kitchen(), n)["durable"] == true;
            n += 1;
            if condition(durable) {
                return n;
            }
            pace.wait(Duration::from_millis(5));
        }
    };
    publish_until(&mut |durable| durable);
    postgres.kill();
    let mut unstored = 0;
    let published = publish_until(&mut |durable| {
        unstored += u32::from(!durable);
        unstored >= 500
    });
    ["chef0", "chef1"].iter().for_each(|chef| has_each_once(&driver, chef, published));
    postgres.restart();
    let mut stored = 0;
    let published = publish_until(&mut |durable| {
        stored += u32::from(durable);
        stored >= 50
    });
    for chef in ["chef0", "chef1"] {
        has_each_once(&driver, chef, published);
        assert_eq!(recovered(&driver, chef), [false], "{chef} has noticed nothing");
    }
    let count = "SELECT count(*) FROM realtime.log_events WHERE event = 'e'";
    eventually("all of it is in the log", || {
        (postgres.psql("restaurant", count).ok()? == published.to_string()).then_some(())
    });
}
