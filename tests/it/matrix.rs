//! Everyone against everything, over the wire: one table, in `docs/SECURITY.md`, written and checked here.
//! `UPDATE_DOCS=1 cargo test --test it matrix` writes it anew; read what has changed before you commit it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::admin::ADMIN;
use crate::support::biscuits::{Keys, attenuate, revoke};
use crate::support::people::{
    BANNED, BISTRO, BISTRO_TABLE, BURGER, CHEF, DINER, DINER_TAB, DINER_TABLE, FIRED, FRIES, GUEST, GUESTS_NOTE,
    GUESTS_TAB, LINE_COOK, OTHER_CHEF, OWNER, SERVER, SOUP, seconds, sign,
};
use crate::support::{Driver, Instance, SERVER_SECRET, USER_SECRET, token};

/// Everyone, with a token of every kind. The venue of all but one of the users is the Bistro.
fn everyone(instance: &Instance, keys: &Keys) -> Vec<(&'static str, String)> {
    let staff = format!("{BISTRO}=CHEF");
    let display = keys.mint(&["--device", "pass", "--staff", &staff]);
    let lost = keys.mint(&["--device", "lost", "--staff", &staff]);
    revoke(&instance.database, &lost, &[]);
    let minter = Driver::minter();
    let session = |library: &str| {
        let cookie = "authjs.session-token";
        let request = json!({ "claims": { "sub": CHEF }, "secret": USER_SECRET, "cookie": cookie });
        minter.call(library, request)["token"].as_str().unwrap().to_owned()
    };
    vec![
        ("owner", token(OWNER)),
        ("server", token(SERVER)),
        ("chef", token(CHEF)),
        ("line cook", token(LINE_COOK)),
        ("tab's customer", token(GUEST)),
        ("former chef", token(FIRED)),
        ("other venue's chef", token(OTHER_CHEF)),
        ("chef, session token of NextAuth.js", session("nextAuth")),
        ("chef, session token of Auth.js", session("authJs")),
        ("backend's secret", SERVER_SECRET.to_owned()),
        ("biscuit: display, CHEF", display.clone()),
        (
            "biscuit: display, kitchen only, to read",
            attenuate(&display, &["--read-only", "--room", &format!("kitchen:{BISTRO}")]),
        ),
        ("biscuit: tab's guest", keys.mint(&["--tab", GUESTS_TAB])),
        ("biscuit: user, tab's customer", keys.mint(&["--user", GUEST])),
        ("biscuit: backend", keys.mint(&["--role", "SYSTEM"])),
        ("biscuit: backend of the Bistro", keys.mint(&["--role", "SYSTEM", "--venue", BISTRO])),
        ("biscuit: operator", keys.mint(&["--role", "ADMIN"])),
        ("operators' token", ADMIN.to_owned()),
        ("biscuit: revoked", lost),
        ("biscuit: expired", attenuate(&display, &["--expires-at", "2020-01-01T00:00:00Z"])),
        ("biscuit: another's key", Keys::generate(1).mint(&["--role", "SYSTEM"])),
        ("no token", String::new()),
        ("banned user", token(BANNED)),
        ("expired user token", sign(&json!({ "sub": CHEF, "exp": seconds(-1) }), USER_SECRET)),
        ("user token of another secret", sign(&json!({ "sub": CHEF }), "another secret of at least 32 bytes")),
    ]
}

/// Every event. The changes come last, and each gives its item a state that it has not had.
fn events() -> Vec<(&'static str, &'static str, Value)> {
    let broadcast = |room: String| json!({ "room": room, "event": "e", "payload": 1 });
    vec![
        ("join own tab", "tab:join", json!({ "tabId": GUESTS_TAB })),
        ("join Diner's tab", "tab:join", json!({ "tabId": DINER_TAB })),
        ("join venue", "venue:join", json!({ "venueId": BISTRO })),
        ("join Diner", "venue:join", json!({ "venueId": DINER })),
        ("join kitchen", "kitchen:join", json!({ "venueId": BISTRO })),
        ("join Diner's kitchen", "kitchen:join", json!({ "venueId": DINER })),
        ("join table", "table:join", json!({ "tableId": BISTRO_TABLE })),
        ("join Diner's table", "table:join", json!({ "tableId": DINER_TABLE })),
        ("leave", "venue:leave", json!({ "venueId": BISTRO })),
        ("item READY", "kitchen:update-status", json!({ "tabItemId": BURGER, "status": "READY" })),
        ("Diner's item READY", "kitchen:update-status", json!({ "tabItemId": SOUP, "status": "READY" })),
        ("item DELIVERED", "kitchen:update-status", json!({ "tabItemId": BURGER, "status": "DELIVERED" })),
        ("bump", "kitchen:bump", json!({ "tabItemId": FRIES })),
        ("bump Diner's", "kitchen:bump", json!({ "tabItemId": SOUP })),
        ("read guest's note", "notification:read", json!({ "notificationId": GUESTS_NOTE })),
        ("publish to kitchen", "broadcast", broadcast(format!("kitchen:{BISTRO}"))),
        ("publish to tab", "broadcast", broadcast(format!("tab:{GUESTS_TAB}"))),
        ("publish to Diner", "broadcast", broadcast(format!("venue:{DINER}"))),
        ("publish to user", "broadcast", broadcast(format!("user:{GUEST}"))),
        ("unknown event", "tab:steal", json!({})),
    ]
}

