//! What became of an event at each session that was, had been or came back to its rooms.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::census::Census;
use super::journal::{Flow, Journal, Seen};
use super::life::Life;
use super::ways::{HandedOver, Way};
use crate::actors::messages::SessionKey;
use crate::domain::RoomName;

/// How an event came, or did not come, to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Handed to its connection as it came.
    Handed { at: Instant },
    /// Kept while the session read its past, and sent after that.
    Held { sent: Option<Instant> },
    /// The session was behind: it read the event from the log by then.
    Behind { caught_up: Option<Instant> },
    /// The session's connection had gone before.
    Away { since: Instant },
    /// The session had left the room before.
    Left { since: Instant },
}

pub struct Witness {
    pub life: Arc<Life>,
    pub room: RoomName,
    pub fate: Fate,
    /// When its client's connection ended since, and the session that its client came back with.
    pub lost: Option<Instant>,
    pub back: Option<(Arc<Life>, Instant)>,
}

/// Each session once; `false` where some are no longer known.
pub fn witnesses(census: &Census, way: &Way, lives: &BTreeMap<SessionKey, Arc<Life>>) -> (Vec<Witness>, bool) {
    let mut whole = true;
    let mut found: HashMap<SessionKey, Witness> = HashMap::new();
    for record in census.audiences() {
        // A thread that had no member of its rooms was not handed the event; some may have been there before.
        let handed = way.handed_to(record.index);
        let excepted = members_excepted(way, handed, &record.journal);
        for room in way.rooms.iter() {
            let dispatched = way.received + way.dispatched_after().unwrap_or_default();
            let at = handed.map_or(dispatched, |handed| way.received + handed.after);
            let (seen, complete) = match handed {
                Some(handed) => record.journal.around(room, handed.turn),
                None => record.journal.before(room, at),
            };
            whole &= complete;
            for one in seen.into_iter().filter(|one| !one.later && !excepted.contains(&one.key)) {
                let Some(life) = lives.get(&one.key).cloned() else {
                    whole = false;
                    continue;
                };
                if way.except.as_ref().is_some_and(|except| except.names_socket(&life.socket_id)) {
                    continue;
                }
                let witness = Witness { fate: fate(&one, &life, at), life, room: room.clone(), lost: None, back: None };
                // A session in several of the rooms had it by the first that it was there for.
                let known = found.entry(one.key);
                known.and_modify(|known| known.prefer(&witness)).or_insert(witness);
            }
        }
    }
    let mut witnesses: Vec<Witness> = found.into_values().collect();
    let returns = Returns::of(lives);
    witnesses.iter_mut().for_each(|witness| witness.follow(way, &returns));
    witnesses.sort_by_key(|witness| witness.life.key);
    (witnesses, whole)
}

/// Those at one audience that an event was not for, as they were in a room that it left out.
fn members_excepted(way: &Way, handed: Option<HandedOver>, journal: &Journal) -> HashSet<SessionKey> {
    let (Some(except), Some(handed)) = (&way.except, handed) else { return HashSet::new() };
    let seen = except.rooms().iter().flat_map(|room| journal.around(room, handed.turn).0);
    seen.filter(|one| one.present).map(|one| one.key).collect()
}

fn fate(seen: &Seen, life: &Life, at: Instant) -> Fate {
    if seen.present {
        return match seen.flow {
            Flow::Live => Fate::Handed { at },
            Flow::Held => Fate::Held { sent: seen.live_again },
            Flow::Behind => Fate::Behind { caught_up: seen.live_again },
        };
    }
    let since = seen.left.unwrap_or(at);
    // A session's end takes it out of its rooms a moment later.
    match life.ended() {
        Some(ended) if ended <= since => Fate::Away { since: ended },
        _ => Fate::Left { since },
    }
}

impl Witness {
    fn had_it(&self) -> bool {
        !matches!(self.fate, Fate::Away { .. } | Fate::Left { .. })
    }

    fn prefer(&mut self, other: &Self) {
        if other.had_it() && !self.had_it() {
            (self.fate, self.room) = (other.fate.clone(), other.room.clone());
        }
    }

    /// Where the client went on, if it came back for this event.
    fn follow(&mut self, way: &Way, returns: &Returns) {
        let missed = match self.fate {
            Fate::Away { .. } => true,
            Fate::Behind { caught_up } => caught_up.is_none(),
            Fate::Held { sent } => sent.is_none(),
            Fate::Handed { .. } | Fate::Left { .. } => false,
        };
        self.lost = self.life.ended().filter(|_| self.had_it());
        if missed || self.lost.is_some() {
            self.back = returns.after(&self.life, way, &self.room);
        }
    }
}

/// The sessions that went on from earlier ones.
struct Returns(HashMap<String, Vec<Arc<Life>>>);

impl Returns {
    fn of(lives: &BTreeMap<SessionKey, Arc<Life>>) -> Self {
        let mut by_client: HashMap<String, Vec<Arc<Life>>> = HashMap::new();
        for life in lives.values().filter(|life| life.recovered.is_some()) {
            by_client.entry(life.pid.to_string()).or_default().push(life.clone());
        }
        by_client.values_mut().for_each(|lives| lives.sort_by_key(|life| life.key));
        Self(by_client)
    }

    /// The first that came after this one, if it was still missing the event.
    fn after(&self, life: &Life, way: &Way, room: &RoomName) -> Option<(Arc<Life>, Instant)> {
        let position = way.position()?;
        let of_client = self.0.get(&life.pid.to_string())?;
        let next = of_client.iter().find(|next| next.key > life.key)?;
        let starts = next.recovered.iter().flatten();
        let missing = starts.into_iter().any(|(name, start)| name == room && *start < position);
        missing.then(|| (next.clone(), next.began))
    }
}
