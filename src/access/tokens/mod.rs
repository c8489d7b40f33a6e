//! What a client's token says, before any database is asked.

mod claims;
mod jwe;

use std::sync::Arc;
use std::time::SystemTime;

use biscuit_auth::UnverifiedBiscuit;
use biscuit_auth::error::Format;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::{ExposeSecret, SecretString};

use super::secrets;
use crate::config::AuthConfig;
use crate::config::keys::PublicKeys;
use crate::domain::{UserId, Warrant};
use claims::Claims;
use jwe::SessionKeys;

/// A token that holds, as far as it can be told without the database.
#[derive(Debug)]
pub enum Claim {
    Backend,
    /// A biscuit; whether it was revoked, and whether its user is there, the database knows.
    Bearer(Arc<Warrant>),
    User {
        id: UserId,
        /// When the token, and a session that lives by it, ends.
        expires_at: Option<SystemTime>,
    },
}

/// Why a token was refused. For the log and the metrics: a client learns only that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token's signature does not hold")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    TooEarly,
    #[error("the token was issued more than 24 hours ago")]
    TooOld,
    #[error("the token was revoked")]
    Revoked,
}

impl TokenRefusal {
    /// The metric's label.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::TooEarly => "too_early",
            Self::TooOld => "too_old",
            Self::Revoked => "revoked",
        }
    }
}

/// Checks tokens against the configured secrets.
pub struct Tokens {
    server_secrets: Vec<SecretString>,
    /// The present secret's, then the one's before it, if that is still taken.
    user: Vec<UserKeys>,
    validation: Validation,
    biscuit_keys: PublicKeys,
}

/// What the users' secret opens.
struct UserKeys {
    signature: DecodingKey,
    session: SessionKeys,
}

impl Tokens {
    /// A session token is about 1 KiB; what is longer is not parsed at all.
    const MAX_BYTES: usize = 16 * 1024;

    pub fn new(config: &AuthConfig) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Time is looked at in one place for all kinds of tokens, `Claims`.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let cookies: Vec<&str> = match &config.cookie_name {
            Some(name) => vec![name],
            None => jwe::DEFAULT_COOKIES.to_vec(),
        };
        let keys = |secret: &SecretString| {
            let secret = secret.expose_secret().as_bytes();
            UserKeys { signature: DecodingKey::from_secret(secret), session: SessionKeys::derive(secret, &cookies) }
        };
        Self {
            server_secrets: config.server_secret.iter().chain(&config.previous_server_secret).cloned().collect(),
            user: config.user_secret.iter().chain(&config.previous_user_secret).map(keys).collect(),
            validation,
            biscuit_keys: config.biscuit_keys.clone(),
        }
    }

    /// # Errors
    /// Why the token is refused.
    pub fn verify(&self, token: &str) -> Result<Claim, TokenRefusal> {
        if self.is_server_secret(token) {
            return Ok(Claim::Backend);
        }
        if token.len() > Self::MAX_BYTES {
            return Err(TokenRefusal::Malformed);
        }
        // The compact forms of JOSE differ by their number of parts (RFC 7516, 9); a biscuit is one piece.
        let dots = token.bytes().filter(|byte| *byte == b'.').count();
        if dots == 0 {
            return self.biscuit(token, SystemTime::now());
        }
        let mut claims = Err(TokenRefusal::Signature);
        for keys in &self.user {
            claims = self.claims(token, dots, keys);
            // Another key may fit where this one did not; nothing else can become better.
            if !matches!(claims, Err(TokenRefusal::Signature)) {
                break;
            }
        }
        claims?.check(SystemTime::now())
    }

    fn claims(&self, token: &str, dots: usize, keys: &UserKeys) -> Result<Claims, TokenRefusal> {
        match dots {
            4 => serde_json::from_slice(&keys.session.open(token)?).map_err(|_| TokenRefusal::Malformed),
            _ => self.signed_claims(token, &keys.signature),
        }
    }

    fn biscuit(&self, token: &str, now: SystemTime) -> Result<Claim, TokenRefusal> {
        if self.biscuit_keys.is_empty() {
            return Err(TokenRefusal::Malformed);
        }
        let unverified = UnverifiedBiscuit::from_base64(token).map_err(|_| TokenRefusal::Malformed)?;
        // Every block costs a signature.
        if unverified.block_count() > Warrant::MAX_BLOCKS {
            return Err(TokenRefusal::Malformed);
        }
        let find = |id| self.biscuit_keys.find(id).ok_or(Format::UnknownPublicKey);
        let token = unverified.verify(find).map_err(|error| match error {
            Format::Signature(_) | Format::UnknownPublicKey | Format::SealedSignature => TokenRefusal::Signature,
            _ => TokenRefusal::Malformed,
        })?;
        let warrant = Warrant::read(token).map_err(|fault| {
            tracing::info!(%fault, "a token whose signature holds cannot be used");
            TokenRefusal::Malformed
        })?;
        if warrant.expires_at.is_some_and(|end| end <= now) {
            return Err(TokenRefusal::Expired);
        }
        Ok(Claim::Bearer(Arc::new(warrant)))
    }

    /// Takes as long for a right prefix as for a wrong one.
    pub fn is_server_secret(&self, token: &str) -> bool {
        secrets::any_is(&self.server_secrets, token)
    }

    fn signed_claims(&self, token: &str, key: &DecodingKey) -> Result<Claims, TokenRefusal> {
        jsonwebtoken::decode::<Claims>(token, key, &self.validation).map(|token| token.claims).map_err(|error| {
            match error.kind() {
                ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenRefusal::Signature,
                _ => TokenRefusal::Malformed,
            }
        })
    }
}

