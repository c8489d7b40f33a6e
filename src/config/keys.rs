//! The keys of biscuit tokens: `KEY`, or `ID=KEY`, several with commas.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use biscuit_auth::{Algorithm, PrivateKey, PublicKey};

/// The public keys that tokens are verified with, by the id that a token names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicKeys {
    by_id: BTreeMap<u32, PublicKey>,
    /// The one that was given without an id.
    unnamed: Option<PublicKey>,
}

impl PublicKeys {
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty() && self.unnamed.is_none()
    }

    /// The key for a token that names this id, or none. The unnamed key serves whatever no other does, so
    /// that a lone key needs no id; a lone key with an id serves tokens that name none.
    pub fn find(&self, id: Option<u32>) -> Option<PublicKey> {
        let named = id.and_then(|id| self.by_id.get(&id));
        let lone = || (id.is_none() && self.by_id.len() == 1).then(|| self.by_id.values().next()).flatten();
        named.or(self.unnamed.as_ref()).or_else(lone).copied()
    }
}

/// What is wrong with a key's text; never the text itself.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("{0:?} is no key id")]
    Id(String),
    #[error("key {0} is not 64 hexadecimal digits of Ed25519")]
    Key(usize),
    #[error("the id {0} comes twice")]
    Twice(u32),
    #[error("more than one key has no id")]
    TwoUnnamed,
}

impl FromStr for PublicKeys {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let mut keys = Self::default();
        for (index, entry) in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            let (id, key) = split(entry)?;
            let fault = || KeyFault::Key(index + 1);
            let key = key.strip_prefix("ed25519/").unwrap_or(key);
            let key = PublicKey::from_bytes_hex(key, Algorithm::Ed25519).map_err(|_| fault())?;
            match id {
                Some(id) if keys.by_id.insert(id, key).is_some() => return Err(KeyFault::Twice(id)),
                None if keys.unnamed.replace(key).is_some() => return Err(KeyFault::TwoUnnamed),
                _ => {}
            }
        }
        Ok(keys)
    }
}

/// The key that tokens are signed with, and its id.
#[derive(Clone)]
pub struct SigningKey {
    pub id: Option<u32>,
    pub key: PrivateKey,
}

// It opens every door there is.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl FromStr for SigningKey {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let (id, key) = split(text.trim())?;
        let key = key.strip_prefix("ed25519-private/").unwrap_or(key);
        let key = PrivateKey::from_bytes_hex(key, Algorithm::Ed25519).map_err(|_| KeyFault::Key(1))?;
        Ok(Self { id, key })
    }
}

fn split(entry: &str) -> Result<(Option<u32>, &str), KeyFault> {
    match entry.split_once('=') {
        None => Ok((None, entry)),
        // What is in front of a stray `=` may be half a key.
        Some((id, key)) => match id.trim().parse() {
            Ok(id) => Ok((Some(id), key.trim())),
            Err(_) => Err(KeyFault::Id(id.chars().take(10).collect())),
        },
    }
}

#[cfg(test)]
mod tests {
    use biscuit_auth::KeyPair;

    use super::*;

    fn key() -> PublicKey {
        KeyPair::new().public()
    }

    #[test]
    fn a_token_finds_its_key() {
        let (one, two, old) = (key(), key(), key());
        let text = format!("1={}, 2=ed25519/{} ,{}", one.to_bytes_hex(), two.to_bytes_hex(), old.to_bytes_hex());
        let keys: PublicKeys = text.parse().unwrap();
        assert_eq!(keys.find(Some(1)), Some(one));
        assert_eq!(keys.find(Some(2)), Some(two));
        assert_eq!(keys.find(Some(3)), Some(old));
        assert_eq!(keys.find(None), Some(old));
        let named: PublicKeys = format!("7={}", one.to_bytes_hex()).parse().unwrap();
        assert_eq!((named.find(Some(7)), named.find(None), named.find(Some(8))), (Some(one), Some(one), None));
        let two_named: PublicKeys = format!("1={},2={}", one.to_bytes_hex(), two.to_bytes_hex()).parse().unwrap();
        assert_eq!(two_named.find(None), None);
        assert!("".parse::<PublicKeys>().unwrap().is_empty());
    }

    #[test]
    fn a_fault_is_named_and_shows_no_key() {
        let hex = key().to_bytes_hex();
        let fault = |text: &str| text.parse::<PublicKeys>().unwrap_err();
        assert_eq!(fault(&format!("{hex},xyz")), KeyFault::Key(2));
        assert_eq!(fault(&format!("x={hex}")), KeyFault::Id("x".to_owned()));
        assert_eq!(fault(&format!("1={hex},1={hex}")), KeyFault::Twice(1));
        assert_eq!(fault(&format!("{hex},{hex}")), KeyFault::TwoUnnamed);
        let private = KeyPair::new().private();
        let text = format!("{}=1", private.to_bytes_hex());
        assert!(!text.parse::<SigningKey>().unwrap_err().to_string().contains(&private.to_bytes_hex()[..12]));
        let good: SigningKey = format!("3={}", private.to_prefixed_string()).parse().unwrap();
        assert_eq!(good.id, Some(3));
        assert!(!format!("{good:?}").contains(&private.to_bytes_hex()));
    }
}
