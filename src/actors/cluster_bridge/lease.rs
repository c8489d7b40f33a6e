//! Who takes in what Node servers publish: one instance at a time, by a lease in the database.
//!
//! An instance that has been given the lease subscribes, and then says so through Redis. It begins where its own
//! announcement comes back to it, and whoever did it before ends where that comes to him: as Redis has one order
//! for all that it passes on, each event comes to one of them before the announcement, or to the other after it.

use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::FutureExt;

use super::actor::ClusterBridge;
use crate::bus::relay::Fact;

const NAME: &str = "node-events";
/// An instance that dies is followed by another within this time and one turn.
const LASTS: Duration = Duration::from_secs(3);
const TURN: Duration = Duration::from_secs(1);
/// How soon it is asked for when it was given back. Not at once: that was said by somebody on Redis, perhaps not for the first time.
const SOON: Duration = Duration::from_millis(20);

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each goes with any of the others")]
pub struct Lease {
    held: bool,
    /// It has come back that it is held here.
    announced: bool,
    /// When it was last asked for, and when that was that it was given for.
    asked: Option<Instant>,
    taken: Option<Instant>,
    /// The answer is not there yet.
    asking: bool,
    /// The database does not answer within a turn.
    unanswered: bool,
    /// Since when another has it, who has not said so.
    lost: Option<Instant>,
    /// It is asked for soon.
    free: bool,
    leaving: bool,
}

impl Lease {
    /// Not past its time, as an instance that has slept through it would believe; but while the database is away nobody
    /// else can have it, as far as is known here, and who was given it instead begins only when he has said so.
    fn is_held(&self) -> bool {
        let lost = self.lost.is_some_and(|since| since.elapsed() < LASTS);
        self.held && (self.is_certain() || self.unanswered || lost)
    }

    /// By the database's word nobody else has it.
    fn is_certain(&self) -> bool {
        self.taken.is_some_and(|taken| taken.elapsed() < LASTS)
    }

    /// Whether it is this instance that takes in what Node servers publish.
    pub fn takes_in(&self) -> bool {
        self.announced && self.is_held()
    }

    /// Its own announcement has come back.
    pub fn hear_own(&mut self) {
        self.announced = self.held;
    }

    /// Whether to give way to another that says it has the lease. What it said while it had it may come late.
    pub fn gives_way(&self) -> bool {
        self.held && !self.is_certain()
    }

    fn take_answer(&mut self, asked: Instant, given: Option<bool>) {
        let held = self.is_held();
        self.asking = false;
        // An answer that took so long may be about a lease that has run out since.
        self.unanswered = given.is_none() || asked.elapsed() >= TURN;
        match given {
            Some(true) => {
                (self.taken, self.lost) = (Some(asked), None);
                self.held = !self.leaving && (self.held || self.is_certain());
            }
            Some(false) => {
                (self.taken, self.unanswered) = (None, false);
                self.lost = self.lost.or_else(|| held.then(Instant::now));
                self.held = self.is_held();
            }
            None => {}
        }
    }
}

impl ClusterBridge {
    /// Asks for the lease, or for more of it. An instance that hears nothing from Redis leaves it to others.
    pub(super) fn keep_lease(&mut self, ctx: &mut Context<Self>) {
        let due = self.lease.asked.is_none_or(|asked| asked.elapsed() >= TURN);
        if !due || self.lease.asking || self.lease.leaving || !self.cluster.is_connected() {
            return;
        }
        let now = Instant::now();
        (self.lease.asked, self.lease.asking) = (Some(now), true);
        let (store, holder) = (self.services.store.clone(), self.uid.clone());
        let asking = async move { store.take_lease(NAME, &holder, LASTS).await };
        ctx.spawn(asking.into_actor(self).map(move |given, bridge, ctx| {
            if let Err(error) = &given {
                tracing::debug!(%error, "the lease could not be asked for");
            }
            let held = bridge.lease.held;
            bridge.lease.take_answer(now, given.ok());
            bridge.follow_lease(held, ctx);
        }));
        ctx.run_later(TURN, move |bridge, _| {
            // The store waits longer than the lease lasts.
            bridge.lease.unanswered |= bridge.lease.asking && bridge.lease.asked == Some(now);
        });
    }

