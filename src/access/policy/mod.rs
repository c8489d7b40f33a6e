//! Who may do what, decided by the Datalog of `policies/default.datalog` over facts that the caller
//! has read. No database here: a decision is a pure function of who asks, what, where and when.

mod decisions;
mod question;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use biscuit_auth::builder::{Fact, Policy as DatalogPolicy, PolicyKind, Predicate, Term, date, fact, string};
use biscuit_auth::error::{Logic, MatchedPolicy, Token as BiscuitError};
use biscuit_auth::{AuthorizerBuilder, AuthorizerLimits, BlockBuilder};

use crate::domain::{Identity, Refusal, RoomKind, names_a_key};

pub use decisions::Decisions;
pub use question::{Operation, Place, Question};

pub const TAB_DENIED: Refusal = Refusal::forbidden("Access denied to tab");
pub const VENUE_DENIED: Refusal = Refusal::forbidden("Not authorized for this venue");
pub const KITCHEN_DENIED: Refusal = Refusal::forbidden("Not authorized for kitchen");
pub const TABLE_DENIED: Refusal = Refusal::forbidden("Access denied to table");
pub const BROADCAST_DENIED: Refusal = Refusal::forbidden("Unauthorized broadcast");
pub const ITEM_NOT_FOUND: Refusal = Refusal::new(crate::domain::ErrorCode::NotFound, "Order item not found");

/// What someone is told who may not be in a room of this kind.
pub const fn denied(kind: RoomKind) -> Refusal {
    match kind {
        RoomKind::Tab => TAB_DENIED,
        RoomKind::Venue => VENUE_DENIED,
        RoomKind::Kitchen => KITCHEN_DENIED,
        RoomKind::Table => TABLE_DENIED,
        RoomKind::User => Refusal::forbidden("Access denied"),
    }
}

/// A no, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the policy does not allow it")]
    ByPolicy,
    /// The policy would; a check in the token does not hold.
    #[error("the token's own checks do not allow it")]
    ByToken,
    /// Nothing was decided. A client is told `UNAVAILABLE`.
    #[error("the decision would have taken too long")]
    TooCostly,
}

/// A policy's text that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFault {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("it is no Datalog of biscuit tokens: {0}")]
    Syntax(String),
    #[error("it allows nothing")]
    Empty,
}

/// The policy, parsed once.
pub struct Policy {
    /// For each operation the rules, and those of the policies that can match it. Cloned for each
    /// decision, and the facts added.
    templates: HashMap<&'static str, AuthorizerBuilder>,
}

impl Policy {
    const DEFAULT: &str = include_str!("../../../policies/default.datalog");
    /// A decision takes 0.1 ms of work. Its time is the clock's, so a machine that is busy with other things
    /// must have room to stretch it: the limit is for a policy that goes astray. What a token can ask for is
    /// bounded before (`domain/warrant`).
    const LIMITS: AuthorizerLimits =
        AuthorizerLimits { max_facts: 10_000, max_iterations: 20, max_time: Duration::from_secs(1) };

