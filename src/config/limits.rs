//! How much of everything one client, one address or all together may have.

use std::time::Duration;

use super::ConfigError;
use super::variables::Variables;

#[derive(Clone, Copy, Debug)]
pub struct LimitsConfig {
    pub rate_points: u32,
    pub rate_period: Duration,
    pub max_rooms_per_session: usize,
    /// TCP connections in all, and as many Engine.IO sessions.
    pub max_connections: usize,
    /// The same for one client address.
    pub max_connections_per_address: usize,
    /// Sessions of one user, or of all tokens that were made from one.
    pub max_sessions_per_user: usize,
    /// From a connection's first moment to its request's head, and from an Engine.IO session's to a Socket.IO one.
    pub handshake_timeout: Duration,
    /// How long a request's body may take to arrive, and its answer to be taken.
    pub request_timeout: Duration,
    /// Wrong operators' tokens of one address before it has to wait.
    pub admin_max_failures: u32,
}

impl LimitsConfig {
    pub(super) fn read(env: &Variables<'_>) -> Result<Self, ConfigError> {
        let number = |name, most, default| env.whole_or(name, 1..=most, default, "a whole number from 1");
        let ms = |name, default| env.whole(name, 100..=3_600_000, default, "milliseconds from 100 to 3600000");
        let seconds = env.whole("RATE_LIMIT_DURATION", 1..=86_400, 60, "seconds from 1 to 86400")?;
        let max_connections = number("MAX_CONNECTIONS", 10_000_000, open_files_left())?;
        // Whoever fills this leaves room for everyone else, and a house behind one address has nearly all.
        let per_address = (max_connections / 4 * 3).max(1);
        Ok(Self {
            rate_points: number("RATE_LIMIT_POINTS", 1_000_000, 100)? as u32,
            rate_period: Duration::from_secs(seconds),
            max_rooms_per_session: number("MAX_ROOMS_PER_SESSION", 10_000, 64)?,
            max_connections,
            max_connections_per_address: number("MAX_CONNECTIONS_PER_ADDRESS", 10_000_000, per_address)?,
            max_sessions_per_user: number("MAX_SESSIONS_PER_USER", 1_000_000, 1_000)?,
            handshake_timeout: Duration::from_millis(ms("HANDSHAKE_TIMEOUT", 20_000)?),
            request_timeout: Duration::from_millis(ms("REQUEST_TIMEOUT", 30_000)?),
            admin_max_failures: number("ADMIN_MAX_FAILURES", 10_000, 20)? as u32,
        })
    }
}

/// What the process may have open, but for what it needs itself: a connection that cannot be accepted for
/// want of a file would keep the others waiting.
fn open_files_left() -> usize {
    const OWN: u64 = 256;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(OWN)).unwrap_or(usize::MAX).clamp(64, 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_room_for_others_unless_it_is_told_otherwise() {
        let read = |values: &'static [(&str, &str)]| {
            let find = |name: &str| values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            LimitsConfig::read(&Variables(&find)).unwrap()
        };
        let limits = read(&[("MAX_CONNECTIONS", "400")]);
        assert_eq!((limits.max_connections, limits.max_connections_per_address), (400, 300));
        assert_eq!(read(&[("MAX_CONNECTIONS_PER_ADDRESS", "7")]).max_connections_per_address, 7);
        assert!(read(&[]).max_connections >= 64);
    }
}
