//! The session's actor: checks what its client asks for, carries it out, answers.
//!
//! One event at a time: while one waits for the database the others wait behind
//! it, so a client's `leave` never overtakes its `join`. Other sessions go on.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::prelude::*;
use chrono::{SecondsFormat, Utc};
use serde_json::value::RawValue;

use super::Directory;
use super::access::{self, AccessError, Admission};
use super::state::{SessionState, Success, error_packet, failure_message, refused_ack};
use crate::access::{RateLimit, policy};
use crate::actors::ingress::IngressSlot;
use crate::actors::messages::{
    ClientEvent, Closed, Closing, Drain, Entry, EventPayload, Facts, Join, JoinFailed, Leave, Member, Outlet, Publish,
    PublishSettled, Reply, RightsChanged, Subject, UnwatchRights, WatchRights,
};
use crate::actors::publication::Receipt;
use crate::actors::{Audience, Registry, RightsMonitor};
use crate::domain::{
    Command, Cuid, ErrorCode, EventPacket, Identity, KitchenStatus, PublishRequest, Refusal, RoomName, UserId, packet,
};
use crate::store::Store;
use crate::telemetry::{EventStatus, Metrics};

/// What all sessions of an instance share.
pub struct SessionServices {
    pub registry: Addr<Registry>,
    pub rights: Addr<RightsMonitor>,
    pub store: Store,
    pub rate_limit: RateLimit,
    pub metrics: Arc<Metrics>,
    pub directory: Arc<Directory>,
    pub max_rooms: usize,
}

/// What makes a session this one.
pub struct SessionSeed {
    pub identity: Identity,
    /// When its token ends, and the session with it.
    pub expires_at: Option<SystemTime>,
    pub socket_id: Box<str>,
    pub outlet: Arc<dyn Outlet>,
    /// This thread's.
    pub audience: Addr<Audience>,
    pub audience_index: usize,
}

pub struct Session {
    member: Member,
    state: SessionState,
    expires_at: Option<SystemTime>,
    socket_id: Box<str>,
    services: Arc<SessionServices>,
}

/// An event on its way to its answer.
struct Asked {
    event: &'static str,
    ack: Option<i64>,
    received: Instant,
    slot: IngressSlot,
}

impl Session {
    const EXPIRED: Refusal = Refusal::new(ErrorCode::TokenExpired, "Token expired");

    /// Starts the session on the arbiter's thread. It is on its way into its user's room
    /// before this returns, so nothing published after the client's CONNECT passes it by.
    pub fn start(seed: SessionSeed, services: Arc<SessionServices>, arbiter: &ArbiterHandle) -> Addr<Self> {
        let key = services.directory.next_key();
        let SessionSeed { identity, expires_at, socket_id, outlet, audience, audience_index } = seed;
        tracing::info!(user = identity.label(), socket = %socket_id, transport = outlet.transport(), "connected");
        services.metrics.connections.increment(1);
        let (session_services, session_identity) = (services.clone(), identity.clone());
        let session = Self::start_in_arbiter(arbiter, {
            let outlet = outlet.clone();
            let audience = audience.clone();
            move |ctx| Self {
                member: Member { key, audience, audience_index, outlet, session: ctx.address() },
                state: SessionState::new(session_identity, session_services.max_rooms),
                expires_at,
                socket_id,
                services: session_services,
            }
        });
        services.directory.insert(key, session.clone(), identity.is_system());
        if let Identity::User(facts) = identity {
            let (subject, room) = (Subject::User(facts.id.clone()), RoomName::user(&facts.id));
            let watcher = session.clone().recipient();
            services.rights.do_send(WatchRights { subject, facts: Facts::User(Some(facts)), key, session: watcher });
            let member = Member { key, audience, audience_index, outlet, session: session.clone() };
            let entry = Entry::new(room.clone(), member, Reply::default());
            services.registry.do_send(Join { room, entry });
        }
        session
    }

    fn watch(&self, subject: Subject, facts: Facts, ctx: &Context<Self>) {
        let session = ctx.address().recipient();
        self.services.rights.do_send(WatchRights { subject, facts, key: self.member.key, session });
    }