fn over_http(instance: &Instance, token: &str) -> Vec<(&'static str, String)> {
    let publish = json!({ "room": format!("kitchen:{BISTRO}"), "event": "e" });
    let (status, answer) = instance.post_json("/api/broadcast", token, &publish);
    let broadcast = if status == 200 { verdict(&answer) } else { status.to_string() };
    let rights = instance.post_json("/api/rights", token, &json!({ "userId": "nobody" })).0;
    let bearer = format!("Bearer {token}");
    let get = |path: &str| instance.get(path, &[("authorization", &bearer)]).0.to_string();
    vec![
        ("POST /api/broadcast", broadcast),
        ("POST /api/rights", rights.to_string()),
        ("GET /health", get("/health")),
        ("GET /health/ready", get("/health/ready")),
        ("GET /metrics", get("/metrics")),
        ("GET /asyncapi.json", get("/asyncapi.json")),
        ("/admin", as_operator(instance, token)),
    ]
}

/// Every path of the operators: all are open, or none, which is the status then.
fn as_operator(instance: &Instance, token: &str) -> String {
    let bearer = format!("Bearer {token}");
    let get = |path: &str| instance.get(&format!("/admin{path}"), &[("authorization", &bearer)]).0;
    let post = |path: &str| instance.post_json(&format!("/admin/api/{path}"), token, &json!({})).0;
    let status = get("");
    let read = ["/", "/assets/none", "/api/actors", "/api/series", "/api/events?id=none", "/api/audit"];
    let mut others: Vec<u16> = read.iter().map(|path| get(path)).collect();
    others.extend([get("/api/rooms/tab:cnobody0000000"), get("/api/sessions/none")]);
    others.extend([post("rooms/tab:cnobody0000000/restart"), post("sessions/none/disconnect")]);
    if status == 200 {
        assert!(others.iter().all(|status| [200, 404].contains(status)), "{others:?}");
        return "yes".to_owned();
    }
    // This one would stop the instance.
    others.push(post("drain"));
    assert!(others.iter().all(|other| *other == status), "{status} {others:?}");
    status.to_string()
}

fn verdict(answer: &Value) -> String {
    match answer["error"]["code"].as_str() {
        _ if answer["ok"] == true => "yes".to_owned(),
        Some("FORBIDDEN") => String::new(),
        Some("NOT_FOUND") => "N".to_owned(),
        Some("INVALID_DATA") => "I".to_owned(),
        _ => answer.to_string(),
    }
}

fn row(instance: &Instance, driver: &Driver, token: &str) -> Vec<(&'static str, String)> {
    let connected = driver.try_connect(instance, "someone", token, &["websocket"])["outcome"] == "connected";
    let mut cells = vec![("connect", if connected { "yes" } else { "" }.to_owned())];
    for (name, event, payload) in events() {
        let cell = if connected { verdict(&driver.ask("someone", event, &payload)) } else { "–".to_owned() };
        cells.push((name, cell));
    }
    cells.extend(over_http(instance, token));
    cells
}

#[test]
fn everyone_against_everything() {
    let (keys, driver) = (Keys::generate(1), Driver::node());
    let instance = Instance::with(&[
        ("BISCUIT_PUBLIC_KEY", &keys.public),
        ("ADMIN_TOKEN", ADMIN),
        // Everybody comes from one address.
        ("ADMIN_MAX_FAILURES", "1000"),
    ]);
    let mut table = String::new();
    for (index, (who, token)) in everyone(&instance, &keys).iter().enumerate() {
        let cells = row(&instance, &driver, token);
        if index == 0 {
            let names: Vec<&str> = cells.iter().map(|(name, _)| *name).collect();
            writeln!(table, "| who | {} |\n|{}", names.join(" | "), " --- |".repeat(names.len() + 1)).unwrap();
        }
        let cells: Vec<String> = cells.into_iter().map(|(_, cell)| cell).collect();
        writeln!(table, "| {who} | {} |", cells.join(" | ")).unwrap();
    }
    check("docs/SECURITY.md", &table);
}

fn check(page: &str, table: &str) {
    const BEGIN: &str = "<!-- The table is written by tests/it/matrix.rs. -->\n";
    const END: &str = "<!-- The table ends here. -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the page has the table's place");
    let (written, after) = rest.split_once(END).expect("the page has the table's end");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(written == table, "{page} is not what the service does; it does:\n{table}");
    }
}
