//! What has been tried against tokens elsewhere, and whatever chance comes up with.

use std::time::{Duration, Instant, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use biscuit_auth::{Biscuit, KeyPair};
use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "user-secret-of-at-least-32-bytes!";
const SERVER: &str = "server-secret-of-at-least-32-bytes";

fn tokens_with(keys: &KeyPair) -> Tokens {
    Tokens::new(&AuthConfig {
        user_secret: Some(SECRET.to_owned().into()),
        server_secret: Some(SERVER.to_owned().into()),
        biscuit_keys: keys.public().to_bytes_hex().parse().unwrap(),
        ..AuthConfig::default()
    })
}

fn tokens() -> Tokens {
    tokens_with(&KeyPair::new())
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Signed with HS256 whatever the header says.
fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let message = format!("{}.{}", encode(&header.to_string()), encode(&claims.to_string()));
    let key = EncodingKey::from_secret(key);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn no_signature_is_none() {
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        for signature in ["", "AAAA"] {
            let token =
                format!("{}.{}.{signature}", encode(&json!({ "alg": alg }).to_string()), encode(r#"{"sub":"u"}"#));
            assert!(tokens().verify(&token).is_err(), "{alg} {signature}");
        }
    }
    let stripped = signed(&json!({ "alg": "HS256" }), &json!({ "sub": "u" }), SECRET.as_bytes());
    assert!(tokens().verify(stripped.rsplit_once('.').unwrap().0).is_err());
}

#[test]
fn the_header_does_not_choose_the_algorithm() {
    let claims = json!({ "sub": "u" });
    assert!(tokens().verify(&signed(&json!({ "alg": "HS256" }), &claims, SECRET.as_bytes())).is_ok());
    for alg in ["RS256", "RS512", "ES256", "PS256", "EdDSA", "HS384", "HS512", "hs256", "dir"] {
        let token = signed(&json!({ "alg": alg }), &claims, SECRET.as_bytes());
        assert!(tokens().verify(&token).is_err(), "{alg}");
    }
}

#[test]
fn the_header_does_not_choose_the_key() {
    let claims = json!({ "sub": "u" });
    for kid in ["../../../dev/null", "' UNION SELECT 'key", "|cat /etc/passwd", "http://attacker.example/jwks"] {
        let good = json!({ "alg": "HS256", "kid": kid });
        assert!(tokens().verify(&signed(&good, &claims, SECRET.as_bytes())).is_ok(), "{kid} is not looked at");
        assert!(tokens().verify(&signed(&good, &claims, b"")).is_err());
        assert!(tokens().verify(&signed(&good, &claims, kid.as_bytes())).is_err());
    }
    let jwk =
        json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": encode("attacker") }, "jku": "http://attacker.example" });
    assert!(tokens().verify(&signed(&jwk, &claims, b"attacker")).is_err());
}

#[test]
fn a_megabyte_is_refused_before_it_is_read() {
    let tokens = tokens();
    let megabyte = "x".repeat(1_000_000);
    let sub = signed(&json!({ "alg": "HS256" }), &json!({ "sub": megabyte }), SECRET.as_bytes());
    for token in [megabyte.clone(), ".".repeat(1_000_000), format!("{megabyte}.{megabyte}.{megabyte}"), sub] {
        let began = Instant::now();
        assert_eq!(tokens.verify(&token).unwrap_err(), TokenRefusal::Malformed);
        assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    }
    let long_name = signed(&json!({ "alg": "HS256" }), &json!({ "sub": "x".repeat(256) }), SECRET.as_bytes());
    assert_eq!(tokens.verify(&long_name).unwrap_err(), TokenRefusal::Malformed);
}

#[test]
fn clocks_may_differ_and_numbers_may_be_nonsense() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let verify = |claims: Value| tokens().verify(&signed(&json!({ "alg": "HS256" }), &claims, SECRET.as_bytes()));
    assert!(verify(json!({ "sub": "u", "iat": now + 300 })).is_ok(), "the issuer's clock runs ahead");
    assert_eq!(verify(json!({ "sub": "u", "exp": now })).unwrap_err(), TokenRefusal::Expired, "no leeway");
    for (claim, value) in [
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!("never")),
        ("exp", json!([now + 60])),
        ("iat", json!(1e300)),
        ("nbf", json!(-1e300)),
        ("nbf", json!({})),
    ] {
        let mut claims = json!({ "sub": "u" });
        claims[claim] = value;
        assert_eq!(verify(claims.clone()).unwrap_err(), TokenRefusal::Malformed, "{claims}");
    }
    for sub in [json!(null), json!(1), json!(["u"]), json!({ "u": 1 }), json!("u\u{0}"), json!("a b"), json!("")] {
        assert!(verify(json!({ "sub": sub })).is_err(), "{sub}");
    }
    let twice = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(r#"{"sub":"u","sub":"admin"}"#));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(twice.as_bytes(), &key, Algorithm::HS256).unwrap();
    assert!(tokens().verify(&format!("{twice}.{signature}")).is_err(), "which of the two?");
}

#[test]
fn a_biscuit_of_another_key_or_with_a_changed_byte_is_refused() {
    let keys = KeyPair::new();
    let tokens = tokens_with(&keys);
    let sign = |keys: &KeyPair| Biscuit::builder().code("device(\"d\")").unwrap().build(keys).unwrap();
    assert!(matches!(tokens.verify(&sign(&keys).to_base64().unwrap()), Ok(Claim::Bearer(_))));
    assert_eq!(tokens.verify(&sign(&KeyPair::new()).to_base64().unwrap()).unwrap_err(), TokenRefusal::Signature);
    let good = sign(&keys).to_vec().unwrap();
    for index in 0..good.len() {
        let mut changed = good.clone();
        changed[index] ^= 1;
        let text = base64::engine::general_purpose::URL_SAFE.encode(changed);
        // Nothing that is not signed carries any meaning.
        if let Ok(claim) = tokens.verify(&text) {
            let Claim::Bearer(warrant) = claim else { panic!("{claim:?}") };
            assert!(warrant.label.starts_with("device d"), "byte {index}");
        }
    }
}

/// Shows that a guess is not helped by the time that it takes; the margin is wide, for busy machines.
#[test]
fn a_longer_right_prefix_takes_no_longer() {
    let tokens = tokens();
    let fastest = |guess: &str| {
        let time = |_| {
            let began = Instant::now();
            (0..20_000).for_each(|_| assert!(!tokens.is_server_secret(std::hint::black_box(guess))));
            began.elapsed()
        };
        (0..15).map(time).min().unwrap()
    };
    let wrong = "x".repeat(SERVER.len());
    let nearly = format!("{}x", &SERVER[..SERVER.len() - 1]);
    let (wrong, nearly) = (fastest(&wrong), fastest(&nearly));
    let ratio = nearly.as_secs_f64() / wrong.as_secs_f64();
    assert!((0.7..1.4).contains(&ratio), "{wrong:?} and {nearly:?}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}", parts in 0usize..7) {
        let tokens = tokens();
        prop_assert!(tokens.verify(&text).is_err());
        let dotted = vec![URL_SAFE_NO_PAD.encode(&text); parts].join(".");
        prop_assert!(tokens.verify(&dotted).is_err());
    }

    #[test]
    fn no_bytes_are_a_biscuit(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = base64::engine::general_purpose::URL_SAFE.encode(bytes);
        prop_assert!(tokens().verify(&text).is_err());
    }

    #[test]
    fn no_claims_make_it_panic(sub in ".{0,300}", exp in any::<f64>(), iat in any::<f64>(), nbf in any::<f64>()) {
        let claims = json!({ "sub": sub, "exp": exp, "iat": iat, "nbf": nbf });
        let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        if let Ok(Claim::User { id, expires_at }) = tokens().verify(&token) {
            prop_assert_eq!(id.as_str(), sub);
            prop_assert!(expires_at.is_none_or(|end| end > SystemTime::now() - Duration::from_secs(5)));
        }
    }
}
