//! Other instances on the same database go on with the log, too: when to look for what they wrote. Every batch of
//! our own tells as well; this is for when there is none.

use std::time::{Duration, Instant};

use actix::prelude::*;

use super::actor::Sequencer;
use super::cluster::Cluster;
use crate::actors::messages::Look;
use crate::domain::Position;
use crate::store::Store;
use crate::store::log::Between;

/// When the log is looked into next.
pub struct Looking {
    next: Instant,
    wait: Duration,
    /// A look is under way.
    asking: bool,
    /// Somebody said that there is something to see, when it could not be looked for.
    again: bool,
}

impl Default for Looking {
    fn default() -> Self {
        Self { next: Instant::now(), wait: Sequencer::LOOK_EVERY, asking: false, again: false }
    }
}

impl Sequencer {
    /// How often it is looked for what others wrote, at most.
    pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);
    /// How seldom, while nothing is found in a database that serves others as well.
    const LOOK_SELDOM: Duration = Duration::from_secs(2);
    /// How seldom, while others would be heard.
    const LOOK_UNHEARD: Duration = Duration::from_secs(5);

    /// Has the database's notifications lead to a look.
    pub(super) fn listen(&self, ctx: &Context<Self>) {
        let Some(mut news) = self.store.news() else { return };
        let (view, sequencer) = (self.view.clone(), ctx.address().downgrade());
        actix_rt::spawn(async move {
            let mut listening = false;
            while news.changed().await.is_ok() {
                let now = *news.borrow_and_update();
                // What was written while nobody listened was not heard.
                let began = now.listening && !std::mem::replace(&mut listening, now.listening);
                // A notification and a relay come at the same time: the relay has the events with it.
                if !began && view.is_relayed() {
                    actix_rt::time::sleep(Cluster::PATIENCE).await;
                }
                if began || now.head > view.head() {
                    let Some(sequencer) = sequencer.upgrade() else { return };
                    sequencer.do_send(Look);
                }
            }
        });
    }

    /// Looks, if it is time to.
    pub(super) fn look_now_and_then(&mut self, ctx: &mut Context<Self>) {
        self.note_lag();
        if Instant::now() >= self.looking.next {
            self.look(ctx);
        }
    }

    /// Looks as soon as a look that was asked for can be had.
    pub(super) fn look_again(&mut self, ctx: &mut Context<Self>) {
        if self.looking.again {
            self.look(ctx);
        }
    }

    /// Looks at once, or as soon as it can be.
    pub(super) fn look_soon(&mut self, ctx: &mut Context<Self>) {
        self.looking.again = true;
        self.look(ctx);
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looking.asking || self.in_flight.is_some() || self.outage.is_some() || !self.queue.is_empty() {
            return;
        }
        self.looking.again = false;
        self.looking.asking = true;
        let store = self.store.clone();
        let asking = async move { store.log_head().await };
        ctx.spawn(asking.into_actor(self).map(|head, sequencer, ctx| {
            let found = head.ok().filter(|head| *head > sequencer.head);
            sequencer.looked(found.is_some());
            if let Some(head) = found {
                sequencer.found(head, ctx);
            }
            sequencer.look_again(ctx);
        }));
    }

    fn looked(&mut self, found: bool) {
        let longest = match self.store.news().map(|news| news.borrow().listening) {
            // A file's other processes are few and near.
            None => Self::LOOK_EVERY,
            Some(false) => Self::LOOK_SELDOM,
            Some(true) => Self::LOOK_UNHEARD,
        };
        let looking = &mut self.looking;
        looking.asking = false;
        looking.wait = if found { Self::LOOK_EVERY } else { (looking.wait * 2).min(longest) };
        looking.next = Instant::now() + looking.wait;
    }
}

impl Handler<Look> for Sequencer {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        let _handling = self.census.sequencer.handling();
        self.look_soon(ctx);
    }
}

/// The next of what other processes wrote to the log between two positions. It is stored, so this is asked until it is
/// answered.
pub(super) async fn read_foreign(store: Store, after: Position, up_to: Position) -> Between {
    const AGAIN: Duration = Duration::from_millis(200);
    loop {
        match store.read_between(after, up_to).await {
            Ok(between) => return between,
            Err(error) => {
                tracing::warn!(%error, "another process's events cannot be read yet");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
