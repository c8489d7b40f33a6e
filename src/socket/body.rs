//! Reading a request's body: as much of it as is allowed, and not for longer.

use std::time::Duration;

use actix_web::web::{Bytes, Payload};

use crate::telemetry::Metrics;

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is too large")]
    TooLarge,
    #[error("the body did not arrive")]
    Incomplete,
    #[error("the body took too long")]
    TooSlow,
}

/// # Errors
/// Why there is none.
pub async fn read(payload: Payload, limit: usize, patience: Duration, metrics: &Metrics) -> Result<Bytes, BodyError> {
    match tokio::time::timeout(patience, payload.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) => Err(BodyError::Incomplete),
        Ok(Err(_)) => {
            metrics.limited("payload");
            Err(BodyError::TooLarge)
        }
        Err(_) => {
            metrics.limited("body_timeout");
            Err(BodyError::TooSlow)
        }
    }
}
