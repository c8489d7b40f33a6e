//! Redis fails in every way that it has: nothing is lost, the order stays, and nobody needs to be started again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use expeditor::actors::messages::ProvokePanic;
use expeditor::domain::RoomName;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use redis::Connection;
use serde_json::json;

use crate::cluster_hostile;
use crate::support::cluster::{Cluster, health};
use crate::support::people::{BISTRO, CHEF};
use crate::support::postgres::Postgres;
use crate::support::redis::RedisServer;
use crate::support::stock::{Backend, Pace, connect, connections, has_each_once, recovered, seen};
use crate::support::wait::SetAtEnd;
use crate::support::{Driver, Instance, eventually, token};

/// How long Redis is away.
const OUTAGE: Duration = Duration::from_secs(10);
const LAG: &str = "expeditor_bridge_lag_seconds";
const RELAYED: &str = "expeditor_relayed_events_total{direction=\"in\"}";

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

/// Instances, a chef at each, and a backend at each that publishes all the while.
pub struct Traffic {
    cluster: Cluster,
    driver: Driver,
}

impl Traffic {
    fn on(redis: RedisServer) -> Self {
        Self::among(Cluster::with(2, redis, &[]))
    }

    pub fn among(cluster: Cluster) -> Self {
        let traffic = Self { cluster, driver: Driver::node() };
        for (index, chef) in traffic.chefs().iter().enumerate() {
            connect(&traffic.driver, &traffic.cluster.url(index), chef, &token(CHEF), &["websocket"]);
            traffic.driver.ask_ok(chef, "kitchen:join", &json!({ "venueId": BISTRO }));
        }
        traffic
    }

    fn chefs(&self) -> Vec<String> {
        (0..self.cluster.servers.len()).map(chef).collect()
    }

    /// Publishes at every instance while `trouble` lasts. Everybody has each event once, in order, on one connection.
    fn while_there_is(&mut self, trouble: impl FnOnce(&mut Cluster, &Driver)) {
        let backends: Vec<Backend> = self.cluster.servers.iter().map(|server| Backend::new(&server.url())).collect();
        let done = AtomicBool::new(false);
        let published = std::thread::scope(|scope| {
            let publishing = scope.spawn(|| {
                let (mut pace, mut n) = (Pace::start(), 0);
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(backends[n as usize % backends.len()].publish(&kitchen(), n)["durable"], true);
                    n += 1;
                    pace.wait(Duration::from_millis(5));
                }
                n
            });
            let end = SetAtEnd(&done);
            trouble(&mut self.cluster, &self.driver);
            drop(end);
            publishing.join().unwrap()
        });
        for chef in &self.chefs() {
            has_each_once(&self.driver, chef, published);
            assert_eq!(recovered(&self.driver, chef), [false], "{chef} has noticed nothing");
        }
    }
}

fn chef(index: usize) -> String {
    format!("chef{index}")
}

/// Lets events come and go for a while.
fn some_traffic(time: Duration) {
    Pace::start().wait(time);
}

#[test]
fn redis_is_killed_for_ten_seconds_and_comes_back_empty() {
    outlives_redis(Traffic::on(RedisServer::start()));
}

/// Redis is away for ten seconds, and comes back with nothing in it.
pub fn outlives_redis(traffic: Traffic) {
    outlives(traffic, RedisServer::kill, RedisServer::start_again);
}

/// Redis brings nothing for ten seconds. Every instance says so, goes on, and comes back to it by itself.
fn outlives(mut traffic: Traffic, begin: impl FnOnce(&mut RedisServer), end: impl FnOnce(&mut RedisServer)) {
    traffic.while_there_is(|cluster, driver| {
        let instances = 0..cluster.servers.len();
        some_traffic(Duration::from_millis(500));
        let away = Instant::now();
        begin(&mut cluster.redis);
        cluster.relays_no_more();
        for index in instances.clone() {
            let lag = cluster.metric(index, LAG);
            assert!((2.0..8.0).contains(&lag), "instance {index} is {lag} s behind");
            assert_eq!(cluster.count(index, "expeditor_bridge_connected"), 0);
        }
        for index in instances.clone() {
            // The database brings it meanwhile.
            let late = json!({ "room": kitchen(), "event": format!("late{index}"), "payload": null });
            assert_eq!(Backend::new(&cluster.url(index)).ask(&late)["durable"], true);
            for chef in instances.clone().map(chef) {
                driver.call("wait", json!({ "client": chef, "event": format!("late{index}"), "timeoutMs": 2_000 }));
            }
        }
        some_traffic(OUTAGE.saturating_sub(away.elapsed()));
        for index in instances.clone() {
            let lag = cluster.metric(index, LAG);
            assert!(lag > 8.0, "it grows at instance {index}: {lag} s");
            assert!(cluster.metric(index, "expeditor_bridge_lost_total") > 0.0, "what is left out is counted");
        }
        cluster.relays_no_more();
        end(&mut cluster.redis);
        cluster.relays();
        for index in instances {
            eventually("the lag's end", || (cluster.metric(index, LAG) < 1.0).then_some(()));
            assert_eq!(cluster.count(index, "expeditor_bridge_connected"), 1);
            let relayed = cluster.metric(index, RELAYED);
            eventually("the relay", || (cluster.metric(index, RELAYED) > relayed + 20.0).then_some(()));
        }
    });
}

