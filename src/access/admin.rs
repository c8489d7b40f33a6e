//! Who may see inside: the operator's token, and a limit to guessing it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use secrecy::SecretString;

use super::secrets;
use crate::config::{AdminConfig, LimitsConfig};

/// Why someone is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdministrator {
    Missing,
    Wrong,
    /// Too many wrong ones came from there: this one was not looked at.
    TooMany {
        retry_after: Duration,
    },
}

impl NotAdministrator {
    /// The metric's label.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Wrong => "wrong",
            Self::TooMany { .. } => "too_many",
        }
    }
}

/// Wrong tokens of one address.
#[derive(Clone, Copy)]
struct Failures {
    count: f64,
    at: Instant,
}

impl Failures {
    fn at(self, now: Instant) -> Self {
        let forgiven = now.saturating_duration_since(self.at).as_secs_f64() / AdminAccess::FORGIVEN_AFTER.as_secs_f64();
        Self { count: (self.count - forgiven).max(0.0), at: now }
    }
}

pub struct AdminAccess {
    tokens: Vec<SecretString>,
    /// Wrong tokens of one address before it has to wait.
    max_failures: f64,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

impl AdminAccess {
    /// What the log and the audit trail call whoever brings `ADMIN_TOKEN`.
    pub const HOLDER: &str = "ADMIN";
    /// How long each wrong token counts.
    const FORGIVEN_AFTER: Duration = Duration::from_secs(3);
    /// Addresses that are remembered; past it no more are counted.
    const MAX_ADDRESSES: usize = 10_000;

    pub fn new(config: &AdminConfig, limits: &LimitsConfig) -> Self {
        let tokens = config.token.iter().chain(&config.previous_token).cloned().collect();
        Self { tokens, max_failures: limits.admin_max_failures.into(), failures: Mutex::default() }
    }

    /// Whether the token is the operator's. Takes as long for a right prefix as for a wrong one. Of biscuits
    /// the policy decides (`actors/session/identify.rs`).
    pub fn may_administrate(&self, token: &str) -> bool {
        secrets::any_is(&self.tokens, token)
    }

    /// Whether what comes from there is looked at: to be asked before anything else is asked of a token.
    ///
    /// # Errors
    /// [`NotAdministrator::TooMany`].
    pub fn may_try(&self, address: Option<IpAddr>) -> Result<(), NotAdministrator> {
        self.check_failures(&self.failures.lock(), key(address), Instant::now()).map(drop)
    }

    /// Looks at what someone shows, and counts it where it is wrong. It may be a biscuit: `by_policy` is what the
    /// policy says of its holder. The limit holds here as well, so that many at once try no more than one after another.
    ///
    /// # Errors
    /// Why it does not let them in.
    pub fn check(&self, token: Option<&str>, address: Option<IpAddr>, by_policy: bool) -> Result<(), NotAdministrator> {
        self.check_at(token, address, by_policy, Instant::now())
    }

    fn check_at(
        &self,
        token: Option<&str>,
        address: Option<IpAddr>,
        by_policy: bool,
        now: Instant,
    ) -> Result<(), NotAdministrator> {
        let token = token.ok_or(NotAdministrator::Missing)?;
        let address = key(address);
        let mut failures = self.failures.lock();
        let before = self.check_failures(&failures, address, now)?;
        if by_policy || self.may_administrate(token) {
            return Ok(());
        }
        if failures.len() < Self::MAX_ADDRESSES || failures.contains_key(&address) {
            failures.insert(address, Failures { count: before + 1.0, at: now });
        }
        Err(NotAdministrator::Wrong)
    }

    /// How many of an address count now, if another may come.
    fn check_failures(
        &self,
        failures: &HashMap<IpAddr, Failures>,
        address: IpAddr,
        now: Instant,
    ) -> Result<f64, NotAdministrator> {
        let count = failures.get(&address).map_or(0.0, |failures| failures.at(now).count);
        // Not even a right one is looked at past it, or guessing would go on as fast as before.
        if count > self.max_failures - 1.0 {
            return Err(NotAdministrator::TooMany { retry_after: Self::FORGIVEN_AFTER });
        }
        Ok(count)
    }

    /// Forgets addresses that have not failed for a while.
    pub fn forget_idle(&self) {
        let now = Instant::now();
        self.failures.lock().retain(|_, failures| failures.at(now).count > 0.0);
    }
}

/// All of whom it is not known are one.
fn key(address: Option<IpAddr>) -> IpAddr {
    address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn access(token: Option<&str>) -> AdminAccess {
        AdminAccess::new(
            &AdminConfig { token: token.map(SecretString::from), previous_token: None },
            &Config::from_lookup(|_| None).unwrap().limits,
        )
    }

    #[test]
    fn the_token_alone_opens() {
        let access = access(Some("a-token-of-an-operator"));
        assert_eq!(access.check(Some("a-token-of-an-operator"), None, false), Ok(()));
        assert_eq!(access.check(None, None, false), Err(NotAdministrator::Missing));
        for wrong in ["", "a-token-of-an-operato", "a-token-of-an-operator2"] {
            assert_eq!(access.check(Some(wrong), None, false), Err(NotAdministrator::Wrong));
        }
    }

    #[test]
    fn without_a_token_it_stays_shut() {
        assert_eq!(access(None).check(Some(""), None, false), Err(NotAdministrator::Wrong));
    }

    #[test]
    fn who_guesses_has_to_wait() {
        let (access, now) = (access(Some("right")), Instant::now());
        let guesser = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        for _ in 0..20 {
            assert_eq!(access.check_at(Some("wrong"), guesser, false, now), Err(NotAdministrator::Wrong));
        }
        assert!(matches!(access.check_at(Some("right"), guesser, false, now), Err(NotAdministrator::TooMany { .. })));
        assert!(matches!(access.may_try(guesser), Err(NotAdministrator::TooMany { .. })));
        assert_eq!(access.may_try(Some(IpAddr::V4(Ipv4Addr::LOCALHOST))), Ok(()));
        assert_eq!(access.check_at(Some("right"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), false, now), Ok(()));
        assert_eq!(access.check_at(Some("right"), guesser, false, now + Duration::from_secs(4)), Ok(()));
    }
}
