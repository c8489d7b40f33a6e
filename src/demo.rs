//! `serve --demo`: a sample restaurant in a file of its own, and links to its pages.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use jsonwebtoken::{EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::config::{Config, DatabaseConfig, DatabaseTarget};
use crate::schema::users;

const RESTAURANT: &str = include_str!("demo/restaurant.sql");
const DATABASE: &str = "expeditor-demo.db";
const SECRET_FILE: &str = "expeditor-demo.secret";

const VENUE: &str = "cvenuebistro00000000000001";
const CHEF: &str = "cuserchef00000000000000003";
const SERVER: &str = "cuserserver000000000000002";
const GUEST: &str = "cuserguest0000000000000005";
const GUESTS_TAB: &str = "ctabbistro0000000000000001";

/// Completes the configuration: a database and secrets of the demo's own, where none are given.
///
/// # Errors
/// Where the secret's file can be neither read nor written, or the database is not the demo's to fill.
pub fn configure(config: &mut Config) -> anyhow::Result<()> {
    if !config.database.given {
        config.database.target = DatabaseTarget::Sqlite(DATABASE.into());
    }
    if matches!(config.database.target, DatabaseTarget::Postgres(_)) {
        bail!("DATABASE_URL: the demo does not touch an application's database; it takes sqlite://PATH");
    }
    if config.auth.user_secret.is_none() {
        config.auth.user_secret = Some(secret(Path::new(SECRET_FILE))?);
    }
    Ok(())
}

/// Kept in a file, so that links go on working when the demo is started again.
fn secret(path: &Path) -> anyhow::Result<SecretString> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Ok(secret) = std::fs::read_to_string(path)
        && secret.len() >= 32
    {
        return Ok(secret.into());
    }
    let secret = format!("{}{}", cuid::cuid2(), cuid::cuid2());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(secret.as_bytes())?;
    Ok(secret.into())
}

/// Puts the sample rows into a migrated database that has none.
///
/// # Errors
/// Where the database refuses them.
pub fn seed(database: &DatabaseConfig) -> anyhow::Result<()> {
    let DatabaseTarget::Sqlite(path) = &database.target else { bail!("the demo runs on SQLite") };
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    let users: i64 = users::table.count().get_result(&mut connection)?;
    if users == 0 {
        connection.batch_execute(RESTAURANT)?;
    }
    Ok(())
}

/// The demo's pages, each with its token in the fragment, which browsers do not send.
///
/// # Errors
/// Where a token cannot be signed.
pub fn links(config: &Config, port: u16) -> anyhow::Result<Vec<(&'static str, String)>> {
    let secret = config.auth.user_secret.as_ref().context("the demo has a secret")?;
    let page = |page: &str, user: &str, subject: &str| {
        let token = token(secret, user)?;
        anyhow::Ok(format!("http://localhost:{port}/demo/{page}.html#token={token}&{subject}"))
    };
    let venue = format!("venue={VENUE}");
    Ok(vec![
        ("Kitchen display", page("kitchen", CHEF, &venue)?),
        ("POS terminal", page("pos", SERVER, &venue)?),
        ("Guest's tab", page("guest", GUEST, &format!("tab={GUESTS_TAB}"))?),
    ])
}

fn token(secret: &SecretString, user: &str) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let expires = now + Duration::from_hours(12);
    let claims = json!({ "sub": user, "iat": now.as_secs(), "exp": expires.as_secs() });
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &key)?)
}
