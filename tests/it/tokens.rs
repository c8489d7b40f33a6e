//! Tokens of every kind against the running service, minted by those who mint them in earnest.

use serde_json::{Value, json};

use crate::support::people::{BANNED, CHEF, GUEST, seconds, sign};
use crate::support::{Driver, Instance, SERVER_SECRET, USER_SECRET, token};

/// What a client is told that brings this token.
fn outcome(driver: &Driver, instance: &Instance, token: &str) -> Value {
    let answer = driver.try_connect(instance, "client", token, &["websocket"]);
    if answer["outcome"] == "connected" { json!("connected") } else { answer["message"].clone() }
}

fn mint(minter: &Driver, library: &str, request: Value) -> String {
    minter.call(library, request)["token"].as_str().unwrap().to_owned()
}

#[test]
fn the_session_tokens_of_next_auth_and_auth_js_let_their_users_in() {
    let (instance, driver, minter) = (Instance::start(), Driver::node(), Driver::minter());
    let claims = json!({ "sub": CHEF, "name": "Chef", "email": "chef@bistro.test", "picture": null });
    let next_auth = mint(&minter, "nextAuth", json!({ "claims": claims, "secret": USER_SECRET }));
    assert_eq!(outcome(&driver, &instance, &next_auth), "connected");
    for cookie in ["authjs.session-token", "__Secure-authjs.session-token"] {
        let auth_js = mint(&minter, "authJs", json!({ "claims": claims, "secret": USER_SECRET, "cookie": cookie }));
        assert_eq!(outcome(&driver, &instance, &auth_js), "connected", "{cookie}");
    }
    driver.ask_ok("client", "kitchen:join", &json!({ "venueId": crate::support::people::BISTRO }));
}

#[test]
fn a_session_token_of_another_key_cookie_or_time_is_refused() {
    let (instance, driver, minter) = (Instance::start(), Driver::node(), Driver::minter());
    let claims = json!({ "sub": CHEF });
    let cookie = "authjs.session-token";
    for (library, request) in [
        ("nextAuth", json!({ "claims": claims, "secret": "another secret of at least 32 bytes" })),
        ("authJs", json!({ "claims": claims, "secret": "another secret of at least 32 bytes", "cookie": cookie })),
        ("authJs", json!({ "claims": claims, "secret": USER_SECRET, "cookie": "tenant.session-token" })),
        ("nextAuth", json!({ "claims": claims, "secret": USER_SECRET, "maxAge": -1 })),
        ("authJs", json!({ "claims": claims, "secret": USER_SECRET, "cookie": cookie, "maxAge": -1 })),
        ("nextAuth", json!({ "claims": { "sub": BANNED }, "secret": USER_SECRET })),
        ("nextAuth", json!({ "claims": { "sub": "nobody" }, "secret": USER_SECRET })),
        ("nextAuth", json!({ "claims": { "name": "no sub" }, "secret": USER_SECRET })),
        ("nextAuth", json!({ "claims": { "sub": "x".repeat(8_000) }, "secret": USER_SECRET })),
        ("nextAuth", json!({ "claims": { "sub": "x".repeat(500_000) }, "secret": USER_SECRET })),
    ] {
        let token = mint(&minter, library, request.clone());
        assert_eq!(outcome(&driver, &instance, &token), "Authentication failed", "{library} {request:.200}");
    }
}

#[test]
fn another_cookies_name_is_another_salt() {
    let instance = Instance::with(&[("AUTH_COOKIE_NAME", "tenant.session-token")]);
    let (driver, minter) = (Driver::node(), Driver::minter());
    let token = |cookie: &str| {
        mint(&minter, "authJs", json!({ "claims": { "sub": GUEST }, "secret": USER_SECRET, "cookie": cookie }))
    };
    assert_eq!(outcome(&driver, &instance, &token("tenant.session-token")), "connected");
    assert_eq!(outcome(&driver, &instance, &token("authjs.session-token")), "Authentication failed");
}

#[test]
fn a_session_ends_with_its_encrypted_token() {
    let (instance, driver, minter) = (Instance::start(), Driver::node(), Driver::minter());
    let token = mint(&minter, "nextAuth", json!({ "claims": { "sub": GUEST }, "secret": USER_SECRET, "maxAge": 5 }));
    driver.connect(&instance, "guest", &token);
    driver.call("wait", json!({ "client": "guest", "event": "error", "count": 1, "timeoutMs": 10_000 }));
    assert_eq!(driver.wait("guest", "error", 0)["code"], "TOKEN_EXPIRED");
    assert_eq!(driver.wait("guest", "$disconnect", 0), "io server disconnect");
}

#[test]
fn while_a_secret_is_changed_the_one_before_it_opens_the_same_doors() {
    const NEW: &str = "a-new-secret-of-at-least-32-bytes-for-everyone";
    let new = [("NEXTAUTH_SECRET", NEW), ("SOCKET_SERVER_SECRET", NEW), ("ADMIN_TOKEN", NEW)];
    let previous = [
        ("NEXTAUTH_SECRET_PREVIOUS", USER_SECRET),
        ("SOCKET_SERVER_SECRET_PREVIOUS", SERVER_SECRET),
        ("ADMIN_TOKEN_PREVIOUS", "the-operators-old-token-of-32-bytes"),
    ];
    let (driver, minter) = (Driver::node(), Driver::minter());
    let claims = json!({ "sub": CHEF, "exp": seconds(60) });
    let sealed = mint(&minter, "nextAuth", json!({ "claims": claims, "secret": USER_SECRET }));
    let old = [token(CHEF), sealed, SERVER_SECRET.to_owned()];
    let admin = |instance: &Instance, token: &str| {
        instance.get("/admin/api/actors", &[("authorization", &format!("Bearer {token}"))]).0
    };

    let changing = Instance::with(&[new.as_slice(), &previous].concat());
    for token in old.iter().chain([&sign(&claims, NEW), &NEW.to_owned()]) {
        assert_eq!(outcome(&driver, &changing, token), "connected");
    }
    assert_eq!([admin(&changing, NEW), admin(&changing, "the-operators-old-token-of-32-bytes")], [200, 200]);
    driver.call("disconnectAll", json!({ "prefix": "" }));

    let changed = Instance::with(&new);
    for token in &old {
        assert_eq!(outcome(&driver, &changed, token), "Authentication failed");
    }
    assert_eq!(outcome(&driver, &changed, &sign(&claims, NEW)), "connected");
    assert_eq!(admin(&changed, "the-operators-old-token-of-32-bytes"), 401);
}
