//! `kitchen:orders`: what a kitchen finds when it comes in.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::people::{BISTRO, BURGER, CHEF, DINER, FRIES, GUESTS_TAB, OTHER_CHEF};
use crate::support::stock::{Backend, connect, connections, recovered};
use crate::support::{Driver, Instance, event_args, eventually, token};

#[test]
fn orders_have_their_shape_and_order_and_come_again_on_joining_twice() {
    let (instance, driver) = (Instance::start(), Driver::node());
    instance.execute(
        "UPDATE tab_items SET ordered_at = '2026-01-01 10:00:00.250', sent_to_kitchen_at = '2026-01-01 10:05:00' WHERE id = 'citem000000000000000000001';
         UPDATE tab_items SET ordered_at = '2026-01-01 10:01:00' WHERE id = 'citem000000000000000000002';
         UPDATE tab_items SET ordered_at = '2026-01-01 09:00:00', sent_to_kitchen_at = '2026-01-01 09:30:00.500' WHERE id = 'citem000000000000000000003';
         INSERT INTO tab_items (id, tab_id, menu_item_id, name, quantity, unit_price_cents, total_price_cents, kitchen_status)
           VALUES ('citem000000000000000000007', 'ctabbistro0000000000000001', 'cmenu000000000000000000007', 'Tart', 1, 700, 700, 'PENDING'),
                  ('citem000000000000000000008', 'ctabbistro0000000000000001', 'cmenu000000000000000000008', 'Cake', 1, 700, 700, 'DELIVERED'),
                  ('citem000000000000000000009', 'ctabbistro0000000000000001', 'cmenu000000000000000000009', 'Pie', 1, 700, 700, 'CANCELED')",
    );
    for (name, who) in [("chef", CHEF), ("other", OTHER_CHEF)] {
        connect(&driver, &instance.url(), name, &token(who), &["websocket"]);
    }
    let joined = driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let orders = driver.wait("chef", "kitchen:orders", 0);
    assert_eq!(orders["offset"], joined["offset"]);
    let expected = json!({
        "venueId": BISTRO, "offset": joined["offset"],
        "orders": [
            {
                "venueId": BISTRO, "tabId": "ctabbistro0000000000000002", "timestamp": "2026-01-01T09:30:00.500Z",
                "items": [{ "id": "citem000000000000000000003", "name": "Salad", "quantity": 1, "modifiers": null, "notes": "nut allergy", "status": "IN_PROGRESS" }],
            },
            {
                "venueId": BISTRO, "tabId": GUESTS_TAB, "timestamp": "2026-01-01T10:01:00.000Z",
                "items": [
                    { "id": BURGER, "name": "Burger", "quantity": 1, "modifiers": ["NO ONIONS"], "notes": "medium rare", "status": "SENT" },
                    { "id": FRIES, "name": "Fries", "quantity": 2, "modifiers": null, "notes": null, "status": "SENT" },
                ],
            },
        ],
    });
    assert_eq!(orders, expected);
    let names: Vec<String> = driver.events("chef").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["$connect", "kitchen:joined", "kitchen:orders"]);
    driver.ask_ok("chef", "kitchen:bump", &json!({ "tabItemId": BURGER }));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let again = eventually("the orders again", || event_args(&driver, "chef", "kitchen:orders").get(1).cloned());
    assert_eq!(again["orders"][1]["items"].as_array().unwrap().len(), 1);
    driver.ask_ok("other", "kitchen:join", &json!({ "venueId": DINER }));
    assert_eq!(driver.wait("other", "kitchen:orders", 0)["orders"].as_array().unwrap().len(), 1);
    for name in ["chef", "other"] {
        driver.call("disconnect", json!({ "client": name }));
    }
}

