//! The bytes that wait for one websocket. Two sources write here, whole frames at a
//! time: the websocket library (the ordinary way) and the lane.

use super::tally::LAST;
use super::{buffers, frame};

/// What of the lane may be written now.
#[derive(Debug)]
enum Lane {
    /// There is no session on it.
    Closed,
    /// What has to stand before the lane's frames has not passed: they are held back.
    Holding(Vec<u8>, Until),
    Open,
}

/// What the lane's frames wait for.
#[derive(Debug, PartialEq, Eq)]
enum Until {
    Connect,
    /// The last packet on the ordinary way: the session was upgraded from polling.
    Last,
}

/// A session's CONNECT in namespace `/`: Engine.IO's message `4`, Socket.IO's `0`, and `{"sid":…}`.
pub const CONNECT: &[u8] = b"40{";

/// A CONNECT packet with a `pid` among its members.
pub fn with_pid(packet: &[u8], pid: &str) -> Option<String> {
    let members = std::str::from_utf8(packet).ok()?.strip_suffix('}')?;
    Some(format!("{members},\"pid\":\"{pid}\"}}"))
}

/// More waits than may wait.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// See the module's text. Purely a state: it neither reads nor writes a socket.
#[derive(Debug)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// How many of `bytes` have been written.
    written: usize,
    lane: Lane,
    /// Which session the lane is for; a frame of an earlier one is dropped.
    session: u32,
    /// What goes into the next CONNECT of namespace `/`.
    pid: Option<Box<str>>,
    /// Refused an event since it last took one: the session waits to hear of room.
    starved: bool,
    close_after_disconnect: bool,
    closing: bool,
    bound: usize,
    /// How many bytes [`super::connection::Backlog`] knows of.
    pub(super) accounted: usize,
}

impl Outbox {
    /// With as much waiting, room events are refused: the session reads them from the log later.
    const HIGH: usize = 256 * 1024;
    /// The same while very much waits for all connections together.
    const HIGH_IN_NEED: usize = 16 * 1024;
    /// With as little waiting, a session that was refused is told.
    const LOW: usize = 8 * 1024;

    pub fn new(bound: usize) -> Self {
        Self {
            bytes: Vec::new(),
            written: 0,
            lane: Lane::Closed,
            session: 0,
            pid: None,
            starved: false,
            accounted: 0,
            close_after_disconnect: false,
            closing: false,
            bound,
        }
    }

    /// Opens the lane for a new session, which gets its number. Its frames are
    /// held back until the session's CONNECT has passed.
    pub fn begin_session(&mut self, pid: &str) -> u32 {
        self.session += 1;
        self.expect_connect(pid);
        self.lane = Lane::Holding(Vec::new(), Until::Connect);
        self.session
    }

    /// Opens the lane for a session that has come the ordinary way so far. Its frames are held back until
    /// [`LAST`] has passed, which is left out.
    pub fn take_over(&mut self) -> u32 {
        self.session += 1;
        self.lane = Lane::Holding(Vec::new(), Until::Last);
        self.session
    }

    /// Puts a `pid` into the CONNECT that comes.
    pub fn expect_connect(&mut self, pid: &str) {
        self.pid = Some(pid.into());
    }

    /// Whether another room event may be pushed; if not, [`Self::drained`] says so once it may.
    /// For a session that is over any may: nothing is kept of them.
    pub fn takes_events(&mut self, session: u32, in_need: bool) -> bool {
        let high = if in_need { Self::HIGH_IN_NEED } else { Self::HIGH }.min(self.bound / 2);
        let held = if let Lane::Holding(held, _) = &self.lane { held.len() } else { 0 };
        if session == self.session && self.pending().len() + held >= high {
            self.starved = true;
        }
        !self.starved || session != self.session
    }

    /// Whether a session that was refused may push again; said once.
    pub fn drained(&mut self) -> bool {
        self.starved && self.pending().len() <= Self::LOW && !matches!(self.lane, Lane::Holding(..)) && {
            self.starved = false;
            true
        }
    }

    /// Takes a frame of the lane; `write` appends it.
    ///
    /// # Errors
    /// [`Full`]; the frame is not taken.
    pub fn push_lane(&mut self, session: u32, length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Full> {
        if session != self.session || self.closing {
            return Ok(());
        }
        let pending = self.pending().len();
        match &mut self.lane {
            Lane::Closed => {}
            Lane::Holding(held, _) if held.len() + pending + length <= self.bound => write(held),
            Lane::Open if pending + length <= self.bound => write(self.buffer()),
            _ => return Err(Full),
        }
        Ok(())
    }

    /// Takes what the websocket library writes: whole frames.
    ///
    /// # Errors
    /// [`Full`]; nothing is taken.
    pub fn push_ordinary(&mut self, mut frames: &[u8]) -> Result<(), Full> {
        if self.pending().len() + frames.len() > self.bound {
            return Err(Full);
        }
        while !frames.is_empty() && !self.closing {
            // Bytes that are no frame pass as they are: the library's faults are not made worse here.
            let (start, end) = frame::split(frames).unwrap_or((0, frames.len()));
            let (one, rest) = frames.split_at(end);
            if &one[start..] == LAST.as_bytes() {
                self.open_lane(&Until::Last);
            } else if let Some(connect) = self.connect_with_pid(&one[start..]) {
                frame::push_text(self.buffer(), &[connect.as_bytes()]);
            } else {
                self.buffer().extend_from_slice(one);
            }
            self.after_ordinary(&one[start..]);
            frames = rest;
        }
        Ok(())
    }

    /// Takes bytes that are no frames: the answer to the websocket's handshake.
    pub fn push_raw(&mut self, bytes: &[u8]) {
        self.buffer().extend_from_slice(bytes);
    }

    /// socketioxide's CONNECT has no `pid`, by which a client has its session back.
    fn connect_with_pid(&mut self, packet: &[u8]) -> Option<String> {
        packet.starts_with(CONNECT).then(|| self.pid.take())?.and_then(|pid| with_pid(packet, &pid))
    }

    // Engine.IO's message is `4`, Socket.IO's CONNECT `0` and DISCONNECT `1`; another
    // namespace than `/` would stand before the payload, as in `40/admin,{…}`.
    fn after_ordinary(&mut self, packet: &[u8]) {
        if packet.starts_with(CONNECT) {
            self.open_lane(&Until::Connect);
        } else if packet == b"41" {
            self.lane = Lane::Closed;
            if self.close_after_disconnect {
                self.close();
            }
        }
    }

    fn open_lane(&mut self, passed: &Until) {
        if let Lane::Holding(held, until) = &mut self.lane
            && until == passed
        {
            let held = std::mem::take(held);
            self.buffer().extend_from_slice(&held);
            self.lane = Lane::Open;
        }
    }

    /// Closes once the DISCONNECT of the session has passed.
    pub fn close_after_disconnect(&mut self) {
        self.close_after_disconnect = true;
    }

    /// Takes nothing more but a close frame, behind all that waits.
    pub fn close(&mut self) {
        if !self.closing {
            self.closing = true;
            self.lane = Lane::Closed;
            self.buffer().extend_from_slice(&frame::GOING_AWAY);
        }
    }

    /// Where what comes next is put.
    fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = buffers::take();
        }
        &mut self.bytes
    }

    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// What is to be written next.
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// The first `count` bytes of [`Self::pending`] have been written.
    pub fn advance(&mut self, count: usize) {
        self.written += count;
        if self.written == self.bytes.len() {
            self.written = 0;
            buffers::give(std::mem::take(&mut self.bytes));
        } else if self.written > self.bound / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests;
