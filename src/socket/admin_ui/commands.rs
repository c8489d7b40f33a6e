//! What an Admin UI asks to have done. A join or a leave is done as if the session's client had asked
//! for it, so the same policy decides; an emit to a room is a publish like any other.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::message::MessageHandler;
use socketioxide::socket::Socket;
use socketioxide_core::Value as PacketValue;

use crate::actors::messages::{EndSession, Publish, Tell};
use crate::actors::publication::Receipt;
use crate::actors::session::{Listed, SessionServices, as_if_asked, publishing};
use crate::domain::audit::action;
use crate::domain::{AuditOutcome, AuditRecord, AuditTarget, EventPacket, Identity, PublishRequest, Refusal, RoomName};
use crate::telemetry::spans;

/// Takes the commands of one UI.
pub struct Commands {
    pub services: Arc<SessionServices>,
    /// Who was let in, as the audit trail calls them.
    pub operator: Arc<str>,
    pub address: Option<IpAddr>,
}

impl MessageHandler<LocalAdapter, Self> for Commands {
    fn call(&self, _: Arc<Socket>, value: PacketValue, _: Option<i64>) {
        let PacketValue::Str(text, None) = value else { return };
        let Ok(arguments) = serde_json::from_str::<Vec<Value>>(&text) else { return };
        let text = |index: usize| arguments.get(index).and_then(Value::as_str);
        // Every command begins with the namespace that it is for; sessions are in `/` alone.
        let (Some(command), Some("/")) = (text(0), text(1)) else { return };
        match (command, text(2)) {
            ("emit", filter) => self.emit(filter, text(3), arguments.get(4)),
            ("join", Some(room)) => self.move_sessions("join", room, text(3)),
            ("leave", Some(room)) => self.move_sessions("leave", room, text(3)),
            ("_disconnect", _) => self.disconnect(text(3)),
            _ => {}
        }
    }
}

impl Commands {
    fn record(&self, action: &'static str, target: AuditTarget) {
        self.services.audit.record(AuditRecord {
            actor: Some(self.operator.clone()),
            action,
            outcome: AuditOutcome::Done,
            cause: None,
            target,
            session: None,
            address: self.address,
        });
    }

    fn emit(&self, filter: Option<&str>, event: Option<&str>, payload: Option<&Value>) {
        let filter = filter.filter(|filter| !filter.is_empty());
        let room = filter.and_then(RoomName::parse);
        // What goes to sessions rather than a room is checked as a publish is.
        let checked_as = room.as_ref().map_or("user:operator", RoomName::as_str);
        let request = json!({ "room": checked_as, "event": event, "payload": payload }).to_string();
        match PublishRequest::parse(&request) {
            Ok(request) if room.is_some() => self.publish(request),
            Ok(request) => {
                let packet = EventPacket::new(request.event.as_str(), &request.payload);
                tracing::warn!(filter, event, "an operator emits to sessions");
                self.record(action::ADMIN_EMIT, AuditTarget::default());
                for Listed { session, .. } in self.selected(filter) {
                    session.do_send(Tell { packet: packet.clone() });
                }
            }
            Err(refusal) => refused("emit", &refusal),
        }
    }

    fn publish(&self, request: PublishRequest) {
        let (append, id) = publishing(&self.services, &Identity::System, request);
        tracing::warn!(rooms = ?append.rooms, event = append.event.name(), "an operator publishes");
        append.rooms.iter().for_each(|room| self.record(action::ADMIN_EMIT, AuditTarget::room(room)));
        let span = spans::publish("admin");
        spans::describe(&span, &id, append.event.name(), append.rooms.len());
        let (receipt, _) = Receipt::for_caller(id);
        self.services.registry.do_send(Publish { append, receipt: receipt.within(span) });
    }

    fn move_sessions(&self, how: &'static str, room: &str, filter: Option<&str>) {
        let Some(room) = RoomName::parse(room).filter(|room| as_if_asked(how, room).is_some()) else {
            return refused(how, &Refusal::invalid("room"));
        };
        tracing::warn!(%room, filter, how, "an operator moves sessions");
        let action = if how == "join" { action::ADMIN_JOIN } else { action::ADMIN_LEAVE };
        for Listed { session, record } in self.selected(filter) {
            let subject = Some(record.life.socket_id.clone());
            self.record(action, AuditTarget { subject, ..AuditTarget::room(&room) });
            as_if_asked(how, &room).into_iter().for_each(|asked| session.do_send(asked));
        }
    }

    fn disconnect(&self, filter: Option<&str>) {
        tracing::warn!(filter, "an operator disconnects sessions");
        for Listed { session, record } in self.selected(filter) {
            self.record(action::ADMIN_DISCONNECT, AuditTarget::subject(&record.life.socket_id));
            session.do_send(EndSession::default());
        }
    }

    /// One session by its id, those in a room by its name, or all.
    fn selected(&self, filter: Option<&str>) -> Vec<Listed> {
        let Some(filter) = filter.filter(|filter| !filter.is_empty()) else { return self.services.directory.all() };
        let Some(room) = RoomName::parse(filter) else {
            return self.services.directory.by_socket_id(filter).into_iter().collect();
        };
        let audiences = self.services.census.audiences();
        let members: std::collections::HashSet<_> =
            audiences.iter().flat_map(|record| record.journal.members(&room)).map(|(key, _)| key).collect();
        let mut listed = self.services.directory.all();
        listed.retain(|listed| members.contains(&listed.record.life.key));
        listed
    }
}

fn refused(command: &'static str, refusal: &Refusal) {
    tracing::warn!(
        command,
        refusal = refusal.message,
        field = refusal.field,
        "an operator's command was not carried out"
    );
}