    fn unwatch(&self, subject: Subject) {
        self.services.rights.do_send(UnwatchRights { subject, key: self.member.key });
    }

    fn send_join(&self, room: RoomName, reply: Reply) {
        let entry = Entry::new(room.clone(), self.member.clone(), reply);
        self.services.registry.do_send(Join { room, entry });
    }

    fn send_leave(&self, room: RoomName, rests_on: Option<Subject>, reply: Reply) {
        if let Some(subject) = rests_on {
            self.unwatch(subject);
        }
        self.services.registry.do_send(Leave { room, member: self.member.clone(), reply });
    }

    // ---- one event ----

    fn receive(&mut self, message: ClientEvent, ctx: &mut Context<Self>) {
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
            policy::publish(&self.state.identity)?;
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
            Command::UpdateStatus { item, status } => self.change(item, status, Success::default(), asked, ctx),
            Command::Bump { item } => {
                let success = Success::replying("kitchen:bumped", "tabItemId", item.as_str());
                self.change(item, KitchenStatus::Delivered, success, asked, ctx);
            }
            Command::ReadNotification { notification } => self.read_notification(notification, asked, ctx),
            Command::Publish(request) => self.publish(request, asked, ctx),
        }
    }

    fn join(&self, room: RoomName, asked: Asked, ctx: &mut Context<Self>) {
        let (store, identity) = (self.services.store.clone(), self.state.identity.clone());
        let checking = async move {
            // The rows as they are now: a right that was given a moment ago holds at once.
            let identity = access::identity_now(&store, &identity).await?.unwrap_or(identity);
            let admission = access::may_be_in(&store, &identity, &room).await?;
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

    fn change(&self, item: Cuid, status: KitchenStatus, success: Success, asked: Asked, ctx: &mut Context<Self>) {
        let (store, identity) = (self.services.store.clone(), self.state.identity.clone());
        let registry = self.services.registry.clone();
        let changing = async move {
            let found = access::may_change(&store, &identity, &item, status).await?;
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
        let store = self.services.store.clone();
        let reading = async move {
            if !store.read_notification(&user, &notification).await? {
                return Err(AccessError::Refused(NOT_FOUND));
            }
            Ok(Success::replying("notification:read-success", "notificationId", notification.as_str()))
        };
        self.wait_for(reading, asked, ctx, |session, success, asked, _| session.settle(asked, Ok(success)));
    }

    fn publish(&self, request: PublishRequest, asked: Asked, ctx: &Context<Self>) {
        let id = request.id.unwrap_or_else(|| cuid::cuid2().into());
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

    fn settle(&self, asked: Asked, outcome: Result<Success, Refusal>) {
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

    fn acknowledge(&self, ack: Option<i64>, answer: &RawValue) {
        if let Some(ack) = ack {
            self.member.outlet.push_ack(ack, answer);
        }
    }

    fn count(&self, asked: &Asked, status: EventStatus) {
        self.services.metrics.client_event(Some(asked.event), status, asked.received.elapsed());
    }

    // ---- rights ----

    fn check_rights_again(&self, ctx: &mut Context<Self>) {
        let (store, identity) = (self.services.store.clone(), self.state.identity.clone());
        let rooms = self.state.rooms();
        let checking = async move {
            let Some(identity) = access::identity_now(&store, &identity).await? else { return Ok(None) };
            let mut lost = Vec::new();
            for room in rooms {
                match access::may_be_in(&store, &identity, &room).await {
                    Ok(_) => {}
                    Err(AccessError::Refused(refusal)) => lost.push((room, refusal)),
                    Err(AccessError::Store(error)) => return Err(error),
                }
            }
            Ok(Some((identity, lost)))
        };
        let checking = checking.into_actor(self).map(|outcome, session, ctx| match outcome {
            Ok(Some((identity, lost))) => {
                session.state.identity = identity;
                lost.into_iter().for_each(|(room, refusal)| session.put_out(&room, &refusal));
            }
            Ok(None) => session.end("the user is no longer active", ctx),
            // Who was let in stays in while the database is away; the monitor asks again.
            Err(error) => tracing::warn!(%error, "rights could not be checked again"),
        });
        ctx.wait(checking);
    }

    fn put_out(&mut self, room: &RoomName, refusal: &Refusal) {
        if let Some(rests_on) = self.state.leave(room) {
            tracing::info!(user = self.state.identity.label(), %room, "put out of a room");
            let event = error_packet(refusal, room.kind().join_event().unwrap_or_default(), Some(room));
            self.send_leave(room.clone(), rests_on, Reply { event: Some(event), ack: None });
        }
    }

    /// Ends the session for good: the client is told to stay away.
    fn end(&self, why: &'static str, ctx: &mut Context<Self>) {
        tracing::info!(user = self.state.identity.label(), socket = %self.socket_id, why, "session ended");
        self.member.outlet.close(Closing::Session);
        ctx.stop();
    }

    fn end_with_token(&mut self, ctx: &mut Context<Self>) {
        let Some(expires_at) = self.expires_at else { return };
        if let Ok(left) = expires_at.duration_since(SystemTime::now()) {
            // Timers have a farthest end; a token that outlives it is looked at again then.
            ctx.run_later(left.min(Duration::from_hours(24)), Self::end_with_token);
        } else {
            self.member.outlet.push_event(&error_packet(&Self::EXPIRED, "connect", None));
            self.end("the token expired", ctx);
        }
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

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.state.enter_own_room();
        self.end_with_token(ctx);
    }
}

// However a session ends, by its client, by us or by a panic, it leaves nothing behind.
impl Drop for Session {
    fn drop(&mut self) {
        for (room, rests_on) in self.state.take_rooms() {
            self.send_leave(room, rests_on, Reply::default());
        }
        if let Some(user) = self.state.identity.user() {
            self.unwatch(Subject::User(user.id.clone()));
        }
        if std::thread::panicking() {
            self.member.outlet.close(Closing::Transport);
        }
        self.member.outlet.ended();
        self.services.directory.remove(self.member.key);
        self.services.metrics.connections.decrement(1);
    }
}

impl Handler<ClientEvent> for Session {
    type Result = ();

    fn handle(&mut self, message: ClientEvent, ctx: &mut Self::Context) {
        self.receive(message, ctx);
    }
}

impl Handler<PublishSettled> for Session {
    type Result = ();

    fn handle(&mut self, message: PublishSettled, _: &mut Self::Context) {
        let PublishSettled { ack, received, outcome, slot } = message;
        let asked = Asked { event: "broadcast", ack, received, slot };
        match outcome {
            Ok(published) => {
                self.count(&asked, EventStatus::Success);
                let answer = serde_json::json!({ "ok": true, "id": published.id, "durable": false });
                self.acknowledge(ack, &packet::raw(&answer));
            }
            Err(refusal) => self.settle(asked, Err(refusal)),
        }
    }
}

impl Handler<JoinFailed> for Session {
    type Result = ();

    fn handle(&mut self, message: JoinFailed, _: &mut Self::Context) {
        let JoinFailed { room, ack } = message;
        let event = room.kind().join_event().unwrap_or_default();
        if let Some(Some(subject)) = self.state.leave(&room) {
            self.unwatch(subject);
        }
        let refusal = Refusal::new(ErrorCode::Internal, failure_message(event));
        self.member.outlet.push_event(&error_packet(&refusal, event, Some(&room)));
        self.acknowledge(ack, &refused_ack(&refusal));
    }
}

impl Handler<RightsChanged> for Session {
    type Result = ();

    fn handle(&mut self, _: RightsChanged, ctx: &mut Self::Context) {
        self.check_rights_again(ctx);
    }
}

impl Handler<Drain> for Session {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        self.member.outlet.close(Closing::Transport);
    }
}

impl Handler<Closed> for Session {
    type Result = ();

    fn handle(&mut self, message: Closed, ctx: &mut Self::Context) {
        tracing::info!(user = self.state.identity.label(), socket = %self.socket_id, reason = message.reason, "disconnected");
        ctx.stop();
    }
}
