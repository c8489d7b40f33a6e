//! The ways of the newest events: when each was received, from whom, stored, and handed to the
//! audiences. Who had it there is joined from the audiences' [`super::Journal`]s when somebody asks.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::actors::messages::SessionKey;
use crate::domain::{Event, Except, Position, RoomName};

/// Where an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publisher {
    Session(SessionKey),
    /// The backend, by HTTP, or the service itself.
    Backend,
    /// Another process on the same database.
    Elsewhere,
    /// A Node server, or one of its emitters, through Redis.
    Node,
}

/// One event's way. No payload: that is in the log.
pub struct Way {
    pub id: Arc<str>,
    /// The event's name.
    pub event: Arc<str>,
    pub rooms: Arc<[RoomName]>,
    /// Who it was not for.
    pub except: Option<Arc<Except>>,
    pub publisher: Publisher,
    pub received: Instant,
    /// 0 while it has none.
    position: AtomicU64,
    /// Both in µs after `received`; 0 while it has not come to that.
    stored_after: AtomicU32,
    dispatched_after: AtomicU32,
    /// By the index of the worker thread.
    handed: Box<[Handed]>,
}

/// An event at one audience.
#[derive(Default)]
struct Handed {
    /// The audience's turn; 0 while it has not come there.
    turn: AtomicU64,
    after_us: AtomicU32,
    members: AtomicU32,
}

/// An event that has come to one audience.
#[derive(Clone, Copy, Debug)]
pub struct HandedOver {
    pub turn: u64,
    pub after: Duration,
    pub members: u32,
}

impl Way {
    pub fn position(&self) -> Option<Position> {
        Some(self.position.load(Ordering::Acquire)).filter(|position| *position > 0)
    }

    pub fn stored_after(&self) -> Option<Duration> {
        from_us(&self.stored_after)
    }

    pub fn dispatched_after(&self) -> Option<Duration> {
        from_us(&self.dispatched_after)
    }

    fn stored_at(&self, position: Position, at: Instant) {
        self.stored_after.store(self.us_until(at), Ordering::Relaxed);
        self.position.store(position, Ordering::Release);
    }

    /// The audience has handed it to its members, and how long after it was received.
    pub fn hand_over(&self, audience: usize, turn: u64, members: usize) -> Duration {
        let after = self.received.elapsed();
        if let Some(handed) = self.handed.get(audience) {
            handed.after_us.store(to_us(after), Ordering::Relaxed);
            handed.members.store(u32::try_from(members).unwrap_or(u32::MAX), Ordering::Relaxed);
            handed.turn.store(turn, Ordering::Release);
        }
        after
    }

    pub fn handed_to(&self, audience: usize) -> Option<HandedOver> {
        let handed = self.handed.get(audience)?;
        let turn = Some(handed.turn.load(Ordering::Acquire)).filter(|turn| *turn > 0)?;
        let after = Duration::from_micros(handed.after_us.load(Ordering::Relaxed).into());
        Some(HandedOver { turn, after, members: handed.members.load(Ordering::Relaxed) })
    }

    fn us_until(&self, at: Instant) -> u32 {
        to_us(at.saturating_duration_since(self.received))
    }
}

// 71 minutes fit; 0 stands for "not yet".
fn to_us(after: Duration) -> u32 {
    u32::try_from(after.as_micros()).unwrap_or(u32::MAX).max(1)
}

fn from_us(us: &AtomicU32) -> Option<Duration> {
    let us = us.load(Ordering::Relaxed);
    (us > 0).then(|| Duration::from_micros(us.into()))
}

/// What the sequencer knows of an event as it goes out.
pub struct Outgoing<'a> {
    pub id: Arc<str>,
    pub event: &'a str,
    pub rooms: Arc<[RoomName]>,
    /// Who it was not for.
    pub except: Option<Arc<Except>>,
    pub publisher: Publisher,
    pub received: Instant,
    pub position: Option<Position>,
    pub audiences: usize,
}

/// The newest ways, in chunks: a reader takes the full ones along and looks at them without the lock.
#[derive(Default)]
pub struct Ways(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    chunks: VecDeque<Arc<[Arc<Way>]>>,
    open: Vec<Arc<Way>>,
    /// Went out before they were stored, in the order in which they will be.
    unstored: VecDeque<(Event, Arc<Way>)>,
    names: HashSet<Arc<str>>,
}

