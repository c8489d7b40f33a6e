//! The session's actor: its life, and what reaches it. What it does with a client's
//! event stands in `commands.rs`, how its rights end in `rights.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use actix::prelude::*;

use super::Directory;
use super::access;
use super::commands::Asked;
use super::state::{SessionState, error_packet, failure_message, refused_ack};
use crate::access::{Decisions, Policy, RateLimit};
use crate::actors::messages::{
    ClientEvent, Closed, Closing, Drain, Entry, Facts, Join, JoinFailed, Leave, Member, Outlet, PublishSettled, Reply,
    RightsChanged, SessionKey, Subject, TokenRevoked, UnwatchRights, UnwatchToken, WatchRights, WatchToken,
};
use crate::actors::{Audience, Registry, RevocationMonitor, RightsMonitor};
use crate::domain::{ErrorCode, Identity, Refusal, RoomKind, RoomName, packet};
use crate::store::Store;
use crate::telemetry::{EventStatus, Metrics};

/// What all sessions of an instance share.
pub struct SessionServices {
    pub registry: Addr<Registry>,
    pub rights: Addr<RightsMonitor>,
    pub revocations: Addr<RevocationMonitor>,
    pub policy: Arc<Policy>,
    pub store: Store,
    pub rate_limit: RateLimit,
    pub metrics: Arc<Metrics>,
    pub directory: Arc<Directory>,
    pub max_rooms: usize,
    pub publish_ids: PublishIds,
}

/// Names for publishes whose publisher chose none: unique over instances and restarts.
pub struct PublishIds {
    instance: String,
    next: AtomicU64,
}

impl Default for PublishIds {
    fn default() -> Self {
        Self { instance: cuid::cuid2(), next: AtomicU64::new(0) }
    }
}

impl PublishIds {
    pub fn next(&self) -> Box<str> {
        // A cuid for each would cost a hash and big-number arithmetic, 2 % of a small room's fan-out.
        format!("{}-{}", self.instance, self.next.fetch_add(1, Ordering::Relaxed)).into()
    }
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
    pub(super) member: Member,
    pub(super) state: SessionState,
    /// What the policy has said of it.
    pub(super) decisions: Arc<Decisions>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) socket_id: Box<str>,
    pub(super) services: Arc<SessionServices>,
}

impl Session {
    /// Starts the session on the arbiter's thread. It is on its way into its user's room
    /// before this returns, so nothing published after the client's CONNECT passes it by.
    pub fn start(seed: SessionSeed, services: Arc<SessionServices>, arbiter: &ArbiterHandle) -> Addr<Self> {
        let key = services.directory.next_key();
        let SessionSeed { identity, expires_at, socket_id, outlet, audience, audience_index } = seed;
        tracing::info!(user = identity.label(), socket = %socket_id, transport = outlet.transport(), "connected");
        services.metrics.connections.increment(1);
        let (session_services, session_identity) = (services.clone(), identity.clone());
        let decisions = Arc::new(Decisions::new(services.policy.clone()));
        let own_room = access::own_room(&decisions, &identity);
        let session = Self::start_in_arbiter(arbiter, {
            let outlet = outlet.clone();
            let audience = audience.clone();
            move |ctx| Self {
                member: Member { key, audience, audience_index, outlet, session: ctx.address() },
                state: SessionState::new(session_identity, session_services.max_rooms),
                decisions,
                expires_at,
                socket_id,
                services: session_services,
            }
        });
        services.directory.insert(key, session.clone(), identity.is_backend());
        watch_identity(&services, &identity, key, &session);
        if let Some(room) = own_room {
            let member = Member { key, audience, audience_index, outlet, session: session.clone() };
            let entry = Entry::new(room.clone(), member, Reply::default());
            services.registry.do_send(Join { room, entry });
        }
        session
    }

    pub(super) fn watch(&self, subject: Subject, facts: Facts, ctx: &Context<Self>) {
        let session = ctx.address().recipient();
        self.services.rights.do_send(WatchRights { subject, facts, key: self.member.key, session });
    }

    pub(super) fn unwatch(&self, subject: Subject) {
        self.services.rights.do_send(UnwatchRights { subject, key: self.member.key });
    }

    pub(super) fn send_join(&self, room: RoomName, reply: Reply) {
        let entry = Entry::new(room.clone(), self.member.clone(), reply);
        self.services.registry.do_send(Join { room, entry });
    }

    pub(super) fn send_leave(&self, room: RoomName, rests_on: Option<Subject>, reply: Reply) {
        if let Some(subject) = rests_on {
            self.unwatch(subject);
        }
        self.services.registry.do_send(Leave { room, member: self.member.clone(), reply });
    }
}

/// Has the session told when its user's rows change, and when its token is revoked.
fn watch_identity(services: &SessionServices, identity: &Identity, key: SessionKey, session: &Addr<Session>) {
    if let Some(user) = identity.user() {
        let (subject, facts) = (Subject::User(user.id.clone()), Facts::User(Some(user.clone())));
        services.rights.do_send(WatchRights { subject, facts, key, session: session.clone().recipient() });
    }
    let ids = identity.revocation_ids().to_vec();
    if !ids.is_empty() {
        services.revocations.do_send(WatchToken { ids, key, session: session.clone().recipient() });
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(room) = access::own_room(&self.decisions, &self.state.identity) {
            self.state.enter_own_room(room);
        }
        self.end_with_token(ctx);
        self.look_again_in_time(ctx);
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
        if self.state.identity.warrant().is_some() {
            self.services.revocations.do_send(UnwatchToken { key: self.member.key });
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
        if room.kind() == RoomKind::User {
            // A session without its user's room would miss notifications in silence; the client comes back to a whole one.
            self.member.outlet.close(Closing::Transport);
            return;
        }
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

impl Handler<TokenRevoked> for Session {
    type Result = ();

    fn handle(&mut self, _: TokenRevoked, ctx: &mut Self::Context) {
        self.end("its token was revoked", ctx);
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
