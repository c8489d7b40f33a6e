//! What Node servers ask of all their peers. Whoever listens is counted and waited for, so everything is
//! answered; what is asked for is done as an operator's command is: a join is the session's own, and obeys the policy.

use std::collections::{HashMap, HashSet};
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::actor::ClusterBridge;
use crate::actors::messages::{EndSession, SessionKey};
use crate::actors::session::{Listed, as_if_asked};
use crate::bus::Garbage;
use crate::bus::adapter::{self, NodeEvent, Request, Selection};
use crate::domain::RoomName;

/// Sessions of one answer. A Node server that asks for more would be told less than all, as a house of
/// this size no longer fits into one message.
const MAX_SOCKETS: usize = 20_000;

impl ClusterBridge {
    pub(super) fn answer_peer(&mut self, request: Request, from_node: &mut Vec<NodeEvent>) -> Result<(), Garbage> {
        match request {
            Request::Sockets { id, of } => {
                let ids = self.selected(&of).into_iter().map(|(listed, _)| json!(*listed.record.life.socket_id));
                self.respond(&adapter::sockets(&id, ids.collect()));
            }
            Request::AllRooms { id } => self.respond(&adapter::rooms(&id, self.all_rooms())),
            Request::Fetch { id, of } => {
                let sockets = self.selected(&of).into_iter().map(|(listed, rooms)| remote_socket(&listed, &rooms));
                self.respond(&adapter::sockets(&id, sockets.collect()));
            }
            Request::Join { id, of, rooms } => self.move_sessions("join", &of, &rooms, id),
            Request::Leave { id, of, rooms } => self.move_sessions("leave", &of, &rooms, id),
            Request::Disconnect { id, of } => {
                self.selected(&of).into_iter().for_each(|(listed, _)| listed.session.do_send(EndSession));
                self.done(id);
            }
            Request::ServerSideEmit { id } => {
                if let Some(id) = id {
                    self.respond(&adapter::nothing_to_say(&id));
                }
            }
            Request::Broadcast { id, event } => {
                // Its clients acknowledge to nobody here: it is an event of the log, which has no acknowledgements.
                self.respond(&adapter::client_count(&id, 0));
                if self.lease.is_held() {
                    from_node.push(event?);
                }
            }
        }
        Ok(())
    }

    fn respond(&self, answer: &Value) {
        self.bus.publish(adapter::RESPONSES, answer.to_string().into_bytes());
    }

    fn done(&self, id: Option<String>) {
        if let Some(id) = id {
            self.respond(&adapter::done(&id));
        }
    }

    fn memberships(&self) -> HashMap<SessionKey, Vec<RoomName>> {
        let mut all: HashMap<SessionKey, Vec<RoomName>> = HashMap::new();
        for record in self.services.census.audiences() {
            all.extend(record.journal.memberships());
        }
        all
    }

    fn selected(&self, of: &Selection) -> Vec<(Listed, Vec<RoomName>)> {
        let (wanted, unwanted): (HashSet<&str>, HashSet<&str>) =
            (of.rooms.iter().map(String::as_str).collect(), of.except.iter().map(String::as_str).collect());
        let mut memberships = self.memberships();
        let sessions = self.services.directory.all().into_iter().map(|listed| {
            let rooms = memberships.remove(&listed.record.life.key).unwrap_or_default();
            (listed, rooms)
        });
        let is_in = |listed: &Listed, rooms: &[RoomName], names: &HashSet<&str>| {
            names.contains(&*listed.record.life.socket_id) || rooms.iter().any(|room| names.contains(room.as_str()))
        };
        let chosen = sessions.filter(|(listed, rooms)| {
            (wanted.is_empty() || is_in(listed, rooms, &wanted)) && !is_in(listed, rooms, &unwanted)
        });
        chosen.take(MAX_SOCKETS).collect()
    }

    fn all_rooms(&self) -> Vec<String> {
        let rooms: HashSet<RoomName> = self.memberships().into_values().flatten().collect();
        let own = self.services.directory.all().into_iter().map(|listed| listed.record.life.socket_id.to_string());
        rooms.iter().map(|room| room.as_str().to_owned()).chain(own).take(MAX_SOCKETS).collect()
    }

    fn move_sessions(&mut self, how: &'static str, of: &Selection, rooms: &[String], id: Option<String>) {
        let sessions = self.selected(of);
        for room in rooms {
            let Some(room) = RoomName::parse(room).filter(|room| as_if_asked(how, room).is_some()) else {
                self.ignore(Garbage::Room, adapter::REQUESTS);
                continue;
            };
            for (listed, _) in &sessions {
                if let Some(asked) = as_if_asked(how, &room) {
                    listed.session.do_send(asked);
                }
            }
        }
        // Nobody here has that socket: who does answers.
        if !sessions.is_empty() {
            self.done(id);
        }
    }
}

/// In the shape of a Node server's remote socket. Of the handshake there is what concerns nobody's secrets.
fn remote_socket(listed: &Listed, rooms: &[RoomName]) -> Value {
    let record = &listed.record;
    let issued = record.connected_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let own = [&*record.life.socket_id].into_iter();
    json!({
        "id": *record.life.socket_id,
        "handshake": {
            "headers": {},
            "time": "",
            "address": record.address.map(|address| address.to_string()),
            "xdomain": false,
            "secure": false,
            "issued": issued,
            "url": "/socket.io/",
            "query": {},
            "auth": {},
        },
        "rooms": own.chain(rooms.iter().map(RoomName::as_str)).collect::<Vec<_>>(),
        "data": {},
    })
}
