//! The demo in a real browser: a ticket's way from the POS terminal to the kitchen and off every display.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::people::{BISTRO, GUESTS_TAB};
use crate::support::program::Program;
use crate::support::{Driver, SERVER_SECRET};

/// The link that the program prints for a page.
fn link(program: &Program, page: &str) -> String {
    let line = program.line(&format!("{page}: "));
    line.split_once(": ").unwrap().1.to_owned()
}

fn do_in(browser: &Driver, op: &str, page: &str, mut request: Value) -> Value {
    request["page"] = page.into();
    browser.call(op, request)
}

fn wait_count(browser: &Driver, page: &str, selector: &str, count: usize) {
    do_in(browser, "waitFor", page, json!({ "selector": selector, "count": count }));
}

fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

fn start(folder: &Path, port: &str) -> Program {
    let variables =
        [("HOST", "127.0.0.1"), ("PORT", port), ("DRAIN_SECS", "1"), ("SOCKET_SERVER_SECRET", SERVER_SECRET)];
    let program = Program::start(folder, &["serve", "--demo"], &variables);
    program.line("listening");
    program
}

/// Enters an order as the POS terminal does.
fn order(program: &Program, tab: &str, dish: &str) {
    let link = link(program, "POS terminal");
    let token = link.split("token=").nth(1).unwrap().split('&').next().unwrap();
    let origin = link.split("/demo/").next().unwrap().replace("localhost", "127.0.0.1");
    let body = json!({ "tabId": tab, "items": [{ "name": dish, "quantity": 2, "unitPriceCents": 1000 }] });
    let request = ureq::post(format!("{origin}/demo/orders")).header("authorization", format!("Bearer {token}"));
    assert_eq!(request.send(body.to_string()).unwrap().status(), 201);
}

#[test]
fn a_ticket_goes_from_the_pos_to_the_kitchen_and_disappears_from_every_display() {
    let folder = tempdir().unwrap();
    let program = start(folder.path(), &free_port());
    let browser = Driver::browser();
    for display in ["first", "second"] {
        do_in(&browser, "open", display, json!({ "url": link(&program, "Kitchen display") }));
        do_in(
            &browser,
            "waitFor",
            display,
            json!({ "selector": "[data-testid=connection-state][data-state=connected]", "state": "attached" }),
        );
        wait_count(&browser, display, "[data-testid=ticket]", 0);
    }
    do_in(&browser, "open", "pos", json!({ "url": link(&program, "POS terminal") }));
    do_in(&browser, "click", "pos", json!({ "selector": "[data-testid=tab-option] >> nth=0" }));
    do_in(&browser, "click", "pos", json!({ "selector": "[data-testid=menu-item] >> nth=0" }));
    do_in(&browser, "click", "pos", json!({ "selector": "[data-testid=menu-item] >> nth=1" }));
    wait_count(&browser, "pos", "[data-testid=order-line]", 2);
    do_in(&browser, "click", "pos", json!({ "selector": "[data-testid=send-order]" }));
    for display in ["first", "second"] {
        wait_count(&browser, display, "[data-testid=ticket]", 1);
        wait_count(&browser, display, "[data-testid=item][data-status=SENT]", 2);
    }
    do_in(&browser, "click", "first", json!({ "selector": "[data-testid=item] >> nth=0" }));
    for page in ["first", "second"] {
        wait_count(&browser, page, "[data-testid=item][data-status=IN_PROGRESS]", 1);
    }
    wait_count(&browser, "pos", "[data-testid=sent-item][data-status=IN_PROGRESS]", 1);
    // A display that is opened now finds the ticket as it stands.
    do_in(&browser, "open", "third", json!({ "url": link(&program, "Kitchen display") }));
    wait_count(&browser, "third", "[data-testid=item][data-status=IN_PROGRESS]", 1);
    do_in(&browser, "click", "second", json!({ "selector": "[data-testid=bump]" }));
    for display in ["first", "second", "third"] {
        wait_count(&browser, display, "[data-testid=ticket]", 0);
        assert_eq!(do_in(&browser, "errors", display, json!({}))["errors"], json!([]), "{display}");
    }
    // A lost connection is not to be overlooked.
    program.signal("TERM");
    for display in ["first", "second", "third"] {
        do_in(&browser, "waitFor", display, json!({ "selector": "[data-testid=connection-banner]" }));
    }
}

