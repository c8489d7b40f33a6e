//! Configuration from the environment: one struct per concern, all of it read
//! and checked before anything is bound or opened.
//!
//! Read here and not by a library: a secret has to stay the text that it is
//! (libraries that infer types turn `123` into a number), the error line names
//! three things, and tests pass values without touching the process.

mod audit;
mod auth;
mod database;
pub mod keys;
mod limits;
mod redis;
mod traces;
mod variables;

use std::net::IpAddr;
use std::time::Duration;

pub use audit::AuditConfig;
pub use auth::AuthConfig;
pub use database::{DatabaseConfig, DatabaseTarget, PostgresConfig, PostgresUrl, TlsMode};
use ipnet::IpNet;
pub use limits::LimitsConfig;
pub use redis::RedisConfig;
use secrecy::SecretString;
pub use traces::{Sampling, TracesConfig};
use variables::{Variables, parse_network, parse_origin};

/// Everything that the environment says.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: ServerConfig,
    pub socket: SocketConfig,
    pub auth: AuthConfig,
    pub database: DatabaseConfig,
    pub log: LogConfig,
    pub limits: LimitsConfig,
    pub telemetry: TelemetryConfig,
    pub admin: AdminConfig,
    /// Without it the instance finds its peers through the database.
    pub redis: Option<RedisConfig>,
    /// Without it no span is made.
    pub traces: Option<TracesConfig>,
}

#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Opens `/admin`; without it nothing here does.
    pub token: Option<SecretString>,
    /// Opens it as well while the token is being changed.
    pub previous_token: Option<SecretString>,
}

#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub host: IpAddr,
    pub port: u16,
    pub workers: usize,
    /// How long a stop may take.
    pub drain: Duration,
    /// Origins that browsers may connect from, with credentials.
    pub allowed_origins: Vec<String>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

#[derive(Clone, Debug)]
pub struct SocketConfig {
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    /// Bytes of one message.
    pub max_payload: usize,
    /// Bytes that may wait for a client that does not read.
    pub max_outbox: usize,
    /// How long a client may take no more of its rooms' events before its transport is closed.
    pub slow_patience: Duration,
}

/// How much of each room is kept.
#[derive(Clone, Debug)]
pub struct LogConfig {
    pub max_events: u64,
    pub max_age: Duration,
    /// How long a room is still known after its last event is gone: longer than a session can be had back that
    /// has not had that event.
    pub room_grace: Duration,
    pub audit: AuditConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    pub level: tracing::Level,
    pub json: bool,
}

/// A variable that cannot be used; its text is the one line that the operator reads.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {fault}; it takes {takes}")]
pub struct ConfigError {
    pub variable: &'static str,
    pub fault: String,
    pub takes: &'static str,
}

impl Config {
    /// Reads the process's environment, and a `.env` file for what it lacks.
    ///
    /// # Errors
    /// The first variable that is wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        // What the file says never replaces the environment.
        if let Err(error) = dotenvy::dotenv() {
            Self::check_file(&error)?;
        }
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// A file that is not there is no error. One that cannot be read to its end is: what
    /// stands behind the faulty line would be missing in silence.
    fn check_file(error: &dotenvy::Error) -> Result<(), ConfigError> {
        let fault = match error {
            error if error.not_found() => return Ok(()),
            // The line itself may hold a secret.
            dotenvy::Error::LineParse(..) => "a line cannot be read".to_owned(),
            error => error.to_string(),
        };
        Err(ConfigError { variable: ".env", fault, takes: "lines of the form NAME=VALUE" })
    }

    /// # Errors
    /// The first variable that is wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Variables(&lookup);
        let production = env.production()?;
        Ok(Self {
            server: ServerConfig::read(&env)?,
            socket: SocketConfig::read(&env)?,
            auth: AuthConfig::read(&env, production)?,
            database: DatabaseConfig::read(&env)?,
            log: LogConfig::read(&env)?,
            limits: LimitsConfig::read(&env)?,
            telemetry: TelemetryConfig::read(&env, production)?,
            admin: AdminConfig::read(&env, production)?,
            redis: RedisConfig::read(&env)?,
            traces: TracesConfig::read(&env)?,
        })
    }
}

