//! The migrations that are built into the program.

use std::path::Path;

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{StoreError, postgres};
use crate::config::{DatabaseConfig, DatabaseTarget};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Applies what the database still lacks and returns the names, oldest first. Blocks.
///
/// # Errors
/// Where the database cannot be opened or reached, or a migration fails. On SQLite those before it stay applied,
/// on PostgreSQL none.
pub fn run(config: &DatabaseConfig) -> Result<Vec<String>, StoreError> {
    match &config.target {
        DatabaseTarget::Sqlite(path) => run_sqlite(path, config),
        DatabaseTarget::Postgres(urls) => postgres::migrations::run(urls),
    }
}

fn run_sqlite(path: &Path, config: &DatabaseConfig) -> Result<Vec<String>, StoreError> {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())
        .map_err(|error| StoreError::Connection(error.to_string()))?;
    connection.batch_execute(&format!("PRAGMA busy_timeout = {}", config.timeout.as_millis()))?;
    let applied = connection.run_pending_migrations(SQLITE).map_err(|error| StoreError::Query(error.to_string()))?;
    Ok(applied.iter().map(ToString::to_string).collect())
}
