//! The migrations that are built into the program.

use diesel::Connection as _;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::StoreError;
use crate::config::DatabaseConfig;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Applies what the database still lacks and returns the names, oldest first. Blocks.
///
/// # Errors
/// Where the file cannot be opened or a migration fails; those before it stay applied.
pub fn run(config: &DatabaseConfig) -> Result<Vec<String>, StoreError> {
    let mut connection = SqliteConnection::establish(&config.path.to_string_lossy())
        .map_err(|error| StoreError::Connection(error.to_string()))?;
    let busy_timeout = format!("PRAGMA busy_timeout = {}", config.timeout.as_millis());
    diesel::connection::SimpleConnection::batch_execute(&mut connection, &busy_timeout)?;
    let applied = connection.run_pending_migrations(SQLITE).map_err(|error| StoreError::Query(error.to_string()))?;
    Ok(applied.iter().map(ToString::to_string).collect())
}
