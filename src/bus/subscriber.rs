//! The connection to Redis that subscribes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, RedisError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::redis::{Bus, Counts, Incoming, Sink};
use super::{adapter, relay};

pub(super) struct Subscriber {
    pub client: Client,
    pub sink: Sink,
    pub counts: Arc<Counts>,
    pub node_events: watch::Receiver<bool>,
    pub heard: Arc<watch::Sender<bool>>,
    pub generation: watch::Receiver<u64>,
}

/// Why a subscription ended.
enum Ended {
    /// The bus is gone.
    Unwanted,
    Lost,
}

impl Subscriber {
    pub async fn run(mut self) {
        let mut wait = Bus::SHORTEST_WAIT;
        loop {
            self.generation.borrow_and_update();
            self.heard.send_replace(false);
            match timeout(Bus::PATIENCE, self.subscribe()).await {
                Ok(Ok((subscriptions, messages))) => {
                    wait = Bus::SHORTEST_WAIT;
                    if let Ended::Unwanted = self.receive(subscriptions, messages).await {
                        return;
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "Redis cannot be subscribed to"),
                Err(_) => tracing::debug!("Redis does not answer"),
            }
            if self.generation.has_changed().is_err() {
                return;
            }
            sleep(wait).await;
            wait = (wait * 2).min(Bus::LONGEST_WAIT);
        }
    }

    async fn subscribe(&mut self) -> Result<(PubSubSink, PubSubStream), RedisError> {
        let (mut subscriptions, messages) = self.client.get_async_pubsub().await?.split();
        // In one command, so that who counts subscribers finds as many on each of them.
        let channels = [relay::CONTROL, relay::LOG, relay::UNPLACED, relay::VOLATILE, adapter::REQUESTS];
        subscriptions.subscribe(&channels[..]).await?;
        let hear = *self.node_events.borrow_and_update();
        if hear {
            subscriptions.psubscribe(adapter::ROOMS).await?;
        }
        self.heard.send_replace(hear);
        Ok((subscriptions, messages))
    }

    async fn receive(&mut self, mut subscriptions: PubSubSink, messages: PubSubStream) -> Ended {
        const AT_ONCE: usize = 256;
        let mut messages = messages.ready_chunks(AT_ONCE);
        let (mut untaken, mut weight) = (Vec::new(), 0);
        let mut taking: Option<BoxFuture<'static, ()>> = None;
        loop {
            if taking.is_none() && !untaken.is_empty() {
                taking = Some((self.sink)(std::mem::take(&mut untaken)));
                weight = 0;
            }
            tokio::select! {
                () = async { taking.as_mut().expect("it is asked first").await }, if taking.is_some() => taking = None,
                chunk = messages.next() => {
                    let Some(chunk) = chunk else { return Ended::Lost };
                    for message in chunk {
                        let body = message.get_payload_bytes().to_vec();
                        weight += body.len() + 64;
                        untaken.push(Incoming { channel: message.get_channel_name().to_owned(), body });
                    }
                    if weight > Bus::MAX_UNTAKEN {
                        self.counts.lost.fetch_add(untaken.len() as u64, Ordering::Relaxed);
                        return Ended::Lost;
                    }
                }
                changed = self.generation.changed() => {
                    return if changed.is_ok() { Ended::Lost } else { Ended::Unwanted };
                }
                changed = self.node_events.changed() => {
                    if changed.is_err() {
                        return Ended::Unwanted;
                    }
                    let hear = *self.node_events.borrow_and_update();
                    let asking = async {
                        if hear { subscriptions.psubscribe(adapter::ROOMS).await } else { subscriptions.punsubscribe(adapter::ROOMS).await }
                    };
                    if !timeout(Bus::PATIENCE, asking).await.is_ok_and(|asked| asked.is_ok()) {
                        return Ended::Lost;
                    }
                    self.heard.send_replace(hear);
                }
            }
        }
    }
}
