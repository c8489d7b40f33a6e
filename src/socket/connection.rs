//! One websocket's TCP stream and what waits to be written to it.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use actix::Recipient;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use metrics::Counter;
use parking_lot::Mutex;
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

use super::outbox::{Full, Outbox};
use super::turn;
use crate::access::Permit;
use crate::actors::messages::{Leaves, OutletDrained, Traffic};

thread_local! {
    /// What a read takes at most; one for all connections of a thread, as it is handed on at once.
    static INPUT: RefCell<Box<[u8]>> = RefCell::new(vec![0; 16 * 1024].into());
}

pub struct Connection {
    stream: TcpStream,
    /// Its place among all connections.
    _place: Permit<IpAddr>,
    outbox: Mutex<Outbox>,
    /// The task that reads: it also waits for the socket to become writable.
    reader: AtomicWaker,
    /// Nothing more is read or written.
    dead: AtomicBool,
    /// Listed to be written at the end of this thread's turn.
    pub(super) listed: AtomicBool,
    /// Who hears of it when an outbox that took no more takes more; of the newest session.
    session: Mutex<Option<Recipient<OutletDrained>>>,
    backlog: Arc<Backlog>,
    slow: Counter,
    received: AtomicU64,
    sent: AtomicU64,
}

/// What waits for all connections together, in bytes: many slow clients are as much as one very slow.
#[derive(Default)]
pub struct Backlog(AtomicUsize);

impl Backlog {
    /// From here on each connection is allowed less.
    const LONG: usize = 256 * 1024 * 1024;

    fn is_long(&self) -> bool {
        self.0.load(Ordering::Relaxed) > Self::LONG
    }

    /// Counts what waits after a write. Nearly always that is nothing, as before.
    fn account(&self, outbox: &mut Outbox) {
        let (before, now) = (outbox.accounted, outbox.pending().len());
        if before != now {
            outbox.accounted = now;
            self.0.fetch_add(now, Ordering::Relaxed);
            self.0.fetch_sub(before, Ordering::Relaxed);
        }
    }

    fn forget(&self, outbox: &mut Outbox) {
        self.0.fetch_sub(std::mem::take(&mut outbox.accounted), Ordering::Relaxed);
    }
}

impl Connection {
    /// `max_outbox` bounds, in bytes, what may wait; `slow` counts those that exceed it.
    pub fn new(
        stream: TcpStream,
        place: Permit<IpAddr>,
        max_outbox: usize,
        backlog: Arc<Backlog>,
        slow: Counter,
    ) -> Self {
        Self {
            stream,
            _place: place,
            outbox: Mutex::new(Outbox::new(max_outbox)),
            session: Mutex::default(),
            backlog,
            reader: AtomicWaker::new(),
            dead: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            slow,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    /// Bytes of the websocket, frames and all.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            waiting: self.outbox.lock().pending().len() as u64,
        }
    }

    /// Opens the lane for a session; see [`Outbox::begin_session`].
    pub fn begin_session(&self, pid: &str) -> u32 {
        self.outbox.lock().begin_session(pid)
    }

    /// Opens the lane for a session that was upgraded; see [`Outbox::take_over`].
    pub fn take_over(&self) -> u32 {
        self.outbox.lock().take_over()
    }

    /// The `pid` for the CONNECT of a session that this connection took over while it waited for it.
    pub fn expect_connect(&self, pid: &str) {
        self.outbox.lock().expect_connect(pid);
    }

    /// Names who is told once the outbox takes events again.
    pub fn attend(&self, session: Recipient<OutletDrained>) {
        *self.session.lock() = Some(session);
    }

    /// Whether little enough waits for another event; if not, the session is told when it does.
    pub fn takes_events(&self, session: u32) -> bool {
        self.outbox.lock().takes_events(session, self.backlog.is_long())
    }

    /// Takes a frame of the lane, to be written now or at the end of the turn. What is listed for that already waits for it.
    pub fn push_lane(self: &Arc<Self>, session: u32, length: usize, leaves: Leaves, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_dead() {
            return;
        }
        let taken = self.outbox.lock().push_lane(session, length, write);
        match taken {
            Ok(()) if leaves == Leaves::Now && !self.listed.load(Ordering::Acquire) => self.write(),
            Ok(()) => turn::write_later(self),
            Err(Full) => self.give_up(),
        }
    }

