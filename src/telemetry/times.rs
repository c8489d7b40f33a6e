//! How long something takes, counted in buckets: a few nanoseconds to record, a few hundred bytes to keep.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Half an octave each, from 128 ns up to 4 s.
const BUCKETS: usize = 50;
const SMALLEST_LOG2: u32 = 7;

/// Counts since the start; the difference of two [`Counts`] is what came between.
pub struct Times([AtomicU32; BUCKETS]);

/// A copy of the counts.
#[derive(Clone, Copy)]
pub struct Counts([u32; BUCKETS]);

impl Default for Times {
    fn default() -> Self {
        Self([const { AtomicU32::new(0) }; BUCKETS])
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Times {
    pub fn record(&self, took: Duration) {
        self.0[bucket_of(took)].fetch_add(1, Ordering::Relaxed);
    }

    pub fn counts(&self) -> Counts {
        Counts(std::array::from_fn(|index| self.0[index].load(Ordering::Relaxed)))
    }
}

impl Counts {
    /// What was recorded after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index].wrapping_sub(earlier.0[index])))
    }

    /// The time that this share of all stayed under, in microseconds; `None` where there are none.
    pub fn quantile_us(&self, share: f64) -> Option<f64> {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        if total == 0 {
            return None;
        }
        let wanted = share * total as f64;
        let mut before = 0.0;
        for (index, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let through = before + f64::from(*count);
            if through >= wanted {
                let (low, high) = (low_ns(index), low_ns(index + 1));
                return Some((low + (high - low) * ((wanted - before) / f64::from(*count))) / 1_000.0);
            }
            before = through;
        }
        None
    }
}

fn bucket_of(took: Duration) -> usize {
    let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
    let log2 = ns.ilog2();
    if log2 < SMALLEST_LOG2 {
        return 0;
    }
    let upper_half = ns >> (log2 - 1) & 1;
    let bucket = 1 + 2 * (log2 - SMALLEST_LOG2) as usize + upper_half as usize;
    bucket.min(BUCKETS - 1)
}

/// The shortest time of a bucket.
fn low_ns(bucket: usize) -> f64 {
    let Some(halves) = bucket.checked_sub(1) else { return 0.0 };
    let octave = f64::from(1_u32 << (halves / 2).min(31)) * f64::from(1_u32 << SMALLEST_LOG2);
    if halves % 2 == 0 { octave } else { octave * 1.5 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let times = Times::default();
        assert_eq!(times.counts().quantile_us(0.5), None);
        for us in 1..=1_000 {
            times.record(Duration::from_micros(us));
        }
        let counts = times.counts();
        let close = |share: f64, expected: f64| {
            let found = counts.quantile_us(share).unwrap();
            assert!((found / expected - 1.0).abs() < 0.2, "{share}: {found}");
        };
        close(0.5, 500.0);
        close(0.99, 990.0);
        times.record(Duration::from_secs(3));
        let newest = times.counts().since(&counts);
        assert!(newest.quantile_us(0.5).unwrap() > 1_000_000.0);
    }

    proptest! {
        #[test]
        fn every_time_has_its_bucket(ns in 0u64..4_000_000_000) {
            let bucket = bucket_of(Duration::from_nanos(ns));
            prop_assert!(low_ns(bucket) <= ns.max(1) as f64);
            prop_assert!(bucket == BUCKETS - 1 || (ns as f64) < low_ns(bucket + 1));
        }
    }
}
