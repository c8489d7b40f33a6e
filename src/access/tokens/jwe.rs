//! Opens the encrypted session tokens of NextAuth.js 4 and Auth.js 5: JWE in its compact
//! form (RFC 7516, 7518), with a key that both derive from the application's secret.
//!
//! Facts from `next-auth` 4.24 (`jwt/index.js`) and `@auth/core` 0.41 (`jwt.js`):
//! - NextAuth.js 4: `A256GCM`, HKDF-SHA256 of the secret, no salt, info `NextAuth.js Generated Encryption Key`.
//! - Auth.js 5: `A256CBC-HS512`, salt is the session cookie's name, info `Auth.js Generated Encryption Key (SALT)`;
//!   its header's `kid` is the key's thumbprint. It is not read: the tag alone says whether a key is the right one.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut, KeyIvInit};
use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Sha256, Sha512};

use super::TokenRefusal;

/// Salts that Auth.js 5 uses unless its cookie has another name.
pub const DEFAULT_COOKIES: [&str; 2] = ["authjs.session-token", "__Secure-authjs.session-token"];

/// Keys for the session tokens of one application.
pub struct SessionKeys {
    next_auth: Zeroizing<[u8; 32]>,
    /// One for each name that the cookie may have.
    auth_js: Vec<Zeroizing<[u8; 64]>>,
}

impl SessionKeys {
    pub fn derive(secret: &[u8], cookies: &[&str]) -> Self {
        let auth_js = |cookie: &&str| {
            let info = format!("Auth.js Generated Encryption Key ({cookie})");
            derive(secret, cookie.as_bytes(), info.as_bytes())
        };
        Self {
            next_auth: derive(secret, b"", b"NextAuth.js Generated Encryption Key"),
            auth_js: cookies.iter().map(auth_js).collect(),
        }
    }

    /// The claims inside, as they were sealed.
    ///
    /// # Errors
    /// `Malformed` where it is not a JWE of the two kinds, `Signature` where no key opens it.
    pub fn open(&self, token: &str) -> Result<Vec<u8>, TokenRefusal> {
        let jwe = Jwe::parse(token)?;
        match jwe.encryption {
            Encryption::A256Gcm => jwe.open_gcm(&self.next_auth),
            // A key's name in the header would only be a hint; each key is asked instead.
            Encryption::A256CbcHs512 => {
                self.auth_js.iter().find_map(|key| jwe.open_cbc(key).ok()).ok_or(TokenRefusal::Signature)
            }
        }
    }
}

fn derive<const BYTES: usize>(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; BYTES]> {
    let mut key = Zeroizing::new([0; BYTES]);
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, key.as_mut()).expect("a key is shorter than HKDF's limit");
    key
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Encryption {
    #[serde(rename = "A256GCM")]
    A256Gcm,
    #[serde(rename = "A256CBC-HS512")]
    A256CbcHs512,
}

/// The protected header. serde refuses a member that comes twice.
#[derive(Deserialize)]
struct Header {
    alg: String,
    enc: Encryption,
    /// Compression would let a small token grow without bound.
    zip: Option<IgnoredAny>,
    /// An extension that must be understood, and that is not (RFC 7516, 4.1.13).
    crit: Option<IgnoredAny>,
}

struct Jwe<'a> {
    encryption: Encryption,
    /// The header as it was sent: what the tag covers besides the content.
    protected: &'a str,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

