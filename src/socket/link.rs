//! What ties one Engine.IO session together: its websocket or its polling requests,
//! and its Socket.IO session. It travels in the extensions of the session's first request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use actix::Recipient;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::connection::Connection;
use super::ordinary::Ordinary;
use super::outbox::{CONNECT, with_pid};
use super::tally::{Lost, Tally};
use crate::access::Permit;
use crate::actors::ingress::Ingress;
use crate::actors::messages::{OutletDrained, Traffic};

pub struct Link {
    pub ingress: Arc<Ingress>,
    pub peer: Option<IpAddr>,
    /// The websocket that the session began with; its room events leave by the lane.
    connection: OnceLock<Arc<Connection>>,
    /// The websocket that a polling session was upgraded to.
    upgraded: Mutex<Option<Arc<Connection>>>,
    pub tally: Tally,
    /// Bytes in socketioxide's queue, as near as can be told from outside.
    queued: AtomicUsize,
    /// Bytes of the bodies of polling requests and answers.
    polled_in: AtomicU64,
    polled_out: AtomicU64,
    /// Refused an event: the session waits to hear of room.
    starved: AtomicBool,
    session: Mutex<Option<Recipient<OutletDrained>>>,
    /// What goes into the CONNECT that has not passed yet.
    pid: Mutex<Option<Box<str>>>,
    closed: AtomicBool,
    killed: AtomicBool,
    pub closing: Notify,
    listing: OnceLock<(Box<str>, Weak<Links>)>,
    /// Socket.IO sessions and operators' UIs that it carries.
    users: AtomicUsize,
    /// The outlet of a session that began with polling.
    ordinary: Mutex<Weak<Ordinary>>,
    /// Its place among the Engine.IO sessions of its address.
    _place: Permit<IpAddr>,
}

/// Between the packets of a polling body (Engine.IO 4).
pub const SEPARATOR: &str = "\u{1e}";

impl Link {
    /// With as much queued, room events are refused: the session reads them from the log later.
    const HIGH: usize = 256 * 1024;
    /// With as little queued, a session that was refused is told.
    const LOW: usize = 8 * 1024;

    pub fn new(peer: Option<IpAddr>, place: Permit<IpAddr>) -> Self {
        Self {
            ingress: Arc::default(),
            peer,
            connection: OnceLock::new(),
            upgraded: Mutex::default(),
            tally: Tally::default(),
            queued: AtomicUsize::new(0),
            polled_in: AtomicU64::new(0),
            polled_out: AtomicU64::new(0),
            starved: AtomicBool::new(false),
            session: Mutex::default(),
            pid: Mutex::default(),
            closed: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            closing: Notify::new(),
            listing: OnceLock::new(),
            users: AtomicUsize::new(0),
            ordinary: Mutex::default(),
            _place: place,
        }
    }

    pub fn over_websocket(peer: Option<IpAddr>, place: Permit<IpAddr>, connection: Arc<Connection>) -> Self {
        let link = Self::new(peer, place);
        link.connection.get_or_init(|| connection);
        link
    }

    pub fn connection(&self) -> Option<&Arc<Connection>> {
        self.connection.get()
    }

    pub fn upgrade(&self, connection: Arc<Connection>) {
        let mut upgraded = self.upgraded.lock();
        // CONNECT may pass on either transport.
        if let Some(pid) = &*self.pid.lock() {
            connection.expect_connect(pid);
        }
        *upgraded = Some(connection);
    }

    /// Puts a `pid` into the CONNECT that comes.
    pub fn expect_connect(&self, pid: &str) {
        let upgraded = self.upgraded.lock();
        *self.pid.lock() = Some(pid.into());
        upgraded.iter().for_each(|connection| connection.expect_connect(pid));
    }

    /// The packets of a polling body, with the `pid` in CONNECT if that is among them.
    pub fn with_pid(&self, body: Bytes) -> Bytes {
        let mut pid = self.pid.lock();
        let Some(text) = pid.as_ref().and_then(|_| std::str::from_utf8(&body).ok()) else { return body };
        let connect = |packet: &&str| packet.as_bytes().starts_with(CONNECT);
        if !text.split(SEPARATOR).any(|packet| connect(&packet)) {
            return body;
        }
        let pid = pid.take().unwrap_or_default();
        let packets = text.split(SEPARATOR).map(|packet| {
            let shown = connect(&packet).then(|| with_pid(packet.as_bytes(), &pid)).flatten();
            shown.map_or(Cow::Borrowed(packet), Cow::Owned)
        });
        packets.collect::<Vec<_>>().join(SEPARATOR).into()
    }

    pub fn attend(&self, session: Recipient<OutletDrained>) {
        *self.session.lock() = Some(session);
    }

    pub fn attendant(&self) -> Option<Recipient<OutletDrained>> {
        self.session.lock().clone()
    }

    pub fn detach(&self) {
        self.session.lock().take();
    }

    /// Whether little enough is queued for another event; if not, the session is told when it is.
    pub fn takes_events(&self, max_queued: usize) -> bool {
        if self.queued.load(Ordering::Acquire) >= Self::HIGH.min(max_queued / 2) {
            self.starved.store(true, Ordering::Release);
            // It may have been emptied in between.
            self.tell_if_drained();
        }
        !self.starved.load(Ordering::Acquire)
    }

