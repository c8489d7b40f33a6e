//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// Asks until the answer is `Some`, for ten seconds at most.
///
/// # Panics
/// With `what` where it never is.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
