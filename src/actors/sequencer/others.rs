//! Other processes that write to the same log: while a service is replaced by a new one, each has
//! the other's events to hand on.

use std::time::Duration;

use actix::prelude::*;

use super::actor::Sequencer;
use crate::domain::Position;
use crate::store::Store;
use crate::store::log::StoredEvent;

/// How often others are looked for.
const EVERY: Duration = Duration::from_millis(200);

impl Sequencer {
    pub(super) fn look_for_others_now_and_then(ctx: &mut Context<Self>) {
        ctx.run_interval(EVERY, Self::look_for_others);
    }

    fn look_for_others(&mut self, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let asking = async move { store.log_head().await };
        ctx.spawn(asking.into_actor(self).map(|head, sequencer, ctx| {
            // A batch, even an empty one, brings along what they wrote; one that is under way does so too.
            if sequencer.is_idle() && head.is_ok_and(|head| head > sequencer.head) {
                sequencer.commit(Vec::new(), Vec::new(), ctx);
            }
        }));
    }
}

/// What another process wrote before this batch. The batch is stored, so this is asked until it is answered.
pub(super) async fn read_foreign(store: &Store, head: Position, before: Position) -> Vec<StoredEvent> {
    const AGAIN: Duration = Duration::from_millis(200);
    if before <= head {
        return Vec::new();
    }
    loop {
        match store.read_between(head, before).await {
            Ok(events) => return events,
            Err(error) => tracing::warn!(%error, "another instance's events cannot be read yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}
