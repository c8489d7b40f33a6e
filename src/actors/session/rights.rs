//! How a session's rights end: a room's, or all of them.

use std::time::{Duration, SystemTime};

use actix::prelude::*;

use super::access::{self, AccessError};
use super::actor::Session;
use super::state::error_packet;
use crate::actors::messages::{Closing, Reply};
use crate::domain::{ErrorCode, Refusal, RoomName};

const EXPIRED: Refusal = Refusal::new(ErrorCode::TokenExpired, "Token expired");

impl Session {
    pub(super) fn check_rights_again(&self, ctx: &mut Context<Self>) {
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
            self.read_no_more_of(room);
            self.send_leave(room.clone(), rests_on, true, Reply { event: Some(event), ack: None });
        }
    }

    /// Ends the session for good: the client is told to stay away.
    pub(super) fn end(&self, why: &'static str, ctx: &mut Context<Self>) {
        tracing::info!(user = self.state.identity.label(), socket = %self.socket_id, why, "session ended");
        self.member.outlet.close(Closing::Session);
        ctx.stop();
    }

    pub(super) fn end_with_token(&mut self, ctx: &mut Context<Self>) {
        let Some(expires_at) = self.expires_at else { return };
        if let Ok(left) = expires_at.duration_since(SystemTime::now()) {
            // Timers have a farthest end; a token that outlives it is looked at again then.
            ctx.run_later(left.min(Duration::from_hours(24)), Self::end_with_token);
        } else {
            self.member.outlet.push_notice(&error_packet(&EXPIRED, "connect", None));
            self.end("the token expired", ctx);
        }
    }
}
