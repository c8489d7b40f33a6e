//! What a batch comes to, before its places are known: the rows that it puts into the log, with positions counted
//! from where the log will stand. Pure; `append.rs` looks up what it needs and writes what it says.

use std::collections::HashMap;

use crate::domain::{Position, RoomName};
use crate::store::log::{Append, Committed, PublishName, Write, Written, from_db, to_db};

/// A publish that was written before.
#[derive(Clone, Debug)]
pub struct Earlier {
    pub digest: Vec<u8>,
    pub position: i64,
    pub kept: bool,
}

/// Who published, and what it calls the publish.
pub type NameKey = (String, String);

/// What has to be known of the database to place a batch.
#[derive(Default)]
pub struct Known {
    pub room_ids: HashMap<RoomName, i64>,
    pub earlier: HashMap<NameKey, Earlier>,
    /// What became of the change of a write, by its index, where it was not made.
    pub unchanged: HashMap<usize, Written>,
}

/// Columns of the rows to insert, as arrays: one statement inserts them all.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Places that the batch takes.
    pub places: i64,
    pub events: Events,
    pub publishes: Publishes,
    /// Rows of sessions that are not there yet.
    pub entered: Entries,
    /// Rows of sessions that take the place of what is there.
    pub entered_anew: Entries,
    /// Sessions and rooms.
    pub left: (Vec<String>, Vec<String>),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Events {
    pub room_ids: Vec<i64>,
    pub steps: Vec<i64>,
    pub names: Vec<String>,
    pub payloads: Vec<String>,
    pub held_as: Vec<Option<String>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Publishes {
    pub publishers: Vec<String>,
    pub ids: Vec<String>,
    pub digests: Vec<Vec<u8>>,
    pub steps: Vec<i64>,
    pub kept: Vec<bool>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entries {
    pub sessions: Vec<String>,
    pub rooms: Vec<String>,
    pub steps: Vec<i64>,
    /// `None` for where it entered.
    pub since: Vec<Option<i64>>,
}

impl Entries {
    fn push(&mut self, (session, room): (String, String), step: i64, since: Option<Position>) {
        self.sessions.push(session);
        self.rooms.push(room);
        self.steps.push(step);
        self.since.push(since.map(to_db));
    }
}

/// What became of a write, before its place is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Placed(i64),
    /// The same publish stands earlier in the batch.
    RepeatedHere {
        step: i64,
        kept: bool,
    },
    Settled(Written),
}

/// Where a session stands in a room at the end of a batch.
enum Stay {
    /// It enters, unless it is there already.
    Entered(i64),
    EnteredAnew(i64, Option<Position>),
    Left,
}

/// A batch, ready to be written.
#[derive(Debug, Default)]
pub struct Batch {
    pub rows: Rows,
    outcomes: Vec<Outcome>,
}

pub fn key(name: &PublishName) -> NameKey {
    (name.publisher.to_string(), name.id.to_string())
}

impl Batch {
    pub fn place(writes: &[Write], known: &Known) -> Self {
        let mut placing = Placing { known, rows: Rows::default(), named: HashMap::new(), stays: HashMap::new() };
        let outcomes = writes.iter().enumerate().map(|(index, write)| placing.write(index, write)).collect();
        Self { rows: placing.finish(), outcomes }
    }

    /// What became of each write, once the log is known to have stood at `before`.
    pub fn committed(&self, before: Position, generation: u64) -> Committed {
        let at = |step: i64| before + from_db(step);
        let written = self.outcomes.iter().map(|outcome| match outcome {
            Outcome::Placed(step) => Written::Placed(at(*step)),
            Outcome::RepeatedHere { step, kept } => Written::Repeated { position: at(*step), kept: *kept },
            Outcome::Settled(written) => *written,
        });
        Committed { before, written: written.collect(), generation }
    }
}

struct Placing<'a> {
    known: &'a Known,
    rows: Rows,
    /// Names of this batch: the digest, the step, and whether the event is kept.
    named: HashMap<NameKey, ([u8; 32], i64, bool)>,
    stays: HashMap<(String, String), Stay>,
}

