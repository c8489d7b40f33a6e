//! The numbers by which rooms stand in the log, and how many events each has there.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::domain::RoomName;
use crate::schema::log_rooms;

#[derive(Default)]
pub struct RoomIds {
    ids: HashMap<RoomName, i64>,
    /// Numbers that were given in the transaction under way.
    fresh: HashMap<RoomName, i64>,
    /// Events since the room was last pruned, at least; by the room's number.
    counts: HashMap<i64, u64>,
    /// As the log's row had it when the numbers were read.
    forgotten_through: i64,
}

impl RoomIds {
    /// Past this the numbers are read anew as rooms come up again.
    const MAX: usize = 100_000;

    /// To be called as a transaction begins. Where rooms have been forgotten, their numbers may be others' now.
    pub fn begin(&mut self, forgotten_through: i64) {
        self.fresh.clear();
        if self.forgotten_through != forgotten_through || self.ids.len() > Self::MAX {
            self.ids.clear();
        }
        self.forgotten_through = forgotten_through;
    }

    /// The transaction has been committed: what it gave out holds.
    pub fn keep(&mut self) {
        self.ids.extend(self.fresh.drain());
    }

    pub fn id(&mut self, connection: &mut SqliteConnection, room: &RoomName) -> QueryResult<i64> {
        if let Some(id) = self.ids.get(room).or_else(|| self.fresh.get(room)) {
            return Ok(*id);
        }
        diesel::insert_into(log_rooms::table)
            .values(log_rooms::name.eq(room.as_str()))
            .on_conflict_do_nothing()
            .execute(connection)?;
        let id = log_rooms::table.filter(log_rooms::name.eq(room.as_str())).select(log_rooms::id).first(connection)?;
        self.fresh.insert(room.clone(), id);
        Ok(id)
    }

    pub fn count(&mut self, room_id: i64, more: u64) {
        *self.counts.entry(room_id).or_default() += more;
    }

    pub fn set_count(&mut self, room_id: i64, count: u64) {
        if count == 0 {
            self.counts.remove(&room_id);
        } else {
            self.counts.insert(room_id, count);
        }
    }

    /// What the database had of each room when the service started.
    pub fn learn_counts(&mut self, counts: &[(i64, i64)]) {
        for (room_id, count) in counts {
            self.count(*room_id, u64::try_from(*count).unwrap_or_default());
        }
    }

    /// Rooms that have more events than this.
    pub fn longer_than(&self, events: u64) -> Vec<i64> {
        self.counts.iter().filter(|(_, count)| **count > events).map(|(id, _)| *id).collect()
    }
}
