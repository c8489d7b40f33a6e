//! The restaurant that is measured: ten thousand users of one venue, all of whom run it
//! (so that each may enter its kitchen too), and a thousand tabs.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tempfile::TempDir;

pub const USER_SECRET: &str = "bench-user-secret-of-more-than-32-bytes";
pub const SERVER_SECRET: &str = "bench-server-secret-of-more-than-32-bytes";
pub const VENUE: &str = "cvenuebench0000000000001";
pub const MAX_CLIENTS: usize = 10_000;
pub const MAX_ROOMS: usize = 1_000;

pub struct Restaurant {
    folder: TempDir,
    tokens: Vec<String>,
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
        Ok(Self { folder: tempfile::tempdir()?, tokens })
    }

    pub fn token(&self, client: usize) -> &str {
        &self.tokens[client]
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("bench.db")
    }

    /// Fills a database that `expeditor migrate` has made.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut connection = rusqlite::Connection::open(self.database())?;
        let filled: i64 = connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
        if filled > 0 {
            return Ok(());
        }
        let transaction = connection.transaction()?;
        transaction.execute("INSERT INTO venues (id, name, slug) VALUES (?1, 'Bench', 'bench')", [VENUE])?;
        for index in 0..MAX_CLIENTS {
            let id = user(index);
            transaction.execute("INSERT INTO users (id, role) VALUES (?1, 'SERVER')", [&id])?;
            transaction.execute(
                "INSERT INTO venue_staff (id, venue_id, user_id, role) VALUES (?1, ?2, ?3, 'MANAGER')",
                [&format!("cstaff{index:08}"), VENUE, &id],
            )?;
        }
        for index in 0..MAX_ROOMS {
            transaction.execute(
                "INSERT INTO tabs (id, venue_id, server_id, tab_number, status) VALUES (?1, ?2, ?3, ?4, 'OPEN')",
                (tab(index), VENUE, user(0), i64::try_from(index)?),
            )?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn user(index: usize) -> String {
    format!("cuser{index:010}")
}

pub fn tab(index: usize) -> String {
    format!("ctab{index:010}")
}
