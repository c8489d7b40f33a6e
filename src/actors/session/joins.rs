//! How a session enters a room, with or without a part of the room's past.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::access::{self, AccessError, Admission};
use super::actor::Session;
use super::commands::Asked;
use super::cursor::Cursor;
use super::orders;
use super::state::{Success, failure_message};
use crate::access::policy;
use crate::actors::messages::{Begin, EnteredAt, Entry, Join, Reply};
use crate::domain::{Cuid, ErrorCode, EventPacket, Offset, Position, Refusal, RoomKind, RoomName, packet};
use crate::store::StoreError;
use crate::telemetry::EventStatus;

/// A join that holds the session's events back until its past has been sent.
struct Pending {
    room: RoomName,
    asked: Asked,
    success: Success,
    /// One of [`Metrics::JOINS`](crate::telemetry::Metrics::JOINS), if all goes well.
    outcome: &'static str,
}

/// What is sent of a room's past.
enum Past {
    /// The events after this position.
    Events(Position),
    /// `kitchen:orders`, or why it cannot be had.
    Orders(Result<serde_json::Value, StoreError>),
}

impl Session {
    pub(super) fn join(&self, room: RoomName, since: Option<Box<str>>, asked: Asked, ctx: &mut Context<Self>) {
        let (services, identity) = (self.services.clone(), self.state.identity.clone());
        let decisions = self.decisions.clone();
        let checking = async move {
            let store = &services.store;
            // The rows as they are now: a right that was given a moment ago holds at once.
            let identity = access::identity_now(store, &identity).await?.ok_or(policy::denied(room.kind()))?;
            let admission = access::may_be_in(store, &decisions, &identity, &room).await?;
            let after = match since.as_deref().and_then(Offset::parse) {
                Some(offset) if offset.log == services.view.log && services.reaches(offset.head).await? => {
                    let after = offset.position_in(&room);
                    (after >= store.gone_through(&room).await?).then_some(after)
                }
                _ => None,
            };
            Ok::<_, AccessError>((room, admission, since.is_some(), after))
        };
        self.wait_for(checking, asked, ctx, |session, (room, admission, asked_since, after), asked, ctx| {
            // A client that takes no more cannot be sent a room's past in its place; it is told so.
            let after = after.filter(|_| session.is_live());
            let mut success = Success::joined(&room);
            if asked_since {
                success = success.with("complete", after.is_some());
            }
            let outcome = match (asked_since, after) {
                (_, Some(_)) => "replayed",
                (true, None) => "incomplete",
                (false, None) => "entered",
            };
            session.admit(Pending { room, asked, success, outcome }, admission, after, ctx);
        });
    }

    fn admit(&mut self, join: Pending, admission: Admission, after: Option<Position>, ctx: &mut Context<Self>) {
        let again = self.state.is_in(&join.room);
        let (subject, facts) = admission.rests_on.unzip();
        if let Err(refusal) = self.state.enter(&join.room, subject.clone()) {
            return self.settle(join.asked, Err(refusal));
        }
        if let Some((subject, facts)) = subject.zip(facts) {
            self.watch(subject, facts, ctx);
        }
        match (after, join.room.kind()) {
            (Some(after), _) => self.enter_with(Begin::After(after), join, again, ctx),
            (None, RoomKind::Kitchen) => self.enter_with(Begin::Held, join, again, ctx),
            (None, _) => {
                self.count_join(&join);
                let Pending { room, asked, success, .. } = join;
                let mut entry = self.entry(&room, Begin::Now, success, asked.ack);
                entry.again = again;
                self.send_entry(entry);
            }
        }
    }

    fn entry(&self, room: &RoomName, begin: Begin, success: Success, ack: Option<i64>) -> Entry {
        let reply = Reply { event: success.event_packet(), ack: ack.map(|ack| (ack, Arc::from(success.ack()))) };
        Entry::new(room.clone(), self.member.clone(), begin, Some(self.pid), reply)
    }

    fn send_entry(&self, entry: Entry) {
        self.services.registry.do_send(Join { room: entry.room.clone(), entry });
    }

    /// Enters, and then sends what the join asks for of the room's past; nothing comes between.
    fn enter_with(&self, begin: Begin, join: Pending, again: bool, ctx: &mut Context<Self>) {
        let (sender, entered) = oneshot::channel();
        let mut entry = self.entry(&join.room, begin, join.success.clone(), join.asked.ack);
        entry.entered = Some(sender);
        entry.again = again;
        self.send_entry(entry);
        let (store, venue) = (self.services.store.clone(), Cuid::parse(join.room.id()));
        let entering = async move {
            let at = entered.await.ok()?;
            let past = match (begin, venue) {
                (Begin::After(after), _) => Past::Events(after),
                (_, Some(venue)) => {
                    // Read after the entry, so that what is not in it comes as an event.
                    let orders = store.open_orders(&venue).await;
                    Past::Orders(orders.map(|orders| orders::payload(&venue, &orders)))
                }
                (_, None) => return None,
            };
            Some((at, past))
        };
        ctx.wait(entering.into_actor(self).map(|entered, session, ctx| {
            let Some((at, past)) = entered else {
                // The room failed, and says so in a message of its own.
                session.count(&join.asked, EventStatus::Error);
                return session.services.metrics.join("failed");
            };
            session.send_past(join, at, past, ctx);
        }));
    }

    fn send_past(&mut self, join: Pending, entered: EnteredAt, past: Past, ctx: &mut Context<Self>) {
        if !entered.held {
            // Nothing to send, and answered.
            return self.count_join(&join);
        }
        match past {
            Past::Events(after) => {
                let Some(through) = entered.live_through else {
                    let success = join.success.clone().with("complete", false);
                    return self.answer_join(&Pending { outcome: "incomplete", ..join }, success, entered.at);
                };
                self.answer_join(&join, join.success.clone(), entered.at);
                let (log, head) = (self.services.view.log, through.max(self.pid.began_at));
                self.read_from(Cursor::replay(log, head, join.room, after, entered.at), ctx);
            }
            Past::Orders(Ok(mut orders)) => {
                self.answer_join(&join, join.success.clone(), entered.at);
                orders["offset"] = self.offset(entered.at).into();
                self.member.outlet.push_notice(&EventPacket::of("kitchen:orders", &orders));
                self.release(entered, ctx);
            }
            Past::Orders(Err(error)) => {
                tracing::warn!(%error, room = %join.room, "the kitchen's orders could not be read");
                if let Some(rests_on) = self.state.leave(&join.room) {
                    self.send_leave(join.room, rests_on, true, Reply::default());
                }
                self.release(entered, ctx);
                let refusal = Refusal::new(ErrorCode::Unavailable, failure_message(join.asked.event));
                self.settle(join.asked, Err(refusal));
            }
        }
    }

    fn count_join(&self, join: &Pending) {
        self.count(&join.asked, EventStatus::Success);
        self.services.metrics.join(join.outcome);
    }

    fn answer_join(&self, join: &Pending, success: Success, at: Position) {
        self.count_join(join);
        if let Some(event) = success.event_packet() {
            self.member.outlet.push_notice(&event);
        }
        self.acknowledge(join.asked.ack, &packet::with_member(&success.ack(), "offset", &self.offset(at)));
    }

    fn offset(&self, at: Position) -> String {
        Offset::at(self.services.view.log, at).to_string()
    }

    /// Lets go of the events that were held back.
    fn release(&self, entered: EnteredAt, ctx: &mut Context<Self>) {
        // One that was behind reads on by itself.
        if let Some(through) = entered.live_through {
            self.go_live(through, ctx);
        }
    }
}
