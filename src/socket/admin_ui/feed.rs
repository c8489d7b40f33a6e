//! What one Admin UI is told: the instance as it is, and then what changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};
use socketioxide::extract::SocketRef;

use super::AdminUi;
use super::shape::{iso, serialized};
use crate::actors::insight::{Publisher, SessionRecord, Way};
use crate::actors::messages::SessionKey;
use crate::domain::RoomName;

/// How often the instance is compared with what was shown.
const PERIOD: Duration = Duration::from_millis(500);
/// The UI takes statistics as old after 10 seconds; Node sends them every 2.
const STATS_EVERY: u32 = 4;
/// Events that are told of in one period; a UI that is told of every delivery could not show them.
const MAX_EVENTS: usize = 200;

/// A session as it was shown.
struct Shown {
    record: Arc<SessionRecord>,
    rooms: Vec<RoomName>,
    transport: Option<&'static str>,
}

/// Figures as they were last told.
#[derive(Clone, Copy, Default)]
struct Told {
    published: u64,
    delivered: u64,
    received: u64,
    sent: u64,
    came: u64,
    went: u64,
}

pub struct Feed {
    ui: Arc<AdminUi>,
    socket: SocketRef,
    shown: HashMap<SessionKey, Shown>,
    newest: Option<Arc<Way>>,
    told: Told,
    came: u64,
    went: u64,
}

impl Feed {
    pub fn new(ui: Arc<AdminUi>, socket: SocketRef) -> Self {
        let newest = ui.services.census.ways.newest().next();
        Self { ui, socket, shown: HashMap::new(), newest, told: Told::default(), came: 0, went: 0 }
    }

    pub async fn run(mut self) {
        self.show_all();
        self.told = self.figures();
        let mut ticks = tokio::time::interval(PERIOD);
        for tick in 0_u32.. {
            ticks.tick().await;
            if !self.socket.connected() {
                return;
            }
            if tick > 0 {
                self.show_changes();
                self.show_events();
            }
            if tick.is_multiple_of(STATS_EVERY) {
                self.show_stats();
            }
        }
    }

    /// A UI that does not take it comes back, and is shown everything anew.
    fn tell<T: Serialize>(&self, event: &str, arguments: &T) {
        self.socket.emit(event, arguments).ok();
    }

    fn sessions(&self) -> HashMap<SessionKey, Shown> {
        let services = &self.ui.services;
        let mut rooms: HashMap<SessionKey, Vec<RoomName>> = HashMap::new();
        for audience in services.census.audiences() {
            rooms.extend(audience.journal.memberships());
        }
        let shown = |record: Arc<SessionRecord>| {
            let rooms = rooms.remove(&record.life.key).unwrap_or_default();
            let transport = record.outlet().map(|outlet| outlet.transport());
            (record.life.key, Shown { record, rooms, transport })
        };
        services.directory.all().into_iter().map(|listed| listed.record).map(shown).collect()
    }

    fn show_all(&mut self) {
        self.shown = self.sessions();
        let all: Vec<Value> = self.shown.values().map(|shown| serialized(&shown.record, &shown.rooms)).collect();
        self.tell("all_sockets", &(all,));
    }

    fn show_changes(&mut self) {
        let (now, before) = (self.sessions(), std::mem::take(&mut self.shown));
        let at = iso(SystemTime::now());
        for (key, is) in &now {
            let id = &is.record.life.socket_id;
            let Some(was) = before.get(key) else {
                self.came += 1;
                self.tell("socket_connected", &(serialized(&is.record, &is.rooms), &at));
                continue;
            };
            for room in is.rooms.iter().filter(|room| !was.rooms.contains(room)) {
                self.tell("room_joined", &("/", room.as_str(), id, &at));
            }
            for room in was.rooms.iter().filter(|room| !is.rooms.contains(room)) {
                self.tell("room_left", &("/", room.as_str(), id, &at));
            }
            if is.transport != was.transport {
                self.tell("socket_updated", &json!({ "id": id, "nsp": "/", "transport": is.transport }));
            }
        }
        for (_, was) in before.iter().filter(|(key, _)| !now.contains_key(key)) {
            self.went += 1;
            let id = &was.record.life.socket_id;
            for room in &was.rooms {
                self.tell("room_left", &("/", room.as_str(), id, &at));
            }
            self.tell("socket_disconnected", &("/", id, "transport close", &at));
        }
        self.shown = now;
    }

