//! Secrets, keys and the policy: what tokens are checked against.

use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use super::ConfigError;
use super::keys::{KeyFault, PublicKeys, SigningKey};
use super::variables::Variables;

#[derive(Clone, Debug, Default)]
pub struct AuthConfig {
    pub user_secret: Option<SecretString>,
    pub server_secret: Option<SecretString>,
    /// Taken as well, while each secret is being changed.
    pub previous_user_secret: Option<SecretString>,
    pub previous_server_secret: Option<SecretString>,
    /// The salt of Auth.js 5 session tokens, where its cookie has another name than the defaults.
    pub cookie_name: Option<String>,
    /// Biscuit tokens are verified with these; without any, none is taken.
    pub biscuit_keys: PublicKeys,
    /// Biscuit tokens are minted with this.
    pub biscuit_signing_key: Option<SigningKey>,
    /// The policy that stands in for the built-in one.
    pub policy_file: Option<PathBuf>,
}

impl AuthConfig {
    const MIN_SECRET_BYTES: usize = 32;
    const TAKES: &'static str = "a secret of at least 32 bytes";
    const TAKES_PUBLIC: &'static str = "what `expeditor token keygen` prints: KEY or ID=KEY, several with commas";
    const TAKES_PRIVATE: &'static str = "what `expeditor token keygen` prints: KEY or ID=KEY";

    pub(super) fn read(env: &Variables<'_>, production: bool) -> Result<Self, ConfigError> {
        let user_secret = match env.get("NEXTAUTH_SECRET") {
            Some(secret) => Some(secret),
            None => env.get("AUTH_SECRET"),
        };
        let auth = Self {
            user_secret: user_secret.map(SecretString::from),
            server_secret: env.get("SOCKET_SERVER_SECRET").map(SecretString::from),
            previous_user_secret: env.get("NEXTAUTH_SECRET_PREVIOUS").map(SecretString::from),
            previous_server_secret: env.get("SOCKET_SERVER_SECRET_PREVIOUS").map(SecretString::from),
            cookie_name: env.get("AUTH_COOKIE_NAME"),
            biscuit_keys: Self::key(env, "BISCUIT_PUBLIC_KEY", Self::TAKES_PUBLIC)?.unwrap_or_default(),
            biscuit_signing_key: Self::key(env, "BISCUIT_PRIVATE_KEY", Self::TAKES_PRIVATE)?,
            policy_file: env.get("POLICY_FILE").map(PathBuf::from),
        };
        if production {
            Self::require("NEXTAUTH_SECRET", auth.user_secret.as_ref())?;
            Self::require("SOCKET_SERVER_SECRET", auth.server_secret.as_ref())?;
            // They open as much as the others do.
            let previous = [
                ("NEXTAUTH_SECRET_PREVIOUS", &auth.previous_user_secret),
                ("SOCKET_SERVER_SECRET_PREVIOUS", &auth.previous_server_secret),
            ];
            for (variable, secret) in previous.into_iter().filter(|(_, secret)| secret.is_some()) {
                Self::require(variable, secret.as_ref())?;
            }
        }
        Ok(auth)
    }

    fn key<T: FromStr<Err = KeyFault>>(
        env: &Variables<'_>,
        variable: &'static str,
        takes: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let parse = |text: String| {
            text.parse().map_err(|fault: KeyFault| ConfigError { variable, fault: fault.to_string(), takes })
        };
        env.get(variable).map(parse).transpose()
    }

    fn require(variable: &'static str, secret: Option<&SecretString>) -> Result<(), ConfigError> {
        let fault = match secret.map(|secret| secret.expose_secret().len()) {
            None => "missing, and required when NODE_ENV is production".to_owned(),
            Some(bytes) if bytes < Self::MIN_SECRET_BYTES => format!("only {bytes} bytes long"),
            Some(_) => return Ok(()),
        };
        Err(ConfigError { variable, fault, takes: Self::TAKES })
    }
}