    fn tell_if_drained(&self) {
        if self.queued.load(Ordering::Acquire) <= Self::LOW
            && self.starved.swap(false, Ordering::AcqRel)
            && let Some(session) = &*self.session.lock()
        {
            session.do_send(OutletDrained);
        }
    }

    /// Counts the packets of a polling body.
    pub fn tally_body(&self, body: &[u8]) {
        // What is missing shows when the last packet comes, which no poll carries.
        body.split(|byte| *byte == SEPARATOR.as_bytes()[0]).for_each(|packet| drop(self.tally.passes(packet)));
    }

    /// Counts what a websocket is given to write.
    ///
    /// # Errors
    /// [`Lost`] where a packet was forgotten; the client has to come back.
    pub fn tally_frames(&self, frames: &[u8]) -> Result<(), Lost> {
        // A session that began with a websocket has had the lane from the start.
        if self.connection.get().is_some() { Ok(()) } else { self.tally.frames_pass(frames) }
    }

    /// Counts a polling request and its answer.
    pub fn polled(&self, request: usize, answer: usize) {
        self.polled_in.fetch_add(request as u64, Ordering::Relaxed);
        self.polled_out.fetch_add(answer as u64, Ordering::Relaxed);
    }

    /// Bytes of all transports that the session has had.
    pub fn traffic(&self) -> Traffic {
        let upgraded = self.upgraded.lock().as_ref().map(|connection| connection.traffic()).unwrap_or_default();
        Traffic {
            received: upgraded.received + self.polled_in.load(Ordering::Relaxed),
            sent: upgraded.sent + self.polled_out.load(Ordering::Relaxed),
            waiting: upgraded.waiting + self.queued.load(Ordering::Relaxed) as u64,
        }
    }

    /// Somebody was let in on it.
    pub fn used(&self) {
        self.users.fetch_add(1, Ordering::AcqRel);
    }

    /// Somebody has left it.
    pub fn unused(&self) {
        self.users.fetch_sub(1, Ordering::AcqRel);
    }

    pub fn is_in_use(&self) -> bool {
        self.users.load(Ordering::Acquire) > 0
    }

    pub fn carries(&self, ordinary: &Arc<Ordinary>) {
        *self.ordinary.lock() = Arc::downgrade(ordinary);
    }

    /// Ends the session that began with polling, if there is one.
    pub fn end_ordinary(&self) {
        let ordinary = self.ordinary.lock().upgrade();
        ordinary.iter().for_each(|ordinary| ordinary.end());
    }

    /// Whether it has a websocket, and its session still polls.
    pub fn is_upgrade_under_way(&self) -> bool {
        self.upgraded().is_some() && self.ordinary.lock().upgrade().is_some_and(|ordinary| !ordinary.is_websocket())
    }

    /// The websocket that a polling session was upgraded to.
    pub fn upgraded(&self) -> Option<Arc<Connection>> {
        self.upgraded.lock().clone()
    }

    /// Counts what was put into socketioxide's queue, and returns how much is there.
    pub fn ordinary_queued(&self, bytes: usize) -> usize {
        self.queued.fetch_add(bytes, Ordering::AcqRel) + bytes
    }

    /// Counts what came out of it. Pings come out that were never counted in, so it stops at zero.
    pub fn ordinary_left(&self, bytes: usize) {
        let subtract = |queued: usize| Some(queued.saturating_sub(bytes));
        self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, subtract).ok();
        if self.starved.load(Ordering::Acquire) {
            self.tell_if_drained();
        }
    }

    /// Closes the transport behind what waits to be sent; the client comes back by itself.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.closing.notify_one();
        self.websocket(|connection| connection.close());
    }

    /// Closes the transport as it is.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.closed.store(true, Ordering::Release);
        self.closing.notify_one();
        self.websocket(|connection| connection.kill());
    }

    /// Closes the transport once the session's DISCONNECT has passed.
    pub fn close_after_disconnect(&self) {
        self.websocket(|connection| connection.close_after_disconnect());
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    fn websocket(&self, act: impl Fn(&Arc<Connection>)) {
        self.connection.get().into_iter().for_each(&act);
        self.upgraded.lock().iter().for_each(&act);
    }

    /// A websocket of this session is gone. If it was an upgrade that never came to
    /// be, socketioxide would answer the session's polls with nothing for ever.
    pub fn wire_dropped(&self) {
        self.upgraded.lock().take();
        if self.connection.get().is_none() {
            self.kill();
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some((sid, links)) = self.listing.get()
            && let Some(links) = links.upgrade()
        {
            links.by_sid.lock().remove(sid);
        }
    }
}

/// The links of polling sessions, by the Engine.IO session id that their requests carry.
#[derive(Default)]
pub struct Links {
    by_sid: Mutex<HashMap<Box<str>, Weak<Link>>>,
}

impl Links {
    pub fn list(self: &Arc<Self>, sid: &str, link: &Arc<Link>) {
        if link.listing.set((sid.into(), Arc::downgrade(self))).is_ok() {
            self.by_sid.lock().insert(sid.into(), Arc::downgrade(link));
        }
    }

    pub fn find(&self, sid: &str) -> Option<Arc<Link>> {
        self.by_sid.lock().get(sid).and_then(Weak::upgrade)
    }
}
