//! How many of something may be held at once, in all and by one holder: connections by address, sessions
//! by user. It counts and refuses; what becomes of who is refused is its caller's matter.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// Which bound was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    #[error("as many as there may be in all")]
    InAll,
    #[error("as many as one may have")]
    ForOne,
}

pub struct Quota<K> {
    max: usize,
    max_for_one: usize,
    held: Mutex<Held<K>>,
}

struct Held<K> {
    all: usize,
    by_holder: HashMap<K, usize>,
}

/// A place that is held until this is dropped.
pub struct Permit<K: Eq + Hash> {
    quota: Arc<Quota<K>>,
    holder: Option<K>,
}

impl<K: Clone + Eq + Hash> Quota<K> {
    pub fn new(max: usize, max_for_one: usize) -> Arc<Self> {
        Arc::new(Self { max, max_for_one, held: Mutex::new(Held { all: 0, by_holder: HashMap::new() }) })
    }

    /// Takes a place; without a holder it counts among all alone.
    ///
    /// # Errors
    /// The bound that was met.
    pub fn take(self: &Arc<Self>, holder: Option<K>) -> Result<Permit<K>, Exhausted> {
        let mut held = self.held.lock();
        if held.all >= self.max {
            return Err(Exhausted::InAll);
        }
        if let Some(holder) = &holder {
            if held.by_holder.get(holder).is_some_and(|count| *count >= self.max_for_one) {
                return Err(Exhausted::ForOne);
            }
            *held.by_holder.entry(holder.clone()).or_default() += 1;
        }
        held.all += 1;
        drop(held);
        Ok(Permit { quota: self.clone(), holder })
    }
}

impl<K: Eq + Hash> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut held = self.quota.held.lock();
        held.all -= 1;
        let Some(holder) = &self.holder else { return };
        if let Some(count) = held.by_holder.get_mut(holder) {
            *count -= 1;
            // The table is no longer than what is held.
            if *count == 0 {
                held.by_holder.remove(holder);
            }
        }
    }
}

/// What one client is known by: an IPv6 network gives each of its clients 2^64 addresses.
pub fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_bounds_hold_and_places_come_back() {
        let quota = Quota::new(3, 2);
        let first = quota.take(Some("a")).unwrap();
        let _second = quota.take(Some("a")).unwrap();
        assert_eq!(quota.take(Some("a")).err(), Some(Exhausted::ForOne));
        let _third = quota.take(None).unwrap();
        assert_eq!(quota.take(Some("b")).err(), Some(Exhausted::InAll));
        drop(first);
        assert!(quota.take(Some("a")).is_ok());
    }

    #[test]
    fn clients_of_one_ipv6_network_are_one() {
        let one = |text: &str| one_client(text.parse().unwrap());
        assert_eq!(one("2001:db8:1:2::3"), one("2001:db8:1:2:ffff::4"));
        assert_ne!(one("2001:db8:1:2::3"), one("2001:db8:1:3::3"));
        assert_eq!(one("::ffff:10.0.0.1"), one("10.0.0.1"));
        assert_ne!(one("10.0.0.1"), one("10.0.0.2"));
    }

    proptest! {
        #[test]
        fn nothing_is_left_whatever_was_taken_and_given_back(steps in proptest::collection::vec((0u8..4, any::<bool>()), 0..200)) {
            let quota = Quota::new(20, 8);
            let mut permits = Vec::new();
            for (holder, take) in steps {
                if take {
                    permits.extend(quota.take((holder > 0).then_some(holder)));
                } else {
                    permits.pop();
                }
                let held = quota.held.lock();
                prop_assert_eq!(held.all, permits.len());
                prop_assert!(held.all <= 20 && held.by_holder.values().all(|count| (1..=8).contains(count)));
            }
            drop(permits);
            let held = quota.held.lock();
            prop_assert!(held.all == 0 && held.by_holder.is_empty());
        }
    }
}
