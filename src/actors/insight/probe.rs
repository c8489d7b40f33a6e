//! An actor's vital signs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::domain::Position;
use crate::telemetry::Times;

/// One message in so many has its handling timed.
const TIMED: u64 = 16;
/// Rates are over at least this long.
const RATE_PERIOD: Duration = Duration::from_secs(2);

/// What an actor is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Running,
    /// A room that learns who is in it.
    Starting,
    /// A session whose events are kept while it reads its past.
    Reading,
    /// A session that reads its events from the log, as its client takes them.
    Behind,
    /// One that misses what it needs: a sequencer or a monitor its database, a bridge its Redis.
    Outage,
}

impl State {
    const ALL: [Self; 5] = [Self::Running, Self::Starting, Self::Reading, Self::Behind, Self::Outage];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Reading => "reading",
            Self::Behind => "behind",
            Self::Outage => "outage",
        }
    }
}

/// Written by the actor and by those who send to it; read by anyone.
pub struct Probe {
    started: Instant,
    sent: AtomicU64,
    /// Of those `sent`.
    taken: AtomicU64,
    /// Handled without having been counted as sent: timers, and what comes by a `Recipient`.
    others: AtomicU64,
    high: AtomicU64,
    /// The highest since the last point of the figures.
    peak: AtomicU64,
    state: AtomicU8,
    /// For a session that is behind: the position that it has had everything up to.
    behind_after: AtomicU64,
    /// How much waits past the mailbox: what the sequencer has to store.
    backlog: AtomicU64,
    restarts: AtomicU32,
    last_failure: Mutex<Option<Box<str>>>,
    /// For one that looks at the database again and again: when it last saw all that it wanted to, in ms after
    /// the start, and one more; 0 before the first time.
    looked_ms: AtomicU64,
    times: Times,
    rate: Mutex<Rate>,
}

#[derive(Clone, Copy)]
struct Rate {
    at: Instant,
    handled: u64,
    per_second: f64,
}

/// A reading of a probe.
#[derive(Clone, Debug)]
pub struct Vitals {
    pub state: State,
    pub uptime: Duration,
    pub depth: u64,
    pub high: u64,
    pub handled: u64,
    pub per_second: f64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub restarts: u32,
    pub last_failure: Option<Box<str>>,
    /// Set while a session is behind.
    pub behind_after: Option<Position>,
    pub backlog: u64,
    /// Set for one that looks at the database again and again, once it has.
    pub since_look: Option<Duration>,
}

impl Default for Probe {
    fn default() -> Self {
        let started = Instant::now();
        Self {
            started,
            sent: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            others: AtomicU64::new(0),
            high: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            state: AtomicU8::new(State::Running as u8),
            behind_after: AtomicU64::new(0),
            backlog: AtomicU64::new(0),
            restarts: AtomicU32::new(0),
            last_failure: Mutex::default(),
            looked_ms: AtomicU64::new(0),
            times: Times::default(),
            rate: Mutex::new(Rate { at: started, handled: 0, per_second: 0.0 }),
        }
    }
}

impl Probe {
    /// For an actor that takes the place of one that failed, or was started again by hand.
    pub fn after(former: &Self, failure: Option<&str>) -> Self {
        let probe = Self::default();
        probe.restarts.store(former.restarts.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        probe.last_failure.lock().clone_from(&former.last_failure.lock());
        failure.into_iter().for_each(|text| probe.note_failure(text));
        probe
    }

    /// For an actor that has started itself again.
    pub fn note_restart(&self, failure: &str) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.note_failure(failure);
    }

    pub fn note_failure(&self, text: &str) {
        /// A panic's text may be of any length.
        const MAX_CHARS: usize = 300;
        *self.last_failure.lock() = Some(text.chars().take(MAX_CHARS).collect::<String>().into());
    }

    /// For one that looks at the database again and again: it has, or part of it could not be read.
    pub fn note_look(&self, whole: bool) {
        self.set_state(if whole { State::Running } else { State::Outage });
        if whole {
            let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.looked_ms.store(ms.saturating_add(1), Ordering::Relaxed);
        }
    }

