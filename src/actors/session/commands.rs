//! What a session does with one event of its client, and how it answers.
//!
//! One event at a time: while one waits for the database the others wait behind
//! it, so a client's `leave` never overtakes its `join`. Other sessions go on.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use chrono::{SecondsFormat, Utc};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tracing::Span;

use super::access::{self, AccessError};
use super::state::{Success, bounded_name, error_packet, failure_message, refused_ack};
use super::{Session, SessionServices};
use crate::access::policy::Operation;
use crate::actors::ingress::IngressSlot;
use crate::actors::messages::{ClientEvent, EventPayload, Publish, Reply};
use crate::actors::publication::Receipt;
use crate::domain::{
    AuditOutcome, AuditTarget, Command, Cuid, ErrorCode, Event, Identity, KitchenStatus, PublishRequest, Refusal,
    RoomName, UserId,
};
use crate::store::log::{Append, ItemChange, PublishName};
use crate::telemetry::{EventStatus, spans};

/// An event on its way to its answer.
pub(super) struct Asked {
    pub event: &'static str,
    pub ack: Option<i64>,
    pub received: Instant,
    /// Held until the answer: only so much of a client's input is under way.
    pub slot: IngressSlot,
    /// What it is about, for the audit trail.
    pub target: AuditTarget,
}

impl Session {
    pub(super) fn receive(&mut self, message: ClientEvent, ctx: &mut Context<Self>) {
        let ClientEvent { name, payload, ack, received, slot } = message;
        let known = Command::known_event(&name);
        tracing::debug!(kind = "socket_event", event = bounded_name(&name), socketId = %self.member.socket_id);
        match (self.understand(&name, payload), known) {
            (Ok(command), Some(event)) => {
                let target = AuditTarget::of(&command);
                self.carry_out(command, Asked { event, ack, received, slot, target }, ctx);
            }
            (Err(refusal), _) => {
                // Events that there are none of are counted, and not written down.
                known.into_iter().for_each(|event| self.audit_refusal(event, &refusal, AuditTarget::default()));
                self.refuse(&name, known, ack, received, &refusal);
            }
            (Ok(_), None) => unreachable!("an event that is not known is not understood"),
        }
    }

    fn understand(&self, event: &str, payload: EventPayload) -> Result<Command, Refusal> {
        self.services.rate_limit.take(&self.state.identity)?;
        if event == "broadcast" {
            access::is_publisher(&self.decisions, &self.state.identity)?;
        }
        match payload {
            EventPayload::Json(payload) => Command::parse(event, payload.as_deref()),
            EventPayload::Binary => Err(Refusal::invalid("data")),
            EventPayload::TooLarge => Err(Refusal::new(ErrorCode::TooLarge, "Message too large")),
        }
    }

    fn carry_out(&mut self, command: Command, asked: Asked, ctx: &mut Context<Self>) {
        match command {
            Command::Join { room, since } => self.join(room, since, asked, ctx),
            Command::Leave(room) => self.leave(&room, asked),
            Command::UpdateStatus { item, status } => {
                self.change(item, Operation::UpdateStatus(status), Success::default(), asked, ctx);
            }
            Command::Bump { item } => {
                let success = Success::replying("kitchen:bumped", "tabItemId", item.as_str());
                self.change(item, Operation::Bump, success, asked, ctx);
            }
            Command::ReadNotification { notification } => self.read_notification(notification, asked, ctx),
            Command::Publish(request) => self.publish(request, asked, ctx),
        }
    }

    fn leave(&mut self, room: &RoomName, asked: Asked) {
        match self.state.leave(room) {
            None => self.settle(asked, Ok(Success::default())),
            Some(rests_on) => {
                self.count(&asked, EventStatus::Success);
                let ack = asked.ack.map(|ack| (ack, Arc::from(Success::default().ack())));
                self.read_no_more_of(room);
                self.send_leave(room.clone(), rests_on, true, Reply { event: None, ack });
            }
        }
    }

