//! The stock client begins with polling and goes over to a websocket, as it does by default: its session goes
//! over to the lane, and neither the upgrade nor the lane costs it an event or changes their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::people::{BISTRO, CHEF};
use crate::support::stock::{Backend, Pace, connect, recovered, seen};
use crate::support::wait::eventually;
use crate::support::{Driver, Instance, token};

#[test]
fn an_upgrade_in_the_middle_of_events_loses_none_and_ends_on_the_lane() {
    const CLIENTS: u64 = 12;
    let (instance, driver) = (Instance::start(), Driver::node());
    let room = format!("user:{CHEF}");
    let done = Arc::new(AtomicBool::new(false));
    let publishing = {
        let (backend, done, room) = (Backend::new(&instance.url()), done.clone(), room.clone());
        thread::spawn(move || {
            let mut pace = Pace::start();
            let mut count = 0;
            while !done.load(Ordering::Acquire) {
                backend.publish(&room, count);
                count += 1;
                pace.wait(Duration::from_millis(2));
            }
            count
        })
    };
    let names: Vec<String> = (0..CLIENTS).map(|index| format!("c{index}")).collect();
    for name in &names {
        connect(&driver, &instance.url(), name, &token(CHEF), &["polling", "websocket"]);
        // Replies and room events share the way.
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    eventually("all on the lane", || (instance.metric("expeditor_lane_takeovers_total") == CLIENTS).then_some(()));
    for name in &names {
        driver.ask_ok(name, "venue:join", &json!({ "venueId": BISTRO }));
    }
    done.store(true, Ordering::Release);
    let count = publishing.join().unwrap();
    for name in &names {
        eventually(&format!("{name} has the last event"), || seen(&driver, name).contains(&(count - 1)).then_some(()));
        let seen = seen(&driver, name);
        assert!(seen.iter().copied().eq(seen[0]..count), "{name}: {seen:?}");
        assert_eq!(recovered(&driver, name), [false], "{name} stayed connected");
        assert_eq!(driver.call("state", json!({ "client": name }))["transport"], "websocket");
        assert!(driver.events(name).iter().all(|(event, _)| !event.starts_with("expeditor")));
    }
}
