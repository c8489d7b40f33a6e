//! What the clients have seen: which events came, when, and in which order.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use hdrhistogram::Histogram;

/// The longest latency that is told apart from longer ones.
const MAX_LATENCY_US: u64 = 60_000_000;

pub struct Seen {
    pub deliveries: u64,
    pub out_of_order: u64,
    /// Of deliveries, or of acknowledgements where those are waited for.
    pub latency_us: Histogram<u64>,
    pub acknowledged: u64,
    /// Acknowledged with `durable: true`.
    pub durable: u64,
    pub refused: u64,
    /// Each publish that is on its way, by its number, from `oldest` on: when it left, and how many deliveries it lacks.
    outstanding: VecDeque<(Instant, usize)>,
    oldest: u64,
    unacknowledged: HashMap<u64, Instant>,
}

impl Seen {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            deliveries: 0,
            out_of_order: 0,
            latency_us: Histogram::new_with_bounds(1, MAX_LATENCY_US, 3)?,
            acknowledged: 0,
            durable: 0,
            refused: 0,
            outstanding: VecDeque::new(),
            oldest: 0,
            unacknowledged: HashMap::new(),
        })
    }

    pub fn published(&mut self, receivers: usize) {
        self.outstanding.push_back((Instant::now(), receivers));
    }

    pub fn wants_acknowledgement(&mut self, number: u64) {
        self.unacknowledged.insert(number, Instant::now());
    }

    /// An event came to a client that expected `expected`.
    pub fn delivered(&mut self, number: u64, expected: u64, records_latency: bool) {
        self.deliveries += 1;
        if number != expected {
            self.out_of_order += 1;
        }
        if let Some((published, lacking)) =
            number.checked_sub(self.oldest).and_then(|at| self.outstanding.get_mut(at as usize))
        {
            *lacking = lacking.saturating_sub(1);
            if records_latency {
                self.latency_us.saturating_record((published.elapsed().as_micros() as u64).max(1));
            }
        }
        while self.outstanding.front().is_some_and(|(_, lacking)| *lacking == 0) {
            self.outstanding.pop_front();
            self.oldest += 1;
        }
    }

    /// An acknowledgement `{ok, id, offset, durable}` came.
    pub fn answered(&mut self, number: u64, answer: &[u8]) {
        let Some(published) = self.unacknowledged.remove(&number) else { return };
        let says = |member: &[u8]| answer.windows(member.len()).any(|window| window == member);
        if says(br#""ok":true"#) {
            self.acknowledged += 1;
            self.durable += u64::from(says(br#""durable":true"#));
            self.latency_us.saturating_record((published.elapsed().as_micros() as u64).max(1));
        } else {
            self.refused += 1;
        }
    }

    /// Publishes that not every receiver has.
    pub fn on_their_way(&self) -> usize {
        self.outstanding.len()
    }

    pub fn unanswered(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Gives up what is still on its way; returns how many deliveries never came.
    pub fn give_up(&mut self) -> u64 {
        let lost = self.outstanding.iter().map(|(_, lacking)| *lacking as u64).sum();
        self.oldest += self.outstanding.len() as u64;
        self.outstanding.clear();
        self.unacknowledged.clear();
        lost
    }

    /// Starts counting again; what is on its way stays so.
    pub fn reset(&mut self) {
        self.latency_us.reset();
        (self.deliveries, self.out_of_order) = (0, 0);
        (self.acknowledged, self.durable, self.refused) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_order_are_told() {
        let mut seen = Seen::new().unwrap();
        seen.published(2);
        seen.published(2);
        seen.delivered(0, 0, true);
        seen.delivered(1, 0, true);
        seen.delivered(1, 1, true);
        assert_eq!((seen.deliveries, seen.out_of_order, seen.on_their_way()), (3, 1, 2));
        assert_eq!(seen.give_up(), 1);
        assert_eq!(seen.on_their_way(), 0);
    }

    #[test]
    fn an_acknowledgement_says_whether_it_is_durable() {
        let mut seen = Seen::new().unwrap();
        (0..3).for_each(|number| seen.wants_acknowledgement(number));
        seen.answered(0, br#"[{"ok":true,"id":"x","offset":"1","durable":true}]"#);
        seen.answered(1, br#"[{"ok":true,"id":"x","offset":"2","durable":false}]"#);
        seen.answered(2, br#"[{"ok":false,"error":{}}]"#);
        assert_eq!((seen.acknowledged, seen.durable, seen.refused, seen.unanswered()), (2, 1, 1, 0));
    }
}
