//! The RightsMonitor reads the rows behind live sessions again and again, and
//! tells the sessions whose rows have changed. What that means for them is their business.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;

use super::insight::{Post, Probe};
use super::messages::{Facts, ReadRights, RightsChanged, SessionKey, Subject, UnwatchRights, WatchRights};
use crate::store::{Store, StoreError};

/// All rows are read once in this time, and a second is left for the reading itself: rights that
/// a change of a row took away end within five.
const ROUND: Duration = Duration::from_secs(4);
/// A round is read in as many parts, so that no reading of thousands of rows holds up events.
const PARTS: u32 = 40;

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
    /// What is left to read in this round.
    round: Vec<Subject>,
    /// How much of it is read at a time.
    part: usize,
    probe: Arc<Probe>,
}

impl RightsMonitor {
    pub fn start(store: Store, probe: Arc<Probe>) -> Post<Self> {
        let (watched, round) = (HashMap::new(), Vec::new());
        let monitor = Self { store, watched, round, part: 0, probe: probe.clone() };
        Post::new(Self::create(|_| monitor), probe)
    }

    /// The next part of the round.
    fn next_part(&mut self) -> Vec<Subject> {
        if self.round.is_empty() {
            self.round = self.watched.keys().cloned().collect();
            self.part = self.round.len().div_ceil(PARTS as usize);
        }
        self.round.split_off(self.round.len().saturating_sub(self.part))
    }

    fn read_again(&mut self, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let subjects = self.next_part();
        let reading = async move {
            let answers = join_all(subjects.iter().map(|subject| read(&store, subject))).await;
            subjects.into_iter().zip(answers).collect::<Vec<_>>()
        };
        let reading = reading.into_actor(self).map(|answers, monitor, ctx| {
            monitor.compare(answers);
            Self::schedule(ctx);
        });
        ctx.spawn(reading);
    }

    fn compare(&mut self, answers: Vec<(Subject, Result<Facts, StoreError>)>) {
        let mut failures = 0;
        for (subject, answer) in answers {
            match (answer, self.watched.get_mut(&subject)) {
                (Ok(facts), Some(watched)) => watched.update(facts),
                (Ok(_), None) => {}
                // Who was let in stays in while the database is away.
                (Err(_), _) => failures += 1,
            }
        }
        self.probe.note_look(failures == 0);
        if failures > 0 {
            tracing::warn!(failures, "rights could not be read again");
        }
    }

    /// The next part is read some time after the last one, so that a slow database is not asked twice at once.
    fn schedule(ctx: &mut Context<Self>) {
        ctx.run_later(ROUND / PARTS, Self::read_again);
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

impl Handler<ReadRights> for RightsMonitor {
    type Result = ResponseActFuture<Self, Result<(), StoreError>>;

    fn handle(&mut self, message: ReadRights, _: &mut Self::Context) -> Self::Result {
        let _handling = self.probe.handling();
        let (store, subject) = (self.store.clone(), Subject::User(message.user));
        let reading = async move { (read(&store, &subject).await, subject) };
        Box::pin(reading.into_actor(self).map(|(answer, subject), monitor, _| {
            let facts = answer?;
            if let Some(watched) = monitor.watched.get_mut(&subject) {
                watched.update(facts);
            }
            Ok(())
        }))
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