impl<'a> Jwe<'a> {
    fn parse(token: &'a str) -> Result<Self, TokenRefusal> {
        let parts: Vec<&str> = token.split('.').collect();
        // `dir` has no encrypted key, so the second part is empty.
        let [protected, "", iv, ciphertext, tag] = parts[..] else { return Err(TokenRefusal::Malformed) };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenRefusal::Malformed);
        let header: Header = serde_json::from_slice(&decode(protected)?).map_err(|_| TokenRefusal::Malformed)?;
        if header.alg != "dir" || header.zip.is_some() || header.crit.is_some() {
            return Err(TokenRefusal::Malformed);
        }
        Ok(Self {
            encryption: header.enc,
            protected,
            iv: decode(iv)?,
            ciphertext: decode(ciphertext)?,
            tag: decode(tag)?,
        })
    }

    fn open_gcm(&self, key: &[u8; 32]) -> Result<Vec<u8>, TokenRefusal> {
        let iv: [u8; 12] = self.iv.as_slice().try_into().map_err(|_| TokenRefusal::Malformed)?;
        let tag: [u8; 16] = self.tag.as_slice().try_into().map_err(|_| TokenRefusal::Malformed)?;
        let mut content = self.ciphertext.clone();
        Aes256Gcm::new(key.into())
            .decrypt_in_place_detached(&Nonce::from(iv), self.protected.as_bytes(), &mut content, &Tag::from(tag))
            .map_err(|_| TokenRefusal::Signature)?;
        Ok(content)
    }

    /// RFC 7518, 5.2.2: the key's first half authenticates, its second half encrypts; the tag is the
    /// first half of the HMAC. Nothing is decrypted before the tag holds, so no padding can be probed.
    fn open_cbc(&self, key: &[u8; 64]) -> Result<Vec<u8>, TokenRefusal> {
        let iv: [u8; 16] = self.iv.as_slice().try_into().map_err(|_| TokenRefusal::Malformed)?;
        let tag: [u8; 32] = self.tag.as_slice().try_into().map_err(|_| TokenRefusal::Malformed)?;
        let (mac_key, encryption_key) = key.split_at(32);
        let encryption_key: [u8; 32] = encryption_key.try_into().expect("the other half");
        let header_bits = (self.protected.len() as u64) * 8;
        <Hmac<Sha512> as Mac>::new_from_slice(mac_key)
            .expect("HMAC takes keys of any length")
            .chain_update(self.protected)
            .chain_update(iv)
            .chain_update(&self.ciphertext)
            .chain_update(header_bits.to_be_bytes())
            .verify_truncated_left(&tag)
            .map_err(|_| TokenRefusal::Signature)?;
        cbc::Decryptor::<aes::Aes256>::new(&encryption_key.into(), &iv.into())
            .decrypt_padded_vec_mut::<Pkcs7>(&self.ciphertext)
            .map_err(|_| TokenRefusal::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"user-secret-of-at-least-32-bytes!";

    fn keys() -> SessionKeys {
        SessionKeys::derive(SECRET, &DEFAULT_COOKIES)
    }

    fn encode(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Seals with `A256GCM`, whatever the header says.
    fn seal(header: &Value, key: &[u8; 32]) -> String {
        let protected = encode(header.to_string());
        let mut content = br#"{"sub":"u"}"#.to_vec();
        let tag = Aes256Gcm::new(key.into())
            .encrypt_in_place_detached(&Nonce::default(), protected.as_bytes(), &mut content)
            .unwrap();
        format!("{protected}..{}.{}.{}", encode([0; 12]), encode(content), encode(tag))
    }

    fn sealed(header: Value) -> Result<Vec<u8>, TokenRefusal> {
        keys().open(&seal(&header, &keys().next_auth))
    }

    #[test]
    fn only_dir_with_the_two_encryptions_is_opened() {
        assert_eq!(sealed(json!({ "alg": "dir", "enc": "A256GCM" })).unwrap(), br#"{"sub":"u"}"#);
        for header in [
            json!({ "alg": "none", "enc": "A256GCM" }),
            json!({ "alg": "A256KW", "enc": "A256GCM" }),
            json!({ "alg": "RSA-OAEP", "enc": "A256GCM" }),
            json!({ "alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 2_000_000_000 }),
            json!({ "alg": "dir", "enc": "A128GCM" }),
            json!({ "alg": "dir", "enc": "none" }),
            json!({ "alg": "dir", "enc": "A256GCM", "zip": "DEF" }),
            json!({ "alg": "dir", "enc": "A256GCM", "crit": ["exp"] }),
            json!({ "alg": "dir" }),
            json!({ "enc": "A256GCM" }),
            json!([]),
        ] {
            assert_eq!(sealed(header.clone()), Err(TokenRefusal::Malformed), "{header}");
        }
        // The same content under the other encryption's name.
        assert!(sealed(json!({ "alg": "dir", "enc": "A256CBC-HS512" })).is_err());
    }

    #[test]
    fn a_key_id_chooses_nothing() {
        for kid in ["", "../../etc/passwd", "' OR 1=1", "http://attacker.example/key"] {
            assert!(sealed(json!({ "alg": "dir", "enc": "A256GCM", "kid": kid })).is_ok());
        }
        let header =
            json!({ "alg": "dir", "enc": "A256GCM", "kid": "mine", "jwk": { "kty": "oct", "k": encode([7; 32]) } });
        assert_eq!(keys().open(&seal(&header, &[7; 32])), Err(TokenRefusal::Signature));
    }

    #[test]
    fn nothing_of_a_token_may_change() {
        let good = seal(&json!({ "alg": "dir", "enc": "A256GCM" }), &keys().next_auth);
        let parts: Vec<&str> = good.split('.').collect();
        for index in [2, 3, 4] {
            let mut bytes = URL_SAFE_NO_PAD.decode(parts[index]).unwrap();
            bytes[0] ^= 1;
            let mut changed: Vec<String> = parts.iter().map(ToString::to_string).collect();
            changed[index] = encode(bytes);
            assert_eq!(keys().open(&changed.join(".")), Err(TokenRefusal::Signature), "part {index}");
        }
        // Another header, with the same meaning.
        let header = encode(r#"{"enc":"A256GCM","alg":"dir"}"#);
        let changed = format!("{header}..{}.{}.{}", parts[2], parts[3], parts[4]);
        assert_eq!(keys().open(&changed), Err(TokenRefusal::Signature));
        let with_key = format!("{}.AAAA.{}.{}.{}", parts[0], parts[2], parts[3], parts[4]);
        assert_eq!(keys().open(&with_key), Err(TokenRefusal::Malformed));
        // A tag that is cut short is no tag.
        let short = format!("{}..{}.{}.{}", parts[0], parts[2], parts[3], &parts[4][..8]);
        assert_eq!(keys().open(&short), Err(TokenRefusal::Malformed));
    }

    #[test]
    fn twice_is_once_too_often() {
        let protected = encode(r#"{"alg":"dir","alg":"none","enc":"A256GCM"}"#);
        let token = format!("{protected}..{}.{}.{}", encode([0; 12]), encode([0; 8]), encode([0; 16]));
        assert_eq!(keys().open(&token), Err(TokenRefusal::Malformed));
    }
}
