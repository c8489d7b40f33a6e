//! How much a token may ask of whoever evaluates it.

use biscuit_auth::builder::{Binary, Check, Fact, Op, Rule, Unary};

use super::WarrantFault;

const MAX_FACTS: usize = 128;
const MAX_CHECKS: usize = 64;
/// What an evaluation adds to a token's own facts of one name, at most: a user's places of work.
const ADDED_STAFF: usize = 64;
/// Combinations of facts that all checks together may have to look at, at some 2 µs each.
const MAX_COMBINATIONS: usize = 2_000;

/// A check is a join over facts: with each predicate in its body the combinations multiply, and one
/// evaluation goes through all of them before it looks at its limits again.
pub(super) fn check(facts: &[Fact], checks: &[Check]) -> Result<(), WarrantFault> {
    if facts.len() > MAX_FACTS {
        return Err(WarrantFault::TooMuch("128 facts"));
    }
    if checks.len() > MAX_CHECKS {
        return Err(WarrantFault::TooMuch("64 checks"));
    }
    let queries = || checks.iter().flat_map(|check| &check.queries);
    let combinations = queries().fold(0usize, |sum, query| sum.saturating_add(combinations(query, facts)));
    if combinations > MAX_COMBINATIONS {
        return Err(WarrantFault::TooMuch("2000 combinations of facts to look at"));
    }
    let cheap = queries().flat_map(|query| &query.expressions).all(|expression| is_cheap(&expression.ops));
    if cheap { Ok(()) } else { Err(WarrantFault::Expensive) }
}

fn combinations(query: &Rule, facts: &[Fact]) -> usize {
    let candidates = |name: &str| {
        let own = facts.iter().filter(|fact| fact.predicate.name == name).count();
        let added = if ["staff", "works_in", "cooks_in"].contains(&name) { ADDED_STAFF } else { 1 };
        own + added
    };
    query.body.iter().fold(1, |product, predicate| product.saturating_mul(candidates(&predicate.name)))
}

/// Nothing that loops over a set, compiles a pattern or calls out. `&&` and `||` are closures too,
/// entered once.
fn is_cheap(ops: &[Op]) -> bool {
    ops.iter().all(|op| match op {
        Op::Value(_) => true,
        Op::Unary(unary) => !matches!(unary, Unary::Ffi(_)),
        Op::Binary(binary) => !matches!(binary, Binary::All | Binary::Any | Binary::Regex | Binary::Ffi(_)),
        Op::Closure(_, inner) => is_cheap(inner),
    })
}
