//! From a token to an identity: what the token says, and what the database says of it.

use std::sync::Arc;
use std::time::SystemTime;

use super::SessionServices;
use super::access::identity_now;
use crate::access::policy::{Denied, Operation, Question};
use crate::access::{Claim, TokenRefusal, Tokens};
use crate::domain::{Bearer, Identity, UserFacts, UserId, Warrant};
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

/// The holder of a biscuit that may see inside, by the policy; `None` where the token is none such.
///
/// # Errors
/// [`StoreError`] where that cannot be told now.
pub async fn operator(
    tokens: &Tokens,
    services: &SessionServices,
    token: &str,
) -> Result<Option<Identity>, StoreError> {
    match identify(tokens, &services.store, token).await {
        Ok((identity @ Identity::Bearer(_), _)) => {
            Ok(may_administrate(services, &identity).is_ok().then_some(identity))
        }
        Ok(_) | Err(NotIdentified::Token(_) | NotIdentified::User) => Ok(None),
        Err(NotIdentified::Store(error)) => Err(error),
    }
}

/// Why a biscuit's holder may no longer see inside, in a word; `None` as long as it may.
///
/// # Errors
/// [`StoreError`] where that cannot be told now.
pub async fn operator_lapsed(
    services: &SessionServices,
    identity: &Identity,
) -> Result<Option<&'static str>, StoreError> {
    let has_ended = |warrant: &Arc<Warrant>| warrant.expires_at.is_some_and(|end| end <= SystemTime::now());
    if identity.warrant().is_some_and(has_ended) {
        return Ok(Some("expired"));
    }
    if services.store.is_revoked(identity.revocation_ids()).await? {
        return Ok(Some("revoked"));
    }
    let Some(identity) = identity_now(&services.store, identity).await? else { return Ok(Some("user")) };
    Ok(match may_administrate(services, &identity) {
        // Where nothing was decided, nothing changes.
        Ok(()) | Err(Denied::TooCostly) => None,
        Err(Denied::ByPolicy | Denied::ByToken) => Some("policy"),
    })
}

fn may_administrate(services: &SessionServices, identity: &Identity) -> Result<(), Denied> {
    services.policy.decide(identity, &Question::anywhere(Operation::Admin), SystemTime::now())
}

async fn user(store: &Store, id: &UserId) -> Result<Arc<UserFacts>, NotIdentified> {
    store.find_user(id).await?.map(Arc::new).ok_or(NotIdentified::User)
}
