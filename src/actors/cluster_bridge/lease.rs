//! Who takes in what Node servers publish: one instance at a time, by a lease in the database.

use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::FutureExt;

use super::actor::ClusterBridge;
use crate::bus::relay::Fact;

const NAME: &str = "node-events";
/// An instance that dies is followed by another within this time and one turn.
const LASTS: Duration = Duration::from_secs(3);
const TURN: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Lease {
    held: bool,
    /// When it was last asked for, and when it was last asked for and given.
    asked: Option<Instant>,
    taken: Option<Instant>,
    /// The database did not answer the last time.
    unanswered: bool,
    leaving: bool,
}

impl Lease {
    /// Not past its time, as an instance that has slept through it would believe; but while the database is
    /// away nobody else can have it.
    pub fn is_held(&self) -> bool {
        self.held && (self.unanswered || self.taken.is_some_and(|taken| taken.elapsed() < LASTS))
    }
}

impl ClusterBridge {
    /// Asks for the lease, or for more of it. An instance that hears nothing from Redis leaves it to others.
    pub(super) fn keep_lease(&mut self, ctx: &mut Context<Self>) {
        let due = self.lease.asked.is_none_or(|asked| asked.elapsed() >= TURN);
        if !due || self.lease.leaving || !self.cluster.is_connected() {
            return;
        }
        let now = Instant::now();
        self.lease.asked = Some(now);
        let (store, holder) = (self.services.store.clone(), self.uid.clone());
        let asking = async move { store.take_lease(NAME, &holder, LASTS).await };
        ctx.spawn(asking.into_actor(self).map(move |taken, bridge, _| {
            bridge.lease.unanswered = taken.is_err();
            match taken {
                Ok(taken) => {
                    bridge.lease.taken = taken.then_some(now);
                    bridge.set_lease(taken && !bridge.lease.leaving);
                }
                // A peer that says it has it is believed.
                Err(error) => tracing::debug!(%error, "the lease could not be asked for"),
            }
        }));
    }

    pub(super) fn lease_is_free(&mut self, ctx: &mut Context<Self>) {
        self.lease.asked = None;
        self.keep_lease(ctx);
    }

    pub(super) fn set_lease(&mut self, held: bool) {
        if std::mem::replace(&mut self.lease.held, held) != held {
            tracing::info!(held, "the lease on the events of Node servers");
        }
        self.bus.hear_node_events(held);
    }

    pub(super) fn give_lease_back(&mut self) -> ResponseFuture<()> {
        self.lease.leaving = true;
        if !self.lease.held {
            return std::future::ready(()).boxed_local();
        }
        self.set_lease(false);
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
