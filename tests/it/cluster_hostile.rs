//! Requests in the adapter's form by which a few bytes on Redis would cost the house much.

use expeditor::store::migrations;
use redis::Connection;
use serde_json::{Value, json};

use crate::support::instance::config;
use crate::support::postgres::Postgres;
use crate::support::redis::RedisServer;
use crate::support::{Driver, Instance, eventually, people, token};

const REQUESTS: &str = "socket.io-request#/#";

fn rooms(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("venue:c{n:08}")).collect()
}

/// About every session.
fn ask(kind: u8, rooms: &[String]) -> Value {
    json!({ "uid": "stranger", "requestId": "r", "type": kind, "opts": { "rooms": [], "except": [] }, "rooms": rooms })
}

/// Requests of every kind that disconnects nobody.
pub fn requests() -> Vec<String> {
    let (some, many) = (rooms(64), rooms(100_000));
    let mut requests = vec![ask(2, &many), ask(3, &many), ask(2, &some), ask(3, &some)];
    requests.push(json!({ "uid": "stranger", "type": 2, "sid": "nobody's", "room": some[0], "rooms": many }));
    let packet = json!({ "data": ["e", { "n": 0 }] });
    let to_many = json!({ "rooms": many, "except": [] });
    requests.push(json!({ "uid": "stranger", "requestId": "r", "type": 7, "packet": packet, "opts": to_many }));
    requests.push(json!({ "uid": "stranger", "requestId": "r", "type": 5, "opts": to_many }));
    let of_all = [0, 1, 5, 6].map(|kind| ask(kind, &[]));
    requests.extend(of_all.iter().cycle().take(400).cloned());
    requests.iter().map(ToString::to_string).collect()
}

pub fn publish(redis: &mut Connection, requests: &[String]) {
    let mut pipe = redis::pipe();
    for request in requests {
        pipe.cmd("PUBLISH").arg(REQUESTS).arg(request).ignore();
    }
    pipe.exec(redis).unwrap();
}

#[test]
fn requests_about_every_session_do_not_pile_up_in_the_sessions_mailboxes() {
    const MANY: usize = 60;
    let redis = RedisServer::start();
    let (instance, driver) = (Instance::with(&[("REDIS_URL", &redis.url())]), Driver::node());
    driver.connect(&instance, "chef", &token(people::CHEF));
    eventually("the relay", || instance.services().cluster.as_ref().unwrap().is_connected().then_some(()));
    let mut listening = redis.connection();
    let mut answers = listening.as_pubsub();
    answers.subscribe("socket.io-response#/#").unwrap();
    answers.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    let ignored = |cause: &str| instance.metric(&format!("expeditor_bridge_ignored_total{{cause=\"{cause}\"}}"));
    let mut stranger = redis.connection();
    publish(&mut stranger, &[2, 3].map(|kind| ask(kind, &rooms(100_000)).to_string()));
    eventually("both are refused", || (ignored("room") == 2).then_some(()));
    let forbidden = || instance.metric("expeditor_joins_total{outcome=\"forbidden\"}");
    let session = instance.services().directory.all().remove(0);
    publish(&mut stranger, &vec![ask(2, &rooms(64)).to_string(); MANY]);
    (0..MANY).for_each(|_| drop(answers.get_message().unwrap()));
    eventually("each is refused", || (forbidden() == 64 * MANY as u64).then_some(()));
    let high = session.record.probe.read().high;
    assert!((64..1_100).contains(&high), "{high} messages waited");
    driver.call("disconnect", json!({ "client": "chef" }));
}

#[test]
fn a_frame_of_an_instance_that_is_sent_again_and_again_costs_the_database_little() {
    const AGAIN: usize = 5_000;
    const CONTROL: &str = "expeditor#control";
    let (redis, postgres) = (RedisServer::start(), Postgres::start());
    let url = postgres.application("restaurant");
    let variables = [("REDIS_URL", redis.url())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    migrations::run(&config(&url, &[]).database).unwrap();
    let instances = [(); 2].map(|()| Instance::on(&url, &variables));
    for instance in &instances {
        eventually("the relay", || instance.services().cluster.as_ref().unwrap().is_connected().then_some(()));
    }
    let mut listening = redis.connection();
    let mut frames = listening.as_pubsub();
    frames.subscribe(CONTROL).unwrap();
    let changed = json!({ "userId": people::CHEF });
    assert_eq!(instances[0].post_json("/api/rights", people::SERVER_SECRET, &changed).0, 200);
    let names_the_chef = |frame: &[u8]| frame.windows(people::CHEF.len()).any(|part| part == people::CHEF.as_bytes());
    let frame: Vec<u8> = eventually("the frame", || {
        Some(frames.get_message().unwrap().get_payload_bytes().to_vec()).filter(|frame| names_the_chef(frame))
    });
    let mut stranger = redis.connection();
    let mut pipe = redis::pipe();
    for body in std::iter::repeat_n(&frame[..], AGAIN).chain([&b"the last"[..]]) {
        pipe.cmd("PUBLISH").arg(CONTROL).arg(body).ignore();
    }
    pipe.exec(&mut stranger).unwrap();
    let ignored = || instances[1].metric("expeditor_bridge_ignored_total{cause=\"malformed\"}");
    eventually("the last", || (ignored() == 1).then_some(()));
    let handled = instances[1].services().census.rights.read().handled;
    assert!((1..AGAIN as u64 / 10).contains(&handled), "{handled} readings");
}
