//! What lets an Admin UI in again that was let in before, for a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng;
use subtle::ConstantTimeEq;

#[derive(Default)]
pub struct Passes(Mutex<VecDeque<(String, Instant)>>);

impl Passes {
    const MAX: usize = 256;
    const VALID: Duration = Duration::from_hours(12);

    pub fn issue(&self) -> String {
        let pass = format!("{:032x}", rand::rng().random::<u128>());
        let mut passes = self.0.lock();
        passes.push_back((pass.clone(), Instant::now()));
        if passes.len() > Self::MAX {
            passes.pop_front();
        }
        pass
    }

    pub fn holds(&self, shown: &str) -> bool {
        let is_shown = |pass: &str| bool::from(pass.as_bytes().ct_eq(shown.as_bytes()));
        self.0.lock().iter().any(|(pass, issued)| is_shown(pass) && issued.elapsed() < Self::VALID)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_holds_until_newer_ones_push_it_out() {
        let passes = Passes::default();
        let first = passes.issue();
        assert!(passes.holds(&first) && !passes.holds("") && !passes.holds(&first[1..]));
        (0..Passes::MAX).for_each(|_| drop(passes.issue()));
        assert!(!passes.holds(&first));
    }
}
