//! Everyone: a token of every kind, and of every role, state and fault that one can have.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::sample::{CLOSED_TAB, FORMER_SERVER, HOST_OF_BOTH, ON_LEAVE, PASSER_BY, SUSPENDED};
use crate::admin::ADMIN;
use crate::support::biscuits::{Keys, attenuate, revoke};
use crate::support::people::{
    BANNED, BISTRO, CHEF, DINER, FIRED, GUEST, GUESTS_TAB, SERVER, USER_SECRET, seconds, sign,
};
use crate::support::staff::{ROLES, one_with};
use crate::support::{Driver, Instance, SERVER_SECRET, token};

const DAY: i64 = 24 * 3_600;

pub struct Someone {
    pub who: String,
    pub token: String,
    /// Whose own room it may be in.
    pub user: Option<String>,
}

fn someone(who: impl Into<String>, token: impl Into<String>) -> Someone {
    Someone { who: who.into(), token: token.into(), user: None }
}

fn user(who: impl Into<String>, id: &str) -> Someone {
    Someone { user: Some(id.to_owned()), ..someone(who, token(id)) }
}

pub fn everyone(instance: &Instance, keys: &Keys) -> Vec<Someone> {
    let mut all = users();
    all.extend(session_tokens());
    all.extend([someone("backend's secret", SERVER_SECRET), someone("operators' token", ADMIN)]);
    all.extend(devices(instance, keys));
    all.extend(guests(keys));
    all.extend(backends_and_operators(keys));
    all.extend(forgeries(keys));
    all
}

fn users() -> Vec<Someone> {
    let of = |venue: &'static str| {
        ROLES.into_iter().map(move |role| {
            let who = if venue == BISTRO { role.to_owned() } else { format!("Diner's {role}") };
            user(who, &one_with(role, venue))
        })
    };
    let mut all: Vec<_> = of(BISTRO).chain(of(DINER)).collect();
    all.extend([
        user("HOST of both", HOST_OF_BOTH),
        user("tab's SERVER", SERVER),
        user("other tab's server, staff no more", FORMER_SERVER),
        user("tab's customer", GUEST),
        user("former CHEF", FIRED),
        user("CHEF on leave", ON_LEAVE),
        user("user of no venue", PASSER_BY),
        user("banned user", BANNED),
        user("suspended user", SUSPENDED),
        user("unknown user", "nobody"),
    ]);
    let faulty = |who: &str, claims: Value| someone(format!("CHEF, {who}"), sign(&claims, USER_SECRET));
    all.extend([
        faulty("expired", json!({ "sub": CHEF, "exp": seconds(-1) })),
        faulty("of the day before", json!({ "sub": CHEF, "iat": seconds(-DAY - 60), "exp": seconds(DAY) })),
        faulty("too early", json!({ "sub": CHEF, "nbf": seconds(3_600) })),
    ]);
    all
}

/// By the libraries that the application has them from.
fn session_tokens() -> Vec<Someone> {
    let minter = Driver::minter();
    let mint = |library: &str, secret: &str, max_age: i64| {
        let cookie = "authjs.session-token";
        let request = json!({ "claims": { "sub": CHEF }, "secret": secret, "cookie": cookie, "maxAge": max_age });
        minter.call(library, request)["token"].as_str().unwrap().to_owned()
    };
    let of = |(library, name): (&str, &str)| {
        let who = |fault: &str| format!("CHEF, session token of {name}{fault}");
        let whole = someone(who(""), mint(library, USER_SECRET, 3_600));
        [
            Someone { user: Some(CHEF.to_owned()), ..whole },
            someone(who(", expired"), mint(library, USER_SECRET, -1)),
            someone(who(", of another secret"), mint(library, "another secret of at least 32 bytes", 3_600)),
        ]
    };
    [("nextAuth", "NextAuth.js"), ("authJs", "Auth.js")].into_iter().flat_map(of).collect()
}

