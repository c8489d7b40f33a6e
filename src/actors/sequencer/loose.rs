//! Events of other instances that go out before they are stored: each goes out once, whichever comes first, its relay
//! or its place.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::outage::Outage;

/// Known by the names that their instances gave them.
#[derive(Default)]
pub struct Loose {
    /// Those that have gone out and have no place yet, with the newest entry of then.
    unplaced: IndexMap<Arc<str>, u64>,
    /// The newest that have one.
    placed: IndexSet<Arc<str>>,
}

impl Loose {
    /// What four instances can hold back for the database; some 50 MB.
    const MAX_UNPLACED: usize = 4 * Outage::MAX_HELD;
    /// For which memory is kept.
    const USUAL: usize = 1_024;
    /// Seconds of a very busy cluster: a relay is not later.
    const MAX_PLACED: usize = 50_000;

    /// Whether the event is to go out, as its relay has come.
    pub fn went_out(&mut self, name: Arc<str>, entry: u64) -> bool {
        if self.placed.contains(&name) || self.unplaced.contains_key(&name) {
            return false;
        }
        self.unplaced.insert(name, entry);
        if self.unplaced.len() > Self::MAX_UNPLACED {
            // The older half goes at once: removing one moves all.
            self.unplaced.drain(..Self::MAX_UNPLACED / 2);
        }
        true
    }

    /// The event has a place now. After which entry it has gone out, if it has.
    pub fn placed(&mut self, name: &str) -> Option<u64> {
        // Which moves the newest into its place: only where there are too many are they in no order.
        let (name, entry) = match self.unplaced.swap_remove_entry(name) {
            Some((name, entry)) => (name, Some(entry)),
            None => (name.into(), None),
        };
        if self.unplaced.is_empty() {
            self.unplaced.shrink_to(Self::USUAL);
        }
        self.placed.insert(name);
        if self.placed.len() > Self::MAX_PLACED {
            self.placed.drain(..Self::MAX_PLACED / 2);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_goes_out_once_whichever_comes_first() {
        let mut loose = Loose::default();
        assert!(loose.went_out("early".into(), 7));
        assert!(!loose.went_out("early".into(), 8), "it came twice");
        assert_eq!(loose.placed("early"), Some(7));
        assert!(!loose.went_out("early".into(), 9), "its relay came again");
        assert_eq!(loose.placed("late"), None);
        assert!(!loose.went_out("late".into(), 9), "its relay is late");
    }

    #[test]
    fn as_many_as_instances_hold_back_are_known_until_they_are_placed() {
        let mut loose = Loose::default();
        let name = |n: usize| Arc::from(format!("instance-{n:x}"));
        (0..3 * Outage::MAX_HELD).for_each(|n| assert!(loose.went_out(name(n), 1)));
        assert!((0..3 * Outage::MAX_HELD).all(|n| loose.placed(&name(n)) == Some(1)));
        assert!(loose.unplaced.is_empty() && loose.placed.len() <= Loose::MAX_PLACED);
        (0..=Loose::MAX_UNPLACED).for_each(|n| _ = loose.went_out(name(n), 1));
        assert!(loose.unplaced.len() <= Loose::MAX_UNPLACED);
    }
}
