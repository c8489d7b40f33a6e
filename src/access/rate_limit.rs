//! How many events a user may send, over all of that user's sessions.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::spender::Spender;
use crate::config::LimitsConfig;
use crate::domain::{Identity, Refusal};

/// `RATE_LIMIT_POINTS` events at once, given back evenly over `RATE_LIMIT_DURATION`.
pub struct RateLimit {
    limiter: DefaultKeyedRateLimiter<Spender>,
    clock: DefaultClock,
}

impl RateLimit {
    pub fn new(config: &LimitsConfig) -> Self {
        let points = NonZeroU32::new(config.rate_points).unwrap_or(NonZeroU32::MIN);
        let per_point = (config.rate_period / points.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(per_point).expect("the period is not zero").allow_burst(points);
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// Takes one event from the identity's allowance; the backend has no limit.
    ///
    /// # Errors
    /// `RATE_LIMITED`, with how long to wait.
    pub fn take(&self, identity: &Identity) -> Result<(), Refusal> {
        let Some(spender) = Spender::of(identity) else { return Ok(()) };
        self.limiter.check_key(&spender).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            // Rounded up, so that who waits as long is let through.
            Refusal::rate_limited(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
        })
    }

    /// Forgets the users whose allowance is whole again, so that the table stays as small as the house.
    pub fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::domain::{Bearer, ErrorCode, UserFacts, UserId, Warrant};

    fn limit(rate_points: u32) -> RateLimit {
        let limits = Config::from_lookup(|_| None).unwrap().limits;
        RateLimit::new(&LimitsConfig { rate_points, rate_period: Duration::from_mins(1), ..limits })
    }

    fn user(id: &str) -> Identity {
        Identity::User(Arc::new(UserFacts { id: UserId::parse(id).unwrap(), staff: vec![] }))
    }

    #[test]
    fn all_tokens_that_were_made_from_one_share_what_it_has() {
        use biscuit_auth::{Biscuit, BlockBuilder, KeyPair};
        let whole = Biscuit::builder().code("device(\"d\")").unwrap().build(&KeyPair::new()).unwrap();
        let narrow = whole.append(BlockBuilder::new().code("check if true").unwrap()).unwrap();
        let [whole, narrow] = [whole, narrow]
            .map(|token| Identity::Bearer(Bearer { warrant: Arc::new(Warrant::read(token).unwrap()), user: None }));
        let limit = limit(2);
        limit.take(&whole).unwrap();
        limit.take(&narrow).unwrap();
        assert_eq!(limit.take(&narrow).unwrap_err().code, ErrorCode::RateLimited);
        assert_eq!(limit.take(&whole).unwrap_err().code, ErrorCode::RateLimited);
    }

    #[test]
    fn a_user_has_points_and_the_backend_has_no_limit() {
        let limit = limit(3);
        for _ in 0..3 {
            limit.take(&user("a")).unwrap();
        }
        let refusal = limit.take(&user("a")).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::RateLimited);
        let wait = refusal.retry_after_ms.unwrap();
        assert!((1..=20_001).contains(&wait), "{wait}");
        limit.take(&user("b")).unwrap();
        for _ in 0..1000 {
            limit.take(&Identity::System).unwrap();
        }
    }
}
