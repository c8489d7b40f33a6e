//! What an operator may see of a session and do with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use serde_json::json;

use super::actor::{Session, SessionSeed};
use super::recovery::Recovery;
use crate::actors::ingress::Ingress;
use crate::actors::insight::{Newcomer, SessionRecord};
use crate::actors::messages::{
    ClientEvent, EndSession, EventPayload, InspectSeat, InspectSession, SessionKey, SessionView, Tell,
};
use crate::domain::{RoomKind, RoomName, packet};

/// What is known of a session without asking it.
pub(super) fn record(key: SessionKey, seed: &SessionSeed) -> SessionRecord {
    let rooms = |recovery: &Recovery| recovery.rooms.iter().map(|room| (room.room.clone(), room.start)).collect();
    SessionRecord::new(Newcomer {
        key,
        socket_id: &seed.socket_id,
        identity: &seed.identity,
        pid: seed.pid,
        recovered: seed.recovery.as_ref().map(rooms),
        address: seed.address,
        expires_at: seed.expires_at,
        outlet: seed.outlet.clone(),
    })
}

/// What a session's client would send to `join` or `leave` the room; `None` for one that is entered by connecting.
pub fn as_if_asked(how: &'static str, room: &RoomName) -> Option<ClientEvent> {
    let member = match room.kind() {
        RoomKind::Tab => "tabId",
        RoomKind::Venue | RoomKind::Kitchen => "venueId",
        RoomKind::Table => "tableId",
        RoomKind::User => return None,
    };
    Some(ClientEvent {
        name: format!("{}:{how}", room.kind().as_str()).into(),
        payload: EventPayload::Json(Some(packet::raw(&json!({ member: room.id() })))),
        ack: None,
        received: Instant::now(),
        slot: Arc::<Ingress>::default().take(),
    })
}

impl Handler<EndSession> for Session {
    type Result = ();

    fn handle(&mut self, _: EndSession, ctx: &mut Self::Context) {
        self.end("operator", ctx);
    }
}

impl Handler<Tell> for Session {
    type Result = ();

    fn handle(&mut self, message: Tell, _: &mut Self::Context) {
        let _handling = self.record.probe.handling();
        self.member.outlet.push_notice(&message.packet);
    }
}

impl Handler<InspectSession> for Session {
    type Result = ResponseFuture<SessionView>;

    fn handle(&mut self, _: InspectSession, _: &mut Self::Context) -> Self::Result {
        let _handling = self.record.probe.handling();
        let (identity, rooms) = (self.state.identity.clone(), self.state.rooms());
        let asking = self.member.audience.send(InspectSeat { key: self.member.key });
        Box::pin(async move {
            let seated: HashMap<_, _> = asking.await.unwrap_or_default().into_iter().collect();
            let rooms = rooms.into_iter().map(|room| (seated.get(&room).copied(), room)).map(|(at, room)| (room, at));
            SessionView { identity, rooms: rooms.collect() }
        })
    }
}
