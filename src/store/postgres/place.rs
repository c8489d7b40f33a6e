//! The statements that write a batch: its rows, and that its sessions are still there. They are run by diesel in a
//! transaction in which something else comes first, or are sent as they are where nothing does (`pipeline.rs`).

use std::sync::LazyLock;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};
use diesel_async::RunQueryDsl;
use tokio_postgres::types::{ToSql, Type};

use super::append::Fault;
use super::batch::Rows;
use super::connection::Connection;
use crate::store::log::{Write, now_ms, to_db};

/// A parameter of a statement that is sent as it is.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Takes the batch's places: from here on the log's row is locked, so it comes last but for what needs the same
/// order. What reads `base` runs after the lock is held, on every instance alike: two of them never wait for each
/// other.
pub struct Place<'a> {
    pub rows: &'a Rows,
    /// This instance.
    pub writer: &'a str,
    /// The number of the batch, if it has rows.
    pub batch: Option<i64>,
    /// The newest position that this instance knows of.
    pub newest: i64,
    /// Rooms had been forgotten up to there when they were numbered.
    pub forgotten_through: i64,
    /// ms since 1970
    pub now: i64,
    /// Whether other instances are told.
    pub notify: bool,
}

impl Place<'_> {
    pub const SQL: &'static str = include_str!("place.sql");

    /// What a statement is prepared with.
    pub fn nothing() -> Place<'static> {
        static NOTHING: LazyLock<Rows> = LazyLock::new(Rows::default);
        Place { rows: &NOTHING, writer: "", batch: None, newest: 0, forgotten_through: 0, now: 0, notify: false }
    }

    /// Where the log stood.
    pub async fn run(&self, connection: &mut Connection) -> Result<i64, Fault> {
        #[derive(QueryableByName)]
        struct Base {
            #[diesel(sql_type = BigInt)]
            before: i64,
        }
        let Rows { places, events, publishes, entered, entered_anew, left } = self.rows;
        let query = diesel::sql_query(Self::SQL)
            .bind::<BigInt, _>(places)
            .bind::<BigInt, _>(self.now)
            .bind::<Text, _>(self.writer)
            .bind::<Array<BigInt>, _>(&events.room_ids)
            .bind::<Array<BigInt>, _>(&events.steps)
            .bind::<Array<Text>, _>(&events.names)
            .bind::<Array<Text>, _>(&events.payloads)
            .bind::<Array<Text>, _>(&publishes.publishers)
            .bind::<Array<Text>, _>(&publishes.ids)
            .bind::<Array<Binary>, _>(&publishes.digests)
            .bind::<Array<BigInt>, _>(&publishes.steps)
            .bind::<Array<Bool>, _>(&publishes.kept)
            .bind::<Array<Text>, _>(&entered.sessions)
            .bind::<Array<Text>, _>(&entered.rooms)
            .bind::<Array<BigInt>, _>(&entered.steps)
            .bind::<Array<Text>, _>(&entered_anew.sessions)
            .bind::<Array<Text>, _>(&entered_anew.rooms)
            .bind::<Array<BigInt>, _>(&entered_anew.steps)
            .bind::<Array<Nullable<BigInt>>, _>(&entered_anew.since)
            .bind::<Array<Text>, _>(&left.0)
            .bind::<Array<Text>, _>(&left.1)
            .bind::<BigInt, _>(self.newest)
            .bind::<Array<Nullable<Text>>, _>(&events.held_as)
            .bind::<BigInt, _>(self.forgotten_through)
            .bind::<Nullable<BigInt>, _>(self.batch)
            .bind::<Bool, _>(self.notify);
        let base: Option<Base> = query.get_result(connection).await.optional()?;
        base.map(|base| base.before).ok_or(Fault::RoomsForgotten)
    }

    /// The same parameters in the same order.
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        let Rows { places, events, publishes, entered, entered_anew, left } = self.rows;
        vec![
            (places, Type::INT8),
            (&self.now, Type::INT8),
            (&self.writer, Type::TEXT),
            (&events.room_ids, Type::INT8_ARRAY),
            (&events.steps, Type::INT8_ARRAY),
            (&events.names, Type::TEXT_ARRAY),
            (&events.payloads, Type::TEXT_ARRAY),
            (&publishes.publishers, Type::TEXT_ARRAY),
            (&publishes.ids, Type::TEXT_ARRAY),
            (&publishes.digests, Type::BYTEA_ARRAY),
            (&publishes.steps, Type::INT8_ARRAY),
            (&publishes.kept, Type::BOOL_ARRAY),
            (&entered.sessions, Type::TEXT_ARRAY),
            (&entered.rooms, Type::TEXT_ARRAY),
            (&entered.steps, Type::INT8_ARRAY),
            (&entered_anew.sessions, Type::TEXT_ARRAY),
            (&entered_anew.rooms, Type::TEXT_ARRAY),
            (&entered_anew.steps, Type::INT8_ARRAY),
            (&entered_anew.since, Type::INT8_ARRAY),
            (&left.0, Type::TEXT_ARRAY),
            (&left.1, Type::TEXT_ARRAY),
            (&self.newest, Type::INT8),
            (&events.held_as, Type::TEXT_ARRAY),
            (&self.forgotten_through, Type::INT8),
            (&self.batch, Type::INT8),
            (&self.notify, Type::BOOL),
        ]
    }
}

/// Notes that sessions are still there, and that they are in their users' rooms. After the batch has its places, as all
/// that touches their rows.
#[derive(Default)]
pub struct Seen {
    sessions: Vec<String>,
    /// Columns: sessions, their own rooms, and where the log stood as they began.
    own: (Vec<String>, Vec<String>, Vec<i64>),
    now: i64,
}

impl Seen {
    pub const SQL: &'static str = "WITH seen AS (
          UPDATE realtime.session_rooms SET seen_at = $2 WHERE session = ANY ($1)
        )
        INSERT INTO realtime.session_rooms (session, room, entered_at, since, seen_at)
        SELECT own.session, own.room, own.began_at, own.began_at, $2
        FROM unnest($3, $4, $5) AS own (session, room, began_at)
        ON CONFLICT DO NOTHING";

    pub fn of(writes: &[Write]) -> Self {
        let mut seen = Self { now: now_ms(), ..Self::default() };
        for write in writes {
            let Write::Seen { session, own_room } = write else { continue };
            seen.sessions.push(session.to_string());
            if let Some(room) = own_room {
                seen.own.0.push(session.to_string());
                seen.own.1.push(room.to_string());
                seen.own.2.push(to_db(session.began_at));
            }
        }
        seen
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub async fn run(&self, connection: &mut Connection) -> Result<(), Fault> {
        if self.is_empty() {
            return Ok(());
        }
        let query = diesel::sql_query(Self::SQL)
            .bind::<Array<Text>, _>(&self.sessions)
            .bind::<BigInt, _>(self.now)
            .bind::<Array<Text>, _>(&self.own.0)
            .bind::<Array<Text>, _>(&self.own.1)
            .bind::<Array<BigInt>, _>(&self.own.2);
        query.execute(connection).await?;
        Ok(())
    }

    /// The same parameters in the same order.
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![
            (&self.sessions, Type::TEXT_ARRAY),
            (&self.now, Type::INT8),
            (&self.own.0, Type::TEXT_ARRAY),
            (&self.own.1, Type::TEXT_ARRAY),
            (&self.own.2, Type::INT8_ARRAY),
        ]
    }
}
