//! The `pid` that a client shows to have its session back (Socket.IO's connection
//! state recovery): a secret of that session, of no use to another user.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::domain::{Identity, PidKey, Position};

/// Makes and checks `pid`s. The key belongs to the log: all instances on one database share it.
pub struct Pids {
    mac: Hmac<Sha256>,
}

impl Pids {
    const KEY_BYTES: usize = 8 + 4 + 16;
    const MAC_BYTES: usize = 16;
    const BYTES: usize = Self::KEY_BYTES + Self::MAC_BYTES;

    pub fn new(secret: &[u8; 32]) -> Self {
        Self { mac: Hmac::new_from_slice(secret).expect("HMAC takes a key of any length") }
    }

    /// A new session's key and the `pid` that shows it.
    pub fn mint(&self, identity: &Identity, began_at: Position, began_secs: u32) -> (PidKey, String) {
        let key = PidKey { began_at, began_secs, nonce: rand::random() };
        (key, self.show(&key, identity))
    }

    /// The `pid` of a key.
    pub fn show(&self, key: &PidKey, identity: &Identity) -> String {
        let mut bytes = encode(key).to_vec();
        let mac = self.mac_of(&bytes, identity).finalize().into_bytes();
        bytes.extend_from_slice(&mac[..Self::MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns `None` where the text is no `pid` of this identity.
    pub fn verify(&self, pid: &str, identity: &Identity) -> Option<PidKey> {
        let mut bytes = [0; Self::BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(pid, &mut bytes).ok()?;
        if length != Self::BYTES {
            return None;
        }
        let (key, mac) = bytes.split_at(Self::KEY_BYTES);
        self.mac_of(key, identity).verify_truncated_left(mac).ok()?;
        Some(PidKey {
            began_at: Position::from_be_bytes(key[..8].try_into().ok()?),
            began_secs: u32::from_be_bytes(key[8..12].try_into().ok()?),
            nonce: key[12..].try_into().ok()?,
        })
    }

    fn mac_of(&self, key: &[u8], identity: &Identity) -> Hmac<Sha256> {
        // The key has a fixed length, so nothing of the label can pass for a part of it.
        self.mac.clone().chain_update(key).chain_update(identity.principal())
    }
}

fn encode(key: &PidKey) -> [u8; Pids::KEY_BYTES] {
    let mut bytes = [0; Pids::KEY_BYTES];
    bytes[..8].copy_from_slice(&key.began_at.to_be_bytes());
    bytes[8..12].copy_from_slice(&key.began_secs.to_be_bytes());
    bytes[12..].copy_from_slice(&key.nonce);
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{UserFacts, UserId};

    fn user(id: &str) -> Identity {
        Identity::User(Arc::new(UserFacts { id: UserId::parse(id).unwrap(), staff: vec![] }))
    }

    #[test]
    fn a_pid_is_of_use_to_its_own_user_alone() {
        let pids = Pids::new(&[7; 32]);
        let (key, pid) = pids.mint(&user("chef"), 42, 1_800_000_000);
        assert_eq!(pids.verify(&pid, &user("chef")), Some(key));
        assert_eq!(pids.verify(&pid, &user("other")), None);
        assert_eq!(pids.verify(&pid, &Identity::System), None);
        assert_eq!(Pids::new(&[8; 32]).verify(&pid, &user("chef")), None);
        let (_, second) = pids.mint(&user("chef"), 42, 1_800_000_000);
        assert_ne!(pid, second);
    }

    #[test]
    fn a_changed_pid_is_none() {
        let pids = Pids::new(&[7; 32]);
        let (_, pid) = pids.mint(&user("chef"), 42, 1);
        for index in 0..pid.len() {
            let mut changed = pid.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(pids.verify(std::str::from_utf8(&changed).unwrap(), &user("chef")), None);
        }
        assert_eq!(pids.verify(&pid[1..], &user("chef")), None);
        assert_eq!(pids.verify(&format!("{pid}A"), &user("chef")), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,100}") {
            prop_assert_eq!(Pids::new(&[7; 32]).verify(&text, &user("chef")), None);
        }
    }
}