    /// Takes what the websocket library writes.
    ///
    /// # Errors
    /// `BrokenPipe` where the connection is over.
    pub fn push_ordinary(&self, frames: &[u8]) -> io::Result<()> {
        if self.is_dead() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = self.outbox.lock().push_ordinary(frames);
        taken.map_err(|Full| {
            self.give_up();
            io::ErrorKind::BrokenPipe.into()
        })
    }

    pub fn push_raw(&self, bytes: &[u8]) {
        self.outbox.lock().push_raw(bytes);
    }

    /// Closes behind all that waits to be written.
    pub fn close(&self) {
        self.outbox.lock().close();
        self.write();
        self.reader.wake();
    }

    /// Closes once the session's DISCONNECT has passed.
    pub fn close_after_disconnect(&self) {
        self.outbox.lock().close_after_disconnect();
    }

    /// Ends the connection as it is.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// The peer does not read. Leaving out what it cannot take would be a gap; so it has to come back.
    fn give_up(&self) {
        if !self.is_dead() {
            self.slow.increment(1);
            self.kill();
        }
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Writes what the socket takes now; the reading task sees to the rest.
    pub fn write(&self) {
        if self.write_some().is_err() {
            self.kill();
        } else if !self.outbox.lock().pending().is_empty() {
            self.reader.wake();
        }
    }

    fn write_some(&self) -> io::Result<()> {
        let (outcome, drained) = {
            let mut outbox = self.outbox.lock();
            let outcome = self.write_pending(&mut outbox);
            self.backlog.account(&mut outbox);
            (outcome, outbox.drained())
        };
        if drained && let Some(session) = &*self.session.lock() {
            session.do_send(OutletDrained);
        }
        outcome
    }

    fn write_pending(&self, outbox: &mut Outbox) -> io::Result<()> {
        while !outbox.pending().is_empty() {
            match self.stream.try_write(outbox.pending()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent.fetch_add(count as u64, Ordering::Relaxed);
                    outbox.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads, and writes what waits as the socket becomes writable. What `buffer` has no room for
    /// comes `ahead`. An end of file is also what the websocket library sees once this side has closed.
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        ahead: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        self.reader.register(context.waker());
        if self.is_dead() || self.poll_written(context)? {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.stream.poll_read_ready(context)?.is_pending() {
                return Poll::Pending;
            }
            match self.read(buffer, ahead) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// In place of a read while the peer is not to be read: writes all the same, and tells of an end.
    pub fn poll_unread(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reader.register(context.waker());
        if self.is_dead() {
            return Poll::Ready(Ok(()));
        }
        self.poll_written(context)?;
        Poll::Pending
    }

    fn read(&self, buffer: &mut ReadBuf<'_>, ahead: &mut Bytes) -> io::Result<()> {
        INPUT.with_borrow_mut(|input| {
            let mut taken = None;
            let outcome = self.stream.try_io(Interest::READABLE, || {
                let count = self.stream.try_read(input)?;
                taken = Some(count);
                // A read that does not fill its buffer has emptied the socket: to say so spares
                // the next one, which would fail (tokio's own `poll_read` does the same).
                if (1..input.len()).contains(&count) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
            });
            let Some(count) = taken else { return outcome.map(drop) };
            self.received.fetch_add(count as u64, Ordering::Relaxed);
            let (now, later) = input[..count].split_at(count.min(buffer.remaining()));
            buffer.put_slice(now);
            *ahead = Bytes::copy_from_slice(later);
            Ok(())
        })
    }

    /// Whether this side has closed and all is written.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn poll_written(&self, context: &mut Context<'_>) -> io::Result<bool> {
        loop {
            self.write_some()?;
            let outbox = self.outbox.lock();
            if outbox.pending().is_empty() {
                return Ok(outbox.is_closing());
            }
            drop(outbox);
            if self.stream.poll_write_ready(context)?.is_pending() {
                return Ok(false);
            }
        }
    }

    /// Tells the peer that nothing more comes, whoever still holds this connection.
    pub fn shut_down(&self) {
        self.write();
        self.dead.store(true, Ordering::Release);
        self.backlog.forget(&mut self.outbox.lock());
        // Nobody is told of anything any more, and nobody is kept by it.
        self.session.lock().take();
        // The peer may have gone already.
        socket2::SockRef::from(&self.stream).shutdown(std::net::Shutdown::Both).ok();
    }
}
