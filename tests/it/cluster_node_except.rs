//! What a Node server or an emitter publishes to a room but not to everybody in it: the others have it at once or never.

use serde_json::{Value, json};

use crate::admin::ADMIN;
use crate::support::cluster::Cluster;
use crate::support::mixed::{Mixed, OURS, THEIRS};
use crate::support::people::{BISTRO, CHEF, LINE_COOK};
use crate::support::redis::RedisServer;
use crate::support::stock::{Backend, always_recovered, connect, connections, has_each_once, seen};
use crate::support::token;

/// A cook at each of our instances, in the kitchen beside the chef.
const COOKS: [&str; 2] = ["cook0", "cook1"];

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

fn chefs_own() -> String {
    format!("user:{CHEF}")
}

fn start() -> Mixed {
    let cluster = Cluster::with(2, RedisServer::start(), &[("ADMIN_TOKEN", ADMIN)]);
    let mixed = Mixed::among(cluster);
    for (index, cook) in COOKS.into_iter().enumerate() {
        connect(&mixed.driver, &mixed.cluster.url(index), cook, &token(LINE_COOK), &["websocket"]);
        mixed.driver.ask_ok(cook, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    mixed
}

/// The offset that came with each event `e`.
fn offsets(mixed: &Mixed, client: &str) -> Vec<Value> {
    let events = mixed.driver.events(client).into_iter().filter(|(name, _)| name == "e");
    events.map(|(_, args)| args[1].clone()).collect()
}

/// Waits for the last event, which everybody has, and for all that it has to be these.
fn has(mixed: &Mixed, client: &str, expected: &[u64]) {
    let last = expected.last().unwrap();
    let wanted = json!({ "client": client, "event": "e", "match": { "n": last }, "timeoutMs": 30_000 });
    mixed.driver.begin("wait", wanted).outcome();
    let seen = seen(&mixed.driver, client);
    let odd = expected.iter().zip(&seen).enumerate().find(|(_, (expected, n))| expected != n);
    assert!(
        odd.is_none() && seen.len() == expected.len(),
        "{client} has {} of {}; expected and had first: {odd:?}",
        seen.len(),
        expected.len()
    );
}

#[test]
fn who_is_in_an_excepted_room_is_left_out_and_the_others_have_all_in_order() {
    let mixed = start();
    let Mixed { nodes: [node, _], .. } = &mixed;
    // Those with an odd number are not for the chef. Each publisher's last is for everybody.
    for (first, last, by) in [(0, 300, "server"), (301, 600, "emitter")] {
        let except = ["lobby".to_owned(), chefs_own()];
        let count = last + 1 - first;
        let many = json!({ "room": kitchen(), "first": first, "count": count, "except": except, "by": by });
        node.call("emitMany", many);
        let all: Vec<u64> = (0..=last).collect();
        let even: Vec<u64> = (0..=last).filter(|n| n % 2 == 0).collect();
        COOKS.iter().chain(&THEIRS).for_each(|client| has(&mixed, client, &all));
        OURS.iter().for_each(|client| has(&mixed, client, &even));
    }
    // What was not for all has no place of its own.
    for cook in COOKS {
        let offsets = offsets(&mixed, cook);
        assert!(offsets.chunks(2).all(|pair| pair.len() < 2 || pair[0] == pair[1]), "{cook}: {offsets:?}");
        assert!(offsets.chunks(2).is_sorted_by(|one, next| one[0] != next[0]), "{cook}: {offsets:?}");
    }
    assert!(OURS.iter().all(|chef| offsets(&mixed, chef) == offsets_of_even(&mixed)));
    operators_see_who_it_was_for(&mixed);
}

fn offsets_of_even(mixed: &Mixed) -> Vec<Value> {
    offsets(mixed, COOKS[0]).into_iter().step_by(2).collect()
}

fn operators_see_who_it_was_for(mixed: &Mixed) {
    for (index, cook) in COOKS.into_iter().enumerate() {
        let ask = |query: &str| operator(&mixed.cluster.url(index), &format!("events?{query}"));
        let newest = ask(&format!("room={}&limit=2", kitchen()));
        let id = |n: usize| newest["events"][n].clone();
        assert_ne!(id(0)["offset"], Value::Null, "for everybody");
        assert_eq!(id(1)["offset"], Value::Null);
        if let Some(id) = id(1)["id"].as_str().filter(|id| !id.is_empty()) {
            // At the instance that took it in; elsewhere it has no name.
            let way = ask(&format!("id={id}"));
            let sessions: Vec<&Value> = way["sessions"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
            assert_eq!(sessions, [&mixed.socket_id(cook)], "{way}");
            assert_eq!(
                way["handed"].as_array().unwrap().iter().map(|at| at["sessions"].as_u64().unwrap()).sum::<u64>(),
                1
            );
        }
    }
}

fn operator(url: &str, path: &str) -> Value {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let asked = agent.get(format!("{url}/admin/api/{path}")).header("authorization", format!("Bearer {ADMIN}"));
    serde_json::from_str(&asked.call().unwrap().body_mut().read_to_string().unwrap()).unwrap()
}

#[test]
fn who_comes_back_is_not_sent_what_was_not_for_all() {
    let mixed = start();
    let Mixed { cluster, nodes: [node, _], driver } = &mixed;
    let emit = |n: u64, except: &[String]| {
        node.call("emit", json!({ "rooms": [kitchen()], "except": except, "event": "e", "args": [{ "n": n }] }));
    };
    emit(0, &[]);
    let clients = || OURS.iter().chain(&COOKS);
    clients().for_each(|client| has_each_once(driver, client, 1));
    let away = [OURS[0], COOKS[1]];
    away.iter().for_each(|client| drop(driver.call("pauseReconnecting", json!({ "client": client }))));
    emit(1, &[chefs_own()]);
    emit(2, &[]);
    has(&mixed, OURS[1], &[0, 2]);
    has(&mixed, COOKS[0], &[0, 1, 2]);
    for client in away {
        driver.call("resumeReconnecting", json!({ "client": client }));
        connections(driver, client, 2);
    }
    Backend::new(&cluster.url(1)).publish(&kitchen(), 3);
    for client in away {
        has(&mixed, client, &[0, 2, 3]);
        always_recovered(driver, client);
    }
}

#[test]
fn one_of_our_sockets_is_excepted_by_its_id_and_a_node_servers_own_changes_nothing() {
    let mixed = start();
    let Mixed { nodes: [node, _], driver, .. } = &mixed;
    let emit = |way: &str, n: u64, but: &str| {
        let but = [json!("lobby"), mixed.socket_id(but)];
        let publish = json!({ "rooms": [kitchen()], "except": but, "event": "e", "args": [{ "n": n }] });
        node.begin(way, publish)
    };
    // Of either instance, one of which has the lease; and as `socket.to(room)` of a Node server does it.
    let mut n = 0;
    for way in ["emit", "emitterEmit"] {
        for but in [OURS[0], OURS[1], THEIRS[0]] {
            emit(way, n, but).done();
            n += 1;
            has(&mixed, COOKS[0], &(0..n).collect::<Vec<u64>>());
        }
    }
    // Node's own clients acknowledge nothing.
    emit("emitWithAck", n, OURS[0]).outcome();
    Backend::new(&mixed.cluster.url(0)).publish(&kitchen(), n + 1);
    COOKS.iter().for_each(|cook| has_each_once(driver, cook, n + 2));
    has(&mixed, OURS[0], &[1, 2, 4, 5, 7]);
    has(&mixed, OURS[1], &[0, 2, 3, 5, 6, 7]);
    has(&mixed, THEIRS[0], &[0, 1, 3, 4, 6, 7]);
    for cook in COOKS {
        let offsets = offsets(&mixed, cook);
        assert_eq!((&offsets[0], &offsets[1]), (&json!(""), &json!("")));
        assert_eq!((&offsets[3], &offsets[4], &offsets[6]), (&offsets[2], &offsets[2], &offsets[5]));
        assert!(offsets[2] != "" && offsets[5] != offsets[2], "it has a place of its own: {offsets:?}");
    }
}

/// Where an instance has to read the log before the relay has brought it, what is not stored comes later than its place.
#[test]
fn while_both_instances_store_events_those_that_are_not_for_all_come_once_and_in_their_own_order() {
    let mixed = start();
    let Mixed { cluster, nodes: [node, _], driver } = &mixed;
    let last: u64 = 1_000;
    std::thread::scope(|scope| {
        for index in 0..2 {
            let backend = Backend::new(&cluster.url(index));
            let other = json!({ "room": chefs_own(), "event": "other", "payload": null });
            scope.spawn(move || (0..200).for_each(|_| drop(backend.ask(&other))));
        }
        for first in (0..last).step_by(20) {
            let many = json!({ "room": kitchen(), "first": first, "count": 20, "except": [chefs_own()] });
            node.call("emitMany", many);
        }
    });
    for cook in COOKS {
        driver.call("wait", json!({ "client": cook, "event": "e", "count": last, "timeoutMs": 30_000 }));
        for remainder in 0..2 {
            let seen = seen(driver, cook).into_iter().filter(|n| n % 2 == remainder);
            assert!(seen.eq((remainder..last).step_by(2)), "{cook}: those with remainder {remainder}");
        }
    }
}
