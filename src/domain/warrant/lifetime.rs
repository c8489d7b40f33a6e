//! What a token's checks on the time mean for how long it holds.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use biscuit_auth::builder::{Binary, Check, CheckKind, Fact, MapKey, Op, Rule, Term};

/// The end that a token's checks set in the usual way, `check if time($t), $t <= 2030-01-01T00:00:00Z`;
/// a check with alternatives sets one if each of them does.
pub(super) fn end(checks: &[Check]) -> Option<SystemTime> {
    let of_check = |check: &Check| {
        let bounded = !check.queries.is_empty() && !matches!(check.kind, CheckKind::Reject);
        let ends: Option<Vec<u64>> = check.queries.iter().map(end_of_query).collect();
        bounded.then_some(ends?.into_iter().max()).flatten()
    };
    checks.iter().filter_map(of_check).min().and_then(time)
}

/// The first second at which the query cannot hold.
fn end_of_query(query: &Rule) -> Option<u64> {
    let is_time = |variable: &str| {
        let names = |terms: &[Term]| matches!(terms, [Term::Variable(name)] if name == variable);
        query.body.iter().any(|predicate| predicate.name == "time" && names(&predicate.terms))
    };
    let of_expression = |ops: &[Op]| match ops {
        [Op::Value(Term::Variable(name)), Op::Value(Term::Date(end)), Op::Binary(comparison)] if is_time(name) => {
            match comparison {
                Binary::LessThan => Some(*end),
                Binary::LessOrEqual => end.checked_add(1),
                _ => None,
            }
        }
        [Op::Value(Term::Date(end)), Op::Value(Term::Variable(name)), Op::Binary(comparison)] if is_time(name) => {
            match comparison {
                Binary::GreaterThan => Some(*end),
                Binary::GreaterOrEqual => end.checked_add(1),
                _ => None,
            }
        }
        _ => None,
    };
    query.expressions.iter().filter_map(|expression| of_expression(&expression.ops)).min()
}

/// Time enters a decision in whole seconds and is only ever compared, there being no arithmetic on
/// dates: so nothing changes but at a date that is written in the token, or in the second after it.
pub(super) fn turning_points(facts: &[Fact], checks: &[Check]) -> Vec<SystemTime> {
    let mut dates = BTreeSet::new();
    facts.iter().flat_map(|fact| &fact.predicate.terms).for_each(|term| in_term(term, &mut dates));
    for query in checks.iter().flat_map(|check| &check.queries) {
        query.body.iter().flat_map(|predicate| &predicate.terms).for_each(|term| in_term(term, &mut dates));
        query.expressions.iter().for_each(|expression| in_ops(&expression.ops, &mut dates));
    }
    let moments: BTreeSet<u64> =
        dates.into_iter().flat_map(|date| [Some(date), date.checked_add(1)]).flatten().collect();
    moments.into_iter().filter_map(time).collect()
}

fn in_ops(ops: &[Op], dates: &mut BTreeSet<u64>) {
    for op in ops {
        match op {
            Op::Value(term) => in_term(term, dates),
            Op::Closure(_, inner) => in_ops(inner, dates),
            Op::Unary(_) | Op::Binary(_) => {}
        }
    }
}

fn in_term(term: &Term, dates: &mut BTreeSet<u64>) {
    match term {
        Term::Date(date) => {
            dates.insert(*date);
        }
        Term::Set(terms) => terms.iter().for_each(|term| in_term(term, dates)),
        Term::Array(terms) => terms.iter().for_each(|term| in_term(term, dates)),
        Term::Map(terms) => terms.iter().for_each(|(_, term): (&MapKey, &Term)| in_term(term, dates)),
        _ => {}
    }
}

fn time(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