#[test]
fn redis_stops_answering_for_ten_seconds_without_closing_its_connections() {
    let postgres = Postgres::start();
    let traffic = Traffic::among(Cluster::on_postgres(3, &postgres));
    outlives(traffic, |redis| redis.signal("STOP"), |redis| redis.signal("CONT"));
}

#[test]
fn redis_refuses_to_publish_for_ten_seconds() {
    let postgres = Postgres::start();
    let traffic = Traffic::among(Cluster::on_postgres(3, &postgres));
    let may_publish = |redis: &RedisServer, rule: &str| {
        redis::cmd("ACL").arg(&["SETUSER", "default", rule]).exec(&mut redis.connection()).unwrap();
    };
    outlives(traffic, |redis| may_publish(redis, "-publish"), |redis| may_publish(redis, "+publish"));
}

#[test]
fn a_redis_that_refuses_writes_for_ten_seconds_relays_all_the_same() {
    let postgres = Postgres::start();
    let mut traffic = Traffic::among(Cluster::on_postgres(3, &postgres));
    traffic.while_there_is(|cluster, driver| {
        let published = || seen(driver, "chef0").len();
        let mut redis = cluster.redis.connection();
        refuse_writes(&mut redis);
        let earlier = published();
        let before: Vec<f64> = (0..3).map(|index| cluster.metric(index, RELAYED)).collect();
        let began = Instant::now();
        while began.elapsed() < OUTAGE {
            for (index, server) in cluster.servers.iter().enumerate() {
                let health = health(server);
                assert!(health["ready"] == true && health["cluster"] == true, "instance {index}: {health}");
                let lag = cluster.metric(index, LAG);
                assert!(lag < 1.0, "instance {index} is {lag} s behind");
            }
            some_traffic(Duration::from_millis(200));
        }
        assert!(is_refused(&mut redis, "SET a b") && is_refused(&mut redis, "PING"), "to the end");
        // Two thirds of it are others'; here and there the log has it sooner.
        let half = (published() - earlier) as f64 / 2.0;
        assert!(half > 10.0, "there was traffic");
        for (index, before) in before.into_iter().enumerate() {
            let relayed = cluster.metric(index, RELAYED) - before;
            assert!(relayed > half, "instance {index} has {relayed} by the relay");
        }
    });
}

/// Redis cannot save what it has any longer, and takes neither writes nor pings then.
fn refuse_writes(redis: &mut Connection) {
    for (name, value) in [("save", "3600 1"), ("dir", "/proc"), ("min-replicas-to-write", "1")] {
        redis::cmd("CONFIG").arg(&["SET", name, value]).exec(redis).unwrap();
    }
    redis::cmd("BGSAVE").exec(redis).unwrap();
    eventually("that it refuses", || (is_refused(redis, "SET a b") && is_refused(redis, "PING")).then_some(()));
}

fn is_refused(redis: &mut Connection, command: &str) -> bool {
    let mut words = command.split(' ');
    redis::cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).exec(redis).is_err()
}

/// What each channel may be sent by anybody.
const CHANNELS: [&str; 9] = [
    "expeditor#log",
    "expeditor#unplaced",
    "expeditor#volatile",
    "expeditor#control",
    "socket.io#/#",
    "socket.io#/#kitchen:x#",
    "socket.io-request#/#",
    "socket.io-response#/#",
    "socket.io#/#\u{1f4a5}#",
];

#[test]
fn garbage_on_every_channel_is_counted_and_ignored() {
    let mut traffic = Traffic::on(RedisServer::start());
    let holder = traffic.cluster.lease_holder();
    traffic.while_there_is(|cluster, _| {
        let mut redis = cluster.redis.connection();
        let mut runner = TestRunner::deterministic();
        let bytes = prop::collection::vec(any::<u8>(), 0..300);
        let publish = |redis: &mut redis::Connection, channel: &str, body: &[u8]| {
            redis::cmd("PUBLISH").arg(channel).arg(body).exec(redis).unwrap();
        };
        let hostile = cluster_hostile::requests();
        for round in 0..300 {
            for channel in CHANNELS {
                publish(&mut redis, channel, &bytes.new_tree(&mut runner).unwrap().current());
            }
            if round % 100 == 0 {
                for channel in CHANNELS {
                    publish(&mut redis, channel, &vec![0x91; 3_000_000]);
                    publish(&mut redis, channel, &vec![b'['; 100_000]);
                    publish(&mut redis, channel, format!("{{\"type\":{}}}", "9".repeat(500)).as_bytes());
                }
                cluster_hostile::publish(&mut redis, &hostile);
            }
        }
        let ignored =
            |cause: &str| cluster.metric(holder, &format!("expeditor_bridge_ignored_total{{cause=\"{cause}\"}}"));
        eventually("the count", || (ignored("malformed") + ignored("version") > 1_000.0).then_some(()));
        assert!(ignored("too_large") > 0.0);
        eventually("the hostile ones", || (ignored("room") >= 9.0).then_some(()));
        cluster.relays();
        let complaints = cluster.servers[holder].program.lines();
        let complaints = complaints.iter().filter(|line| line.contains("was ignored")).count();
        assert!((1..=10).contains(&complaints), "once in a while: {complaints}");
    });
}

