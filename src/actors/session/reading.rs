//! How a session reads the log for its client: when it comes back, when it asks for a room's past,
//! when its client could not take more for a while. One operation, from a position onward.

use std::time::{Duration, Instant};

use actix::prelude::*;

use super::actor::Session;
use super::cursor::Cursor;
use crate::actors::logged::LogPage;
use crate::actors::messages::{Closing, GoLive, GoneLive, Hold, Leaves, ReadLog};
use crate::domain::{Position, RoomName};
use crate::store::StoreError;

/// A reading under way. The session is sent nothing of its rooms meanwhile.
pub(super) struct Reading {
    cursor: Cursor,
    /// Since when the client takes no more; `None` while it does.
    starved: Option<Instant>,
}

/// Events read at a time.
const PAGE: usize = 256;
/// How soon a log that cannot be read is tried again.
const AGAIN: Duration = Duration::from_millis(500);

impl Session {
    /// Reads on from the cursor until the client has everything, then goes live.
    pub(super) fn read_from(&mut self, cursor: Cursor, ctx: &mut Context<Self>) {
        self.reading = Some(Reading { cursor, starved: None });
        self.read_on(ctx);
    }

    /// The outlet took no more: what follows is read once it does.
    pub(super) fn fall_behind(&mut self, after: Position, starts: Vec<(RoomName, Position)>, ctx: &mut Context<Self>) {
        if self.reading.is_none() {
            // It may take more again by now, and have said so before this.
            self.read_from(Cursor::all(self.services.view.log, after, starts), ctx);
        }
    }

    /// The outlet takes more.
    pub(super) fn feed(&mut self, ctx: &mut Context<Self>) {
        if let Some(reading) = &mut self.reading
            && reading.starved.take().is_some()
        {
            self.read_on(ctx);
        }
    }

    /// The session is no longer in the room.
    pub(super) fn read_no_more_of(&mut self, room: &RoomName) {
        if let Some(reading) = &mut self.reading {
            reading.cursor.forget(room);
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.reading.is_none() && self.arriving == 0
    }

    fn read_on(&self, ctx: &mut Context<Self>) {
        let Some(reading) = &self.reading else { return };
        let (starts, up_to) = (reading.cursor.starts(), reading.cursor.up_to());
        let question = ReadLog { starts, up_to, limit: PAGE };
        let hold = Hold { key: self.member.key };
        let (audience, sequencer) = (self.member.audience.clone(), self.services.sequencer.clone());
        let asking = async move {
            // Held first: what comes from here on is kept, so nothing falls between the log and what is live.
            audience.send(hold).await.map_err(stopped)?;
            sequencer.send(question).await.map_err(stopped)?
        };
        ctx.wait(asking.into_actor(self).map(|page, session, ctx| match page {
            Ok(Some(page)) => session.take_page(&page, ctx),
            Ok(None) => session.give_up("events that it has not had are gone"),
            Err(error) => session.wait_for_log(&error, ctx),
        }));
    }

    fn take_page(&mut self, page: &LogPage, ctx: &mut Context<Self>) {
        let Some(reading) = &mut self.reading else { return };
        for (index, event) in page.events.iter().enumerate() {
            let is_last = page.complete && index + 1 == page.events.len();
            if let Some(packet) = reading.cursor.packet(event, is_last)
                && !self.member.outlet.push_event(&packet, Leaves::WithTheTurn)
            {
                return self.starve(ctx);
            }
            reading.cursor.advance(event.position().unwrap_or_default());
        }
        reading.cursor.advance(page.through);
        if page.complete { self.go_live(page.through, ctx) } else { self.read_on(ctx) }
    }

    /// The client has everything up to `through`.
    pub(super) fn go_live(&self, through: Position, ctx: &mut Context<Self>) {
        let question = GoLive { key: self.member.key, through };
        let asking = self.member.audience.send(question).into_actor(self);
        ctx.wait(asking.map(move |live, session, ctx| {
            if let Ok(GoneLive::ReadOn(starts)) = live {
                session.read_from(Cursor::all(session.services.view.log, through, starts), ctx);
            } else {
                session.reading = None;
                session.behind_since = None;
            }
        }));
    }

    /// Waits until the outlet takes more, though not for ever: a client that comes back is served from the log as well.
    fn starve(&mut self, ctx: &mut Context<Self>) {
        let Some(reading) = &mut self.reading else { return };
        let now = Instant::now();
        reading.starved = Some(now);
        if self.behind_since.is_some() {
            return;
        }
        self.behind_since = Some(now);
        ctx.run_later(self.services.slow_patience, move |session, _| {
            if session.behind_since == Some(now) {
                session.services.metrics.slow_sessions.increment(1);
                session.give_up("its client stays behind");
            }
        });
    }

    fn wait_for_log(&mut self, error: &StoreError, ctx: &mut Context<Self>) {
        tracing::warn!(%error, socket = %self.member.socket_id, "the log cannot be read for a session yet");
        let Some(reading) = &mut self.reading else { return };
        reading.starved = Some(Instant::now());
        ctx.run_later(AGAIN, Self::feed);
    }

    /// The transport goes; the client comes back by itself, and is sent what it missed.
    fn give_up(&self, why: &'static str) {
        tracing::info!(user = self.state.identity.label(), socket = %self.member.socket_id, why, "a transport was closed");
        self.member.outlet.close(Closing::AtOnce);
    }
}

fn stopped(error: MailboxError) -> StoreError {
    StoreError::Connection(error.to_string())
}
