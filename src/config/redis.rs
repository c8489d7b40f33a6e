//! Where instances relay.

use std::fmt;
use std::path::PathBuf;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

use super::ConfigError;
use super::variables::Variables;

#[derive(Clone)]
pub struct RedisConfig {
    pub connection: ConnectionInfo,
}

// The password is in it.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisConfig").field(&self.connection.addr().to_string()).finish()
    }
}

const TAKES: &str = "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss:// for TLS, or redis+unix:///PATH";

impl RedisConfig {
    /// `None` without `REDIS_URL`.
    pub(super) fn read(env: &Variables<'_>) -> Result<Option<Self>, ConfigError> {
        let Some(url) = env.get("REDIS_URL") else { return Ok(None) };
        // The text itself may hold a password, so it is not repeated.
        let fault = |fault: &str| ConfigError { variable: "REDIS_URL", fault: fault.to_owned(), takes: TAKES };
        let mut connection = url.into_connection_info().map_err(|_| fault("not the URL of a Redis"))?;
        if let Some(password) = env.get("REDIS_PASSWORD") {
            let settings = connection.redis_settings().clone().set_password(password);
            connection = connection.set_redis_settings(settings);
        }
        if let Some(file) = env.get("REDIS_CA_FILE") {
            connection = trust(connection, file.into())?;
        }
        Ok(Some(Self { connection }))
    }
}

/// Trusts what is in the file, and nothing else.
fn trust(connection: ConnectionInfo, file: PathBuf) -> Result<ConnectionInfo, ConfigError> {
    let fault = |fault: String| ConfigError {
        variable: "REDIS_CA_FILE",
        fault,
        takes: "a file of certificates in PEM, for a REDIS_URL of the form rediss://",
    };
    if !matches!(connection.addr(), ConnectionAddr::TcpTls { .. }) {
        return Err(fault("REDIS_URL asks for no TLS".to_owned()));
    }
    let certificates = std::fs::read(&file).map_err(|error| fault(format!("{}: {error}", file.display())))?;
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(certificates) };
    let client = Client::build_with_tls(connection, certificates)
        .map_err(|_| fault(format!("{}: no certificate can be read", file.display())))?;
    Ok(client.get_connection_info().clone())
}
