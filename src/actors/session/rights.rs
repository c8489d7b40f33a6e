//! How a session's rights end: a room's, or all of them.

use std::time::{Duration, SystemTime};

use actix::prelude::*;

use super::access::{self, AccessError};
use super::actor::Session;
use super::state::error_packet;
use crate::actors::messages::{Closing, Reply};
use crate::domain::audit::action;
use crate::domain::{AuditOutcome, AuditTarget, ErrorCode, Refusal, RoomName};

const EXPIRED: Refusal = Refusal::new(ErrorCode::TokenExpired, "Token expired");

/// How soon rights that could not be checked are checked again.
const AGAIN: Duration = Duration::from_secs(1);

impl Session {
    /// Timers have a farthest end; what lies beyond it is looked at again then.
    const FARTHEST_TIMER: Duration = Duration::from_hours(24);

    /// A token's checks may let go of a room, or of all, at a moment that they name.
    pub(super) fn look_again_in_time(&mut self, ctx: &mut Context<Self>) {
        let now = SystemTime::now();
        let Some(point) = self.state.identity.next_turning_point(now) else { return };
        let left = point.duration_since(now).unwrap_or_default();
        ctx.run_later(left.min(Self::FARTHEST_TIMER), |session, ctx| {
            session.check_rights_again(ctx);
            session.look_again_in_time(ctx);
        });
    }

    pub(super) fn check_rights_again(&self, ctx: &mut Context<Self>) {
        let decisions = self.decisions.clone();
        let (store, identity) = (self.services.store.clone(), self.state.identity.clone());
        let rooms = self.state.rooms();
        let checking = async move {
            let Some(identity) = access::identity_now(&store, &identity).await? else { return Ok(None) };
            let mut lost = Vec::new();
            for room in rooms {
                match access::may_be_in(&store, &decisions, &identity, &room).await {
                    // Where nothing was decided, nothing changes.
                    Ok(_) | Err(AccessError::TooCostly) => {}
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
            Ok(None) => session.end("user", ctx),
            // Who was let in stays in while the database is away.
            Err(error) => {
                tracing::warn!(%error, "rights could not be checked again");
                ctx.run_later(AGAIN, |session, ctx| session.check_rights_again(ctx));
            }
        });
        ctx.wait(checking);
    }

    fn put_out(&mut self, room: &RoomName, refusal: &Refusal) {
        if let Some(rests_on) = self.state.leave(room) {
            tracing::info!(user = self.state.identity.label(), %room, "put out of a room");
            self.audit_refusal(action::ROOM_LOST, refusal, AuditTarget::room(room));
            let event = error_packet(refusal, room.kind().join_event().unwrap_or_default(), Some(room));
            self.read_no_more_of(room);
            self.send_leave(room.clone(), rests_on, true, Reply { event: Some(event), ack: None });
        }
    }

    /// Ends the session for good, and says why in a word: the client is told to stay away.
    pub(super) fn end(&self, why: &'static str, ctx: &mut Context<Self>) {
        self.audit(action::SESSION_END, AuditOutcome::Done, Some(why), AuditTarget::default());
        tracing::info!(user = self.state.identity.label(), socket = %self.member.socket_id, why, "session ended");
        self.member.outlet.close(Closing::Session);
        ctx.stop();
    }

    pub(super) fn end_with_token(&mut self, ctx: &mut Context<Self>) {
        let Some(expires_at) = self.expires_at else { return };
        if let Ok(left) = expires_at.duration_since(SystemTime::now()) {
            ctx.run_later(left.min(Self::FARTHEST_TIMER), Self::end_with_token);
        } else {
            self.member.outlet.push_notice(&error_packet(&EXPIRED, "connect", None));
            self.end("expired", ctx);
        }
    }
}
