//! Several instances relay through Redis: one order, nothing missing, nothing twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::people::{BISTRO, CHEF, GUESTS_TAB};
use crate::support::stock::{Backend, always_recovered, connect, connections, has_each_once, seen};
use crate::support::{Driver, SERVER_SECRET, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

/// A chef at every instance, in the kitchen's room.
fn chefs(driver: &Driver, cluster: &Cluster) -> Vec<String> {
    let names: Vec<String> = (0..cluster.servers.len()).map(|index| format!("chef{index}")).collect();
    for (index, name) in names.iter().enumerate() {
        connect(driver, &cluster.url(index), name, &token(CHEF), &["websocket"]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    names
}

#[test]
fn what_one_instance_stores_goes_out_at_the_others_at_once() {
    let cluster = Cluster::start(2);
    let driver = Driver::node();
    let chefs = chefs(&driver, &cluster);
    let backends = [Backend::new(&cluster.url(0)), Backend::new(&cluster.url(1))];
    for n in 0..100 {
        backends[n as usize % 2].publish(&kitchen(), n);
    }
    chefs.iter().for_each(|chef| has_each_once(&driver, chef, 100));
    let relayed = |index| cluster.metric(index, "expeditor_relayed_events_total{direction=\"in\"}");
    assert!(relayed(0) + relayed(1) >= 90.0, "by the relay, and not by the database: {} {}", relayed(0), relayed(1));
}

#[test]
fn three_instances_have_one_order_of_20_000_events() {
    have_one_order(&Cluster::start(3), 20_000);
}

/// Who is in which of these rooms, at every instance.
const KINDS: [(&str, &[usize]); 3] = [("two", &[0, 1]), ("other", &[1, 2]), ("all", &[0, 1, 2])];

fn rooms() -> [String; 3] {
    [kitchen(), format!("venue:{BISTRO}"), format!("tab:{GUESTS_TAB}")]
}

/// The rooms of event `n`: one of them, or two in one publish.
fn rooms_of(n: u64) -> &'static [usize] {
    const ROOMS: [&[usize]; 6] = [&[0], &[0, 1], &[1], &[1, 2], &[2], &[2, 0]];
    ROOMS[n as usize % ROOMS.len()]
}

fn is_in(rooms: &[usize], n: u64) -> bool {
    rooms_of(n).iter().any(|room| rooms.contains(room))
}

/// All instances publish at once, to one room and to two, as fast as they can. Whoever listens at any of them, in however
/// many of the rooms, has what went to them in one order, and each once.
pub fn have_one_order(cluster: &Cluster, events: u64) {
    const AT_ONCE: u64 = 50;
    let (driver, instances) = (Driver::node(), 0..cluster.servers.len());
    for (kind, rooms) in KINDS {
        for index in instances.clone() {
            let name = format!("{kind}{index}");
            connect(&driver, &cluster.url(index), &name, &token(CHEF), &["websocket"]);
            for room in rooms {
                let (event, member, id) =
                    [("kitchen", "venueId", BISTRO), ("venue", "venueId", BISTRO), ("tab", "tabId", GUESTS_TAB)][*room];
                driver.ask_ok(&name, &format!("{event}:join"), &json!({ member: id }));
            }
        }
    }
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for index in instances {
            let (backend, next) = (Backend::new(&cluster.url(index)), &next);
            scope.spawn(move || {
                loop {
                    let first = next.fetch_add(AT_ONCE, Ordering::Relaxed);
                    if first >= events {
                        return;
                    }
                    let publish = |n| {
                        let rooms: Vec<String> = rooms_of(n).iter().map(|room| rooms()[*room].clone()).collect();
                        json!({ "rooms": rooms, "event": "e", "payload": { "n": n } })
                    };
                    let body = Value::from((first..first + AT_ONCE).map(publish).collect::<Vec<_>>());
                    let (status, answers) = backend.post(SERVER_SECRET, &body.to_string()).unwrap();
                    assert_eq!(status, 200);
                    assert!(answers.as_array().unwrap().iter().all(|answer| answer["durable"] == true));
                }
            });
        }
    });
    let wait = |kind: &str, count: u64| {
        driver.call("waitAll", json!({ "prefix": kind, "event": "e", "count": count, "timeoutMs": 60_000 }));
    };
    wait("all", events);
    let order = seen(&driver, "all0");
    for (kind, rooms) in KINDS {
        let expected: Vec<u64> = order.iter().copied().filter(|n| is_in(rooms, *n)).collect();
        wait(kind, expected.len() as u64);
        let had = driver.call("sequences", json!({ "prefix": kind, "event": "e", "path": "n" }));
        assert_eq!(had["distinctOrders"], 1, "{kind}: {}", had["lengths"]);
        assert!(seen(&driver, &format!("{kind}0")) == expected, "{kind}: another order than in all rooms");
    }
    // Each once, and what came in one request in its order, whichever rooms it went to.
    let mut by_request: Vec<Vec<u64>> = vec![Vec::new(); (events / AT_ONCE) as usize];
    order.iter().for_each(|n| by_request[(n / AT_ONCE) as usize].push(*n));
    assert!(by_request.into_iter().flatten().eq(0..events));
}