fn devices(instance: &Instance, keys: &Keys) -> Vec<Someone> {
    let display =
        |name: &str, venue: &str, role: &str| keys.mint(&["--device", name, "--staff", &format!("{venue}={role}")]);
    let mut all: Vec<_> = ROLES
        .into_iter()
        .map(|role| someone(format!("biscuit: display, {role}"), display("pass", BISTRO, role)))
        .collect();
    let chef = display("pass", BISTRO, "CHEF");
    let narrowed =
        |who: &str, arguments: &[&str]| someone(format!("biscuit: display, CHEF, {who}"), attenuate(&chef, arguments));
    let kitchen = format!("kitchen:{BISTRO}");
    let past = "2020-01-01T00:00:00Z";
    let kitchen_past_it = format!("check if time($now), $now < {past} or room(\"kitchen\", $id)");
    let lost = display("lost", BISTRO, "CHEF");
    let of_a_lost_one = attenuate(&lost, &["--read-only"]);
    let forgotten = attenuate(&display("forgotten", BISTRO, "CHEF"), &["--read-only"]);
    revoke(&instance.database, &lost, &[]);
    revoke(&instance.database, &forgotten, &[]);
    all.extend([
        someone("biscuit: Diner's display, CHEF", display("pass", DINER, "CHEF")),
        someone("biscuit: device and no more", keys.mint(&["--device", "printer"])),
        narrowed("until its shift ends", &["--expires-in", "8h"]),
        narrowed("sealed", &["--expires-in", "8h", "--seal"]),
        narrowed("to read", &["--read-only"]),
        narrowed("kitchen only", &["--room", &kitchen]),
        narrowed("kitchen only, to read", &["--read-only", "--room", &kitchen]),
        narrowed("to bump", &["--operation", "kitchen:bump"]),
        narrowed("the Diner's rooms only", &["--venue", DINER]),
        narrowed("kitchen only since a moment that is past", &["--check", &kitchen_past_it]),
        narrowed("expired", &["--expires-at", past]),
        someone("biscuit: display, CHEF, revoked", lost),
        someone("biscuit: display, CHEF, made from a revoked one", of_a_lost_one),
        someone("biscuit: display, CHEF, attenuated, then revoked", forgotten),
    ]);
    all
}

fn guests(keys: &Keys) -> Vec<Someone> {
    let guest = keys.mint(&["--tab", GUESTS_TAB]);
    let customer = keys.mint(&["--user", GUEST]);
    let of_user = |who: &str, id: &str, token: String| Someone { user: Some(id.to_owned()), ..someone(who, token) };
    vec![
        someone("biscuit: tab's guest, to read", attenuate(&guest, &["--read-only"])),
        someone("biscuit: tab's guest", guest),
        someone("biscuit: closed tab's guest", keys.mint(&["--tab", CLOSED_TAB])),
        of_user("biscuit: tab's customer, to enter a tab", GUEST, attenuate(&customer, &["--operation", "tab:join"])),
        of_user("biscuit: tab's customer", GUEST, customer),
        of_user("biscuit: CHEF", CHEF, keys.mint(&["--user", CHEF])),
        of_user("biscuit: banned user", BANNED, keys.mint(&["--user", BANNED])),
    ]
}

fn backends_and_operators(keys: &Keys) -> Vec<Someone> {
    let (backend, operator) = (keys.mint(&["--role", "SYSTEM"]), keys.mint(&["--role", "ADMIN"]));
    vec![
        someone("biscuit: backend of the Bistro", keys.mint(&["--role", "SYSTEM", "--venue", BISTRO])),
        someone("biscuit: backend, one kitchen", attenuate(&backend, &["--room", &format!("kitchen:{BISTRO}")])),
        someone("biscuit: backend, rights only", attenuate(&backend, &["--operation", "rights"])),
        someone("biscuit: backend, expired", attenuate(&backend, &["--expires-at", "2020-01-01T00:00:00Z"])),
        someone("biscuit: backend", backend),
        someone("biscuit: operator, to read", attenuate(&operator, &["--read-only"])),
        someone("biscuit: operator, expired", attenuate(&operator, &["--expires-at", "2020-01-01T00:00:00Z"])),
        someone("biscuit: operator", operator),
    ]
}

fn forgeries(keys: &Keys) -> Vec<Someone> {
    let stranger = Keys::generate(1);
    let whole = keys.mint(&["--role", "SYSTEM"]);
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", part(json!({ "alg": "none", "typ": "JWT" })), part(json!({ "sub": CHEF })));
    vec![
        someone("no token", ""),
        someone("nonsense", "nonsense"),
        someone("most of the backend's secret", &SERVER_SECRET[..SERVER_SECRET.len() - 1]),
        someone("CHEF, of another secret", sign(&json!({ "sub": CHEF }), "another secret of at least 32 bytes")),
        someone("CHEF, unsigned", unsigned),
        someone("biscuit: another's key, SYSTEM", stranger.mint(&["--role", "SYSTEM"])),
        someone("biscuit: another's key, ADMIN", stranger.mint(&["--role", "ADMIN"])),
        someone("biscuit: cut off", &whole[..whole.len() - 8]),
    ]
}
