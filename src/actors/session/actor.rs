//! The session's actor: its life, and what reaches it. What it does with a client's
//! event stands in `commands.rs`, what other actors tell it in `told.rs`, how its rights end in `rights.rs`.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use actix::prelude::*;
use serde::Serialize;

use super::SessionServices;
use super::access;
use super::commands::Asked;
use super::cursor::Cursor;
use super::operator;
use super::reading::Reading;
use super::recovery::Recovery;
use super::state::{SessionState, error_packet};
use crate::access::{Decisions, Permit, Spender};
use crate::actors::Audience;
use crate::actors::cluster_bridge::Announcement;
use crate::actors::insight::{Post, SessionRecord};
use crate::actors::messages::{
    Begin, ClientEvent, Closing, Entry, Facts, Join, Leave, LeaveRoom, Member, Outlet, PublishSettled, Published,
    Reply, Sequence, SessionKey, Subject, UnwatchRights, UnwatchToken, WatchRights, WatchToken,
};
use crate::domain::{AuditTarget, Identity, PidKey, RoomName, packet};
use crate::store::log::Write;
use crate::telemetry::EventStatus;

/// `{ok: true, id, offset, durable}`
#[derive(Serialize)]
struct PublishedAck {
    ok: bool,
    #[serde(flatten)]
    published: Published,
}

/// What makes a session this one.
pub struct SessionSeed {
    pub identity: Identity,
    /// When its token ends, and the session with it.
    pub expires_at: Option<SystemTime>,
    /// What the policy has said of it so far.
    pub decisions: Decisions,
    pub socket_id: Box<str>,
    pub outlet: Arc<dyn Outlet>,
    /// This thread's.
    pub audience: Post<Audience>,
    pub audience_index: usize,
    pub address: Option<IpAddr>,
    pub pid: PidKey,
    /// Set where it goes on from an earlier connection.
    pub recovery: Option<Recovery>,
    /// Its place among its user's sessions.
    pub place: Option<Permit<Spender>>,
}

pub struct Session {
    pub(super) member: Member,
    pub(super) state: SessionState,
    /// What the policy has said of it.
    pub(super) decisions: Arc<Decisions>,
    pub(super) expires_at: Option<SystemTime>,
    /// What the audit trail calls it.
    pub(super) actor: Arc<str>,
    pub(super) pid: PidKey,
    /// Rooms that it is on its way back into; read once it is in all of them.
    pub(super) arriving: usize,
    came_back: Option<Recovery>,
    /// Events that its client sent before the session was back in its rooms.
    early: VecDeque<ClientEvent>,
    pub(super) reading: Option<Reading>,
    pub(super) record: Arc<SessionRecord>,
    /// Since when its client has not had everything for want of taking it.
    pub(super) behind_since: Option<Instant>,
    pub(super) services: Arc<SessionServices>,
    _place: Option<Permit<Spender>>,
}

