//! Look-ups by id that are asked for while one is under way go together in the next,
//! so ten thousand connects in one moment cost the database some twenty queries.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::backend::{Backend, Found};
use super::{Meter, StoreError};
use crate::telemetry::Query;

type Answer<V> = Result<Option<V>, StoreError>;
type Request<K, V> = (K, oneshot::Sender<Answer<V>>);

/// Finds rows by id, many at a time.
pub struct Loader<K, V> {
    requests: mpsc::Sender<Request<K, V>>,
    terms: Terms,
}

/// How it is asked.
pub struct Terms {
    pub query: Query,
    /// A caller waits no longer.
    pub timeout: Duration,
    pub meter: Meter,
}

impl<K, V> Loader<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// What may wait; a caller past it waits for a place, within its own deadline.
    const QUEUE: usize = 20_000;
    /// SQLite takes 32,766 parameters in a query; this keeps each look-up at a few milliseconds.
    const BATCH: usize = 500;

    /// Starts the loader's task on the current runtime; it ends with the loader.
    pub fn start(backend: &Arc<dyn Backend>, terms: Terms, query: fn(&dyn Backend, Vec<K>) -> Found<K, V>) -> Self {
        let (requests, mut queue) = mpsc::channel::<Request<K, V>>(Self::QUEUE);
        let backend = backend.clone();
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while queue.recv_many(&mut batch, Self::BATCH).await > 0 {
                batch.retain(|(_, caller)| !caller.is_closed());
                let mut ids: Vec<K> = batch.iter().map(|(id, _)| id.clone()).collect();
                let mut seen = std::collections::HashSet::new();
                ids.retain(|id| seen.insert(id.clone()));
                let found = query(&*backend, ids).await;
                for (id, caller) in batch.drain(..) {
                    let answer = found.as_ref().map(|rows| rows.get(&id).cloned()).map_err(Clone::clone);
                    // A caller that gave up needs no answer.
                    caller.send(answer).ok();
                }
            }
        });
        Self { requests, terms }
    }

    pub async fn find(&self, id: K) -> Answer<V> {
        let asking = async {
            let (caller, answer) = oneshot::channel();
            let gone = |()| StoreError::Connection("the store has stopped".to_owned());
            self.requests.send((id, caller)).await.map_err(|_| gone(()))?;
            answer.await.map_err(|_| gone(()))?
        };
        let Terms { query, timeout: patience, meter } = &self.terms;
        let within = async { timeout(*patience, asking).await.unwrap_or(Err(StoreError::Timeout)) };
        meter.time(*query, within).await
    }
}
