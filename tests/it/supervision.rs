//! Rooms that panic, and rooms that go.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expeditor::actors::messages::{ProvokePanic, Publish};
use expeditor::actors::publication::Receipt;
use expeditor::domain::{ErrorCode, Event, RoomName};
use expeditor::store::log::Append;
use serde_json::json;

use crate::support::people::{BISTRO, CHEF, DINER, OTHER_CHEF};
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

/// What the service logs in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::WARN);
        subscriber.with_writer(move || writer.clone()).init();
        log
    }

    /// What it says of one room: other tests' rooms may panic in this process too.
    fn lines_about(&self, room: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.lines().filter(|line| line.contains(room)).map(str::to_owned).collect()
    }
}

fn kitchen() -> String {
    format!("kitchen:{BISTRO}")
}

#[test]
fn a_room_panics_in_the_middle_of_a_thousand_events() {
    let (log, kitchen) = (Log::start(), format!("kitchen:{DINER}"));
    let (instance, driver) = (Instance::start(), Driver::node());
    let answer = driver.call(
        "connectMany",
        json!({
            "prefix": "display", "count": 50, "url": instance.url(), "auth": { "token": token(OTHER_CHEF) },
            "transports": ["websocket"], "joinEvent": "kitchen:join", "joinPayload": { "venueId": DINER },
        }),
    );
    assert_eq!(answer["joined"], 50);
    driver.connect(&instance, "backend", SERVER_SECRET);
    driver.connect(&instance, "neighbour", SERVER_SECRET);
    let publish = |client: &str, room: &str, count: usize| {
        let payload = json!({ "room": room, "event": "kitchen:new-order", "payload": { "n": 0 } });
        driver.begin(
            "emitMany",
            json!({ "client": client, "event": "broadcast", "args": [payload], "counterPath": "payload.n", "count": count }),
        )
    };
    let publishing = publish("backend", &kitchen, 1000);
    let undisturbed = publish("neighbour", &format!("venue:{BISTRO}"), 1000);
    driver.wait("display0", "kitchen:new-order", 0);
    let room = RoomName::parse(&kitchen).unwrap();
    for restarts in 1..=3 {
        instance.services().registry.do_send(ProvokePanic { room: room.clone() });
        let restarted = || instance.metric("expeditor_room_restarts_total") >= restarts;
        eventually("the room starts again", || restarted().then_some(()));
    }
    let answer = publishing.done();
    assert_eq!(undisturbed.done()["acked"], 1000, "no other room notices");
    let (acked, failed) = (answer["acked"].as_u64().unwrap(), answer["failed"].as_u64().unwrap());
    assert_eq!(acked + failed, 1000, "every publish is answered: {answer}");
    for error in answer["errors"].as_array().unwrap() {
        assert_eq!(error["error"]["code"], "INTERNAL", "{error}");
    }
    let lines = log.lines_about(&kitchen);
    assert_eq!(lines.len(), 3, "one line for each panic: {lines:?}");
    assert!(lines.iter().all(|line| line.contains("panicked") && line.contains("provoked by a test")), "{lines:?}");
    // The sessions are still there, and still subscribed.
    driver.ask_ok("backend", "broadcast", &json!({ "room": kitchen, "event": "after", "payload": {} }));
    driver.call("waitAll", json!({ "prefix": "display", "event": "after", "count": 1 }));
    assert_eq!(driver.call("counts", json!({ "prefix": "display" }))["connected"], 50);
    // What was acknowledged has arrived, at all of them in one order; what was not has not.
    let seen = driver.call("sequences", json!({ "prefix": "display", "event": "kitchen:new-order", "path": "n" }));
    assert_eq!((&seen["distinctOrders"], &seen["ordered"], &seen["duplicates"]), (&json!(1), &json!(true), &json!(0)));
    assert_eq!(seen["lengths"]["max"].as_u64().unwrap(), acked);
    driver.call("disconnectAll", json!({ "prefix": "display" }));
}

#[test]
fn publishes_that_wait_in_a_room_that_panics_are_answered() {
    let instance = Instance::start();
    let registry = &instance.services().registry;
    let (room, neighbour) = (RoomName::parse(&kitchen()).unwrap(), RoomName::parse("user:someone").unwrap());
    let mut lost = 0;
    for round in 0..20 {
        registry.do_send(ProvokePanic { room: room.clone() });
        let answers: Vec<_> = (0..50)
            .map(|index| {
                let (receipt, answer) = Receipt::for_caller(format!("{round}-{index}").into());
                // Every other one goes to a room that does not fail, too: then it has no place there either.
                let rooms = if index % 2 == 0 { vec![room.clone()] } else { vec![neighbour.clone(), room.clone()] };
                let event = Event::of("e", &index);
                let append = Append::kept(rooms.into(), event);
                registry.do_send(Publish { append, receipt });
                answer
            })
            .collect();
        for answer in answers {
            match answer.blocking_recv().expect("every publish is answered") {
                Ok(_) => {}
                Err(refusal) => {
                    assert_eq!(refusal.code, ErrorCode::Internal);
                    lost += 1;
                }
            }
        }
    }
    assert!(lost > 0, "some were waiting in the mailbox");
}

#[test]
fn who_leaves_a_room_that_panics_is_out_of_it() {
    let (instance, driver) = (Instance::start(), Driver::node());
    for name in ["stays", "leaves"] {
        driver.connect(&instance, name, &token(CHEF));
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    driver.connect(&instance, "backend", SERVER_SECRET);
    instance.services().registry.do_send(ProvokePanic { room: RoomName::parse(&kitchen()).unwrap() });
    driver.ask_ok("leaves", "kitchen:leave", &json!({ "venueId": BISTRO }));
    driver.ask_ok("backend", "broadcast", &json!({ "room": kitchen(), "event": "after" }));
    driver.wait("stays", "after", 0);
    driver.ask_ok("leaves", "kitchen:leave", &json!({ "venueId": BISTRO }));
    assert!(crate::support::event_args(&driver, "leaves", "after").is_empty());
}

#[test]
fn an_empty_room_goes_and_nothing_is_lost_to_who_comes() {
    let idle = Duration::from_millis(5);
    let (instance, driver) = (Instance::with_rooms_idle(&[], idle), Driver::node());
    driver.connect(&instance, "chef", &token(CHEF));
    driver.connect(&instance, "backend", SERVER_SECRET);
    // Joins and publishes meet the room at every moment of its going.
    for round in 0..200u64 {
        let seen = driver.events("chef").len() as u64;
        driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
        driver.ask_ok("backend", "broadcast", &json!({ "room": kitchen(), "event": "e", "payload": { "n": round } }));
        assert_eq!(driver.wait("chef", "e", seen)["n"], round);
        driver.ask_ok("chef", "kitchen:leave", &json!({ "venueId": BISTRO }));
        if round % 10 == 0 {
            std::thread::park_timeout(idle);
        }
    }
    driver.call("disconnect", json!({ "client": "chef" }));
    eventually("every room has gone", || (instance.services().metrics.room_count() == 0).then_some(()));
}
