//! What Node servers ask of all their peers. Whoever listens is counted and waited for, so everything is
//! answered; what is asked for is done as an operator's command is: a join is the session's own, and obeys the policy.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use actix::prelude::*;
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::actor::ClusterBridge;
use crate::actors::ingress::{Ingress, IngressSlot};
use crate::actors::messages::{ClientEvent, EndSession, SessionKey};
use crate::actors::session::{Listed, as_if_asked};
use crate::actors::supervision::supervised;
use crate::bus::Garbage;
use crate::bus::adapter::{self, NodeEvent, Request, Selection};
use crate::domain::RoomName;

/// Sessions of one answer. A Node server that asks for more would be told less than all, as a house of
/// this size no longer fits into one message.
const MAX_SOCKETS: usize = 20_000;

/// What peers have asked and is not answered yet. A few bytes may concern every session of the house, so one request
/// is answered at a time, and its messages wait where sessions have not handled enough of the ones before.
#[derive(Default)]
pub struct Asked {
    waiting: VecDeque<(Request, usize)>,
    bytes: usize,
    answering: bool,
    sent: Arc<Ingress>,
}

impl Asked {
    const MAX_WAITING: usize = 1_024;
    const MAX_BYTES: usize = 8 * 1024 * 1024;

    fn put(&mut self, request: Request, bytes: usize) -> Result<(), Garbage> {
        if self.waiting.len() >= Self::MAX_WAITING || self.bytes + bytes > Self::MAX_BYTES {
            return Err(Garbage::Busy);
        }
        self.bytes += bytes;
        self.waiting.push_back((request, bytes));
        Ok(())
    }

    fn next(&mut self) -> Option<Request> {
        let (request, bytes) = self.waiting.pop_front()?;
        self.bytes -= bytes;
        Some(request)
    }
}

impl ClusterBridge {
    pub(super) fn take_asked(
        &mut self,
        request: Request,
        bytes: usize,
        from_node: &mut Vec<NodeEvent>,
        ctx: &mut Context<Self>,
    ) -> Result<(), Garbage> {
        match request {
            Request::ServerSideEmit { id } => {
                if let Some(id) = id {
                    self.respond(&adapter::nothing_to_say(&id));
                }
            }
            Request::Broadcast { id, event } => {
                // Its clients acknowledge to nobody here: it is an event of the log, which has no acknowledgements.
                self.respond(&adapter::client_count(&id, 0));
                if self.lease.takes_in() {
                    from_node.push(event?);
                }
            }
            request => {
                self.asked.put(request, bytes)?;
                self.answer_next(ctx);
            }
        }
        Ok(())
    }

    fn answer_next(&mut self, ctx: &mut Context<Self>) {
        if self.asked.answering {
            return;
        }
        let Some(request) = self.asked.next() else { return };
        self.asked.answering = true;
        let bus = self.bus.clone();
        let turn = async move {
            // What is to be relayed shares this thread and the queue to Redis.
            tokio::task::yield_now().await;
            bus.has_room().await;
        };
        let answering =
            turn.into_actor(self).then(|(), bridge, _| supervised(|| bridge.answer(request)).into_actor(bridge));
        ctx.spawn(answering.map(|(), bridge, ctx| {
            bridge.asked.answering = false;
            bridge.answer_next(ctx);
        }));
    }

    fn answer(&mut self, request: Request) -> ResponseFuture<()> {
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
            Request::Join { id, of, rooms } => return self.move_sessions("join", &of, &rooms, id),
            Request::Leave { id, of, rooms } => return self.move_sessions("leave", &of, &rooms, id),
            Request::Disconnect { id, of } => return self.end_sessions(&of, id),
            // Answered as they came.
            Request::ServerSideEmit { .. } | Request::Broadcast { .. } => {}
        }
        std::future::ready(()).boxed_local()
    }

    fn respond(&self, answer: &Value) {
        self.bus.publish(adapter::RESPONSES, answer.to_string());
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

    fn move_sessions(
        &mut self,
        how: &'static str,
        of: &Selection,
        rooms: &[String],
        id: Option<String>,
    ) -> ResponseFuture<()> {
        let (sessions, mut known) = (self.selected(of), Vec::new());
        for room in rooms {
            match RoomName::parse(room).filter(|room| as_if_asked(how, room).is_some()) {
                Some(room) => known.push(room),
                None => self.ignore(Garbage::Room, adapter::REQUESTS),
            }
        }
        let (sent, bus) = (self.asked.sent.clone(), self.bus.clone());
        Box::pin(async move {
            for room in known {
                for (listed, _) in &sessions {
                    let slot = place(&sent).await;
                    if let Some(asked) = as_if_asked(how, &room) {
                        listed.session.do_send(ClientEvent { slot, ..asked });
                    }
                }
            }
            // Nobody here has that socket: who does answers.
            if let Some(id) = id.filter(|_| !sessions.is_empty()) {
                bus.publish(adapter::RESPONSES, adapter::done(&id).to_string());
            }
        })
    }

    fn end_sessions(&self, of: &Selection, id: Option<String>) -> ResponseFuture<()> {
        let sessions = self.selected(of);
        let (sent, bus) = (self.asked.sent.clone(), self.bus.clone());
        Box::pin(async move {
            for (listed, _) in sessions {
                listed.session.do_send(EndSession { slot: Some(place(&sent).await) });
            }
            if let Some(id) = id {
                bus.publish(adapter::RESPONSES, adapter::done(&id).to_string());
            }
        })
    }
}

/// Waits until one more message to a session may be under way.
async fn place(sent: &Arc<Ingress>) -> IngressSlot {
    tokio::task::consume_budget().await;
    poll_fn(|context| sent.poll_open(context)).await;
    sent.take()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_to_be_answered_is_bounded_in_number_and_in_bytes() {
        let ask = || Request::AllRooms { id: "r".into() };
        let mut asked = Asked::default();
        (0..Asked::MAX_WAITING).for_each(|_| asked.put(ask(), 100).unwrap());
        assert_eq!(asked.put(ask(), 100), Err(Garbage::Busy));
        asked.next().unwrap();
        asked.put(ask(), 100).unwrap();
        while asked.next().is_some() {}
        asked.put(ask(), Asked::MAX_BYTES).unwrap();
        assert_eq!(asked.put(ask(), 1), Err(Garbage::Busy));
        asked.next().unwrap();
        asked.put(ask(), 1).unwrap();
    }
}