impl Ways {
    const CHUNK: usize = 1_000;
    /// The newest 100,000 are always there.
    const CHUNKS: usize = 100;
    /// Publishers choose names freely; so many are kept once for all their events.
    const NAMES: usize = 256;
    /// As many as the sequencer holds back.
    const UNSTORED: usize = 100_000;

    /// Notes an event that is on its way to the audiences.
    pub fn note(&self, outgoing: Outgoing<'_>) -> Arc<Way> {
        let Outgoing { id, event, rooms, except, publisher, received, position, audiences } = outgoing;
        let mut kept = self.0.lock();
        let way = Arc::new(Way {
            id,
            event: kept.name(event),
            rooms,
            except,
            publisher,
            received,
            position: AtomicU64::new(0),
            stored_after: AtomicU32::new(0),
            dispatched_after: AtomicU32::new(0),
            handed: (0..audiences).map(|_| Handed::default()).collect(),
        });
        let now = Instant::now();
        way.dispatched_after.store(way.us_until(now), Ordering::Relaxed);
        if let Some(position) = position {
            way.stored_at(position, now);
        }
        kept.push(way.clone());
        way
    }

    /// It went out without a place, and will be given one.
    pub fn expect_stored(&self, event: Event, way: Arc<Way>) {
        let mut kept = self.0.lock();
        kept.unstored.push_back((event, way));
        if kept.unstored.len() > Self::UNSTORED {
            kept.unstored.pop_front();
        }
    }

    /// An event that went out without a place has it now.
    pub fn stored(&self, event: &Event, position: Position) {
        let mut kept = self.0.lock();
        if let Some(index) = kept.unstored.iter().position(|(held, _)| held.is(event))
            && let Some((_, way)) = kept.unstored.remove(index)
        {
            way.stored_at(position, Instant::now());
        }
    }

    /// The newest first.
    pub fn newest(&self) -> impl Iterator<Item = Arc<Way>> + use<> {
        let (chunks, open) = {
            let kept = self.0.lock();
            (kept.chunks.clone(), kept.open.clone())
        };
        let full =
            chunks.into_iter().rev().flat_map(|chunk| (0..chunk.len()).rev().map(move |index| chunk[index].clone()));
        open.into_iter().rev().chain(full)
    }
}

impl Kept {
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        if self.names.len() < Ways::NAMES {
            self.names.insert(name.clone());
        }
        name
    }

    fn push(&mut self, way: Arc<Way>) {
        self.open.push(way);
        if self.open.len() == Ways::CHUNK {
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(Ways::CHUNK));
            self.chunks.push_back(full.into());
            if self.chunks.len() > Ways::CHUNKS {
                self.chunks.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(ways: &Ways, position: Option<Position>) -> Arc<Way> {
        let rooms = [RoomName::parse("tab:c12345678").unwrap()].into();
        let publisher = Publisher::Backend;
        ways.note(Outgoing {
            id: "x".into(),
            event: "e",
            rooms,
            except: None,
            publisher,
            received: Instant::now(),
            position,
            audiences: 1,
        })
    }

    #[test]
    fn the_newest_hundred_thousand_are_there() {
        let ways = Ways::default();
        for position in 1..=105_500 {
            note(&ways, Some(position));
        }
        let kept: Vec<_> = ways.newest().filter_map(|way| way.position()).collect();
        assert_eq!((kept[0], kept.len()), (105_500, 100_500));
        assert!(kept.is_sorted_by(|one, next| one == &(next + 1)));
    }

    #[test]
    fn what_is_stored_later_is_noted_where_it_was() {
        let ways = Ways::default();
        let event = Event::of("e", &1);
        let way = note(&ways, None);
        ways.expect_stored(event.clone(), way.clone());
        ways.stored(&Event::of("e", &1), 7);
        assert_eq!((way.position(), way.stored_after()), (None, None), "another event of the same content");
        ways.stored(&event, 8);
        assert_eq!(way.position(), Some(8));
        assert!(way.handed_to(0).is_none());
        way.hand_over(0, 3, 12);
        let handed = way.handed_to(0).unwrap();
        assert_eq!((handed.turn, handed.members), (3, 12));
    }
}