    /// The names of events, as they came from and went to sessions; never what is in them.
    fn show_events(&mut self) {
        let census = &self.ui.services.census;
        let last = self.newest.take();
        let is_new = |way: &Arc<Way>| last.as_ref().is_none_or(|last| !Arc::ptr_eq(way, last));
        let ways: Vec<Arc<Way>> = census.ways.newest().take_while(is_new).take(MAX_EVENTS).collect();
        let mut left = MAX_EVENTS;
        for way in ways.iter().rev() {
            if let Publisher::Session(key) = way.publisher
                && let Some(shown) = self.shown.get(&key)
            {
                let at = iso(census.time_of(way.received));
                self.tell("event_received", &("/", &shown.record.life.socket_id, [&*way.event], at));
            }
            left -= self.show_sent(way, left);
        }
        self.newest = ways.into_iter().next().or(last);
    }

    fn show_sent(&self, way: &Way, limit: usize) -> usize {
        let is_in = |shown: &Shown, rooms: &[RoomName]| shown.rooms.iter().any(|room| rooms.contains(room));
        let is_for = |shown: &&Shown| {
            let excepted = way.except.as_ref().is_some_and(|except| {
                except.names_socket(&shown.record.life.socket_id) || is_in(shown, except.rooms())
            });
            is_in(shown, &way.rooms) && !excepted
        };
        let at = iso(self.ui.services.census.time_of(way.received + way.dispatched_after().unwrap_or_default()));
        let to = self.shown.values().filter(is_for).take(limit);
        to.map(|shown| self.tell("event_sent", &("/", &shown.record.life.socket_id, [&*way.event], &at))).count()
    }

    fn figures(&self) -> Told {
        let census = &self.ui.services.census;
        let traffic = self.shown.values().filter_map(|shown| shown.record.outlet()).map(|outlet| outlet.traffic());
        let (received, sent) = traffic.fold((0, 0), |(received, sent), one| (received + one.received, sent + one.sent));
        let (published, delivered) = (census.published(), census.delivered());
        Told { published, delivered, received, sent, came: self.came, went: self.went }
    }

    fn show_stats(&mut self) {
        let (now, before) = (self.figures(), self.told);
        self.told = now;
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() * 1_000;
        let event = |kind: &str, now: u64, before: u64| {
            // Sessions that have gone take their bytes with them.
            let count = now.saturating_sub(before);
            (count > 0).then(|| json!({ "timestamp": timestamp, "type": kind, "count": count }))
        };
        let events = [
            event("rawConnection", now.came, before.came),
            event("rawDisconnection", now.went, before.went),
            event("packetsIn", now.published, before.published),
            event("packetsOut", now.delivered, before.delivered),
            event("bytesIn", now.received, before.received),
            event("bytesOut", now.sent, before.sent),
        ];
        let polling = self.shown.values().filter(|shown| shown.transport == Some("polling")).count();
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let admins = self.ui.connected.load(Ordering::Relaxed);
        let stats = json!({
            "serverId": hostname.trim(),
            "hostname": hostname.trim(),
            "pid": std::process::id(),
            "uptime": self.ui.services.metrics.uptime().as_secs_f64(),
            "clientsCount": self.shown.len() + admins,
            "pollingClientsCount": polling,
            "aggregatedEvents": events.into_iter().flatten().collect::<Vec<_>>(),
            "namespaces": [
                { "name": "/", "socketsCount": self.shown.len() },
                { "name": "/admin", "socketsCount": admins },
            ],
        });
        self.tell("server_stats", &stats);
    }
}
