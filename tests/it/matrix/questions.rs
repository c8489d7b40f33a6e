//! Everything: each event about each kind of room and thing, and each HTTP path.

use serde_json::{Value, json};

use super::identities::Someone;
use super::sample::{CLOSED_TAB, OTHER_TAB, OTHER_TABS_ITEM, SERVERS_NOTE};
use crate::support::Instance;
use crate::support::people::{
    BISTRO, BISTRO_TABLE, BURGER, DINER, DINER_TAB, DINER_TABLE, FRIES, GUEST, GUESTS_NOTE, GUESTS_TAB, SOUP,
};

/// What the table calls it, the event and its payload.
pub type Question = (&'static str, &'static str, Value);

/// Each with the room that it is about.
pub fn joins() -> Vec<(Question, String)> {
    let join = |name, kind: &str, event, field: &str, id: &str| {
        ((name, event, json!({ (field): id })), format!("{kind}:{id}"))
    };
    let tab = |name, id| join(name, "tab", "tab:join", "tabId", id);
    let venue = |name, id| join(name, "venue", "venue:join", "venueId", id);
    let kitchen = |name, id| join(name, "kitchen", "kitchen:join", "venueId", id);
    let table = |name, id| join(name, "table", "table:join", "tableId", id);
    vec![
        tab("join tab", GUESTS_TAB),
        tab("join other tab", OTHER_TAB),
        tab("join closed tab", CLOSED_TAB),
        tab("join Diner's tab", DINER_TAB),
        tab("join unknown tab", "ctabunknown0000000000"),
        venue("join venue", BISTRO),
        venue("join Diner", DINER),
        venue("join unknown venue", "cvenueunknown00000000"),
        kitchen("join kitchen", BISTRO),
        kitchen("join Diner's kitchen", DINER),
        table("join table", BISTRO_TABLE),
        table("join Diner's table", DINER_TABLE),
        table("join unknown table", "ctableunknown00000000"),
    ]
}

/// All but the joins and publishes.
pub fn others() -> Vec<Question> {
    let status = |name, item: &str, status: &str| {
        (name, "kitchen:update-status", json!({ "tabItemId": item, "status": status }))
    };
    let bump = |name, item: &str| (name, "kitchen:bump", json!({ "tabItemId": item }));
    let read = |name, note: &str| (name, "notification:read", json!({ "notificationId": note }));
    vec![
        ("leave tab", "tab:leave", json!({ "tabId": GUESTS_TAB })),
        ("leave venue", "venue:leave", json!({ "venueId": BISTRO })),
        ("leave kitchen", "kitchen:leave", json!({ "venueId": BISTRO })),
        ("leave table", "table:leave", json!({ "tableId": BISTRO_TABLE })),
        // Each gives its item a state that it has not had from this one.
        status("item SENT", BURGER, "SENT"),
        status("item IN_PROGRESS", BURGER, "IN_PROGRESS"),
        status("item READY", BURGER, "READY"),
        status("item DELIVERED", BURGER, "DELIVERED"),
        bump("bump", FRIES),
        status("other tab's item READY", OTHER_TABS_ITEM, "READY"),
        bump("bump other tab's", OTHER_TABS_ITEM),
        status("Diner's item READY", SOUP, "READY"),
        status("Diner's item DELIVERED", SOUP, "DELIVERED"),
        bump("bump Diner's", SOUP),
        bump("bump unknown", "citemunknown000000000"),
        read("read customer's note", GUESTS_NOTE),
        read("read SERVER's note", SERVERS_NOTE),
        read("read unknown note", "cnoteunknown000000000"),
        ("unknown event", "tab:steal", json!({})),
    ]
}

/// `broadcast`, and the bodies of `POST /api/broadcast`.
pub fn publishes() -> Vec<Question> {
    let to = |name, room: String| (name, "broadcast", json!({ "room": room, "event": "e", "payload": 1 }));
    let both = json!([format!("venue:{BISTRO}"), format!("venue:{DINER}")]);
    vec![
        to("publish to tab", format!("tab:{GUESTS_TAB}")),
        to("publish to Diner's tab", format!("tab:{DINER_TAB}")),
        to("publish to unknown tab", "tab:ctabunknown0000000000".to_owned()),
        to("publish to venue", format!("venue:{BISTRO}")),
        to("publish to Diner", format!("venue:{DINER}")),
        to("publish to kitchen", format!("kitchen:{BISTRO}")),
        to("publish to Diner's kitchen", format!("kitchen:{DINER}")),
        to("publish to table", format!("table:{BISTRO_TABLE}")),
        to("publish to Diner's table", format!("table:{DINER_TABLE}")),
        to("publish to user", format!("user:{GUEST}")),
        ("publish to venue and Diner", "broadcast", json!({ "rooms": both, "event": "e" })),
    ]
}

pub fn verdict(answer: &Value) -> String {
    match answer["error"]["code"].as_str() {
        _ if answer["ok"] == true => "yes".to_owned(),
        Some("FORBIDDEN") => String::new(),
        Some("NOT_FOUND") => "N".to_owned(),
        Some("INVALID_DATA") => "I".to_owned(),
        _ => answer.to_string(),
    }
}

/// `published` is what came of the same publishes as events.
pub fn over_http(instance: &Instance, someone: &Someone, published: &[String]) -> Vec<(&'static str, String)> {
    let token = &someone.token;
    let bearer = format!("Bearer {token}");
    let get = |path: &str| instance.get(path, &[("authorization", &bearer)]).0.to_string();
    let post = |path: &str, body: Value| instance.post_json(path, token, &body).0.to_string();
    let as_json = [("authorization", &*bearer), ("accept", "application/json")];
    vec![
        ("POST /api/broadcast", broadcast(instance, token, published)),
        ("POST /api/rights", post("/api/rights", json!({ "userId": "nobody" }))),
        ("/admin", as_operator(instance, token)),
        ("GET /health", get("/health")),
        ("GET /health/ready", get("/health/ready")),
        ("GET /metrics", get("/metrics")),
        ("GET /metrics as JSON", instance.get_json("/metrics", &as_json).0.to_string()),
        ("GET /asyncapi.json", get("/asyncapi.json")),
        ("GET /socket.io/", get("/socket.io/?EIO=4&transport=polling")),
        ("GET /api/broadcast", get("/api/broadcast")),
        ("GET /api/rights", get("/api/rights")),
        ("GET /elsewhere", get("/elsewhere")),
        ("POST /demo/orders", post("/demo/orders", json!({ "tabId": GUESTS_TAB, "items": [] }))),
    ]
}

fn broadcast(instance: &Instance, token: &str, published: &[String]) -> String {
    let bodies: Vec<_> = publishes().into_iter().map(|(_, _, body)| body).collect();
    let (status, answers) = instance.post_json("/api/broadcast", token, &json!(bodies));
    if status != 200 {
        return status.to_string();
    }
    let verdicts: Vec<_> = answers.as_array().unwrap().iter().map(verdict).collect();
    if verdicts == published { "=".to_owned() } else { format!("{verdicts:?}") }
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