impl Session {
    /// Starts the session on the arbiter's thread. It is on its way into its user's room
    /// before this returns, so nothing published after the client's CONNECT passes it by.
    pub fn start(seed: SessionSeed, services: Arc<SessionServices>, arbiter: &ArbiterHandle) -> Post<Self> {
        let key = services.directory.next_key();
        let record = Arc::new(operator::record(key, &seed));
        let SessionSeed {
            identity,
            expires_at,
            decisions,
            socket_id,
            outlet,
            audience,
            audience_index,
            pid,
            recovery,
            place,
            ..
        } = seed;
        let recovered = recovery.is_some();
        let transport = outlet.transport();
        tracing::info!(user = identity.label(), socket = %socket_id, transport, recovered, "connected");
        services.metrics.connections.increment(1);
        let rooms: Option<Vec<RoomName>> =
            recovery.as_ref().map(|recovery| recovery.rooms.iter().map(|room| room.room.clone()).collect());
        let (session_services, session_identity) = (services.clone(), identity.clone());
        let actor = Arc::from(identity.label());
        let decisions = Arc::new(decisions);
        let own_room = access::own_room(&decisions, &identity);
        let socket_id: Arc<str> = socket_id.into();
        let session = Self::start_in_arbiter(arbiter, {
            let (outlet, audience, sequencer) = (outlet.clone(), audience.clone(), services.sequencer.clone());
            let (record, socket_id) = (record.clone(), socket_id.clone());
            move |ctx| Self {
                member: Member {
                    key,
                    socket_id,
                    audience,
                    audience_index,
                    outlet,
                    session: Post::new(ctx.address(), record.probe.clone()),
                    sequencer,
                },
                state: SessionState::new(session_identity, session_services.max_rooms),
                decisions,
                expires_at,
                actor,
                pid,
                arriving: recovery.as_ref().map_or(0, |recovery| recovery.rooms.len()),
                came_back: recovery,
                early: VecDeque::new(),
                reading: None,
                behind_since: None,
                record,
                services: session_services,
                _place: place,
            }
        });
        let session = Post::new(session, record.probe.clone());
        outlet.attend(session.recipient());
        services.directory.insert(session.clone(), record);
        if let Some(cluster) = &services.cluster {
            cluster.announce(Announcement::Connected(pid));
        }
        watch_identity(&services, &identity, key, &session);
        let sequencer = services.sequencer.clone();
        let member = Member { key, socket_id, audience, audience_index, outlet, session: session.clone(), sequencer };
        // A room that it had is read from where it stopped, its own otherwise from where the session began.
        let begin = if rooms.is_some() { Begin::FromLog } else { Begin::After(pid.began_at) };
        for room in rooms.unwrap_or_else(|| own_room.into_iter().collect()) {
            let entry = Entry::new(room.clone(), member.clone(), begin, None, Reply::default());
            services.registry.do_send(Join { room, entry });
        }
        session
    }

    fn come_back(&mut self, ctx: &mut Context<Self>) {
        let Some(recovery) = &mut self.came_back else { return };
        let lost = std::mem::take(&mut recovery.lost);
        let rooms: Vec<_> = recovery.rooms.iter_mut().map(|room| (room.room.clone(), room.rests_on.take())).collect();
        for (room, rests_on) in rooms {
            let (subject, facts) = rests_on.unzip();
            self.state.restore(&room, subject.clone());
            if let Some((subject, facts)) = subject.zip(facts) {
                self.watch(subject, facts, ctx);
            }
        }
        for (room, refusal) in lost {
            let event = room.kind().join_event().unwrap_or_default();
            self.member.outlet.push_notice(&error_packet(&refusal, event, Some(&room)));
            self.note(Write::Leave { session: self.pid, room });
        }
    }

    /// It is in a room whose events it has to read.
    pub(super) fn arrived(&mut self, room: RoomName, ctx: &mut Context<Self>) {
        let log = self.services.view.log;
        if self.came_back.is_none() {
            // Something came to its own room while it connected.
            let began_at = self.pid.began_at;
            return self.read_from(Cursor::all(log, began_at, vec![(room, began_at)]), ctx);
        }
        self.arriving = self.arriving.saturating_sub(1);
        if self.arriving == 0
            && let Some(recovery) = self.came_back.take()
        {
            let rooms = recovery.rooms.into_iter().filter(|recovered| self.state.is_in(&recovered.room));
            let starts = rooms.map(|recovered| (recovered.room, recovered.start)).collect();
            self.read_from(Cursor::all(log, recovery.head, starts), ctx);
            ctx.notify(TakeEarly);
        }
    }

    /// Notes now and then that the session is alive, so that it can be had back however long it was.
    fn note_alive(&self) {
        let own_room = access::own_room(&self.decisions, &self.state.identity);
        self.note(Write::Seen { session: self.pid, own_room });
    }

    pub(super) fn note(&self, write: Write) {
        self.services.sequencer.do_send(Sequence::Note(write));
    }

