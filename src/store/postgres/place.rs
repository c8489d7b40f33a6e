//! The statements that write a batch: its rows, and that its sessions are still there. They are run by diesel in a
//! transaction in which something else comes first, or are sent as they are where nothing does (`pipeline.rs`).

use std::sync::LazyLock;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
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
        let base: Option<Base> = query(Self::SQL, self.values()).get_result(connection).await.optional()?;
        base.map(|base| base.before).ok_or(Fault::RoomsForgotten)
    }

    /// The statement's parameters, in their order.
    pub fn values(&self) -> Vec<Value<'_>> {
        let Rows { places, events, publishes, entered, entered_anew, left } = self.rows;
        vec![
            Value::Number(*places),
            Value::Number(self.now),
            Value::Text(self.writer),
            Value::Numbers(&events.room_ids),
            Value::Numbers(&events.steps),
            Value::Texts(&events.names),
            Value::Texts(&events.payloads),
            Value::Texts(&publishes.publishers),
            Value::Texts(&publishes.ids),
            Value::Digests(&publishes.digests),
            Value::Numbers(&publishes.steps),
            Value::Flags(&publishes.kept),
            Value::Texts(&entered.sessions),
            Value::Texts(&entered.rooms),
            Value::Numbers(&entered.steps),
            Value::Texts(&entered_anew.sessions),
            Value::Texts(&entered_anew.rooms),
            Value::Numbers(&entered_anew.steps),
            Value::NumbersOrNull(&entered_anew.since),
            Value::Texts(&left.0),
            Value::Texts(&left.1),
            Value::Number(self.newest),
            Value::TextsOrNull(&events.held_as),
            Value::Number(self.forgotten_through),
            Value::NumberOrNull(self.batch),
            Value::Flag(self.notify),
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
        if !self.is_empty() {
            query(Self::SQL, self.values()).execute(connection).await?;
        }
        Ok(())
    }

    /// The statement's parameters, in their order.
    pub fn values(&self) -> Vec<Value<'_>> {
        let (sessions, rooms, began) = &self.own;
        vec![
            Value::Texts(&self.sessions),
            Value::Number(self.now),
            Value::Texts(sessions),
            Value::Texts(rooms),
            Value::Numbers(began),
        ]
    }
}

/// A parameter, for diesel or to be sent as it is.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Number(i64),
    NumberOrNull(Option<i64>),
    Text(&'a str),
    Flag(bool),
    Numbers(&'a [i64]),
    NumbersOrNull(&'a [Option<i64>]),
    Texts(&'a [String]),
    TextsOrNull(&'a [Option<String>]),
    Flags(&'a [bool]),
    Digests(&'a [Vec<u8>]),
}

impl Value<'_> {
    pub fn as_parameter(&self) -> Parameter<'_> {
        match self {
            Self::Number(value) => (value, Type::INT8),
            Self::NumberOrNull(value) => (value, Type::INT8),
            Self::Text(value) => (value, Type::TEXT),
            Self::Flag(value) => (value, Type::BOOL),
            Self::Numbers(values) => (values, Type::INT8_ARRAY),
            Self::NumbersOrNull(values) => (values, Type::INT8_ARRAY),
            Self::Texts(values) => (values, Type::TEXT_ARRAY),
            Self::TextsOrNull(values) => (values, Type::TEXT_ARRAY),
            Self::Flags(values) => (values, Type::BOOL_ARRAY),
            Self::Digests(values) => (values, Type::BYTEA_ARRAY),
        }
    }
}

fn query<'a>(sql: &str, values: Vec<Value<'a>>) -> BoxedSqlQuery<'a, Pg, SqlQuery> {
    let query = diesel::sql_query(sql).into_boxed();
    values.into_iter().fold(query, |query, value| match value {
        Value::Number(value) => query.bind::<BigInt, _>(value),
        Value::NumberOrNull(value) => query.bind::<Nullable<BigInt>, _>(value),
        Value::Text(value) => query.bind::<Text, _>(value),
        Value::Flag(value) => query.bind::<Bool, _>(value),
        Value::Numbers(values) => query.bind::<Array<BigInt>, _>(values),
        Value::NumbersOrNull(values) => query.bind::<Array<Nullable<BigInt>>, _>(values),
        Value::Texts(values) => query.bind::<Array<Text>, _>(values),
        Value::TextsOrNull(values) => query.bind::<Array<Nullable<Text>>, _>(values),
        Value::Flags(values) => query.bind::<Array<Bool>, _>(values),
        Value::Digests(values) => query.bind::<Array<Binary>, _>(values),
    })
}
