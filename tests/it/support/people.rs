//! Who the sample rows know, and their tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

pub const USER_SECRET: &str = "the-tests-user-secret-of-48-bytes-for-everybody!";
pub const SERVER_SECRET: &str = "the-tests-server-secret-of-48-bytes-for-backends";

pub const OWNER: &str = "cuserowner0000000000000001";
pub const SERVER: &str = "cuserserver000000000000002";
pub const CHEF: &str = "cuserchef00000000000000003";
pub const LINE_COOK: &str = "cuserline00000000000000004";
pub const GUEST: &str = "cuserguest0000000000000005";
pub const OTHER_CHEF: &str = "cuserother0000000000000006";
pub const FIRED: &str = "cuserfired0000000000000007";
pub const BANNED: &str = "cuserbanned000000000000008";

pub const BISTRO: &str = "cvenuebistro00000000000001";
pub const DINER: &str = "cvenuediner000000000000002";
pub const BISTRO_TABLE: &str = "ctable00000000000000000001";
pub const DINER_TABLE: &str = "ctable00000000000000000002";
pub const GUESTS_TAB: &str = "ctabbistro0000000000000001";
pub const DINER_TAB: &str = "ctabdiner00000000000000003";
pub const BURGER: &str = "citem000000000000000000001";
pub const FRIES: &str = "citem000000000000000000002";
pub const SOUP: &str = "citem000000000000000000004";
pub const GUESTS_NOTE: &str = "cnotif00000000000000000001";

/// Seconds since 1970, `ahead` seconds from now.
pub fn seconds(ahead: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + ahead
}

/// A user's token for an hour.
pub fn token(user: &str) -> String {
    sign(&json!({ "sub": user, "iat": seconds(0), "exp": seconds(3600) }), USER_SECRET)
}

pub fn sign(claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}