    pub(super) fn watch(&self, subject: Subject, facts: Facts, ctx: &Context<Self>) {
        let session = ctx.address().recipient();
        self.services.rights.do_send(WatchRights { subject, facts, key: self.member.key, session });
    }

    pub(super) fn unwatch(&self, subject: Subject) {
        self.services.rights.do_send(UnwatchRights { subject, key: self.member.key });
    }

    /// Lets the session out of a room; where it is for good, the room is not had back either.
    pub(super) fn send_leave(&self, room: RoomName, rests_on: Option<Subject>, for_good: bool, reply: Reply) {
        if let Some(subject) = rests_on {
            self.unwatch(subject);
        }
        let noted = for_good.then_some(self.pid);
        self.services.registry.do_send(LeaveRoom { leave: Leave::new(room, self.member.clone(), noted, reply) });
    }
}

/// Has the session told when its user's rows change, and when its token is revoked.
fn watch_identity(services: &SessionServices, identity: &Identity, key: SessionKey, session: &Post<Session>) {
    if let Some(user) = identity.user() {
        let (subject, facts) = (Subject::User(user.id.clone()), Facts::User(Some(user.clone())));
        services.rights.do_send(WatchRights { subject, facts, key, session: session.recipient() });
    }
    let ids = identity.revocation_ids().to_vec();
    if !ids.is_empty() {
        services.revocations.do_send(WatchToken { ids, key, session: session.recipient() });
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(room) = access::own_room(&self.decisions, &self.state.identity) {
            self.state.enter_own_room(room);
        }
        self.come_back(ctx);
        self.end_with_token(ctx);
        self.look_again_in_time(ctx);
        ctx.run_interval(self.services.log_limits.seen_every(), |session, _| session.note_alive());
    }
}

// However a session ends, by its client, by us or by a panic, it leaves nothing behind.
impl Drop for Session {
    fn drop(&mut self) {
        self.record.end();
        for (room, rests_on) in self.state.take_rooms() {
            self.send_leave(room, rests_on, false, Reply::default());
        }
        self.note(Write::Seen { session: self.pid, own_room: None });
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
        self.services.census.remember(self.record.life.clone());
        self.services.metrics.connections.decrement(1);
        // Last: a stop waits for the directory to be empty, and then all of this is done.
        self.services.directory.remove(self.member.key);
    }
}

impl Handler<ClientEvent> for Session {
    type Result = ();

    fn handle(&mut self, message: ClientEvent, ctx: &mut Self::Context) {
        let _handling = self.record.probe.handling();
        // Each is bounded by its slot: no more is read while too much is under way.
        if self.arriving > 0 || !self.early.is_empty() {
            self.early.push_back(message);
        } else {
            self.receive(message, ctx);
        }
    }
}

/// The session is back in its rooms: take what its client sent meanwhile, one at a time.
#[derive(Message)]
#[rtype(result = "()")]
struct TakeEarly;

impl Handler<TakeEarly> for Session {
    type Result = ();

    fn handle(&mut self, _: TakeEarly, ctx: &mut Self::Context) {
        let _handling = self.record.probe.handling_other();
        if let Some(event) = self.early.pop_front() {
            self.receive(event, ctx);
            ctx.notify(TakeEarly);
        }
    }
}

impl Handler<PublishSettled> for Session {
    type Result = ();

    fn handle(&mut self, message: PublishSettled, _: &mut Self::Context) {
        let _handling = self.record.probe.handling_other();
        let PublishSettled { ack, received, outcome, slot } = message;
        let asked = Asked { event: "broadcast", ack, received, slot, target: AuditTarget::default() };
        match outcome {
            Ok(published) => {
                self.count(&asked, EventStatus::Success);
                if ack.is_some() {
                    self.acknowledge(ack, &packet::raw(&PublishedAck { ok: true, published }));
                }
            }
            Err(refusal) => self.settle(asked, Err(refusal)),
        }
    }
}
