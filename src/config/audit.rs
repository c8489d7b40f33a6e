//! How much of the audit trail is kept.

use std::time::Duration;

use super::ConfigError;
use super::variables::Variables;

#[derive(Clone, Copy, Debug)]
pub struct AuditConfig {
    pub max_age: Duration,
    pub max_rows: u64,
}

impl AuditConfig {
    pub(super) fn read(env: &Variables<'_>) -> Result<Self, ConfigError> {
        let days = env.whole("AUDIT_MAX_AGE_DAYS", 1..=3_650, 90, "days from 1 to 3650")?;
        let most = "a number of rows from 1000 to 1000000000";
        Ok(Self {
            max_age: Duration::from_hours(24 * days),
            max_rows: env.whole("AUDIT_MAX_ROWS", 1_000..=1_000_000_000, 1_000_000, most)?,
        })
    }
}