#[test]
fn a_client_whose_instance_was_killed_is_recovered_at_another() {
    is_recovered_at_another(Cluster::start(3));
}

/// One of three is killed in the middle of events; its client goes on at another.
pub fn is_recovered_at_another(mut cluster: Cluster) {
    let driver = Driver::node();
    let balancer = crate::support::proxy::Proxy::to(([127, 0, 0, 1], cluster.servers[0].port).into());
    connect(&driver, &balancer.url(), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let backend = Backend::new(&cluster.url(1));
    (0..20).for_each(|n| drop(backend.publish(&kitchen(), n)));
    balancer.point_at(([127, 0, 0, 1], cluster.servers[2].port).into());
    cluster.servers.remove(0).kill();
    (20..60).for_each(|n| drop(backend.publish(&kitchen(), n)));
    connections(&driver, "chef", 2);
    (60..80).for_each(|n| drop(backend.publish(&kitchen(), n)));
    has_each_once(&driver, "chef", 80);
    always_recovered(&driver, "chef");
}

#[test]
fn a_client_that_comes_to_another_instance_is_replaced_where_it_was() {
    let cluster = Cluster::start(2);
    let driver = Driver::node();
    let connected = |index| cluster.count(index, "socket_connections");
    // The same client twice: the instance that has the first has no reason to think that it is gone.
    let open = |name: &str, index: usize, auth: &Value| {
        let url = format!("ws://127.0.0.1:{}/socket.io/?EIO=4&transport=websocket", cluster.servers[index].port);
        driver.call("rawWebsocket", json!({ "client": name, "url": url }));
        driver.call("rawSend", json!({ "client": name, "text": format!("40{auth}") }));
        let frames = driver.call("wait", json!({ "client": name, "event": "$frame", "count": 2 }));
        let frame = frames["events"][1]["args"][0].as_str().unwrap();
        serde_json::from_str::<Value>(frame.strip_prefix("40").unwrap()).unwrap()["pid"].clone()
    };
    let pid = open("first", 0, &json!({ "token": token(CHEF) }));
    assert_eq!(connected(0), 1);
    assert_eq!(open("second", 1, &json!({ "token": token(CHEF), "pid": pid })), pid, "it has its session back");
    eventually("the replacement", || (connected(0) == 0 && connected(1) == 1).then_some(()));
}

#[test]
fn rights_that_are_read_again_at_one_instance_are_at_all() {
    let cluster = Cluster::start(2);
    let driver = Driver::node();
    let chefs = chefs(&driver, &cluster);
    let agent = ureq::Agent::new_with_defaults();
    let set = |status: &str| {
        let change = format!("UPDATE venue_staff SET status = '{status}' WHERE user_id = '{CHEF}'");
        cluster.house.database().batch_execute(&change).unwrap();
        let request = agent.post(format!("{}/api/rights", cluster.url(0)));
        let answer = request
            .header("authorization", format!("Bearer {SERVER_SECRET}"))
            .send(json!({ "userId": CHEF }).to_string())
            .unwrap();
        assert_eq!(answer.status(), 200);
    };
    // Each instance reads all rows again within four seconds anyway: by luck alone it would not be sooner every time.
    for round in 1..=5 {
        let began = Instant::now();
        set("ON_LEAVE");
        for chef in &chefs {
            let request = json!({ "client": chef, "event": "error", "count": round, "timeoutMs": 5_000 });
            let answer = driver.call("wait", request);
            assert_eq!(answer["events"][round - 1]["args"][0]["code"], "FORBIDDEN");
        }
        assert!(began.elapsed() < Duration::from_secs(1), "round {round}: after {:?}", began.elapsed());
        set("ACTIVE");
        chefs.iter().for_each(|chef| drop(driver.ask_ok(chef, "kitchen:join", &json!({ "venueId": BISTRO }))));
    }
}