impl ServerConfig {
    fn read(env: &Variables<'_>) -> Result<Self, ConfigError> {
        let mut allowed_origins =
            vec![env.origin("NEXTAUTH_URL", "http://localhost:3000")?, env.origin("POS_URL", "http://localhost:3001")?];
        for origin in env.list("CORS_ORIGINS") {
            allowed_origins.push(parse_origin("CORS_ORIGINS", &origin)?);
        }
        let trusted_proxies =
            env.list("TRUSTED_PROXIES").iter().map(|text| parse_network(text)).collect::<Result<_, _>>()?;
        Ok(Self {
            host: env.parsed("HOST", "0.0.0.0", "an IP address to listen on")?,
            port: env.parsed("PORT", "3002", "a port number from 0 to 65535")?,
            workers: env.whole_or("WORKERS", 1..=64, default_workers(), "a number of threads from 1 to 64")?,
            drain: Duration::from_secs(env.whole("DRAIN_SECS", 0..=3_600, 10, "seconds from 0 to 3600")?),
            allowed_origins,
            trusted_proxies,
        })
    }
}

impl SocketConfig {
    fn read(env: &Variables<'_>) -> Result<Self, ConfigError> {
        let ms = |name, default| env.whole(name, 100..=3_600_000, default, "milliseconds from 100 to 3600000");
        Ok(Self {
            ping_interval: Duration::from_millis(ms("PING_INTERVAL", 25_000)?),
            ping_timeout: Duration::from_millis(ms("PING_TIMEOUT", 60_000)?),
            slow_patience: Duration::from_millis(ms("SLOW_CLIENT_TIMEOUT", 30_000)?),
            max_payload: env.whole_or("MAX_PAYLOAD", 1_000..=100_000_000, 1_000_000, "bytes from 1000 to 100000000")?,
            max_outbox: env.whole_or(
                "MAX_OUTBOX",
                65_536..=1_000_000_000,
                8_000_000,
                "bytes from 65536 to 1000000000",
            )?,
        })
    }
}

impl AdminConfig {
    const MIN_TOKEN_BYTES: usize = 16;

    fn read(env: &Variables<'_>, production: bool) -> Result<Self, ConfigError> {
        let token = |variable| match env.get(variable) {
            Some(token) if production && token.len() < Self::MIN_TOKEN_BYTES => Err(ConfigError {
                variable,
                fault: format!("only {} bytes long", token.len()),
                takes: "a secret of at least 16 bytes when NODE_ENV is production",
            }),
            token => Ok(token.map(SecretString::from)),
        };
        Ok(Self { token: token("ADMIN_TOKEN")?, previous_token: token("ADMIN_TOKEN_PREVIOUS")? })
    }
}

impl LogConfig {
    fn read(env: &Variables<'_>) -> Result<Self, ConfigError> {
        let hours = env.whole("LOG_MAX_AGE_HOURS", 1..=8_760, 24, "hours from 1 to 8760")?;
        let max_age = Duration::from_hours(hours);
        Ok(Self {
            max_events: env.whole("LOG_MAX_EVENTS", 1..=10_000_000, 10_000, "a number of events from 1 to 10000000")?,
            max_age,
            // The hour is for a transport that stood still before it was closed.
            room_grace: Self::seen_within(max_age) + Duration::from_hours(1),
            audit: AuditConfig::read(env)?,
        })
    }

    /// How often a live session is noted as such.
    pub fn seen_every(&self) -> Duration {
        Self::seen_within(self.max_age)
    }

    fn seen_within(max_age: Duration) -> Duration {
        max_age / 24
    }

    /// How long after it was last noted a session may be had back.
    pub fn session_age(&self) -> Duration {
        self.max_age + self.seen_every()
    }
}

impl TelemetryConfig {
    fn read(env: &Variables<'_>, json: bool) -> Result<Self, ConfigError> {
        let level = env.get("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
        let level = match level.as_str() {
            "trace" => tracing::Level::TRACE,
            "debug" => tracing::Level::DEBUG,
            "info" => tracing::Level::INFO,
            "warn" => tracing::Level::WARN,
            "error" => tracing::Level::ERROR,
            _ => {
                return Err(ConfigError {
                    variable: "LOG_LEVEL",
                    fault: format!("{level:?} is no level"),
                    takes: "trace, debug, info, warn or error",
                });
            }
        };
        Ok(Self { level, json })
    }
}

/// One worker serves a small machine best: no event crosses threads
/// (docs/decisions/0003-threads.md). From four cores on, half of them work.
fn default_workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).clamp(1, 64)
}

#[cfg(test)]
mod tests;
