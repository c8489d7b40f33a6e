//! The RightsMonitor reads the rows behind live sessions again and again, and
//! tells the sessions whose rows have changed. What that means for them is their business.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;

use super::insight::{Post, Probe};
use super::messages::{Facts, RightsChanged, SessionKey, Subject, UnwatchRights, WatchRights};
use crate::store::{Store, StoreError};

/// Rights that a change of a row took away end within this time.
const PERIOD: Duration = Duration::from_secs(5);

struct Watched {
    facts: Facts,
    sessions: HashMap<SessionKey, Recipient<RightsChanged>>,
}

impl Watched {
    fn update(&mut self, facts: Facts) {
        if self.facts != facts {
            self.facts = facts;
            self.sessions.values().for_each(|session| session.do_send(RightsChanged));
        }
    }
}

pub struct RightsMonitor {
    store: Store,
    watched: HashMap<Subject, Watched>,
    probe: Arc<Probe>,
}

impl RightsMonitor {
    pub fn start(store: Store, probe: Arc<Probe>) -> Post<Self> {
        let monitor = Self { store, watched: HashMap::new(), probe: probe.clone() };
        Post::new(Self::create(|_| monitor), probe)
    }

    fn read_again(&mut self, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let subjects: Vec<Subject> = self.watched.keys().cloned().collect();
        let reading = async move {
            let answers = join_all(subjects.iter().map(|subject| read(&store, subject))).await;
            subjects.into_iter().zip(answers).collect::<Vec<_>>()
        };
        let reading = reading.into_actor(self).map(|answers, monitor, ctx| {
            let mut failures = 0;
            for (subject, answer) in answers {
                match (answer, monitor.watched.get_mut(&subject)) {
                    (Ok(facts), Some(watched)) => watched.update(facts),
                    (Ok(_), None) => {}
                    // Who was let in stays in while the database is away.
                    (Err(_), _) => failures += 1,
                }
            }
            if failures > 0 {
                tracing::warn!(failures, "rights could not be read again");
            }
            Self::schedule(ctx);
        });
        ctx.spawn(reading);
    }

    /// The next reading starts a period after the last one ended, so that a slow database is not asked twice at once.
    fn schedule(ctx: &mut Context<Self>) {
        // A second is left for the reading itself.
        ctx.run_later(PERIOD.saturating_sub(Duration::from_secs(1)), Self::read_again);
    }
}

async fn read(store: &Store, subject: &Subject) -> Result<Facts, StoreError> {
    Ok(match subject {
        Subject::User(id) => Facts::User(store.find_user(id).await?.map(Arc::new)),
        Subject::Tab(id) => Facts::Tab(store.find_tab(id).await?),
        Subject::Table(id) => Facts::Table(store.find_table(id).await?),
    })
}

impl Actor for RightsMonitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Self::schedule(ctx);
    }
}

impl Handler<WatchRights> for RightsMonitor {
    type Result = ();

    fn handle(&mut self, message: WatchRights, _: &mut Self::Context) {
        let _handling = self.probe.handling();
        let WatchRights { subject, facts, key, session } = message;
        let watched =
            self.watched.entry(subject).or_insert_with(|| Watched { facts: facts.clone(), sessions: HashMap::new() });
        // What the newcomer has read is newer than what the others rely on.
        watched.update(facts);
        watched.sessions.insert(key, session);
    }
}

impl Handler<UnwatchRights> for RightsMonitor {
    type Result = ();

    fn handle(&mut self, message: UnwatchRights, _: &mut Self::Context) {
        let _handling = self.probe.handling();
        if let Some(watched) = self.watched.get_mut(&message.subject) {
            watched.sessions.remove(&message.key);
            if watched.sessions.is_empty() {
                self.watched.remove(&message.subject);
            }
        }
    }
}
