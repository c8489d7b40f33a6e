//! The RevocationMonitor looks whether the tokens of live sessions have been revoked, and tells
//! the sessions. It never judges: a revoked token's session ends, and that is the session's work. It looks at once
//! where the database tells of a revocation, and now and then by itself.
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
    /// The next look, unless one is under way.
    next: Option<SpawnHandle>,
    /// A token was revoked since the look under way began.
    again: bool,
    probe: Arc<Probe>,
}

/// A token was revoked somewhere: look now.
#[derive(Message)]
#[rtype(result = "()")]
struct LookNow;

impl RevocationMonitor {
    pub fn start(store: Store, probe: Arc<Probe>) -> Post<Self> {
        let monitor = Self { store, watched: HashMap::new(), next: None, again: false, probe: probe.clone() };
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
            monitor.look_later(ctx);
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

    /// After the answers, so that a slow database is not asked twice at once.
    fn look_later(&mut self, ctx: &mut Context<Self>) {
        if std::mem::take(&mut self.again) {
            return self.look(ctx);
        }
        self.next = Some(ctx.run_later(PERIOD, |monitor, ctx| {
            monitor.next = None;
            monitor.look(ctx);
        }));
    }

    /// Has the database's notifications lead to a look, where it has any.
    fn listen(&self, ctx: &Context<Self>) {
        let Some(mut news) = self.store.news() else { return };
        let monitor = ctx.address().downgrade();
        actix_rt::spawn(async move {
            let mut known = news.borrow_and_update().revocations;
            while news.changed().await.is_ok() {
                let heard = news.borrow_and_update().revocations;
                let Some(monitor) = monitor.upgrade() else { return };
                if std::mem::replace(&mut known, heard) != heard {
                    monitor.do_send(LookNow);
                }
            }
        });
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
        self.listen(ctx);
    }
}

impl Handler<LookNow> for RevocationMonitor {
    type Result = ();

    fn handle(&mut self, _: LookNow, ctx: &mut Self::Context) {
        let _handling = self.probe.handling_other();
        match self.next.take() {
            Some(next) => {
                ctx.cancel_future(next);
                self.look(ctx);
            }
            None => self.again = true,
        }
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
