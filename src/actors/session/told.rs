//! What other actors tell a session, but for its client's events.

use actix::prelude::*;

use super::Session;
use super::state::{error_packet, failure_message, refused_ack};
use crate::actors::messages::{
    Closed, Closing, Drain, Entered, FellBehind, JoinFailed, OutletDrained, Replaced, Reply, RightsChanged,
    TokenRevoked,
};
use crate::domain::{AuditTarget, Refusal, RoomKind};

impl Handler<JoinFailed> for Session {
    type Result = ();

    fn handle(&mut self, message: JoinFailed, _: &mut Self::Context) {
        let _handling = self.record.probe.handling();
        let JoinFailed { room, ack, code, again } = message;
        if room.kind() == RoomKind::User || self.arriving > 0 {
            // A session without one of its rooms would miss events in silence; the client comes back to a whole one.
            self.member.outlet.close(Closing::Transport);
            return;
        }
        let event = room.kind().join_event().unwrap_or_default();
        if !again && let Some(rests_on) = self.state.leave(&room) {
            self.send_leave(room.clone(), rests_on, false, Reply::default());
        }
        let refusal = Refusal::new(code, failure_message(event));
        self.audit_refusal(event, &refusal, AuditTarget::room(&room));
        self.member.outlet.push_notice(&error_packet(&refusal, event, Some(&room)));
        self.acknowledge(ack, &refused_ack(&refusal));
    }
}

impl Handler<Entered> for Session {
    type Result = ();

    fn handle(&mut self, message: Entered, ctx: &mut Self::Context) {
        let _handling = self.record.probe.handling();
        self.arrived(message.room, ctx);
    }
}

impl Handler<FellBehind> for Session {
    type Result = ();

    fn handle(&mut self, message: FellBehind, ctx: &mut Self::Context) {
        let _handling = self.record.probe.handling_other();
        self.fall_behind(message.after, message.starts, ctx);
    }
}

impl Handler<OutletDrained> for Session {
    type Result = ();

    fn handle(&mut self, _: OutletDrained, ctx: &mut Self::Context) {
        let _handling = self.record.probe.handling_other();
        self.feed(ctx);
    }
}

impl Handler<Replaced> for Session {
    type Result = ();

    fn handle(&mut self, _: Replaced, ctx: &mut Self::Context) {
        tracing::info!(user = self.state.identity.label(), socket = %self.member.socket_id, "its client came back on another connection");
        self.member.outlet.close(Closing::AtOnce);
        ctx.stop();
    }
}

impl Handler<RightsChanged> for Session {
    type Result = ();

    fn handle(&mut self, _: RightsChanged, ctx: &mut Self::Context) {
        let _handling = self.record.probe.handling_other();
        self.check_rights_again(ctx);
    }
}

impl Handler<TokenRevoked> for Session {
    type Result = ();

    fn handle(&mut self, _: TokenRevoked, ctx: &mut Self::Context) {
        self.end("revoked", ctx);
    }
}

impl Handler<Drain> for Session {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        let _handling = self.record.probe.handling();
        self.member.outlet.close(Closing::Transport);
    }
}

impl Handler<Closed> for Session {
    type Result = ();

    fn handle(&mut self, message: Closed, ctx: &mut Self::Context) {
        tracing::info!(user = self.state.identity.label(), socket = %self.member.socket_id, reason = message.reason, "disconnected");
        ctx.stop();
    }
}
