//! Two venues never see each other: every identity against every event and room, each
//! cell with its verdict; and then everything is published and everybody's catch compared.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::people::{
    BISTRO, BISTRO_TABLE, BURGER, CHEF, DINER, DINER_TAB, DINER_TABLE, FIRED, GUEST, GUESTS_NOTE, GUESTS_TAB,
    LINE_COOK, OTHER_CHEF, OWNER, SERVER, SOUP,
};
use crate::support::{Driver, Instance, SERVER_SECRET, token};

const WHO: [&str; 8] = ["owner", "server", "chef", "line", "guest", "other", "fired", "backend"];

fn token_of(who: &str) -> String {
    match who {
        "owner" => token(OWNER),
        "server" => token(SERVER),
        "chef" => token(CHEF),
        "line" => token(LINE_COOK),
        "guest" => token(GUEST),
        "other" => token(OTHER_CHEF),
        "fired" => token(FIRED),
        _ => SERVER_SECRET.to_owned(),
    }
}

/// For each event and room: the verdict for each of `WHO`. `+` success, `F` FORBIDDEN, `N` NOT_FOUND.
fn table() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("tab:join", json!({ "tabId": GUESTS_TAB }), "+++++FFF"),
        ("tab:join", json!({ "tabId": DINER_TAB }), "FFFFF+FF"),
        ("venue:join", json!({ "venueId": BISTRO }), "++++FFFF"),
        ("venue:join", json!({ "venueId": DINER }), "FFFFF+FF"),
        ("kitchen:join", json!({ "venueId": BISTRO }), "+F++FFFF"),
        ("kitchen:join", json!({ "venueId": DINER }), "FFFFF+FF"),
        ("table:join", json!({ "tableId": BISTRO_TABLE }), "++++FFFF"),
        ("table:join", json!({ "tableId": DINER_TABLE }), "FFFFF+FF"),
        ("kitchen:update-status", json!({ "tabItemId": BURGER, "status": "READY" }), "+F++FNNF"),
        ("kitchen:update-status", json!({ "tabItemId": SOUP, "status": "READY" }), "NNNNN+NF"),
        ("kitchen:bump", json!({ "tabItemId": BURGER }), "++++FNNF"),
        ("kitchen:bump", json!({ "tabItemId": SOUP }), "NNNNN+NF"),
        ("notification:read", json!({ "notificationId": GUESTS_NOTE }), "NNNN+NNN"),
        ("broadcast", json!({ "room": format!("kitchen:{BISTRO}"), "event": "marker" }), "FFFFFFF+"),
    ]
}

#[test]
fn every_cell_has_its_verdict() {
    let (instance, driver) = (Instance::start(), Driver::node());
    for who in WHO {
        driver.connect(&instance, who, &token_of(who));
    }
    let mut report = String::new();
    let mut wrong = 0;
    for (event, payload, expected) in table() {
        let verdict = |who: &&str| match driver.ask(who, event, &payload) {
            answer if answer["ok"] == true => '+',
            answer if answer["error"]["code"] == "FORBIDDEN" => 'F',
            answer if answer["error"]["code"] == "NOT_FOUND" => 'N',
            _ => '?',
        };
        let found: String = WHO.iter().map(verdict).collect();
        wrong += usize::from(found != expected);
        writeln!(report, "{found} (expected {expected})  {event} {payload}").unwrap();
    }
    println!("{}\n{report}", WHO.join(" "));
    assert_eq!(wrong, 0, "{report}");
    nobody_got_anothers(&driver);
}

/// Everyone is in every room that let them in. What is published to a room of one venue
/// must reach those of that venue alone.
fn nobody_got_anothers(driver: &Driver) {
    let rooms = [
        (format!("tab:{GUESTS_TAB}"), "+++++..."),
        (format!("tab:{DINER_TAB}"), ".....+.."),
        (format!("venue:{BISTRO}"), "++++...."),
        (format!("venue:{DINER}"), ".....+.."),
        (format!("kitchen:{BISTRO}"), "+.++...."),
        (format!("kitchen:{DINER}"), ".....+.."),
        (format!("table:{BISTRO_TABLE}"), "++++...."),
        (format!("table:{DINER_TABLE}"), ".....+.."),
        (format!("user:{GUEST}"), "....+..."),
        (format!("user:{FIRED}"), "......+."),
    ];
    for (room, _) in &rooms {
        driver.ask_ok("backend", "broadcast", &json!({ "room": room, "event": "secret", "payload": { "of": room } }));
    }
    for (index, who) in WHO.iter().enumerate() {
        // An answer of the session stands behind all that was published before it was asked.
        driver.ask(who, "tab:leave", &json!({ "tabId": "cnosuchtabatall" }));
        let caught: Vec<Value> =
            crate::support::event_args(driver, who, "secret").iter().map(|payload| payload["of"].clone()).collect();
        let expected: Vec<&String> =
            rooms.iter().filter(|(_, members)| members.as_bytes()[index] == b'+').map(|(room, _)| room).collect();
        assert_eq!(caught, expected.iter().map(|room| json!(room)).collect::<Vec<_>>(), "{who}");
    }
}
