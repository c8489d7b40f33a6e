//! What one session has been told, so that asking again costs a look.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::{Denied, Operation, Place, Policy, Question};
use crate::domain::{Identity, RoomName};

type Verdict = Result<(), Denied>;

/// One session's decisions. A decision is kept as long as everything that it rested on is the same:
/// who asks, what the rows say, and the time as far as the token looks at it.
pub struct Decisions {
    policy: Arc<Policy>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    of: Option<Identity>,
    /// The next moment that the token names.
    until: Option<SystemTime>,
    verdicts: HashMap<(Operation, Option<RoomName>), (Place, Verdict)>,
}

impl Decisions {
    /// A backend that publishes to more rooms in turn pays for a decision each time; 200 bytes each.
    const MAX_KEPT: usize = 4_096;

    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy, kept: Mutex::default() }
    }

    /// # Errors
    /// Whose no it is.
    pub fn ask(&self, identity: &Identity, question: &Question) -> Verdict {
        let now = SystemTime::now();
        let key = (question.operation, question.room.clone());
        if let Some((place, verdict)) = self.kept.lock().for_identity(identity, now).verdicts.get(&key)
            && *place == question.place
        {
            return *verdict;
        }
        let verdict = self.policy.decide(identity, question, now);
        if verdict != Err(Denied::TooCostly) {
            let mut kept = self.kept.lock();
            let kept = kept.for_identity(identity, now);
            if kept.verdicts.len() >= Self::MAX_KEPT {
                kept.verdicts.clear();
            }
            kept.verdicts.insert(key, (question.place.clone(), verdict));
        }
        verdict
    }

    /// Whether leave to publish to the room was given already. A room never changes its venue, so
    /// its row need not be read again for this.
    pub fn may_publish_still(&self, identity: &Identity, room: &RoomName) -> bool {
        let mut kept = self.kept.lock();
        let kept = kept.for_identity(identity, SystemTime::now());
        kept.verdicts.get(&(Operation::Broadcast, Some(room.clone()))).is_some_and(|(_, verdict)| verdict.is_ok())
    }
}

impl Kept {
    /// Drops what was decided for one who is not the same any more.
    fn for_identity(&mut self, identity: &Identity, now: SystemTime) -> &mut Self {
        let holds =
            self.of.as_ref().is_some_and(|of| of.is_same(identity)) && self.until.is_none_or(|until| now < until);
        if !holds {
            self.of = Some(identity.clone());
            self.until = identity.next_turning_point(now);
            self.verdicts.clear();
        }
        self
    }
}
