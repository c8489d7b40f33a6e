//! The numbers by which rooms stand in the log. They hold until rooms are forgotten, which the log's row tells.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::domain::RoomName;
use crate::store::log::Write;

/// The numbers of some rooms.
#[derive(Clone, Default)]
pub struct Numbers {
    pub by_room: HashMap<RoomName, i64>,
    /// Up to where rooms had been forgotten before these were read.
    pub forgotten_through: i64,
}

/// Those that this instance knows.
#[derive(Default)]
pub struct KnownRooms(Mutex<Numbers>);

impl KnownRooms {
    /// Past this the numbers of rooms are read anew as rooms come up again.
    const MAX: usize = 100_000;

    /// The numbers of the rooms that a batch has events for, and which of them are not known.
    pub fn of(&self, writes: &[Write]) -> (Numbers, Vec<String>) {
        let known = self.0.lock();
        let mut found = Numbers { by_room: HashMap::new(), forgotten_through: known.forgotten_through };
        let mut unknown: Vec<String> = Vec::new();
        for write in writes {
            let Write::Append(append) = write else { continue };
            for room in append.rooms.iter().filter(|_| append.kept) {
                match known.by_room.get(room) {
                    Some(number) => drop(found.by_room.insert(room.clone(), *number)),
                    None => unknown.push(room.to_string()),
                }
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        (found, unknown)
    }

    /// Takes in what was read. Of what was read before others were forgotten nothing holds.
    pub fn learn(&self, read: &Numbers) {
        let mut known = self.0.lock();
        if known.forgotten_through != read.forgotten_through || known.by_room.len() > Self::MAX {
            known.by_room.clear();
        }
        known.forgotten_through = read.forgotten_through;
        known.by_room.extend(read.by_room.iter().map(|(room, number)| (room.clone(), *number)));
    }
}