    /// The policy of the file, or the service's own.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn load(file: Option<&Path>) -> Result<Self, PolicyFault> {
        match file {
            None => Self::parse(Self::DEFAULT),
            Some(file) => Self::parse(&std::fs::read_to_string(file)?),
        }
    }

    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PolicyFault> {
        let fault = |error: BiscuitError| PolicyFault::Syntax(one_line(&error.to_string()));
        if names_a_key(text) {
            return Err(PolicyFault::Syntax(
                "it names a public key, and blocks of third parties are not trusted".to_owned(),
            ));
        }
        let whole = AuthorizerBuilder::new().code(text).map_err(fault)?;
        let (facts, rules, checks, policies) = whole.build_unauthenticated().map_err(fault)?.dump();
        if !policies.iter().any(|policy| policy.kind == PolicyKind::Allow) {
            return Err(PolicyFault::Empty);
        }
        let common = BlockBuilder { facts, rules, checks, ..BlockBuilder::new() };
        // A policy may call operations by names of its own; then all of it is asked.
        let mut heads =
            common.rules.iter().map(|rule| &rule.head).chain(common.facts.iter().map(|fact| &fact.predicate));
        let renames = heads.any(|head| head.name == "operation");
        let template = |operation: &str| {
            let template = AuthorizerBuilder::new().set_limits(Self::LIMITS).merge_block(common.clone());
            let relevant = policies.iter().filter(|policy| renames || can_match(policy, operation)).cloned();
            relevant.into_iter().try_fold(template, AuthorizerBuilder::policy).map_err(fault)
        };
        let templates = Operation::NAMES.into_iter().map(|operation| Ok((operation, template(operation)?)));
        Ok(Self { templates: templates.collect::<Result<_, PolicyFault>>()? })
    }

    /// Decides, at this moment.
    ///
    /// # Errors
    /// Whose no it is.
    pub fn decide(&self, identity: &Identity, question: &Question, now: SystemTime) -> Result<(), Denied> {
        let facts = facts_of(identity).into_iter().chain(facts_about(question)).chain([fact("time", &[date(&now)])]);
        let builder = facts.fold(self.templates[question.operation.as_str()].clone(), |builder, fact| {
            builder.fact(fact).expect("a fact of constants has no parameter that could be missing")
        });
        let authorizer = match identity.warrant() {
            Some(warrant) => builder.build(&warrant.token),
            None => builder.build_unauthenticated(),
        };
        match authorizer.and_then(|mut authorizer| authorizer.authorize()) {
            Ok(_) => Ok(()),
            Err(error) => Err(Denied::from(error)),
        }
    }
}

/// Whether the policy does not name another operation: there is only ever the one that is asked about.
fn can_match(policy: &DatalogPolicy, operation: &str) -> bool {
    let names_another = |predicate: &Predicate| {
        predicate.name == "operation" && matches!(&predicate.terms[..], [Term::Str(name)] if name != operation)
    };
    policy.queries.iter().any(|query| !query.body.iter().any(names_another))
}

fn text(value: &str) -> Term {
    string(value)
}

fn facts_of(identity: &Identity) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Identity::System = identity {
        facts.push(fact("role", &[text("SYSTEM")]));
    }
    if let Some(user) = identity.user() {
        facts.push(fact("user", &[text(user.id.as_str())]));
        facts
            .extend(user.staff.iter().map(|(venue, role)| fact("staff", &[text(venue.as_str()), text(role.as_str())])));
    }
    facts
}

fn facts_about(question: &Question) -> Vec<Fact> {
    let Question { operation, room, place } = question;
    let mut facts = vec![fact("operation", &[text(operation.as_str())])];
    if let Some(room) = room {
        facts.push(fact("room", &[text(room.kind().as_str()), text(room.id())]));
    }
    if let Some(venue) = &place.venue {
        facts.push(fact("venue", &[text(venue.as_str())]));
    }
    if let Some(tab) = &place.tab {
        facts.push(fact("tab_server", &[text(tab.server.as_str())]));
        facts.push(fact("tab_status", &[text(tab.status.as_str())]));
        facts.extend(tab.customer.as_ref().map(|customer| fact("tab_customer", &[text(customer.as_str())])));
    }
    facts.extend(operation.new_status().map(|status| fact("new_status", &[text(status.as_str())])));
    facts
}

impl From<BiscuitError> for Denied {
    fn from(error: BiscuitError) -> Self {
        match error {
            BiscuitError::FailedLogic(Logic::Unauthorized { policy: MatchedPolicy::Allow(_), .. }) => Self::ByToken,
            BiscuitError::FailedLogic(_) => Self::ByPolicy,
            BiscuitError::RunLimit(limit) => {
                tracing::warn!(?limit, "a decision was given up");
                Self::TooCostly
            }
            // An expression that cannot be evaluated, such as a sum of a number and a name, does not hold.
            other => {
                tracing::debug!(error = %other, "a decision failed");
                Self::ByPolicy
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
