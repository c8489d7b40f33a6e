//! Everyone against everything, over the wire: one table, in `docs/SECURITY.md`, written and checked here.
//! `UPDATE_DOCS=1 cargo test --test it matrix` writes it anew; read what has changed before you commit it.

mod identities;
mod questions;
mod sample;
mod table;

use expeditor::domain::Command;
use serde_json::{Value, json};

use self::identities::{Someone, everyone};
use self::questions::{Question, joins, others, over_http, publishes, verdict};
use self::table::Table;
use crate::admin::ADMIN;
use crate::support::biscuits::Keys;
use crate::support::people::{CHEF, GUEST, OWNER};
use crate::support::{Driver, Instance, SERVER_SECRET, event_args};

type Cells = Vec<(&'static str, String)>;

fn yes(is: bool) -> String {
    if is { "yes" } else { "" }.to_owned()
}

/// By either transport.
fn connects(instance: &Instance, driver: &Driver, token: &str) -> bool {
    let by = |transport| driver.try_connect(instance, transport, token, &[transport])["outcome"] == "connected";
    let connected = [by("polling"), by("websocket")];
    driver.call("disconnect", json!({ "client": "polling" }));
    assert_eq!(connected[0], connected[1]);
    connected[0]
}

/// The Admin UI's namespace.
fn sees_inside(instance: &Instance, driver: &Driver, token: &str) -> bool {
    let request = json!({
        "client": "operator", "url": instance.url(), "namespace": "/admin", "auth": { "password": token },
        "transports": ["websocket"],
    });
    let outcome = driver.call("connect", request);
    driver.call("disconnect", json!({ "client": "operator" }));
    outcome["outcome"] == "connected"
}

fn ask(driver: &Driver, connected: bool, questions: Vec<Question>) -> Cells {
    let answer = |event: &str, payload: &Value| {
        if connected { verdict(&driver.ask("websocket", event, payload)) } else { "–".to_owned() }
    };
    questions.into_iter().map(|(name, event, payload)| (name, answer(event, &payload))).collect()
}

/// Publishes to each room there is, and returns those whose events came.
fn caught(instance: &Instance, driver: &Driver, own: Option<&str>) -> Vec<String> {
    let users = [OWNER, CHEF, GUEST].into_iter().chain(own.filter(|own| ![OWNER, CHEF, GUEST].contains(own)));
    let rooms = joins().into_iter().map(|(_, room)| room).chain(users.map(|user| format!("user:{user}")));
    let all: Vec<_> = rooms.map(|room| json!({ "room": room, "event": "marker", "payload": room })).collect();
    assert_eq!(instance.post_json("/api/broadcast", SERVER_SECRET, &json!(all)).0, 200);
    // An answer of the session stands behind all that was published before it was asked.
    driver.ask_ok("websocket", "tab:leave", &json!({ "tabId": "cnosuchtabatall" }));
    event_args(driver, "websocket", "marker").iter().map(|room| room.as_str().unwrap().to_owned()).collect()
}

/// What it is let into, and that nothing of another room comes.
fn rooms(instance: &Instance, driver: &Driver, connected: bool, someone: &Someone) -> Cells {
    let (questions, rooms): (Vec<_>, Vec<_>) = joins().into_iter().unzip();
    let mut cells = ask(driver, connected, questions);
    if !connected {
        cells.push(("own user's room", "–".to_owned()));
        return cells;
    }
    let own = someone.user.as_ref().map(|user| format!("user:{user}"));
    let (own_room, caught): (Vec<_>, Vec<_>) =
        caught(instance, driver, someone.user.as_deref()).into_iter().partition(|room| Some(room) == own.as_ref());
    let entered = rooms.into_iter().zip(&cells).filter(|(_, (_, cell))| cell == "yes").map(|(room, _)| room);
    assert_eq!(caught, entered.collect::<Vec<_>>(), "{}", someone.who);
    cells.push(("own user's room", yes(!own_room.is_empty())));
    cells
}

fn row(instance: &Instance, driver: &Driver, someone: &Someone) -> Cells {
    let connected = connects(instance, driver, &someone.token);
    let mut cells = vec![("connect", yes(connected))];
    cells.extend(rooms(instance, driver, connected, someone));
    cells.extend(ask(driver, connected, others()));
    let published = ask(driver, connected, publishes());
    let verdicts: Vec<_> = published.iter().map(|(_, verdict)| verdict.clone()).collect();
    cells.extend(published);
    cells.extend(over_http(instance, someone, &verdicts));
    cells.push(("Admin UI", yes(sees_inside(instance, driver, &someone.token))));
    cells
}

#[test]
fn everyone_against_everything() {
    let asked: Vec<_> = joins().into_iter().map(|(question, _)| question).chain(others()).chain(publishes()).collect();
    for event in Command::EVENTS {
        assert!(asked.iter().any(|(_, asked, _)| *asked == event), "nobody is asked about {event}");
    }
    let (keys, driver) = (Keys::generate(1), Driver::node());
    let instance = Instance::with(&[
        ("BISCUIT_PUBLIC_KEY", &keys.public),
        ("ADMIN_TOKEN", ADMIN),
        // Everybody comes from one address.
        ("ADMIN_MAX_FAILURES", "10000"),
    ]);
    sample::insert(&instance);
    let mut table = Table::default();
    for someone in everyone(&instance, &keys) {
        table.push(&someone.who, row(&instance, &driver, &someone));
    }
    table.check("docs/SECURITY.md");
}
