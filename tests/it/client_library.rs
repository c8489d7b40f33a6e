//! The React hooks of `clients/` in Chromium, and its `SocketEmitter` on Node, against the running service.

use std::net::TcpListener;
use std::ops::Range;

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::instance::{SAMPLE, connect};
use crate::support::people::{BISTRO, CHEF, GUESTS_TAB};
use crate::support::program::{Program, run};
use crate::support::{Driver, SERVER_SECRET, USER_SECRET, client_library, token};

/// The service, a page with the hooks in it, and a backend that publishes.
struct Scene {
    folder: TempDir,
    port: u16,
    program: Program,
    browser: Driver,
    backend: Driver,
}

impl Scene {
    fn set(way: &str) -> Self {
        let folder = tempdir().unwrap();
        assert!(run(folder.path(), &["migrate"], &[]).status.success());
        connect(&folder.path().join("expeditor.db")).batch_execute(SAMPLE).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = serve(folder.path(), port);
        let scene = Self { folder, port, program, browser: Driver::browser(), backend: Driver::emitter() };
        scene.backend.call("use", json!({ "way": way, "url": scene.url(), "secret": SERVER_SECRET }));
        scene.open();
        scene
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn open(&self) {
        let (url, token) = (self.url(), token(CHEF));
        // An origin that the service allows by default.
        let page =
            format!("http://localhost:3000/#url={url}&token={token}&user={CHEF}&venue={BISTRO}&tab={GUESTS_TAB}");
        self.page("open", json!({ "url": page, "script": client_library().join("page.js") }));
        // What was there before the page: the kitchen's snapshot, and the tab read once it was entered.
        self.wait_count("li[data-item-id=citem000000000000000000001]", 1);
        self.wait_for("invalidations() === 1");
    }

    fn page(&self, op: &str, mut request: Value) -> Value {
        request["page"] = "page".into();
        self.browser.call(op, request)
    }

    fn evaluate(&self, script: &str) -> Value {
        self.page("evaluate", json!({ "script": script }))["value"].take()
    }

    fn wait_for(&self, condition: &str) {
        self.page("waitUntil", json!({ "script": condition }));
    }

    fn wait_count(&self, selector: &str, count: usize) {
        self.page("waitFor", json!({ "selector": selector, "count": count, "timeoutMs": 30_000 }));
    }

    /// Waits until the display has these dishes, and looks whether each is there, and was announced, once.
    fn shows(&self, count: usize) {
        self.wait_count("li[data-item-id^=cdish]", count);
        let ids =
            "new Set([...document.querySelectorAll('li[data-item-id^=cdish]')].map((li) => li.dataset.itemId)).size";
        assert_eq!(self.evaluate(ids), count, "each dish once");
        assert_eq!(self.evaluate("sounds()"), count, "each order announced once");
        assert_eq!(self.page("errors", json!({}))["pageErrors"], json!([]));
    }

    /// How many joins and leaves the service has had.
    fn joins(&self) -> u64 {
        let text = ureq::get(format!("{}/metrics", self.url())).call().unwrap().body_mut().read_to_string().unwrap();
        let counters = text.lines().filter(|line| line.starts_with("socket_events_total"));
        let moves = counters.filter(|line| line.contains(":join\"") || line.contains(":leave\""));
        moves.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

fn serve(folder: &std::path::Path, port: u16) -> Program {
    let port = port.to_string();
    let variables = [
        ("HOST", "127.0.0.1"),
        ("PORT", port.as_str()),
        ("NEXTAUTH_SECRET", USER_SECRET),
        ("SOCKET_SERVER_SECRET", SERVER_SECRET),
        ("RATE_LIMIT_POINTS", "100000"),
        ("DRAIN_SECS", "1"),
    ];
    let program = Program::start(folder, &["serve"], &variables);
    program.line("listening");
    program
}

/// New orders of one dish each.
fn orders(numbers: Range<usize>) -> Value {
    let ids: Vec<String> = numbers.map(|number| format!("cdish{number:08}")).collect();
    json!({ "venueId": BISTRO, "tabId": GUESTS_TAB, "ids": ids })
}

fn assert_stored(answer: &Value, count: usize) {
    let receipts = answer["receipts"].as_array().unwrap();
    assert_eq!(receipts.len(), count);
    assert!(receipts.iter().all(|receipt| receipt["ok"] == true && receipt["durable"] == true), "{receipts:?}");
}

#[test]
fn the_hooks_miss_nothing_over_lost_connections_and_join_only_once() {
    let scene = Scene::set("socket");
    let joins = scene.joins();
    for drop in 0..10 {
        scene.evaluate("drop()");
        scene.wait_for("document.querySelector('[role=alert]') !== null");
        let added = json!({
            "tabId": GUESTS_TAB, "venueId": BISTRO, "newSubtotal": 1, "newTax": 1, "newTotal": 2,
            "item": { "id": "citem", "name": "Tea", "quantity": 1, "priceCents": 1 },
        });
        scene.backend.call("itemAdded", json!({ "payload": added }));
        assert_stored(&scene.backend.call("orders", orders(drop * 3..(drop + 1) * 3)), 3);
        scene.shows((drop + 1) * 3);
        scene.wait_for(&format!("invalidations() === {}", drop + 2));
    }
    assert_eq!(scene.joins(), joins, "a recovered session neither joins nor leaves");
}

#[test]
fn the_hooks_and_the_emitter_outlive_a_kill_of_the_service() {
    for way in ["socket", "http"] {
        let mut scene = Scene::set(way);
        assert_stored(&scene.backend.call("orders", orders(0..5)), 5);
        scene.shows(5);
        scene.page("offline", json!({ "offline": true }));
        // Some of these are stored before the end, some acknowledged, and the rest sent again after it.
        let published = scene.backend.begin("orders", orders(5..200));
        scene.program.signal("KILL");
        scene.program.exit_code();
        scene.program = serve(scene.folder.path(), scene.port);
        assert_stored(&published.done(), 195);
        scene.page("offline", json!({ "offline": false }));
        scene.shows(200);
        assert_eq!(scene.joins(), 0, "{way}: recovered from the log, without a join");
    }
}

#[test]
fn a_tab_that_closed_while_the_guest_was_away_leads_to_its_receipt() {
    let scene = Scene::set("http");
    scene.evaluate("drop()");
    let closed =
        json!({ "tabId": GUESTS_TAB, "venueId": BISTRO, "totalCents": 1, "tipCents": 0, "receiptUrl": "#receipt" });
    let answer = scene.backend.call("tabClosed", json!({ "payload": closed }));
    assert_eq!(answer["receipt"]["ok"], true, "{answer}");
    scene.wait_for("location.hash === '#receipt'");
}
