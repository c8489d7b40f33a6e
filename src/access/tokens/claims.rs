//! What a session token says about its user and its time, signed or encrypted alike.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::{Claim, TokenRefusal};
use crate::domain::UserId;

/// The registered claims that count (RFC 7519, 4.1); all others are ignored.
#[derive(Deserialize)]
pub struct Claims {
    sub: String,
    exp: Option<f64>,
    iat: Option<f64>,
    nbf: Option<f64>,
}

impl Claims {
    const MAX_AGE: Duration = Duration::from_hours(24);

    /// No leeway either way: a session ends at the second that its token names.
    ///
    /// # Errors
    /// Why the claims do not hold at this time.
    pub fn check(self, now: SystemTime) -> Result<Claim, TokenRefusal> {
        let (expires_at, issued_at, not_before) = (time_of(self.exp)?, time_of(self.iat)?, time_of(self.nbf)?);
        if expires_at.is_some_and(|end| end <= now) {
            return Err(TokenRefusal::Expired);
        }
        if not_before.is_some_and(|start| start > now) {
            return Err(TokenRefusal::TooEarly);
        }
        // One that was issued in the future is the issuer's clock running ahead, and no older than 24 hours.
        let age = issued_at.and_then(|issued| now.duration_since(issued).ok());
        if age.is_some_and(|age| age > Self::MAX_AGE) {
            return Err(TokenRefusal::TooOld);
        }
        let id = UserId::parse(&self.sub).ok_or(TokenRefusal::Malformed)?;
        Ok(Claim::User { id, expires_at })
    }
}

/// Seconds since 1970, as JWT counts.
fn time_of(seconds: Option<f64>) -> Result<Option<SystemTime>, TokenRefusal> {
    let time = |seconds: f64| UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?);
    // What no clock can hold is no time.
    seconds.map(|seconds| time(seconds).ok_or(TokenRefusal::Malformed)).transpose()
}