#[test]
fn a_display_that_was_away_shows_what_it_caught_up_on() {
    let folder = tempdir().unwrap();
    let port = free_port();
    let program = start(folder.path(), &port);
    let browser = Driver::browser();
    let url = link(&program, "Kitchen display");
    do_in(&browser, "open", "display", json!({ "url": url }));
    order(&program, GUESTS_TAB, "Before");
    wait_count(&browser, "display", "[data-testid=ticket]", 1);
    wait_count(&browser, "display", "[data-testid=caught-up]", 0);
    // Killed, and started again; the display comes back only after three orders.
    do_in(&browser, "offline", "display", json!({ "offline": true }));
    drop(program);
    let program = start(folder.path(), &port);
    for dish in ["One", "Two", "Three"] {
        order(&program, GUESTS_TAB, dish);
    }
    do_in(&browser, "offline", "display", json!({ "offline": false }));
    let caught_up = |count: usize| format!("[data-testid=caught-up][data-recovered=true][data-tickets='{count}']");
    do_in(&browser, "waitFor", "display", json!({ "selector": caught_up(3), "timeoutMs": 30_000 }));
    wait_count(&browser, "display", "[data-testid=ticket]", 4);
    // Reloaded, it asks for what came after the last event that it saw.
    do_in(&browser, "goto", "display", json!({ "url": "about:blank" }));
    order(&program, GUESTS_TAB, "Four");
    do_in(&browser, "goto", "display", json!({ "url": url }));
    do_in(&browser, "waitFor", "display", json!({ "selector": caught_up(1) }));
    wait_count(&browser, "display", "[data-testid=ticket]", 5);
    // Opened anew, it has the snapshot: one order for the tab.
    do_in(&browser, "open", "other", json!({ "url": url }));
    wait_count(&browser, "other", "[data-testid=item]", 5);
    wait_count(&browser, "other", "[data-testid=caught-up]", 0);
}

#[test]
fn a_guest_sees_the_tab_from_the_order_to_the_receipt() {
    let folder = tempdir().unwrap();
    let program = start(folder.path(), &free_port());
    let browser = Driver::browser();
    let phone = json!({ "url": link(&program, "Guest's tab"), "width": 390, "height": 780 });
    do_in(&browser, "open", "guest", phone);
    do_in(&browser, "waitFor", "guest", json!({ "selector": "[data-testid=no-items]" }));
    order(&program, GUESTS_TAB, "Soup");
    wait_count(&browser, "guest", "[data-testid=tab-item][data-status=SENT]", 1);
    let total = do_in(&browser, "text", "guest", json!({ "selector": "dd[data-testid=total]" }));
    assert_eq!(total["text"], "21.40");
    do_in(&browser, "open", "kitchen", json!({ "url": link(&program, "Kitchen display") }));
    do_in(&browser, "click", "kitchen", json!({ "selector": "[data-testid=item]" }));
    wait_count(&browser, "guest", "[data-testid=tab-item][data-status=IN_PROGRESS]", 1);
    // What the backend publishes when the tab is paid.
    let origin = link(&program, "Guest's tab").split("/demo/").next().unwrap().replace("localhost", "127.0.0.1");
    let closed = json!({
        "rooms": [format!("tab:{GUESTS_TAB}"), format!("venue:{BISTRO}")],
        "event": "tab:closed",
        "payload": {
            "tabId": GUESTS_TAB, "venueId": BISTRO, "totalCents": 2440, "tipCents": 300, "receiptUrl": "https://bistro.example/r/1",
        },
    });
    let bearer = format!("Bearer {SERVER_SECRET}");
    let request = ureq::post(format!("{origin}/api/broadcast")).header("authorization", bearer);
    assert_eq!(request.send(closed.to_string()).unwrap().status(), 200);
    do_in(
        &browser,
        "waitFor",
        "guest",
        json!({ "selector": "[data-testid=tab-closed] a[href='https://bistro.example/r/1']" }),
    );
    assert_eq!(do_in(&browser, "text", "guest", json!({ "selector": "dd[data-testid=total]" }))["text"], "24.40");
    assert_eq!(do_in(&browser, "errors", "guest", json!({}))["errors"], json!([]));
}
