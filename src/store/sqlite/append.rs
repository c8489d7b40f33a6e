//! One batch, in one transaction.

use chrono::{NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel::upsert::excluded;

use super::rooms::RoomIds;
use crate::domain::{Cuid, KitchenStatus, PidKey, Position, RoomName};
use crate::schema::{log_events, log_head, log_publishes, session_rooms, tab_items};
use crate::store::log::{Append, Committed, ItemChange, PublishName, Write, Written, from_db, now_ms, to_db};

/// The one row of `log_head`.
#[derive(Queryable, Insertable)]
#[diesel(table_name = log_head)]
struct LogHead {
    id: i64,
    log: i64,
    head: i64,
    pid_secret: Vec<u8>,
    boot: String,
    indexed: i64,
    forgotten_through: i64,
}

/// Writes a batch: all of it, or nothing.
pub fn commit(connection: &mut SqliteConnection, writes: &[Write], rooms: &mut RoomIds) -> QueryResult<Committed> {
    let committed = connection.immediate_transaction(|connection| {
        let mut row: LogHead = log_head::table.get_result(connection)?;
        rooms.begin(row.forgotten_through);
        let before = from_db(row.head);
        let mut transaction = Transaction { connection, rooms, head: before, now_ms: now_ms() };
        let written = writes.iter().map(|write| transaction.write(write)).collect::<QueryResult<_>>()?;
        let head = transaction.head;
        if head != before {
            row.head = to_db(head);
            // diesel prepares an `UPDATE` anew each time, and this once.
            diesel::replace_into(log_head::table).values(&row).execute(connection)?;
        }
        Ok(Committed { before, written, generation: 0 })
    });
    if committed.is_ok() {
        rooms.keep();
    }
    committed
}

/// Positions that are left out after the machine went down: more than can have been waiting for the disk.
const LEFT_OUT: i64 = 1 << 32;

/// Notes under which boot of the machine the log is written. Events that had gone out when the machine lost
/// power may be missing from the file, and clients have their positions: those are not given out again.
pub fn note_boot(connection: &mut SqliteConnection, boot: &str) -> QueryResult<()> {
    connection.immediate_transaction(|connection| {
        let (head, last): (i64, String) =
            log_head::table.select((log_head::head, log_head::boot)).get_result(connection)?;
        if last != boot {
            let head = if head == 0 { 0 } else { head + LEFT_OUT };
            diesel::update(log_head::table)
                .set((log_head::head.eq(head), log_head::boot.eq(boot)))
                .execute(connection)?;
        }
        Ok(())
    })
}

struct Transaction<'a> {
    connection: &'a mut SqliteConnection,
    rooms: &'a mut RoomIds,
    head: Position,
    now_ms: i64,
}

