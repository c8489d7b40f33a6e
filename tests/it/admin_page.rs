//! The operator's page in a real browser.

use expeditor::actors::messages::ProvokePanic;
use expeditor::domain::RoomName;
use serde_json::{Value, json};

use crate::admin::{ADMIN, ask, join_and_hang, kitchen, socket_id, start};
use crate::support::people::{BISTRO, CHEF, LINE_COOK};
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

fn open(browser: &Driver, instance: &Instance, more: Value) {
    let mut request = json!({
        "page": "admin", "url": format!("{}/admin", instance.url()),
        "credentials": { "username": "anyone", "password": ADMIN },
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    browser.call("open", request);
}

fn wait_for(browser: &Driver, selector: &str) {
    browser.call("waitFor", json!({ "page": "admin", "selector": selector }));
}

fn click(browser: &Driver, selector: &str) {
    browser.call("click", json!({ "page": "admin", "selector": selector }));
}

fn page_errors(browser: &Driver) -> Value {
    browser.call("errors", json!({ "page": "admin" }))["pageErrors"].clone()
}

#[test]
fn what_is_wrong_stands_out_and_a_session_is_disconnected_from_the_page() {
    let (instance, driver, browser) = (start(), Driver::node(), Driver::browser());
    driver.connect(&instance, "backend", SERVER_SECRET);
    for (name, user) in [("chef", CHEF), ("cook", LINE_COOK)] {
        driver.connect(&instance, name, &token(user));
        driver.ask_ok(name, "kitchen:join", &json!({ "venueId": BISTRO }));
    }
    open(&browser, &instance, json!({}));
    wait_for(&browser, "text=Nothing is wrong.");
    let panicked = RoomName::parse(&format!("venue:{BISTRO}")).unwrap();
    instance.services().registry.do_send(ProvokePanic { room: panicked });
    join_and_hang(&driver, &instance);
    wait_for(&browser, "[data-testid=problems] >> text=One room was started again");
    wait_for(&browser, "[data-testid=problems] >> text=One session is behind");
    click(&browser, "text=One session is behind");
    wait_for(&browser, "tbody tr:first-child[data-state=behind]");
    click(&browser, "[data-sort=restarts]");
    wait_for(&browser, "tbody tr:first-child >> text=provoked by a test");
    let id = socket_id(&driver, "chef");
    browser.call("goto", json!({ "page": "admin", "url": format!("{}/admin#session/{id}", instance.url()) }));
    wait_for(&browser, "[data-testid=panel] >> text=CHEF of");
    click(&browser, "[data-testid=act-Disconnect]");
    click(&browser, "dialog >> text=No");
    assert_eq!(driver.call("state", json!({ "client": "chef" }))["connected"], true, "it asks first");
    click(&browser, "[data-testid=act-Disconnect]");
    click(&browser, "[data-testid=confirm]");
    driver.call("wait", json!({ "client": "chef", "event": "$disconnect" }));
    wait_for(&browser, "[data-testid=panel] >> text=is not here any more");
    browser.call("press", json!({ "page": "admin", "key": "Escape" }));
    browser.call("waitFor", json!({ "page": "admin", "selector": "[data-testid=panel]", "state": "detached" }));
    assert_eq!(page_errors(&browser), json!([]));
}

#[test]
fn a_tickets_way_is_searched_by_its_room_on_a_phone() {
    let (instance, driver, browser) = (start(), Driver::node(), Driver::browser());
    driver.connect(&instance, "backend", SERVER_SECRET);
    driver.connect(&instance, "chef", &token(CHEF));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let payload = json!({ "room": kitchen(), "event": "kitchen:new-order", "payload": {} });
    let answer = driver.ask_ok("backend", "broadcast", &payload);
    open(&browser, &instance, json!({ "width": 390, "height": 780, "dark": true }));
    let search = |text: String| {
        browser.call("fill", json!({ "page": "admin", "selector": "[data-testid=way-text]", "text": text }));
        click(&browser, "[data-testid=way-search]");
    };
    search(kitchen());
    click(&browser, ".search .events a");
    wait_for(&browser, "[data-testid=way] >> text=1 handed over");
    click(&browser, "[aria-label=Close]");
    search(format!("{} {}", kitchen(), answer["offset"].as_str().unwrap()));
    wait_for(&browser, "[data-testid=way] [data-fate=handed] >> text=cuserchef");
    let script = "document.documentElement.scrollWidth <= innerWidth";
    let fits = browser.call("evaluate", json!({ "page": "admin", "script": script }));
    assert_eq!(fits["value"], true, "nothing goes past the edge of a phone");
    eventually("a point of the plots", || ask(&instance, "series")["points"].get(0).map(drop));
    browser.call(
        "waitUntil",
        json!({ "page": "admin", "script": "document.querySelectorAll('.plot canvas').length === 5" }),
    );
    assert_eq!(page_errors(&browser), json!([]));
}
