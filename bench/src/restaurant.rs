//! The restaurant that is measured: ten thousand users of one venue, all of whom run it
//! (so that each may enter its kitchen too), and a thousand tabs.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tempfile::TempDir;

use crate::postgres::Postgres;

pub const USER_SECRET: &str = "bench-user-secret-of-more-than-32-bytes";
pub const ADMIN_TOKEN: &str = "bench-admin-token-of-more-than-32-bytes";
pub const SERVER_SECRET: &str = "bench-server-secret-of-more-than-32-bytes";
pub const VENUE: &str = "cvenuebench0000000000001";
pub const MAX_CLIENTS: usize = 10_000;
pub const MAX_ROOMS: usize = 1_000;

pub struct Restaurant {
    folder: TempDir,
    tokens: Vec<String>,
    postgres: OnceCell<Postgres>,
}

impl Restaurant {
    pub fn new() -> anyhow::Result<Self> {
        let key = EncodingKey::from_secret(USER_SECRET.as_bytes());
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let token = |index| {
            let claims = json!({ "sub": user(index), "iat": now, "exp": now + 36_000 });
            jsonwebtoken::encode(&Header::default(), &claims, &key)
        };
        let tokens = (0..MAX_CLIENTS).map(token).collect::<Result<_, _>>()?;
        Ok(Self { folder: tempfile::tempdir()?, tokens, postgres: OnceCell::new() })
    }

    pub fn token(&self, client: usize) -> &str {
        &self.tokens[client]
    }

    /// The embedded database's URL. Its rows are there once [`Self::fill`] has been called.
    pub fn sqlite(&self) -> String {
        format!("sqlite://{}", self.file().display())
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("bench.db")
    }

    /// Fills the embedded database that `expeditor migrate` has made.
    pub fn fill(&self) -> anyhow::Result<()> {
        let connection = rusqlite::Connection::open(self.file())?;
        let filled: i64 = connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
        if filled == 0 {
            connection.execute_batch(&format!("BEGIN; {} COMMIT;", rows()))?;
        }
        Ok(())
    }

    /// The URL of the restaurant's PostgreSQL database, which is started and filled when it is first asked for.
    pub fn postgres(&self) -> anyhow::Result<String> {
        if self.postgres.get().is_none() {
            let server = Postgres::start()?;
            server.execute(&rows())?;
            // Nobody else sets it.
            self.postgres.set(server).ok();
        }
        Ok(self.postgres.get().map(Postgres::url).unwrap_or_default())
    }
}

/// The restaurant's rows, as statements that either database takes.
fn rows() -> String {
    let mut sql = format!("INSERT INTO venues (id, name, slug) VALUES ('{VENUE}', 'Bench', 'bench');");
    let mut insert = |into: &str, values: &mut dyn Iterator<Item = String>| {
        // Writing to a String does not fail.
        write!(sql, "INSERT INTO {into} VALUES {};", values.collect::<Vec<_>>().join(",")).ok();
    };
    insert("users (id, role)", &mut (0..MAX_CLIENTS).map(|index| format!("('{}', 'SERVER')", user(index))));
    let staff = |index| format!("('cstaff{index:08}', '{VENUE}', '{}', 'MANAGER')", user(index));
    insert("venue_staff (id, venue_id, user_id, role)", &mut (0..MAX_CLIENTS).map(staff));
    let tabs = |index| format!("('{}', '{VENUE}', '{}', {index}, 'OPEN')", tab(index), user(0));
    insert("tabs (id, venue_id, server_id, tab_number, status)", &mut (0..MAX_ROOMS).map(tabs));
    sql
}

fn user(index: usize) -> String {
    format!("cuser{index:010}")
}

pub fn tab(index: usize) -> String {
    format!("ctab{index:010}")
}
