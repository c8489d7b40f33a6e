//! The RevocationMonitor looks whether the tokens of live sessions have been revoked, and tells
//! the sessions. It never judges: a revoked token's session ends, and that is the session's work.
//!
//! A panic does not end it: which tokens it watches is known to nobody else, and some may wait in its mailbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;

use super::insight::{Post, Probe};
use super::messages::{ProvokePanic, SessionKey, TokenRevoked, UnwatchToken, WatchToken};
use super::supervision;
use crate::domain::RevocationId;
use crate::store::{Store, StoreError};

/// A look, and the way to the session, fit into the second within which it has to end.
const PERIOD: Duration = Duration::from_millis(500);

struct Watched {
    ids: Vec<RevocationId>,
    session: Recipient<TokenRevoked>,
}

pub struct RevocationMonitor {
    store: Store,
    watched: HashMap<SessionKey, Watched>,
    probe: Arc<Probe>,
}

impl RevocationMonitor {
    pub fn start(store: Store, probe: Arc<Probe>) -> Post<Self> {
        let monitor = Self { store, watched: HashMap::new(), probe: probe.clone() };
        Post::new(Self::create(|_| monitor), probe)
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let watched: Vec<_> = self.watched.iter().map(|(key, watched)| (*key, watched.ids.clone())).collect();
        let looking = async move {
            // All in a few queries: the store's loader puts together what is asked at once.
            join_all(watched.into_iter().map(async |(key, ids)| (key, store.is_revoked(&ids).await))).await
        };
        let looking = looking.into_actor(self).map(|answers, monitor, ctx| {
            let _handling = monitor.probe.clone().handling_other();
            monitor.go_on(|monitor| monitor.compare(answers));
            // After the answers, so that a slow database is not asked twice at once.
            ctx.run_later(PERIOD, Self::look);
        });
        ctx.spawn(looking);
    }

    fn compare(&mut self, answers: Vec<(SessionKey, Result<bool, StoreError>)>) {
        let mut failures = 0;
        for (key, revoked) in answers {
            match revoked {
                Ok(true) => self.tell(key),
                Ok(false) => {}
                // Who was let in stays in while the database is away.
                Err(_) => failures += 1,
            }
        }
        self.probe.note_look(failures == 0);
        if failures > 0 {
            tracing::warn!(failures, "revocations could not be read");
        }
    }

    fn go_on(&mut self, handle: impl FnOnce(&mut Self)) {
        if let Err(panic) = supervision::survived(|| handle(self)) {
            tracing::error!(panic, "the monitor of revocations panicked and goes on");
            self.probe.note_restart(&panic);
        }
    }

    fn tell(&mut self, key: SessionKey) {
        if let Some(watched) = self.watched.remove(&key) {
            watched.session.do_send(TokenRevoked);
        }
    }
}

impl Actor for RevocationMonitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<WatchToken> for RevocationMonitor {
    type Result = ();

    fn handle(&mut self, message: WatchToken, _: &mut Self::Context) {
        let _handling = self.probe.handling();
        let WatchToken { ids, key, session } = message;
        self.watched.insert(key, Watched { ids, session });
    }
}

impl Handler<UnwatchToken> for RevocationMonitor {
    type Result = ();

    fn handle(&mut self, message: UnwatchToken, _: &mut Self::Context) {
        let _handling = self.probe.handling();
        self.watched.remove(&message.key);
    }
}

impl Handler<ProvokePanic> for RevocationMonitor {
    type Result = ();

    fn handle(&mut self, _: ProvokePanic, _: &mut Self::Context) {
        let _handling = self.probe.handling();
        self.go_on(|_| panic!("provoked by a test"));
    }
}
