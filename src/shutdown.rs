//! A stop: nobody new comes in, live transports are closed one after the other
//! over the time that there is, and what was accepted is delivered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::actors::cluster_bridge::{Leave, SendOut};
use crate::actors::messages::{Drain, Flush, Settle};
use crate::actors::session::{Directory, SessionServices};

/// What is kept of the time for the last session's bytes and the process's end.
const MARGIN: Duration = Duration::from_secs(1);

/// Empties the instance within `limit`.
pub async fn drain(directory: &Directory, services: Option<&SessionServices>, draining: &AtomicBool, limit: Duration) {
    // The port stays open: a polling client needs it to fetch what is left for it. New sessions are refused.
    draining.store(true, Ordering::Release);
    let began = Instant::now();
    let spread = limit.saturating_sub(MARGIN.min(limit / 4));
    let sessions = directory.in_order_of_leaving();
    tracing::info!(sessions = sessions.len(), limit_secs = limit.as_secs(), "stopping");
    let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
    for (index, session) in (0u32..).zip(&sessions) {
        // Evenly, so that the clients do not all come back to a peer at once.
        sleep_until(began + spread * index / count).await;
        session.do_send(Drain);
    }
    // Sessions that came in while the door was closing are not on the list.
    for session in directory.in_order_of_leaving() {
        session.do_send(Drain);
    }
    // Time is left for what was accepted to be stored, whoever is still there.
    if timeout_at(began + spread, directory.emptied()).await.is_err() {
        tracing::warn!(left = directory.len(), "some sessions did not end in time");
    }
    let Some(services) = services else { return };
    let bridge = || services.cluster.as_ref().and_then(|cluster| cluster.bridge());
    if let Some(bridge) = bridge() {
        // A bridge that failed has nothing to give back.
        drop(timeout_at(began + limit, bridge.send(Leave)).await);
    }
    let settling = async {
        // What is in the registry's mailbox reaches the rooms in the first round, and the sequencer in the second.
        for _ in 0..2 {
            services.registry.send(Flush).await?;
        }
        services.sequencer.send(Settle).await?;
        services.audit.flush().await;
        Ok::<_, actix::MailboxError>(())
    };
    let deadline = (began + limit).max(Instant::now() + MARGIN);
    if !matches!(timeout_at(deadline, settling).await, Ok(Ok(()))) {
        tracing::error!("the database did not take everything that was published");
    }
    if let Some(bridge) = bridge() {
        // Behind what the sequencer has sent it. A database that took all the time leaves Redis a little.
        let deadline = deadline.max(Instant::now() + MARGIN / 4);
        if !matches!(timeout_at(deadline, bridge.send(SendOut)).await, Ok(Ok(true))) {
            tracing::warn!("Redis did not take everything: peers find through the database what is stored");
        }
    }
    tracing::info!("stopped");
}