impl Placing<'_> {
    fn write(&mut self, index: usize, write: &Write) -> Outcome {
        match write {
            Write::Append(append) => self.append(index, append),
            Write::Enter { session, room, since } => self.enter((session.to_string(), room.to_string()), *since),
            Write::Leave { session, room } => {
                self.stays.insert((session.to_string(), room.to_string()), Stay::Left);
                Outcome::Settled(Written::Noted)
            }
            Write::Look | Write::Seen { .. } => Outcome::Settled(Written::Noted),
        }
    }

    fn append(&mut self, index: usize, append: &Append) -> Outcome {
        if let Some(repeated) = append.name.as_ref().and_then(|name| self.repeated(name)) {
            return repeated;
        }
        if let Some(unchanged) = self.known.unchanged.get(&index) {
            return Outcome::Settled(*unchanged);
        }
        if append.kept {
            self.rows.places += 1;
            for room in &*append.rooms {
                self.event(append, room);
            }
        }
        if let Some(name) = &append.name {
            self.remember(name, append.kept);
        }
        if append.kept { Outcome::Placed(self.rows.places) } else { Outcome::Settled(Written::NotKept) }
    }

    fn repeated(&self, name: &PublishName) -> Option<Outcome> {
        let key = key(name);
        let earlier = self.known.earlier.get(&key).map(|Earlier { digest, position, kept }| {
            let repeated = Written::Repeated { position: from_db(*position), kept: *kept };
            Outcome::Settled(if digest[..] == name.digest { repeated } else { Written::Contradicted })
        });
        earlier.or_else(|| {
            self.named.get(&key).map(|(digest, step, kept)| {
                let repeated = Outcome::RepeatedHere { step: *step, kept: *kept };
                if *digest == name.digest { repeated } else { Outcome::Settled(Written::Contradicted) }
            })
        })
    }

    fn event(&mut self, append: &Append, room: &RoomName) {
        // Every room of the batch was given its number before.
        let Some(room_id) = self.known.room_ids.get(room) else { return };
        let events = &mut self.rows.events;
        events.room_ids.push(*room_id);
        events.steps.push(self.rows.places);
        events.names.push(append.event.name().to_owned());
        events.payloads.push(append.event.payload().to_owned());
        events.held_as.push(append.held_as.as_deref().map(str::to_owned));
    }

    fn remember(&mut self, name: &PublishName, kept: bool) {
        let (key, step) = (key(name), self.rows.places);
        let publishes = &mut self.rows.publishes;
        publishes.publishers.push(key.0.clone());
        publishes.ids.push(key.1.clone());
        publishes.digests.push(name.digest.to_vec());
        publishes.steps.push(step);
        publishes.kept.push(kept);
        self.named.insert(key, (name.digest, step, kept));
    }

    fn enter(&mut self, key: (String, String), since: Option<Position>) -> Outcome {
        if since.is_some() {
            // A place of its own: an offset from here on says that the replay was had.
            self.rows.places += 1;
            self.stays.insert(key, Stay::EnteredAnew(self.rows.places, since));
            return Outcome::Placed(self.rows.places);
        }
        let step = self.rows.places;
        match self.stays.get(&key) {
            Some(Stay::Entered(_) | Stay::EnteredAnew(..)) => {}
            Some(Stay::Left) => drop(self.stays.insert(key, Stay::EnteredAnew(step, None))),
            None => drop(self.stays.insert(key, Stay::Entered(step))),
        }
        Outcome::Settled(Written::Noted)
    }

    fn finish(mut self) -> Rows {
        for (key, stay) in self.stays {
            match stay {
                Stay::Entered(step) => self.rows.entered.push(key, step, None),
                Stay::EnteredAnew(step, since) => self.rows.entered_anew.push(key, step, since),
                Stay::Left => {
                    self.rows.left.0.push(key.0);
                    self.rows.left.1.push(key.1);
                }
            }
        }
        self.rows
    }
}
