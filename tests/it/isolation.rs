//! Two venues never see each other: every identity against every event and room, each
//! cell with its verdict; and then everything is published and everybody's catch compared.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::people::{
    BISTRO, BISTRO_TABLE, BURGER, CHEF, DINER, DINER_TAB, DINER_TABLE, FIRED, GUEST, GUESTS_NOTE, GUESTS_TAB,
    LINE_COOK, OTHER_CHEF, OWNER, SERVER, SOUP,
};
use crate::support::staff::{IN_KITCHEN, ROLES, hire, one_with};
use crate::support::{Driver, Instance, SERVER_SECRET, event_args, token};

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

fn verdict(driver: &Driver, who: &str, event: &str, payload: &Value) -> char {
    match driver.ask(who, event, payload) {
        answer if answer["ok"] == true => '+',
        answer if answer["error"]["code"] == "FORBIDDEN" => 'F',
        answer if answer["error"]["code"] == "NOT_FOUND" => 'N',
        _ => '?',
    }
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
        let found: String = WHO.iter().map(|who| verdict(&driver, who, event, &payload)).collect();
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
            event_args(driver, who, "secret").iter().map(|payload| payload["of"].clone()).collect();
        let expected: Vec<&String> =
            rooms.iter().filter(|(_, members)| members.as_bytes()[index] == b'+').map(|(room, _)| room).collect();
        assert_eq!(caught, expected.iter().map(|room| json!(room)).collect::<Vec<_>>(), "{who}");
    }
}

/// What belongs to one venue.
struct Venue {
    id: &'static str,
    tab: &'static str,
    table: &'static str,
    item: &'static str,
}

const VENUES: [Venue; 2] = [
    Venue { id: BISTRO, tab: GUESTS_TAB, table: BISTRO_TABLE, item: BURGER },
    Venue { id: DINER, tab: DINER_TAB, table: DINER_TABLE, item: SOUP },
];

impl Venue {
    /// For each event: the verdict for those who work in this venue's kitchen, for its
    /// other staff, and for the other venue's. The backend may publish, and is the last.
    fn verdicts(&self) -> Vec<(&'static str, Value, &'static str)> {
        let status = |status: &str| json!({ "tabItemId": self.item, "status": status });
        vec![
            ("tab:join", json!({ "tabId": self.tab }), "++FF"),
            ("venue:join", json!({ "venueId": self.id }), "++FF"),
            ("kitchen:join", json!({ "venueId": self.id }), "+FFF"),
            ("table:join", json!({ "tableId": self.table }), "++FF"),
            ("kitchen:update-status", status("SENT"), "+FNF"),
            ("kitchen:update-status", status("IN_PROGRESS"), "+FNF"),
            ("kitchen:update-status", status("READY"), "+FNF"),
            ("kitchen:update-status", status("DELIVERED"), "++NF"),
            ("kitchen:bump", json!({ "tabItemId": self.item }), "++NF"),
            ("notification:read", json!({ "notificationId": GUESTS_NOTE }), "NNNN"),
            ("broadcast", json!({ "room": format!("table:{}", self.table), "event": "nothing" }), "FFF+"),
        ]
    }

