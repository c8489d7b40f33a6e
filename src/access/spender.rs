//! Whose allowance something is taken from.

use crate::domain::{Identity, RevocationId, UserId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Spender {
    User(UserId),
    /// All tokens that were made from one share what it has: attenuating is free.
    Token(RevocationId),
}

impl Spender {
    /// `None` is the backend, which has no limit.
    pub fn of(identity: &Identity) -> Option<Self> {
        if identity.is_backend() {
            return None;
        }
        let user = || identity.user().map(|user| Self::User(user.id.clone()));
        user().or_else(|| identity.warrant().map(|warrant| Self::Token(warrant.family().clone())))
    }
}
