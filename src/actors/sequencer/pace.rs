//! When a batch begins.

use std::time::{Duration, Instant};

/// While much comes, batches begin a moment apart, so that they share a commit, unless as much waits as came with the
/// ones before: publishers that wait for their answers send no more until then. What comes to an idle
/// service is stored at once.
pub struct Pace {
    /// A batch begins at the end of this turn.
    due: bool,
    /// A batch begins when its time has come, if none does before.
    waiting: bool,
    /// Steps of the newest batches.
    usual: usize,
    next: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self { due: false, waiting: false, usual: 0, next: Instant::now() }
    }
}

impl Pace {
    const APART: Duration = Duration::from_millis(1);
    /// Fewer steps than this are not worth a commit of their own within that time.
    const WORTHWHILE: usize = 4;

    /// Whether there is nothing to do until the batch that is due begins.
    pub fn is_due(&self) -> bool {
        self.due
    }

    /// So many steps wait: how long until they are to begin. `None` where that is arranged already.
    pub fn arrange(&mut self, steps: usize) -> Option<Duration> {
        let full = steps >= self.usual.max(Self::WORTHWHILE);
        let wait = if full { Duration::ZERO } else { self.next.saturating_duration_since(Instant::now()) };
        let arranged = if wait.is_zero() { &mut self.due } else { &mut self.waiting };
        if std::mem::replace(arranged, true) { None } else { Some(wait) }
    }

    /// What was arranged has come.
    pub fn arrived(&mut self) {
        (self.due, self.waiting) = (false, false);
    }

    /// A batch of so many steps begins.
    pub fn begun(&mut self, steps: usize) {
        self.next = Instant::now() + Self::APART;
        // Follows what comes at once, and forgets it slowly.
        self.usual = steps.max(self.usual - self.usual.div_ceil(8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_to_an_idle_service_begins_at_once() {
        let mut pace = Pace::default();
        assert_eq!(pace.arrange(1), Some(Duration::ZERO));
        assert!(pace.is_due());
    }

    #[test]
    fn what_comes_soon_after_waits_once_unless_as_much_waits_as_usual() {
        let mut pace = Pace::default();
        // Long enough apart for a test that is held up.
        pace.begun(6);
        pace.next += Duration::from_mins(1);
        assert!(pace.arrange(5).is_some_and(|wait| !wait.is_zero()));
        assert_eq!(pace.arrange(5), None, "it is arranged already");
        assert!(!pace.is_due());
        assert_eq!(pace.arrange(6), Some(Duration::ZERO));
        assert!(pace.is_due());
        pace.arrived();
        assert!(!pace.is_due());
    }

    #[test]
    fn a_burst_is_forgotten_slowly() {
        let mut pace = Pace::default();
        pace.begun(100);
        pace.begun(1);
        assert_eq!(pace.usual, 87);
        (0..50).for_each(|_| pace.begun(1));
        assert_eq!(pace.usual, 1);
    }
}