    fn change(&self, item: Cuid, operation: Operation, success: Success, asked: Asked, ctx: &mut Context<Self>) {
        let decisions = self.decisions.clone();
        let status = operation.new_status().unwrap_or(KitchenStatus::Delivered);
        let (store, identity) = (self.services.store.clone(), self.state.identity.clone());
        let (registry, key) = (self.services.registry.clone(), self.member.key);
        let id = self.services.publish_ids.next();
        let event = asked.event;
        let span = spans::publish("session");
        let changing = async move {
            let found = access::may_change(&store, &decisions, &identity, &item, operation).await?;
            let venue = &found.facts.venue;
            let rooms = [RoomName::venue(venue), RoomName::kitchen(venue)].into();
            let updated = order_updated(&item, &found.tab, status);
            let append = Append { change: Some(ItemChange { item, status }), ..Append::kept(rooms, updated) };
            spans::describe(&span, &id, append.event.name(), append.rooms.len());
            let (receipt, outcome) = Receipt::for_caller(id);
            registry.do_send(Publish { append, receipt: receipt.by(key).within(span) });
            let published = outcome.await.unwrap_or(Err(Receipt::LOST));
            published.map_err(|refusal| Refusal { message: failure_message(event), ..refusal })?;
            Ok::<_, AccessError>((success, found))
        };
        self.wait_for(changing, asked, ctx, |session, (success, found), mut asked, _| {
            asked.target.room = Some(RoomName::kitchen(&found.facts.venue));
            asked.target.tab = Some(found.tab);
            session.settle(asked, Ok(success));
        });
    }

    fn read_notification(&self, notification: UserId, asked: Asked, ctx: &mut Context<Self>) {
        const NOT_FOUND: Refusal = Refusal::new(ErrorCode::NotFound, "Notification not found");
        let Some(user) = self.state.identity.user().map(|user| user.id.clone()) else {
            return self.settle(asked, Err(NOT_FOUND));
        };
        if let Err(error) = access::may_read_notifications(&self.decisions, &self.state.identity, &user, NOT_FOUND) {
            return self.settle(asked, Err(error.into_refusal("notification:read")));
        }
        let store = self.services.store.clone();
        let reading = async move {
            if !store.read_notification(&user, &notification).await? {
                return Err(AccessError::Refused(NOT_FOUND));
            }
            Ok(Success::replying("notification:read-success", "notificationId", notification.as_str()))
        };
        self.wait_for(reading, asked, ctx, |session, success, asked, _| session.settle(asked, Ok(success)));
    }

    fn publish(&self, request: PublishRequest, asked: Asked, ctx: &mut Context<Self>) {
        let span = spans::publish("session");
        let unknown = access::unknown_rooms(&self.decisions, &self.state.identity, &request.rooms);
        if unknown.is_empty() {
            return self.place(request, span, asked, ctx);
        }
        let (store, identity) = (self.services.store.clone(), self.state.identity.clone());
        let decisions = self.decisions.clone();
        let checking = async move {
            access::may_publish(&store, &decisions, &identity, &unknown).await?;
            Ok::<_, AccessError>(request)
        };
        self.wait_for(checking, asked, ctx, |session, request, asked, ctx| {
            session.place(request, span, asked, ctx);
        });
    }

    fn place(&self, request: PublishRequest, span: Span, asked: Asked, ctx: &Context<Self>) {
        let (append, id) = publishing(&self.services, &self.state.identity, request);
        let session = ctx.address().recipient();
        spans::describe(&span, &id, append.event.name(), append.rooms.len());
        let receipt = Receipt::for_session(id, session, asked.ack, asked.received, asked.slot);
        let receipt = receipt.by(self.member.key).within(span);
        let rooms = append.rooms.clone();
        self.services.registry.do_send(Publish { append, receipt });
        // Behind the publish, which waits for nothing of this.
        self.audit_publish(&rooms);
    }