/// Puts an order on a tab and publishes it, as the application does.
fn order(instance: &Instance, backend: &Backend, n: usize) {
    instance.execute(&format!(
        "INSERT INTO tab_items (id, tab_id, menu_item_id, name, quantity, unit_price_cents, total_price_cents, kitchen_status)
         VALUES ('cnew{n:0>8}', '{GUESTS_TAB}', 'cmenu000000000000000000001', 'Dish {n}', 1, 100, 100, 'SENT')"
    ));
    let payload = json!({ "venueId": BISTRO, "tabId": GUESTS_TAB, "items": [{ "id": format!("cnew{n:0>8}") }] });
    let answer =
        backend.ask(&json!({ "room": format!("kitchen:{BISTRO}"), "event": "kitchen:new-order", "payload": payload }));
    assert_eq!(answer["ok"], true, "{answer}");
}

fn items_of(orders: &Value) -> Vec<String> {
    let orders = orders.as_array().into_iter().flatten();
    let items = orders.flat_map(|order| order["items"].as_array().cloned().unwrap_or_default());
    items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn no_order_is_lost_around_the_snapshot() {
    let (instance, driver) = (Instance::with(&[("WORKERS", "2")]), Driver::node());
    let backend = Backend::new(&instance.url());
    std::thread::scope(|scope| {
        scope.spawn(|| (0..300).for_each(|n| order(&instance, &backend, n)));
        for index in 0..30 {
            let name = format!("chef{index}");
            let transport = if index % 3 == 0 { "polling" } else { "websocket" };
            connect(&driver, &instance.url(), &name, &token(CHEF), &[transport]);
            driver.ask_ok(&name, "kitchen:join", &json!({ "venueId": BISTRO }));
        }
    });
    order(&instance, &backend, 300);
    for index in 0..30 {
        let name = format!("chef{index}");
        driver.call("wait", json!({ "client": name, "event": "kitchen:new-order", "match": { "items": { "0": { "id": "cnew00000300" } } } }));
        let snapshot = event_args(&driver, &name, "kitchen:orders");
        let mut had: HashSet<String> = items_of(&snapshot[0]["orders"]).into_iter().collect();
        let events = event_args(&driver, &name, "kitchen:new-order");
        let followed: Vec<String> = events.iter().flat_map(|order| items_of(&json!([order]))).collect();
        assert_eq!(followed.iter().collect::<HashSet<_>>().len(), followed.len(), "each event once");
        had.extend(followed);
        let missing: Vec<usize> = (0..=300).filter(|n| !had.contains(&format!("cnew{n:0>8}"))).collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}");
    }
    driver.call("disconnectAll", json!({ "prefix": "chef" }));
}

#[test]
fn past_the_retention_it_is_not_recovered_and_the_snapshot_is_right() {
    // Pings, so that the dropped polling session is noticed: nobody takes its place.
    let variables = [("LOG_MAX_EVENTS", "20"), ("PING_INTERVAL", "1000"), ("PING_TIMEOUT", "1000")];
    let (instance, driver) = (Instance::with(&variables), Driver::node());
    let backend = Backend::new(&instance.url());
    for (name, transport) in [("chef", "websocket"), ("poller", "polling")] {
        connect(&driver, &instance.url(), name, &token(CHEF), &[transport]);
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
        driver.call("pauseReconnecting", json!({ "client": name }));
    }
    (0..60).for_each(|n| order(&instance, &backend, n));
    instance.execute("UPDATE tab_items SET kitchen_status = 'DELIVERED' WHERE name = 'Dish 3'");
    eventually("pruning", || (instance.stored_events() <= 22).then_some(()));
    for name in ["chef", "poller"] {
        driver.call("resumeReconnecting", json!({ "client": name }));
        connections(&driver, name, 2);
        assert_eq!(recovered(&driver, name), [false, false], "{name}");
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
        let snapshot = eventually("the snapshot", || event_args(&driver, name, "kitchen:orders").get(1).cloned());
        let items: HashSet<String> = items_of(&snapshot["orders"]).into_iter().collect();
        assert_eq!(items.len(), 3 + 59, "the sample's and the new ones, without the delivered one");
        assert!(!items.contains("cnew00000003") && event_args(&driver, name, "kitchen:new-order").is_empty());
        driver.call("disconnect", json!({ "client": name }));
    }
    eventually("the dropped sessions' end", || instance.services().directory.is_empty().then_some(()));
}