#[test]
fn an_instance_killed_in_the_middle_of_relaying_leaves_no_gap() {
    let mut traffic = Traffic::on(RedisServer::start());
    let extra = Backend::new(&traffic.cluster.url(0));
    let third = traffic.cluster.house.serve(crate::support::house::free_port());
    let third_backend = Backend::new(&third.url());
    // What the third has stored and not relayed is found all the same.
    let publish = |backend: &Backend, n: u64| {
        let publish = json!({ "room": kitchen(), "event": "e", "payload": { "n": n }, "id": format!("k{n}") });
        backend.post(crate::support::SERVER_SECRET, &publish.to_string())
    };
    std::thread::scope(|scope| {
        let killing = scope.spawn(move || {
            some_traffic(Duration::from_millis(300));
            third.kill();
        });
        for n in 0..400 {
            // The same name: an event whose acknowledgement was lost is not there twice.
            if publish(&third_backend, n).is_none() {
                extra.insist_on(
                    &json!({ "room": kitchen(), "event": "e", "payload": { "n": n }, "id": format!("k{n}") }),
                );
            }
        }
        killing.join().unwrap();
    });
    for chef in ["chef0", "chef1"] {
        has_each_once(&traffic.driver, chef, 400);
        connections(&traffic.driver, chef, 1);
    }
    traffic.cluster.servers.clear();
}

#[test]
fn redis_asks_for_tls_and_a_password() {
    const PASSWORD: &str = "correct-horse-battery-staple";
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let openssl = |arguments: &str| {
        let mut command = std::process::Command::new("openssl");
        let output = command.args(arguments.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    std::fs::write(path("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=test-ca -days 2");
    openssl("req -newkey rsa:2048 -nodes -keyout redis.key -out redis.csr -subj /CN=redis");
    openssl("x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out redis.pem -days 2 -extfile names");
    let tls_port = crate::support::house::free_port().to_string();
    let redis = RedisServer::with(&[
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        &path("redis.pem"),
        "--tls-key-file",
        &path("redis.key"),
        "--tls-ca-cert-file",
        &path("ca.pem"),
        "--tls-auth-clients",
        "no",
        "--requirepass",
        PASSWORD,
    ]);
    let url = format!("rediss://127.0.0.1:{tls_port}");
    let (ca, driver) = (path("ca.pem"), Driver::node());
    let variables = [("REDIS_URL", url.as_str()), ("REDIS_PASSWORD", PASSWORD), ("REDIS_CA_FILE", &ca)];
    let cluster = Cluster::with(2, redis, &variables);
    connect(&driver, &cluster.url(1), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    (0..20).for_each(|n| drop(Backend::new(&cluster.url(0)).publish(&kitchen(), n)));
    has_each_once(&driver, "chef", 20);
    assert!(cluster.metric(1, "expeditor_relayed_events_total{direction=\"in\"}") > 0.0);
    for server in &cluster.servers {
        assert!(server.program.lines().iter().all(|line| !line.contains(PASSWORD)));
    }
    // Without the right authority there is no connection.
    let other = cluster.house.serve_with(crate::support::house::free_port(), &[("REDIS_CA_FILE", "")]);
    assert_eq!(crate::support::cluster::health(&other)["cluster"], false);
}

#[test]
fn a_bridge_that_panics_is_started_again() {
    let redis = RedisServer::start();
    let url = redis.url();
    let instance = Instance::with(&[("REDIS_URL", &url), ("ADMIN_TOKEN", "the-operators-token")]);
    let cluster = instance.services().cluster.as_ref().unwrap();
    eventually("the relay", || cluster.is_connected().then_some(()));
    let census = &instance.services().census;
    cluster.bridge().unwrap().do_send(ProvokePanic { room: RoomName::parse(&kitchen()).unwrap() });
    eventually("the failure", || (census.bridge.restarts() == 1).then_some(()));
    eventually("the relay", || cluster.is_connected().then_some(()));
    let bearer = [("authorization", "Bearer the-operators-token")];
    let (_, answer) = instance.get_json("/admin/api/actors?kind=bridge", &bearer);
    let bridge = &answer["actors"][0];
    assert_eq!((&bridge["restarts"], &bridge["state"]), (&json!(1), &json!("running")), "{bridge}");
    assert!(bridge["lastFailure"].as_str().unwrap().contains("provoked"));
}
