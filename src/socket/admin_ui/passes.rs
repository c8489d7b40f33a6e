//! What lets an Admin UI in again that was let in before, for a while: in its operator's name, and no longer than
//! that operator's token holds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng;
use subtle::ConstantTimeEq;

use super::operator::Operator;

struct Pass {
    text: String,
    issued: Instant,
    operator: Operator,
}

#[derive(Default)]
pub struct Passes(Mutex<VecDeque<Pass>>);

impl Passes {
    const MAX: usize = 256;
    const VALID: Duration = Duration::from_hours(12);

    pub fn issue(&self, operator: Operator) -> String {
        let text = format!("{:032x}", rand::rng().random::<u128>());
        let mut passes = self.0.lock();
        passes.push_back(Pass { text: text.clone(), issued: Instant::now(), operator });
        if passes.len() > Self::MAX {
            passes.pop_front();
        }
        text
    }

    /// Who was given this one.
    pub fn holder(&self, shown: &str) -> Option<Operator> {
        let is_shown = |pass: &&Pass| bool::from(pass.text.as_bytes().ct_eq(shown.as_bytes()));
        let passes = self.0.lock();
        let pass = passes.iter().filter(|pass| pass.issued.elapsed() < Self::VALID).find(is_shown)?;
        Some(pass.operator.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_holds_until_newer_ones_push_it_out() {
        let passes = Passes::default();
        let first = passes.issue(Operator::ByToken);
        let holds = |pass: &str| passes.holder(pass).is_some();
        assert!(holds(&first) && !holds("") && !holds(&first[1..]));
        (0..Passes::MAX).for_each(|_| drop(passes.issue(Operator::ByToken)));
        assert!(!holds(&first));
    }
}