    /// Another has given it back.
    pub(super) fn lease_is_free(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.lease.free, true) {
            return;
        }
        ctx.run_later(SOON, |bridge, ctx| {
            (bridge.lease.free, bridge.lease.asked) = (false, None);
            bridge.keep_lease(ctx);
        });
    }

    /// Another says that it has the lease.
    pub(super) fn hear_of_holder(&mut self, ctx: &mut Context<Self>) {
        if self.lease.gives_way() {
            self.lease.held = false;
            self.follow_lease(true, ctx);
        }
    }

    /// Subscribes to what Node servers publish, or no longer, where that has changed.
    fn follow_lease(&mut self, before: bool, ctx: &mut Context<Self>) {
        let held = self.lease.held;
        if held == before {
            return;
        }
        tracing::info!(held, "the lease on the events of Node servers");
        self.bus.hear_node_events(held);
        if held {
            let bus = self.bus.clone();
            let subscribed = async move { bus.hears_node_events().await };
            ctx.spawn(subscribed.into_actor(self).map(|(), bridge, _| bridge.say_alive()));
        } else {
            (self.lease.announced, self.lease.lost) = (false, None);
        }
    }

    pub(super) fn say_alive(&self) {
        let lease = self.lease.is_held() && self.bus.is_hearing_node_events();
        self.tell_peers(Fact::Alive { head: self.services.view.head(), lease });
    }

    pub(super) fn give_lease_back(&mut self, ctx: &mut Context<Self>) -> ResponseFuture<()> {
        self.lease.leaving = true;
        let held = std::mem::take(&mut self.lease.held);
        if !held {
            return std::future::ready(()).boxed_local();
        }
        self.follow_lease(held, ctx);
        let (store, holder, bus) = (self.services.store.clone(), self.uid.clone(), self.bus.clone());
        let free = self.sealed(Fact::LeaseFree);
        Box::pin(async move {
            match store.release_lease(NAME, &holder).await {
                Ok(()) => drop(free.map(|frame| bus.publish(crate::bus::relay::CONTROL, frame))),
                Err(error) => tracing::debug!(%error, "the lease runs out by itself"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(time: Duration) -> Instant {
        Instant::now().checked_sub(time).unwrap()
    }

    /// Given the lease so long ago, and told so.
    fn holder(since: Duration) -> Lease {
        let mut lease = Lease::default();
        lease.take_answer(Instant::now(), Some(true));
        lease.hear_own();
        lease.taken = Some(ago(since));
        lease
    }

    #[test]
    fn it_begins_with_its_own_announcement() {
        let mut lease = Lease::default();
        lease.hear_own();
        assert!(!lease.takes_in(), "what it said at another time");
        lease.take_answer(Instant::now(), Some(true));
        assert!(lease.is_held() && !lease.takes_in());
        lease.hear_own();
        assert!(lease.takes_in());
    }

    #[test]
    fn while_the_database_is_away_it_goes_on_until_another_says_that_it_has_the_lease() {
        let mut lease = holder(LASTS);
        assert!(!lease.is_held(), "it may have slept");
        lease.unanswered = true;
        assert!(lease.takes_in() && lease.gives_way());
        lease.take_answer(ago(LASTS * 2), None);
        assert!(lease.takes_in() && lease.gives_way());
        lease.take_answer(ago(LASTS * 2), Some(true));
        assert!(lease.takes_in(), "the database is slow");
        lease.take_answer(Instant::now(), Some(true));
        assert!(lease.takes_in() && !lease.gives_way(), "the other spoke of a time that is over");
    }

    #[test]
    fn who_has_lost_it_goes_on_for_a_while_until_the_other_has_said_so() {
        let mut lease = holder(TURN);
        lease.take_answer(Instant::now(), Some(false));
        assert!(lease.takes_in() && lease.gives_way());
        let mut away = holder(LASTS);
        away.unanswered = true;
        away.take_answer(Instant::now(), Some(false));
        assert!(away.takes_in(), "the database is back");
        lease.lost = Some(ago(LASTS));
        assert!(!lease.takes_in());
        let mut slept = holder(LASTS);
        slept.take_answer(Instant::now(), Some(false));
        assert!(!slept.held && !slept.takes_in());
        let mut never = Lease::default();
        never.take_answer(Instant::now(), Some(false));
        assert!(!never.held && never.lost.is_none());
    }

    #[test]
    fn an_answer_that_comes_after_the_lease_has_run_out_gives_nobody_the_lease() {
        let mut lease = Lease::default();
        lease.take_answer(ago(LASTS), Some(true));
        assert!(!lease.held);
    }
}
