//! The demo in a real browser: a ticket's way from the POS terminal to the kitchen and off every display.

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::Driver;
use crate::support::program::Program;

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

#[test]
fn a_ticket_goes_from_the_pos_to_the_kitchen_and_disappears_from_every_display() {
    let folder = tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let program = Program::start(
        folder.path(),
        &["serve", "--demo"],
        &[("HOST", "127.0.0.1"), ("PORT", &port), ("DRAIN_SECS", "1")],
    );
    program.line("listening");
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
