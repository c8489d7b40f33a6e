//! Who was let in at an Admin UI, and how a UI ends whose biscuit holds no longer.

use std::sync::Arc;
use std::time::Duration;

use socketioxide::extract::SocketRef;

use crate::access::AdminAccess;
use crate::actors::session::{SessionServices, operator_lapsed};
use crate::domain::audit::action;
use crate::domain::{AuditOutcome, AuditRecord, AuditTarget, Identity};
use crate::socket::link::Link;
use crate::store::StoreError;

/// Like a session, a UI has to end within a second of its token's revocation.
const PERIOD: Duration = Duration::from_millis(500);

/// Who was let in.
#[derive(Clone)]
pub enum Operator {
    /// Whoever brought `ADMIN_TOKEN`: that stays so until a restart.
    ByToken,
    ByBiscuit(Identity),
}

impl Operator {
    /// As the audit trail calls them.
    pub fn name(&self) -> &str {
        match self {
            Self::ByToken => AdminAccess::HOLDER,
            Self::ByBiscuit(identity) => identity.label(),
        }
    }

    /// Why they may no longer be in, in a word.
    pub async fn lapsed(&self, services: &SessionServices) -> Result<Option<&'static str>, StoreError> {
        match self {
            Self::ByToken => Ok(None),
            Self::ByBiscuit(identity) => operator_lapsed(services, identity).await,
        }
    }

    /// Ends the UI once its operator may no longer be in.
    pub async fn attend(self, services: Arc<SessionServices>, socket: SocketRef, link: Arc<Link>) {
        if matches!(self, Self::ByToken) {
            return;
        }
        while socket.connected() {
            match self.lapsed(&services).await {
                Ok(None) => {}
                Ok(Some(why)) => return self.end(why, &services, socket, &link),
                // Who was let in stays in while the database is away.
                Err(error) => tracing::warn!(%error, "it could not be told whether an operator's token still holds"),
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    fn end(&self, why: &'static str, services: &SessionServices, socket: SocketRef, link: &Link) {
        tracing::info!(operator = self.name(), why, "an Admin UI was ended");
        services.audit.record(AuditRecord {
            actor: Some(self.name().into()),
            action: action::SESSION_END,
            outcome: AuditOutcome::Done,
            cause: Some(why),
            target: AuditTarget::default(),
            session: Some(socket.id.as_str().into()),
            address: link.peer,
        });
        // One that takes nothing more is not kept for the sake of a farewell.
        if socket.disconnect().is_err() {
            link.kill();
        }
    }
}