#[cfg(test)]
mod attacks;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "user-secret-of-at-least-32-bytes!";
    const SERVER: &str = "server-secret-of-at-least-32-bytes";

    fn tokens() -> Tokens {
        Tokens::new(&AuthConfig {
            user_secret: Some(SECRET.to_owned().into()),
            server_secret: Some(SERVER.to_owned().into()),
            ..AuthConfig::default()
        })
    }

    fn sign(header: &Header, claims: &Value, secret: &str) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn token(claims: &Value) -> String {
        sign(&Header::default(), claims, SECRET)
    }

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    fn refusal(token: &str) -> TokenRefusal {
        tokens().verify(token).unwrap_err()
    }

    #[test]
    fn the_server_secret_is_the_backend() {
        assert!(matches!(tokens().verify(SERVER), Ok(Claim::Backend)));
        assert!(tokens().verify(&SERVER[..SERVER.len() - 1]).is_err());
        assert!(tokens().verify(&format!("{SERVER}x")).is_err());
    }

    #[test]
    fn the_secrets_before_are_taken_as_long_as_they_are_named() {
        let old = |secret: &str| Some(secret.to_owned().into());
        let config = AuthConfig {
            user_secret: old("the-new-user-secret-of-at-least-32-bytes"),
            server_secret: old("the-new-server-secret-of-32-bytes-or-more"),
            previous_user_secret: old(SECRET),
            previous_server_secret: old(SERVER),
            ..AuthConfig::default()
        };
        let claims = json!({"sub": "u"});
        let newer = sign(&Header::default(), &claims, "the-new-user-secret-of-at-least-32-bytes");
        let rotating = Tokens::new(&config);
        for user in [&newer, &token(&claims)] {
            assert!(matches!(rotating.verify(user), Ok(Claim::User { .. })));
        }
        for backend in ["the-new-server-secret-of-32-bytes-or-more", SERVER] {
            assert!(matches!(rotating.verify(backend), Ok(Claim::Backend)));
        }
        let other = sign(&Header::default(), &claims, "neither of the two");
        assert_eq!(rotating.verify(&other).unwrap_err(), TokenRefusal::Signature);
        let done = Tokens::new(&AuthConfig { previous_user_secret: None, previous_server_secret: None, ..config });
        assert!(done.verify(&newer).is_ok());
        assert_eq!(done.verify(&token(&claims)).unwrap_err(), TokenRefusal::Signature);
        assert!(done.verify(SERVER).is_err());
    }

    #[test]
    fn a_signed_token_names_its_user_and_its_end() {
        let exp = now() + 60;
        let claim = tokens().verify(&token(&json!({"sub": "u", "exp": exp, "iat": now(), "aud": "x"}))).unwrap();
        let Claim::User { id, expires_at } = claim else { panic!("{claim:?}") };
        assert_eq!((id.as_str(), expires_at), ("u", Some(UNIX_EPOCH + Duration::from_secs(exp))));
        let unbounded = tokens().verify(&token(&json!({"sub": "u"}))).unwrap();
        assert!(matches!(unbounded, Claim::User { expires_at: None, .. }));
    }

    #[test]
    fn time_is_honoured() {
        assert_eq!(refusal(&token(&json!({"sub": "u", "exp": now() - 1}))), TokenRefusal::Expired);
        let day = 24 * 3600;
        assert_eq!(refusal(&token(&json!({"sub": "u", "iat": now() - day - 5}))), TokenRefusal::TooOld);
        assert!(tokens().verify(&token(&json!({"sub": "u", "iat": now() - day + 5}))).is_ok());
        assert!(tokens().verify(&token(&json!({"sub": "u", "nbf": now() + 60}))).is_err());
        // The issuer's clock may run ahead of ours.
        assert!(tokens().verify(&token(&json!({"sub": "u", "iat": now() + 90}))).is_ok());
    }

    #[test]
    fn only_hs256_with_the_right_key_holds() {
        let claims = json!({"sub": "u"});
        let hs512 = Header::new(Algorithm::HS512);
        assert_eq!(refusal(&sign(&hs512, &claims, SECRET)), TokenRefusal::Signature);
        assert_eq!(refusal(&sign(&Header::default(), &claims, "another key")), TokenRefusal::Signature);
        let good = token(&claims);
        assert!(tokens().verify(&good[..good.len() - 4]).is_err());
        let body = good.split('.').nth(1).unwrap();
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.");
        assert!(tokens().verify(&unsigned).is_err());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for bad in ["", "x", "a.b.c", "....", "\u{0}"] {
            assert_eq!(refusal(bad), TokenRefusal::Malformed, "{bad:?}");
        }
        assert_eq!(refusal(&"x".repeat(1_000_000)), TokenRefusal::Malformed);
        assert_eq!(refusal(&token(&json!({"name": "no sub"}))), TokenRefusal::Malformed);
        assert_eq!(refusal(&token(&json!({"sub": ""}))), TokenRefusal::Malformed);
        assert_eq!(refusal(&token(&json!({"sub": "u", "iat": -5}))), TokenRefusal::Malformed);
    }

    #[test]
    fn without_secrets_nobody_gets_in() {
        let tokens = Tokens::new(&AuthConfig::default());
        assert!(tokens.verify("").is_err());
        assert!(tokens.verify(&token(&json!({"sub": "u"}))).is_err());
    }
}
