//! From a token to an identity: what the token says, and what the database says of it.

use std::sync::Arc;
use std::time::SystemTime;

use super::SessionServices;
use crate::access::policy::{Operation, Question};
use crate::access::{Claim, TokenRefusal, Tokens};
use crate::domain::{Bearer, Identity, UserFacts, UserId};
use crate::store::{Store, StoreError};

/// Why nobody was identified.
#[derive(Debug, thiserror::Error)]
pub enum NotIdentified {
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    #[error("the user is not there, or not active")]
    User,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who brings this token, and until when it holds.
///
/// # Errors
/// Why it is refused; [`NotIdentified::Store`] where that could not be told.
pub async fn identify(
    tokens: &Tokens,
    store: &Store,
    token: &str,
) -> Result<(Identity, Option<SystemTime>), NotIdentified> {
    match tokens.verify(token)? {
        Claim::Backend => Ok((Identity::System, None)),
        Claim::User { id, expires_at } => Ok((Identity::User(user(store, &id).await?), expires_at)),
        Claim::Bearer(warrant) => {
            if store.is_revoked(&warrant.revocation_ids).await? {
                return Err(TokenRefusal::Revoked.into());
            }
            let user = match &warrant.user {
                Some(id) => Some(user(store, id).await?),
                None => None,
            };
            let expires_at = warrant.expires_at;
            Ok((Identity::Bearer(Bearer { warrant, user }), expires_at))
        }
    }
}

/// The holder of a biscuit that may see inside, by the policy. Where that cannot be told, nobody.
pub async fn operator(tokens: &Tokens, services: &SessionServices, token: &str) -> Option<Identity> {
    let (identity @ Identity::Bearer(_), _) = identify(tokens, &services.store, token).await.ok()? else { return None };
    let verdict = services.policy.decide(&identity, &Question::anywhere(Operation::Admin), SystemTime::now());
    verdict.is_ok().then_some(identity)
}

async fn user(store: &Store, id: &UserId) -> Result<Arc<UserFacts>, NotIdentified> {
    store.find_user(id).await?.map(Arc::new).ok_or(NotIdentified::User)
}