    /// Waits for an answer of the store; the session's other messages wait behind it.
    pub(super) fn wait_for<T: 'static>(
        &self,
        work: impl Future<Output = Result<T, AccessError>> + 'static,
        asked: Asked,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, T, Asked, &mut Context<Self>) + 'static,
    ) {
        let work = work.into_actor(self).map(move |outcome, session, ctx| match outcome {
            Ok(value) => then(session, value, asked, ctx),
            Err(error) => {
                let refusal = error.into_refusal(asked.event);
                session.settle(asked, Err(refusal));
            }
        });
        ctx.wait(work);
    }

    // ---- answers ----

    pub(super) fn settle(&self, asked: Asked, outcome: Result<Success, Refusal>) {
        match outcome {
            Ok(success) => {
                self.count(&asked, EventStatus::Success);
                if !asked.event.ends_with(":leave") {
                    self.audit(asked.event, AuditOutcome::Done, None, asked.target);
                }
                if let Some(event) = success.event_packet() {
                    self.member.outlet.push_notice(&event);
                }
                self.acknowledge(asked.ack, &success.ack());
            }
            Err(refusal) => {
                self.audit_refusal(asked.event, &refusal, asked.target);
                self.refuse(asked.event, Some(asked.event), asked.ack, asked.received, &refusal);
            }
        }
    }

    fn refuse(&self, name: &str, known: Option<&'static str>, ack: Option<i64>, received: Instant, refusal: &Refusal) {
        let status = EventStatus::of::<()>(&Err(refusal.clone()));
        if let Some(limit) = limit_met(refusal.code) {
            self.services.metrics.limited(limit);
        }
        if known.is_some_and(|event| event.ends_with(":join")) {
            self.services.metrics.join(join_refused(refusal.code));
        }
        self.record.note_error(known.unwrap_or("unknown"), refusal);
        self.services.metrics.events.count(known, status, received.elapsed());
        self.member.outlet.push_notice(&error_packet(refusal, name, None));
        self.acknowledge(ack, &refused_ack(refusal));
    }

    pub(super) fn acknowledge(&self, ack: Option<i64>, answer: &RawValue) {
        if let Some(ack) = ack {
            self.member.outlet.push_ack(ack, answer);
        }
    }

    pub(super) fn count(&self, asked: &Asked, status: EventStatus) {
        self.services.metrics.events.count(Some(asked.event), status, asked.received.elapsed());
    }
}

/// The metric's label for what a refusal says of a limit.
const fn limit_met(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::RateLimited => Some("events"),
        ErrorCode::TooManyRooms => Some("rooms"),
        ErrorCode::TooLarge => Some("payload"),
        _ => None,
    }
}

/// The metric's label for a join that was refused.
const fn join_refused(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Forbidden => "forbidden",
        ErrorCode::TooManyRooms => "too_many_rooms",
        ErrorCode::RateLimited => "rate_limited",
        ErrorCode::Unavailable | ErrorCode::Internal => "failed",
        _ => "invalid",
    }
}

fn order_updated(item: &Cuid, tab: &Cuid, status: KitchenStatus) -> Event {
    let payload = serde_json::json!({
        "tabItemId": item.as_str(),
        "tabId": tab.as_str(),
        "status": status.as_str(),
        "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
    });
    Event::of("kitchen:order-updated", &payload)
}

/// What a publisher's request asks to have appended, and the id that it is answered with.
pub fn publishing(services: &SessionServices, identity: &Identity, request: PublishRequest) -> (Append, Arc<str>) {
    let name = request.id.clone().map(|id| PublishName {
        publisher: identity.principal().into(),
        id,
        digest: digest(&request),
    });
    let id = request.id.map_or_else(|| services.publish_ids.next(), Arc::from);
    let event = Event::new(request.event.as_str(), request.payload);
    (Append { kept: !request.volatile, name, ..Append::kept(request.rooms.into(), event) }, id)
}

/// Of all that a publish says but its id. Each part is behind its length, so that none passes for another.
fn digest(request: &PublishRequest) -> [u8; 32] {
    let mut rooms: Vec<&str> = request.rooms.iter().map(RoomName::as_str).collect();
    rooms.sort_unstable();
    let mut hash = Sha256::new();
    for part in rooms.into_iter().chain([request.event.as_str(), request.payload.get()]) {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.update([u8::from(request.volatile)]);
    hash.finalize().into()
}