    /// When all was last seen that [`Self::note_look`] tells of.
    pub fn looked(&self) -> Option<Instant> {
        let ms = self.looked_ms.load(Ordering::Relaxed);
        (ms > 0).then(|| self.started + Duration::from_millis(ms - 1))
    }

    pub(super) fn sent(&self) {
        let sent = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let depth = sent.saturating_sub(self.taken.load(Ordering::Relaxed));
        if depth > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(depth, Ordering::Relaxed);
            self.high.fetch_max(depth, Ordering::Relaxed);
        }
    }

    /// To be held while a message is handled that came through a [`super::Post`].
    pub fn handling(self: &Arc<Self>) -> Handling {
        let count = self.taken.fetch_add(1, Ordering::Relaxed);
        self.timing(count)
    }

    /// To be held while anything else is handled.
    pub fn handling_other(self: &Arc<Self>) -> Handling {
        let count = self.others.fetch_add(1, Ordering::Relaxed);
        self.timing(count)
    }

    fn timing(self: &Arc<Self>, count: u64) -> Handling {
        Handling(count.is_multiple_of(TIMED).then(|| (self.clone(), Instant::now())))
    }

    pub fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub fn set_behind(&self, after: Position) {
        self.behind_after.store(after, Ordering::Relaxed);
    }

    pub fn set_backlog(&self, count: usize) {
        self.backlog.store(count as u64, Ordering::Relaxed);
    }

    pub fn depth(&self) -> u64 {
        let taken = self.taken.load(Ordering::Relaxed);
        self.sent.load(Ordering::Relaxed).saturating_sub(taken)
    }

    /// The deepest that the mailbox was since this was last asked; for one who asks.
    pub fn take_peak(&self) -> u64 {
        self.peak.swap(self.depth(), Ordering::Relaxed)
    }

    pub fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Relaxed))]
    }

    pub fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    pub fn read(&self) -> Vitals {
        let handled = self.taken.load(Ordering::Relaxed) + self.others.load(Ordering::Relaxed);
        let state = self.state();
        let times = self.times.counts();
        Vitals {
            state,
            uptime: self.started.elapsed(),
            depth: self.depth(),
            high: self.high.load(Ordering::Relaxed),
            handled,
            per_second: self.per_second(handled),
            p50_us: times.quantile_us(0.5),
            p99_us: times.quantile_us(0.99),
            restarts: self.restarts(),
            last_failure: self.last_failure.lock().clone(),
            behind_after: (state == State::Behind).then(|| self.behind_after.load(Ordering::Relaxed)),
            backlog: self.backlog.load(Ordering::Relaxed),
            since_look: self.looked().map(|at| at.elapsed()),
        }
    }

    /// Since somebody last looked, so that nothing has to be done while nobody does.
    fn per_second(&self, handled: u64) -> f64 {
        let mut rate = self.rate.lock();
        let elapsed = rate.at.elapsed();
        if elapsed >= RATE_PERIOD {
            let per_second = handled.saturating_sub(rate.handled) as f64 / elapsed.as_secs_f64();
            *rate = Rate { at: Instant::now(), handled, per_second };
        }
        rate.per_second
    }
}

/// A message that is being handled.
pub struct Handling(Option<(Arc<Probe>, Instant)>);

impl Drop for Handling {
    fn drop(&mut self) {
        if let Some((probe, began)) = &self.0 {
            probe.times.record(began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_counts_what_waits_and_its_highest() {
        let probe = Arc::new(Probe::default());
        (0..5).for_each(|_| probe.sent());
        drop(probe.handling());
        drop(probe.handling_other());
        let vitals = probe.read();
        assert_eq!((vitals.depth, vitals.high, vitals.handled), (4, 5, 2));
        assert_eq!((probe.take_peak(), probe.take_peak()), (5, 4));
        assert!(vitals.p50_us.is_some() && vitals.behind_after.is_none());
    }

    #[test]
    fn a_restart_is_remembered() {
        let first = Probe::default();
        let second = Probe::after(&first, Some(&"x".repeat(1000)));
        let third = Probe::after(&second, None).read();
        assert_eq!((third.restarts, third.last_failure.map(|text| text.len())), (2, Some(300)));
    }
}
