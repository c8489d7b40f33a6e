//! Comparing what someone shows with a secret. Nothing else here compares secrets.

use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};

/// Whether it is one of the secrets. Takes as long for a right prefix as for a wrong one, and looks at
/// all of them whichever it is.
pub fn any_is(secrets: &[SecretString], shown: &str) -> bool {
    let is = |secret: &SecretString| secret.expose_secret().as_bytes().ct_eq(shown.as_bytes());
    secrets.iter().map(is).fold(Choice::from(0), |found, is| found | is).into()
}
