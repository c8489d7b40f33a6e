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

use super::access::{self, AccessError, Admission};
use super::actor::Session;
use super::state::{Success, error_packet, refused_ack};
use crate::access::policy::{self, Operation};
use crate::actors::ingress::IngressSlot;
use crate::actors::messages::{ClientEvent, EventPayload, Publish, Reply};
use crate::actors::publication::Receipt;
use crate::domain::{Command, Cuid, ErrorCode, EventPacket, KitchenStatus, PublishRequest, Refusal, RoomName, UserId};
use crate::telemetry::EventStatus;

/// An event on its way to its answer.
pub(super) struct Asked {
    pub event: &'static str,
    pub ack: Option<i64>,
    pub received: Instant,
    /// Held until the answer: only so much of a client's input is under way.
    pub slot: IngressSlot,
}

impl Session {
    pub(super) fn receive(&mut self, message: ClientEvent, ctx: &mut Context<Self>) {
        let ClientEvent { name, payload, ack, received, slot } = message;
        let known = Command::known_event(&name);
        tracing::debug!(kind = "socket_event", event = known.unwrap_or("unknown"), socketId = %self.socket_id);
        match (self.understand(&name, payload), known) {
            (Ok(command), Some(event)) => self.carry_out(command, Asked { event, ack, received, slot }, ctx),
            (Err(refusal), _) => self.refuse(&name, known, ack, received, &refusal),
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
            Command::Join(room) => self.join(room, asked, ctx),
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

    fn join(&self, room: RoomName, asked: Asked, ctx: &mut Context<Self>) {
        let (store, identity) = (self.services.store.clone(), self.state.identity.clone());
        let decisions = self.decisions.clone();
        let checking = async move {
            // The rows as they are now: a right that was given a moment ago holds at once.
            let identity = access::identity_now(&store, &identity).await?.ok_or(policy::denied(room.kind()))?;
            let admission = access::may_be_in(&store, &decisions, &identity, &room).await?;
            Ok::<_, AccessError>((room, admission))
        };
        self.wait_for(checking, asked, ctx, |session, (room, admission), asked, ctx| {
            session.admit(room, admission, asked, ctx);
        });
    }

    fn admit(&mut self, room: RoomName, admission: Admission, asked: Asked, ctx: &Context<Self>) {
        let (subject, facts) = admission.rests_on.unzip();
        if let Err(refusal) = self.state.enter(&room, subject.clone()) {
            return self.settle(asked, Err(refusal));
        }
        if let Some((subject, facts)) = subject.zip(facts) {
            self.watch(subject, facts, ctx);
        }
        let success = Success::joined(&room);
        let reply = Reply { event: success.event_packet(), ack: asked.ack.map(|ack| (ack, Arc::from(success.ack()))) };
        self.count(&asked, EventStatus::Success);
        self.send_join(room, reply);
    }

    fn leave(&mut self, room: &RoomName, asked: Asked) {
        match self.state.leave(room) {
            None => self.settle(asked, Ok(Success::default())),
            Some(rests_on) => {
                self.count(&asked, EventStatus::Success);
                let ack = asked.ack.map(|ack| (ack, Arc::from(Success::default().ack())));
                self.send_leave(room.clone(), rests_on, Reply { event: None, ack });
            }
        }
    }

    fn change(&self, item: Cuid, operation: Operation, success: Success, asked: Asked, ctx: &mut Context<Self>) {
        let decisions = self.decisions.clone();
        let status = operation.new_status().unwrap_or(KitchenStatus::Delivered);
        let (store, identity) = (self.services.store.clone(), self.state.identity.clone());
        let registry = self.services.registry.clone();
        let changing = async move {
            let found = access::may_change(&store, &decisions, &identity, &item, operation).await?;
            let turn = store.write_turn().await?;
            if store.set_kitchen_status(&turn, &item, status).await? {
                let venue = &found.facts.venue;
                registry.do_send(Publish {
                    rooms: vec![RoomName::venue(venue), RoomName::kitchen(venue)],
                    packet: order_updated(&item, &found.tab, status),
                    receipt: Receipt::for_nobody(),
                });
            }
            // Held until the event is on its way: events keep the order of the changes.
            drop(turn);
            Ok::<_, AccessError>(success)
        };
        self.wait_for(changing, asked, ctx, |session, success, asked, _| session.settle(asked, Ok(success)));
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
        let unknown = access::unknown_rooms(&self.decisions, &self.state.identity, &request.rooms);
        if unknown.is_empty() {
            return self.place(request, asked, ctx);
        }
        let (store, identity) = (self.services.store.clone(), self.state.identity.clone());
        let decisions = self.decisions.clone();
        let checking = async move {
            access::may_publish(&store, &decisions, &identity, &unknown).await?;
            Ok::<_, AccessError>(request)
        };
        self.wait_for(checking, asked, ctx, |session, request, asked, ctx| session.place(request, asked, ctx));
    }

    fn place(&self, request: PublishRequest, asked: Asked, ctx: &Context<Self>) {
        let id = request.id.unwrap_or_else(|| self.services.publish_ids.next());
        let session = ctx.address().recipient();
        self.services.registry.do_send(Publish {
            rooms: request.rooms,
            packet: EventPacket::new(request.event.as_str(), request.payload),
            receipt: Receipt::for_session(id, session, asked.ack, asked.received, asked.slot),
        });
    }

    /// Waits for an answer of the store; the session's other messages wait behind it.
    fn wait_for<T: 'static>(
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
                if let Some(event) = success.event_packet() {
                    self.member.outlet.push_event(&event);
                }
                self.acknowledge(asked.ack, &success.ack());
            }
            Err(refusal) => self.refuse(asked.event, Some(asked.event), asked.ack, asked.received, &refusal),
        }
    }

    fn refuse(&self, name: &str, known: Option<&'static str>, ack: Option<i64>, received: Instant, refusal: &Refusal) {
        let status = EventStatus::of::<()>(&Err(refusal.clone()));
        self.services.metrics.client_event(known, status, received.elapsed());
        self.member.outlet.push_event(&error_packet(refusal, name, None));
        self.acknowledge(ack, &refused_ack(refusal));
    }

    pub(super) fn acknowledge(&self, ack: Option<i64>, answer: &RawValue) {
        if let Some(ack) = ack {
            self.member.outlet.push_ack(ack, answer);
        }
    }

    pub(super) fn count(&self, asked: &Asked, status: EventStatus) {
        self.services.metrics.client_event(Some(asked.event), status, asked.received.elapsed());
    }
}

fn order_updated(item: &Cuid, tab: &Cuid, status: KitchenStatus) -> EventPacket {
    let payload = serde_json::json!({
        "tabItemId": item.as_str(),
        "tabId": tab.as_str(),
        "status": status.as_str(),
        "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
    });
    EventPacket::of("kitchen:order-updated", &payload)
}
