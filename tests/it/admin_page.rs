//! The operator's page in a real browser.

use expeditor::actors::messages::ProvokePanic;
use expeditor::domain::RoomName;
use serde_json::{Value, json};

use crate::admin::{ADMIN, ask, join_and_hang, kitchen, socket_id, start};
use crate::support::cluster::Cluster;
use crate::support::people::{BISTRO, CHEF, LINE_COOK};
use crate::support::redis::RedisServer;
use crate::support::{Driver, Instance, SERVER_SECRET, eventually, token};

fn open(browser: &Driver, url: &str, more: Value) {
    let mut request = json!({
        "page": "admin", "url": format!("{url}/admin"),
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
    open(&browser, &instance.url(), json!({}));
    wait_for(&browser, "text=Nothing is wrong.");
    let panicked = RoomName::parse(&format!("venue:{BISTRO}")).unwrap();
    instance.services().registry.do_send(ProvokePanic { room: panicked });
    join_and_hang(&driver, &instance);
    wait_for(&browser, "[data-testid=problems] >> text=One actor was started again");
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
fn a_dead_redis_stands_out() {
    let mut cluster = Cluster::with(1, RedisServer::start(), &[("ADMIN_TOKEN", ADMIN)]);
    let browser = Driver::browser();
    open(&browser, &cluster.url(0), json!({}));
    wait_for(&browser, "text=Nothing is wrong.");
    cluster.redis.kill();
    wait_for(&browser, "[data-testid=problems] >> text=Redis does not relay");
    cluster.redis.start_again();
    wait_for(&browser, "text=Nothing is wrong.");
}

#[test]
fn a_tickets_way_is_searched_by_its_room_on_a_phone() {
    let (instance, driver, browser) = (start(), Driver::node(), Driver::browser());
    driver.connect(&instance, "backend", SERVER_SECRET);
    driver.connect(&instance, "chef", &token(CHEF));
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let payload = json!({ "room": kitchen(), "event": "kitchen:new-order", "payload": {} });
    let answer = driver.ask_ok("backend", "broadcast", &payload);
    open(&browser, &instance.url(), json!({ "width": 390, "height": 780, "dark": true }));
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

/// 200 tabs' rooms of 10 sessions each.
fn fill_house(driver: &Driver, instance: &Instance) {
    let tab = |n: usize| format!("ctabshot{n:018}");
    let rows: Vec<String> =
        (0..200).map(|n| format!("('{}','{BISTRO}',NULL,'{CHEF}',NULL,{},'OPEN')", tab(n), n + 100)).collect();
    let columns = "id, venue_id, table_id, server_id, customer_id, tab_number, status";
    instance.execute(&format!("INSERT INTO tabs ({columns}) VALUES {}", rows.join(",")));
    let joins: Vec<_> = (0..200)
        .map(|n| {
            let many = json!({
                "prefix": format!("s{n:03}-"), "count": 10, "url": instance.url(), "auth": { "token": token(CHEF) },
                "transports": ["websocket"], "joinEvent": "tab:join", "joinPayload": { "tabId": tab(n) }, "timeoutMs": 120_000,
            });
            driver.begin("connectMany", many)
        })
        .collect();
    joins.into_iter().for_each(|join| assert_eq!(join.done()["joined"], 10));
    driver.connect(instance, "backend", SERVER_SECRET);
}

#[test]
#[ignore = "takes a minute and both cores: `make screenshot` runs it"]
fn two_thousand_sessions_in_two_hundred_rooms_are_shown_under_traffic() {
    let (instance, driver, browser) = (start(), Driver::node(), Driver::browser());
    fill_house(&driver, &instance);
    open(&browser, &instance.url(), json!({ "width": 1440, "height": 1000 }));
    wait_for(&browser, "[data-testid=sessions]:text-is('2,001')");
    instance
        .services()
        .registry
        .do_send(ProvokePanic { room: RoomName::parse("tab:ctabshot000000000000000007").unwrap() });
    let room = |n: usize| format!("tab:ctabshot{n:018}");
    let publish_to_all = || {
        let publish = |n: usize| {
            let payload = json!({ "room": room(n), "event": "tab:item-added", "payload": { "n": n } });
            driver.begin("emit", json!({ "client": "backend", "event": "broadcast", "args": [payload], "ack": true }))
        };
        let publishes: Vec<_> = (0..200).map(publish).collect();
        publishes.into_iter().map(|publish| publish.done()["ack"][0]["id"].clone()).next_back().unwrap()
    };
    let wanted = if std::env::var_os("SCREENSHOT").is_some() { 12 } else { 1 };
    let mut last = Value::Null;
    for points in 1..=wanted {
        eventually("another point of the plots", || {
            last = publish_to_all();
            (ask(&instance, "series")["points"].as_array()?.len() >= points).then_some(())
        });
    }
    let way = ask(&instance, &format!("events?id={}", last.as_str().unwrap()));
    assert_eq!(way["counts"]["handed"], 10);
    join_and_hang(&driver, &instance);
    wait_for(&browser, "[data-testid=problems] >> text=One actor was started again");
    wait_for(&browser, "[data-testid=problems] >> text=One session is behind");
    click(&browser, "[data-sort=lag]");
    wait_for(&browser, "tbody tr:first-child[data-state=behind]");
    if let Some(path) = std::env::var_os("SCREENSHOT") {
        let url = format!("{}/admin#room/{}", instance.url(), room(199));
        browser.call("goto", json!({ "page": "admin", "url": url }));
        wait_for(&browser, "[data-testid=panel] >> text=Newest events");
        browser.call("screenshot", json!({ "page": "admin", "path": path.to_str() }));
    }
    assert_eq!(page_errors(&browser), json!([]));
}
