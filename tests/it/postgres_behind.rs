//! Instances that have to go on from what others have written to the log.

use std::thread;

use serde_json::json;

use crate::support::people::{BISTRO, CHEF, GUEST, GUESTS_TAB};
use crate::support::postgres::Postgres;
use crate::support::stock::{Backend, connect, connections, has_each_once, recovered, seen};
use crate::support::{Driver, Instance, eventually, token};

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

fn watch(driver: &Driver, instance: &Instance, chef: &str) {
    connect(driver, &instance.url(), chef, &token(CHEF), &["websocket"]);
    driver.ask_ok(chef, "kitchen:join", &json!({ "venueId": BISTRO }));
}

#[test]
fn events_go_out_while_what_is_stored_before_them_cannot_be_read_and_that_follows() {
    const OTHERS: u64 = 5_000;
    let server = Postgres::start();
    let url = server.application("shop");
    let (instance, driver) = (Instance::on(&url, &[]), Driver::node());
    let backend = Backend::new(&instance.url());
    watch(&driver, &instance, "chef");
    assert_eq!(backend.publish(&kitchen(), 0)["durable"], true);
    has_each_once(&driver, "chef", 1);
    thread::scope(|scope| {
        // Events are written without a look at the rooms' table, and read with one.
        let locking = "BEGIN; LOCK TABLE realtime.log_rooms; SELECT pg_sleep(60)";
        let locked = scope.spawn(|| server.psql("shop", locking));
        let is_locked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        eventually("it is locked", || (server.psql("shop", is_locked).unwrap() == "1").then_some(()));
        // As another instance would write them, whose relay does not come.
        let written = format!(
            "BEGIN; INSERT INTO realtime.log_events (room_id, position, event, payload, stored_at)
             SELECT room_id, position + n, 'e', json_build_object('n', n), stored_at
             FROM realtime.log_events, generate_series(1, {OTHERS}) AS n;
             UPDATE realtime.log_head SET head = head + {OTHERS}; COMMIT"
        );
        server.psql("shop", &written).unwrap();
        for n in [OTHERS + 1, OTHERS + 2] {
            assert_eq!(backend.publish(&kitchen(), n)["durable"], false);
        }
        eventually("they are seen", || (seen(&driver, "chef") == [0, OTHERS + 1, OTHERS + 2]).then_some(()));
        let unlocking = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        server.psql("shop", unlocking).unwrap();
        assert!(locked.join().unwrap().is_err());
    });
    driver.call("wait", json!({ "client": "chef", "event": "e", "count": OTHERS + 3, "timeoutMs": 30_000 }));
    let expected: Vec<u64> = [0, OTHERS + 1, OTHERS + 2].into_iter().chain(1..=OTHERS).collect();
    assert_eq!(seen(&driver, "chef"), expected);
    eventually("durable again", || (backend.publish(&kitchen(), OTHERS + 3)["durable"] == true).then_some(()));
    let counted = "SELECT count(DISTINCT payload), count(*) FROM realtime.log_events
        WHERE (payload::json ->> 'n')::int <= 5002";
    assert_eq!(server.psql("shop", counted), Ok("5003|5003".to_owned()));
}

#[test]
fn positions_that_a_copy_lacks_are_not_given_out_again_by_who_has_only_read_them() {
    let server = Postgres::start();
    let url = server.application("shop");
    let (writer, reader, driver) = (Instance::on(&url, &[]), Instance::on(&url, &[]), Driver::node());
    let (writing, reading) = (Backend::new(&writer.url()), Backend::new(&reader.url()));
    watch(&driver, &reader, "chef");
    (0..10).for_each(|n| assert_eq!(writing.publish(&kitchen(), n)["durable"], true));
    has_each_once(&driver, "chef", 10);
    // As a copy would stand that has not had the newest when it took the server's place.
    server
        .psql("shop", "DELETE FROM realtime.log_events WHERE position > 6; UPDATE realtime.log_head SET head = 6")
        .unwrap();
    assert_eq!(reading.publish(&kitchen(), 10)["durable"], true);
    has_each_once(&driver, "chef", 11);
    let newest =
        server.psql("shop", "SELECT max(position), (SELECT head FROM realtime.log_head) FROM realtime.log_events");
    assert_eq!(newest, Ok("11|11".to_owned()));
}

#[test]
fn who_is_in_a_room_whose_events_are_gone_before_they_could_be_read_is_told_and_nobody_else() {
    let server = Postgres::start();
    let url = server.application("shop");
    let (instance, driver) = (Instance::on(&url, &[]), Driver::node());
    let backend = Backend::new(&instance.url());
    watch(&driver, &instance, "chef");
    connect(&driver, &instance.url(), "guest", &token(GUEST), &["websocket"]);
    driver.ask_ok("guest", "tab:join", &json!({ "tabId": GUESTS_TAB }));
    let since = backend.publish(&kitchen(), 0)["offset"].clone();
    backend.publish(&format!("tab:{GUESTS_TAB}"), 0);
    // As an instance finds it that was cut off while others published ten events, and let the older five go again.
    let written = "BEGIN; INSERT INTO realtime.log_events (room_id, position, event, payload, stored_at)
         SELECT log_rooms.id, head + n, 'e', json_build_object('n', n), (extract(epoch FROM now()) * 1000)::bigint
         FROM realtime.log_head, realtime.log_rooms, generate_series(6, 10) AS n WHERE name LIKE 'kitchen:%';
         UPDATE realtime.log_rooms SET pruned_through = head + 5 FROM realtime.log_head WHERE name LIKE 'kitchen:%';
         UPDATE realtime.log_head SET head = head + 10; COMMIT";
    server.psql("shop", written).unwrap();
    connections(&driver, "chef", 2);
    assert_eq!((recovered(&driver, "chef"), seen(&driver, "chef")), (vec![false, false], vec![0]));
    // Nor is it served from memory as if it were whole.
    connect(&driver, &instance.url(), "late", &token(CHEF), &["websocket"]);
    let joined = driver.ask_ok("late", "kitchen:join", &json!({ "venueId": BISTRO, "since": since }));
    assert_eq!(joined["complete"], false);
    backend.publish(&format!("tab:{GUESTS_TAB}"), 1);
    has_each_once(&driver, "guest", 2);
    assert_eq!(recovered(&driver, "guest"), [false], "it has noticed nothing");
}
