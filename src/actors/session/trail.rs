//! What a session tells the audit trail.

use super::{Session, SessionServices};
use crate::domain::{AuditOutcome, AuditRecord, AuditTarget, Identity, Refusal, RoomName};

impl Session {
    pub(super) fn audit(
        &self,
        action: &'static str,
        outcome: AuditOutcome,
        cause: Option<&'static str>,
        target: AuditTarget,
    ) {
        self.services.audit.record(AuditRecord {
            actor: Some(self.actor.clone()),
            action,
            outcome,
            cause,
            target,
            session: Some(self.member.socket_id.clone()),
            address: self.record.address,
        });
    }

    pub(super) fn audit_refusal(&self, action: &'static str, refusal: &Refusal, target: AuditTarget) {
        self.audit(action, outcome_of(refusal), Some(refusal.code.as_str()), target);
    }

    /// A publish that is on its way, by each of its rooms.
    pub(super) fn audit_publish(&self, rooms: &[RoomName]) {
        for room in rooms {
            self.audit("broadcast", AuditOutcome::Done, None, AuditTarget::room(room));
        }
    }
}

impl SessionServices {
    /// What a publisher did that has no session.
    pub fn audit_request(
        &self,
        action: &'static str,
        identity: Option<&Identity>,
        outcome: Result<(), &Refusal>,
        target: AuditTarget,
    ) {
        self.audit.record(AuditRecord {
            actor: identity.map(|identity| identity.label().into()),
            action,
            outcome: outcome.map_or_else(outcome_of, |()| AuditOutcome::Done),
            cause: outcome.err().map(|refusal| refusal.code.as_str()),
            target,
            session: None,
            address: None,
        });
    }
}

const fn outcome_of(refusal: &Refusal) -> AuditOutcome {
    if refusal.code.is_failure() { AuditOutcome::Failed } else { AuditOutcome::Refused }
}