    /// Each room, and who of those three is in it.
    fn rooms(&self) -> [(String, &'static str); 4] {
        [
            (format!("tab:{}", self.tab), "++."),
            (format!("venue:{}", self.id), "++."),
            (format!("kitchen:{}", self.id), "+.."),
            (format!("table:{}", self.table), "++."),
        ]
    }

    fn leaves(&self) -> [(&'static str, Value); 4] {
        [
            ("tab:leave", json!({ "tabId": self.tab })),
            ("venue:leave", json!({ "venueId": self.id })),
            ("kitchen:leave", json!({ "venueId": self.id })),
            ("table:leave", json!({ "tableId": self.table })),
        ]
    }
}

/// One of every role in each venue: the name, the venue's index, and the column of a verdict in that venue.
fn staff() -> impl Iterator<Item = (String, usize, usize)> {
    (0..VENUES.len()).flat_map(|venue| {
        (0..ROLES.len())
            .map(move |role| (one_with(ROLES[role], VENUES[venue].id), venue, usize::from(role >= IN_KITCHEN)))
    })
}

/// The column of a verdict of `venue`.
const fn column(venue: usize, home: usize, own: usize) -> usize {
    if venue == home { own } else { 2 }
}

#[test]
fn every_role_in_both_venues() {
    let (instance, driver) = (Instance::start(), Driver::node());
    hire(&instance);
    for (name, ..) in staff() {
        driver.connect(&instance, &name, &token(&name));
    }
    driver.connect(&instance, "backend", SERVER_SECRET);
    let (mut report, mut wrong) = (String::new(), 0);
    for (index, venue) in VENUES.iter().enumerate() {
        for (event, payload, verdicts) in venue.verdicts() {
            let verdicts = verdicts.as_bytes();
            let expected = staff().map(|(_, home, own)| verdicts[column(index, home, own)]).chain([verdicts[3]]);
            let expected: String = expected.map(char::from).collect();
            let everyone = staff().map(|(name, ..)| name).chain(["backend".to_owned()]);
            let found: String = everyone.map(|name| verdict(&driver, &name, event, &payload)).collect();
            wrong += usize::from(found != expected);
            writeln!(report, "{found} (expected {expected})  {event} {payload}").unwrap();
        }
    }
    println!("{ROLES:?} of each venue, backend\n{report}");
    assert_eq!(wrong, 0, "{report}");
    each_role_catches_its_own(&driver);
}

fn each_role_catches_its_own(driver: &Driver) {
    let rooms: Vec<_> =
        VENUES.iter().enumerate().flat_map(|(index, venue)| venue.rooms().map(|room| (index, room))).collect();
    let publish = |event: &str| {
        for (_, (room, _)) in &rooms {
            driver.ask_ok("backend", "broadcast", &json!({ "room": room, "event": event, "payload": room }));
        }
    };
    publish("secret");
    for (name, home, own) in staff() {
        for venue in &VENUES {
            // Whoever was never in a room leaves it as well.
            venue.leaves().iter().for_each(|(event, payload)| drop(driver.ask_ok(&name, event, payload)));
        }
        let is_in = |index: usize, members: &str| members.as_bytes()[column(index, home, own)] == b'+';
        let expected: Vec<_> = rooms
            .iter()
            .filter(|(index, (_, members))| is_in(*index, members))
            .map(|(_, (room, _))| json!(room))
            .collect();
        assert_eq!(event_args(driver, &name, "secret"), expected, "{name}");
    }
    publish("after");
    for (name, ..) in staff() {
        driver.ask(&name, "tab:leave", &json!({ "tabId": GUESTS_TAB }));
        assert!(event_args(driver, &name, "after").is_empty(), "{name} has left all rooms");
    }
}

#[test]
fn staff_on_leave_and_suspended_users_have_no_rights() {
    let (instance, driver) = (Instance::start(), Driver::node());
    instance.execute(&format!("UPDATE venue_staff SET status = 'ON_LEAVE' WHERE user_id = '{CHEF}'"));
    driver.connect(&instance, "chef", &token(CHEF));
    for (event, payload) in
        [("venue:join", json!({ "venueId": BISTRO })), ("kitchen:join", json!({ "venueId": BISTRO }))]
    {
        assert_eq!(verdict(&driver, "chef", event, &payload), 'F', "{event}");
    }
    for status in ["SUSPENDED", "DELETED"] {
        instance.execute(&format!("UPDATE users SET status = '{status}' WHERE id = '{SERVER}'"));
        let answer = driver.try_connect(&instance, status, &token(SERVER), &["websocket"]);
        assert_eq!(answer["message"], "Authentication failed", "{status}");
    }
}