impl Transaction<'_> {
    fn write(&mut self, write: &Write) -> QueryResult<Written> {
        match write {
            Write::Append(append) => self.append(append),
            Write::Enter { session, room, since } => self.enter(session, room, *since),
            Write::Leave { session, room } => self.leave(session, room),
            Write::Look => Ok(Written::Noted),
            Write::Seen { session, own_room } => self.seen(session, own_room.as_ref()),
        }
    }

    fn append(&mut self, append: &Append) -> QueryResult<Written> {
        if let Some(name) = &append.name
            && let Some(earlier) = self.earlier(name)?
        {
            return Ok(earlier);
        }
        if let Some(change) = &append.change
            && let Some(unchanged) = self.change(change)
        {
            return Ok(unchanged);
        }
        if append.kept {
            self.head += 1;
            for room in &*append.rooms {
                self.place(append, room)?;
            }
        }
        if let Some(name) = &append.name {
            self.remember(name, append.kept)?;
        }
        Ok(if append.kept { Written::Placed(self.head) } else { Written::NotKept })
    }

    /// `None` where the change is made. In a savepoint, so that one that the application's database refuses
    /// (a trigger may) does not take the batch with it.
    fn change(&mut self, change: &ItemChange) -> Option<Written> {
        let changed =
            self.connection.transaction(|connection| set_kitchen_status(connection, &change.item, change.status));
        match changed {
            Ok(true) => None,
            Ok(false) => Some(Written::Unchanged),
            Err(error) => {
                tracing::warn!(%error, item = %change.item, "the database refused the change of an item");
                Some(Written::Failed)
            }
        }
    }

    fn place(&mut self, append: &Append, room: &RoomName) -> QueryResult<()> {
        let room_id = self.rooms.id(self.connection, room)?;
        diesel::insert_into(log_events::table)
            .values((
                log_events::room_id.eq(room_id),
                log_events::position.eq(to_db(self.head)),
                log_events::event.eq(append.event.name()),
                log_events::payload.eq(append.event.payload()),
                log_events::stored_at.eq(self.now_ms),
                log_events::held_as.eq(append.held_as.as_deref()),
            ))
            .execute(self.connection)?;
        self.rooms.count(room_id, 1);
        Ok(())
    }

    fn earlier(&mut self, name: &PublishName) -> QueryResult<Option<Written>> {
        let found: Option<(Vec<u8>, i64, bool)> = log_publishes::table
            .filter(log_publishes::publisher.eq(&*name.publisher).and(log_publishes::publish_id.eq(&*name.id)))
            .select((log_publishes::digest, log_publishes::position, log_publishes::kept))
            .first(self.connection)
            .optional()?;
        Ok(found.map(|(digest, position, kept)| {
            let same = digest == name.digest;
            if same { Written::Repeated { position: from_db(position), kept } } else { Written::Contradicted }
        }))
    }

    fn remember(&mut self, name: &PublishName, kept: bool) -> QueryResult<()> {
        diesel::insert_into(log_publishes::table)
            .values((
                log_publishes::publisher.eq(&*name.publisher),
                log_publishes::publish_id.eq(&*name.id),
                log_publishes::digest.eq(&name.digest[..]),
                log_publishes::position.eq(to_db(self.head)),
                log_publishes::kept.eq(kept),
                log_publishes::stored_at.eq(self.now_ms),
            ))
            .execute(self.connection)?;
        Ok(())
    }

    fn enter(&mut self, session: &PidKey, room: &RoomName, since: Option<Position>) -> QueryResult<Written> {
        if since.is_some() {
            // A place of its own: an offset from here on says that the replay was had.
            self.head += 1;
        }
        let row = (
            session_rooms::session.eq(session.to_string()),
            session_rooms::room.eq(room.as_str()),
            session_rooms::entered_at.eq(to_db(self.head)),
            session_rooms::since.eq(to_db(since.unwrap_or(self.head))),
            session_rooms::seen_at.eq(self.now_ms),
        );
        let insert = diesel::insert_into(session_rooms::table).values(row);
        if since.is_some() {
            insert
                .on_conflict((session_rooms::session, session_rooms::room))
                .do_update()
                .set((
                    session_rooms::entered_at.eq(excluded(session_rooms::entered_at)),
                    session_rooms::since.eq(excluded(session_rooms::since)),
                ))
                .execute(self.connection)?;
        } else {
            insert.on_conflict_do_nothing().execute(self.connection)?;
        }
        Ok(if since.is_some() { Written::Placed(self.head) } else { Written::Noted })
    }

    fn leave(&mut self, session: &PidKey, room: &RoomName) -> QueryResult<Written> {
        diesel::delete(session_rooms::table.find((session.to_string(), room.as_str()))).execute(self.connection)?;
        Ok(Written::Noted)
    }

    fn seen(&mut self, session: &PidKey, own_room: Option<&RoomName>) -> QueryResult<Written> {
        if let Some(room) = own_room {
            let began_at = to_db(session.began_at);
            diesel::insert_into(session_rooms::table)
                .values((
                    session_rooms::session.eq(session.to_string()),
                    session_rooms::room.eq(room.as_str()),
                    session_rooms::entered_at.eq(began_at),
                    session_rooms::since.eq(began_at),
                    session_rooms::seen_at.eq(self.now_ms),
                ))
                .on_conflict_do_nothing()
                .execute(self.connection)?;
        }
        let own = session_rooms::session.eq(session.to_string());
        diesel::update(session_rooms::table.filter(own))
            .set(session_rooms::seen_at.eq(self.now_ms))
            .execute(self.connection)?;
        Ok(Written::Noted)
    }
}

/// Gives an item a state; `false` where it has it already, or is gone.
fn set_kitchen_status(connection: &mut SqliteConnection, id: &Cuid, status: KitchenStatus) -> QueryResult<bool> {
    #[derive(AsChangeset)]
    #[diesel(table_name = tab_items)]
    struct Change {
        kitchen_status: &'static str,
        prepared_at: Option<NaiveDateTime>,
        delivered_at: Option<NaiveDateTime>,
    }
    let now = Utc::now().naive_utc();
    let change = Change {
        kitchen_status: status.as_str(),
        prepared_at: (status == KitchenStatus::Ready).then_some(now),
        delivered_at: (status == KitchenStatus::Delivered).then_some(now),
    };
    let other = tab_items::id.eq(id.as_str()).and(tab_items::kitchen_status.ne(status.as_str()));
    let update = diesel::update(tab_items::table.filter(other)).set(change);
    let changed = update.execute(connection)?;
    Ok(changed > 0)
}
