//! Anything at any time, with an oracle: what each client must have seen, in order.
//!
//! Steps are taken one after the other, each acknowledged before the next, so that it is known which
//! events are whose; drops, kills and reconnecting go on beside them.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::support::house::{House, Server, free_port};
use crate::support::people::{BISTRO, BISTRO_TABLE, CHEF, GUESTS_TAB};
use crate::support::stock::{Backend, connect, recovered, seen};
use crate::support::{Driver, token};

const ROOMS: [(&str, &str, &str); 4] = [
    ("kitchen", "venueId", BISTRO),
    ("venue", "venueId", BISTRO),
    ("tab", "tabId", GUESTS_TAB),
    ("table", "tableId", BISTRO_TABLE),
];

fn name_of(room: usize) -> String {
    format!("{}:{}", ROOMS[room].0, ROOMS[room].2)
}

/// A client as it has to be.
#[derive(Default)]
struct Client {
    rooms: BTreeSet<usize>,
    expected: Vec<u64>,
    drops: usize,
    /// Where the log stood as it left a room.
    left_at: BTreeMap<usize, (usize, String)>,
}

struct Chaos {
    random: StdRng,
    house: House,
    server: Option<Server>,
    backend: Backend,
    driver: Driver,
    clients: Vec<Client>,
    /// The rooms of every event, by its number.
    events: Vec<Vec<usize>>,
    offset: String,
}

impl Chaos {
    fn start(seed: u64) -> Self {
        let house = House::new(&[]);
        let server = house.serve(free_port());
        let (backend, driver) = (Backend::new(&server.url()), Driver::node());
        let transports: [&[&str]; 3] = [&["websocket"], &["polling"], &["polling", "websocket"]];
        for index in 0..6 {
            connect(&driver, &server.url(), &format!("c{index}"), &token(CHEF), transports[index % 3]);
        }
        let clients = (0..6).map(|_| Client::default()).collect();
        let random = StdRng::seed_from_u64(seed);
        Self {
            random,
            house,
            server: Some(server),
            backend,
            driver,
            clients,
            events: Vec::new(),
            offset: String::new(),
        }
    }

    fn step(&mut self) {
        let client = self.random.random_range(0..self.clients.len());
        let room = self.random.random_range(0..ROOMS.len());
        match self.random.random_range(0..100) {
            0..50 => self.publish(),
            50..70 => self.drop_transport(client),
            70..82 => self.join(client, room),
            82..90 => self.leave(client, room),
            90..97 => self.publish_many(),
            _ => self.kill(),
        }
    }

    fn publish(&mut self) {
        let n = self.events.len();
        let mut rooms: Vec<usize> = (0..ROOMS.len()).filter(|_| self.random.random_bool(0.4)).collect();
        if rooms.is_empty() {
            rooms.push(n % ROOMS.len());
        }
        let names: Vec<String> = rooms.iter().map(|room| name_of(*room)).collect();
        let publish = json!({ "rooms": names, "event": "e", "payload": { "n": n }, "id": format!("e{n}") });
        let answer = self.backend.insist_on(&publish);
        answer["offset"].as_str().unwrap().clone_into(&mut self.offset);
        for client in &mut self.clients {
            if rooms.iter().any(|room| client.rooms.contains(room)) {
                client.expected.push(n as u64);
            }
        }
        self.events.push(rooms);
    }

    fn publish_many(&mut self) {
        (0..30).for_each(|_| self.publish());
    }

    fn drop_transport(&mut self, client: usize) {
        // One that is not connected now has nothing to lose.
        if self.driver.begin("dropTransport", json!({ "client": format!("c{client}") })).outcome()["ok"] == true {
            self.clients[client].drops += 1;
        }
    }

    /// Asks until it is answered: an answer may be lost with its connection.
    fn ask(&self, client: usize, event: &str, payload: &Value) -> Value {
        crate::support::eventually(event, || {
            let request = json!({ "client": format!("c{client}"), "event": event, "args": [payload], "ack": true, "timeoutMs": 2_000 });
            let answer = self.driver.begin("emit", request).outcome();
            (answer["ok"] == true).then(|| answer["ack"][0].clone())
        })
    }

    fn join(&mut self, client: usize, room: usize) {
        let (kind, member, id) = ROOMS[room];
        if self.clients[client].rooms.contains(&room) {
            return;
        }
        let mut payload = json!({ member: id });
        // With what it missed since it left, or without.
        let left = self.clients[client].left_at.remove(&room).filter(|_| self.random.random_bool(0.5));
        self.settle(client);
        if let Some((events, offset)) = &left {
            payload["since"] = offset.as_str().into();
            let missed = self.events.iter().enumerate().skip(*events).filter(|(_, rooms)| rooms.contains(&room));
            self.clients[client].expected.extend(missed.map(|(n, _)| n as u64));
        }
        let answer = self.ask(client, &format!("{kind}:join"), &payload);
        assert_eq!(answer["ok"], true, "{answer}");
        assert!(left.is_none() || answer["complete"] == true, "{answer}");
        self.clients[client].rooms.insert(room);
    }

    fn leave(&mut self, client: usize, room: usize) {
        let (kind, member, id) = ROOMS[room];
        if !self.clients[client].rooms.contains(&room) {
            return;
        }
        self.settle(client);
        assert_eq!(self.ask(client, &format!("{kind}:leave"), &json!({ member: id }))["ok"], true);
        self.clients[client].rooms.remove(&room);
        if !self.offset.is_empty() {
            self.clients[client].left_at.insert(room, (self.events.len(), self.offset.clone()));
        }
    }

    /// Waits until the client is there, and has what it is to have.
    fn settle(&self, client: usize) {
        let (name, expected) = (format!("c{client}"), &self.clients[client].expected);
        let request = json!({ "client": name, "event": "e", "count": expected.len(), "timeoutMs": 15_000 });
        self.driver.begin("wait", request).outcome();
        let seen = seen(&self.driver, &name);
        let odd = expected.iter().zip(&seen).position(|(expected, seen)| expected != seen);
        let around = odd.map(|at| {
            (
                at,
                &expected[at.saturating_sub(2)..(at + 3).min(expected.len())],
                &seen[at.saturating_sub(2)..(at + 3).min(seen.len())],
            )
        });
        assert!(
            odd.is_none() && seen.len() == expected.len(),
            "{name}: {} of {}, {around:?}, {:?}",
            seen.len(),
            expected.len(),
            recovered(&self.driver, &name)
        );
        crate::support::eventually("its connection", || {
            (self.driver.call("state", json!({ "client": name }))["connected"] == true).then_some(())
        });
    }

    fn kill(&mut self) {
        let server = self.server.take().unwrap();
        let port = server.port;
        server.kill();
        self.server = Some(self.house.serve(port));
    }
}

#[test]
fn whatever_happens_every_client_has_its_events_once_and_in_order() {
    let seed = std::env::var("CHAOS_SEED").ok().map_or_else(rand::random, |text| text.parse().unwrap());
    println!("CHAOS_SEED={seed}");
    let mut chaos = Chaos::start(seed);
    (0..400).for_each(|_| chaos.step());
    for client in 0..chaos.clients.len() {
        chaos.settle(client);
        let outcomes = recovered(&chaos.driver, &format!("c{client}"));
        assert!(outcomes[1..].iter().all(|outcome| *outcome), "c{client}: {outcomes:?}");
    }
    let drops: usize = chaos.clients.iter().map(|client| client.drops).sum();
    assert!(drops > 10, "only {drops} drops");
}
