//! Stock clients that reconnect by themselves, and what they have seen: events `e` with a number `n`.

use std::time::Duration;

use serde_json::{Value, json};

use super::Driver;
use super::people::SERVER_SECRET;
use super::wait::eventually;

/// Connects a stock client that reconnects by itself, as it does by default.
pub fn connect(driver: &Driver, url: &str, name: &str, token: &str, transports: &[&str]) {
    let answer = driver.call(
        "connect",
        json!({
            "client": name, "url": url, "auth": { "token": token }, "transports": transports,
            "options": { "reconnection": true, "reconnectionDelay": 100, "reconnectionDelayMax": 300, "randomizationFactor": 0 },
        }),
    );
    assert_eq!(answer["outcome"], "connected", "{name}: {answer}");
}

/// The `n` of every event `e` that the client has seen, in order.
pub fn seen(driver: &Driver, client: &str) -> Vec<u64> {
    let events = driver.events(client).into_iter().filter(|(name, _)| name == "e");
    events.map(|(_, args)| args[0]["n"].as_u64().unwrap()).collect()
}

/// Whether each connection of the client was a recovered one.
pub fn recovered(driver: &Driver, client: &str) -> Vec<bool> {
    let connects = driver.events(client).into_iter().filter(|(name, _)| name == "$connect");
    connects.map(|(_, args)| args[1] == true).collect()
}

/// Waits until the client has connected this often.
pub fn connections(driver: &Driver, client: &str, count: usize) {
    eventually(&format!("connection {count} of {client}"), || (recovered(driver, client).len() >= count).then_some(()));
}

/// Every connection but the first was a recovered one.
pub fn always_recovered(driver: &Driver, client: &str) {
    let outcomes = recovered(driver, client);
    assert!(!outcomes[0] && outcomes[1..].iter().all(|outcome| *outcome), "{client}: {outcomes:?}");
}

/// Waits for `count` events, and holds them to be each of 0, 1, 2 … once, in this order.
pub fn has_each_once(driver: &Driver, client: &str, count: u64) {
    let request = json!({ "client": client, "event": "e", "count": count, "timeoutMs": 30_000 });
    let answer = driver.begin("wait", request).outcome();
    let seen = seen(driver, client);
    let odd = (0..).zip(&seen).find(|(expected, n)| expected != *n);
    assert!(
        answer["ok"] == true && odd.is_none() && seen.len() as u64 == count,
        "{client} has {} of {count}; expected and had first: {odd:?}; connections: {:?}",
        seen.len(),
        recovered(driver, client)
    );
}

/// A backend that publishes over HTTP.
pub struct Backend {
    url: String,
    agent: ureq::Agent,
}

impl Backend {
    pub fn new(url: &str) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(5)));
        Self { url: format!("{url}/api/broadcast"), agent: config.build().new_agent() }
    }

    /// The status and the answer, or `None` where there is none.
    pub fn post(&self, secret: &str, body: &str) -> Option<(u16, Value)> {
        self.post_with(&[], secret, body)
    }

    fn post_with(&self, headers: &[(&str, &str)], secret: &str, body: &str) -> Option<(u16, Value)> {
        let request = self.agent.post(&self.url).header("authorization", format!("Bearer {secret}"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut response = request.content_type("application/json").send(body).ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        Some((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub fn ask(&self, publish: &Value) -> Value {
        self.post(SERVER_SECRET, &publish.to_string()).expect("an answer").1
    }

    pub fn ask_with(&self, headers: &[(&str, &str)], publish: &Value) -> Value {
        self.post_with(headers, SERVER_SECRET, &publish.to_string()).expect("an answer").1
    }

    /// Publishes event `e` number `n`.
    pub fn publish(&self, room: &str, n: u64) -> Value {
        let answer = self.ask(&json!({ "room": room, "event": "e", "payload": { "n": n } }));
        assert_eq!(answer["ok"], true, "{answer}");
        answer
    }

    /// Publishes event `e` number `n` until it is acknowledged, each time under the same name.
    pub fn insist(&self, room: &str, n: u64) -> Value {
        self.insist_on(&json!({ "room": room, "event": "e", "payload": { "n": n }, "id": format!("e{n}") }))
    }

    /// Publishes until it is acknowledged. What has a name is published once.
    pub fn insist_on(&self, publish: &Value) -> Value {
        let publish = publish.to_string();
        eventually("an acknowledgement", || {
            let (_, answer) = self.post(SERVER_SECRET, &publish)?;
            (answer["ok"] == true).then_some(answer)
        })
    }
}

/// Paces a publisher: returns once `time` has passed since the last call.
pub struct Pace(std::time::Instant);

impl Pace {
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub fn wait(&mut self, time: Duration) {
        self.0 += time;
        while let Some(left) = self.0.checked_duration_since(std::time::Instant::now()) {
            std::thread::park_timeout(left);
        }
    }
}
