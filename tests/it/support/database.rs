//! A database of either kind, for what both have to do in the same way.

use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use expeditor::store::{Store, migrations};
use tempfile::TempDir;

use super::instance::{SAMPLE, config, connect};
use super::postgres::Postgres;

/// A database with the sample rows.
pub enum Database {
    Sqlite(TempDir),
    Postgres(Postgres),
}

impl Database {
    pub fn sqlite() -> Self {
        let database = Self::Sqlite(tempfile::tempdir().unwrap());
        migrations::run(&config(&database.url(), &[]).database).unwrap();
        database.execute(SAMPLE);
        database
    }

    pub fn postgres() -> Self {
        let server = Postgres::start();
        let url = server.application("shop");
        migrations::run(&config(&url, &[]).database).unwrap();
        Self::Postgres(server)
    }

    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}/expeditor.db", folder.path().display()),
            Self::Postgres(server) => server.url("shop"),
        }
    }

    pub fn store(&self, variables: &[(&str, &str)]) -> Store {
        let config = config(&self.url(), variables);
        Store::open(&config.database, &config.log).unwrap()
    }

    /// One that forgets rooms as soon as it may.
    pub fn forgetful_store(&self) -> Store {
        let mut config = config(&self.url(), &[]);
        config.log.room_grace = Duration::ZERO;
        Store::open(&config.database, &config.log).unwrap()
    }

    /// The number that SQL gives, in which `@` stands before the service's own tables.
    pub fn number(&self, sql: &str) -> i64 {
        match self {
            Self::Sqlite(folder) => {
                let mut connection = connect(&folder.path().join("expeditor.db"));
                diesel::select(diesel::dsl::sql::<BigInt>(&format!("({})", sql.replace('@', ""))))
                    .get_result(&mut connection)
                    .unwrap()
            }
            Self::Postgres(server) => server.psql("shop", &sql.replace('@', "realtime.")).unwrap().parse().unwrap(),
        }
    }

    /// Runs SQL, in which `@` stands before the service's own tables.
    pub fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => {
                let mut connection = connect(&folder.path().join("expeditor.db"));
                connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
                connection.batch_execute(&sql.replace('@', "")).unwrap();
            }
            Self::Postgres(server) => drop(server.psql("shop", &sql.replace('@', "realtime.")).unwrap()),
        }
    }
}

/// Makes of each test one for either database.
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $test() { super::$test(&crate::support::database::Database::sqlite()); })*
        }
        mod on_postgres {
            $(#[test] fn $test() { super::$test(&crate::support::database::Database::postgres()); })*
        }
    };
}

pub(crate) use contract;
