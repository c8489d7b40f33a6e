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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(payload: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::push_text(&mut bytes, &[payload.as_bytes()]);
        bytes
    }

    fn push_lane(outbox: &mut Outbox, session: u32, payload: &str) -> Result<(), Full> {
        let bytes = text(payload);
        outbox.push_lane(session, bytes.len(), |out| out.extend_from_slice(&bytes))
    }

    fn read(mut bytes: &[u8]) -> Vec<String> {
        let mut payloads = Vec::new();
        while let Some((start, end)) = frame::split(bytes) {
            payloads.push(String::from_utf8_lossy(&bytes[start..end]).into_owned());
            bytes = &bytes[end..];
        }
        assert!(bytes.is_empty(), "a frame is cut");
        payloads
    }

    const CONNECT: &str = r#"40{"sid":"x"}"#;
    const CONNECTED: &str = r#"40{"sid":"x","pid":"p"}"#;

    #[test]
    fn the_lane_holds_back_until_connect_has_passed() {
        let mut outbox = Outbox::new(10_000);
        let session = outbox.begin_session("p");
        push_lane(&mut outbox, session, "early").unwrap();
        outbox.push_ordinary(&text("0{}")).unwrap();
        outbox.push_ordinary(&text("40/admin,{}")).unwrap();
        let both = [text(CONNECT), text("2")].concat();
        outbox.push_ordinary(&both).unwrap();
        push_lane(&mut outbox, session, "late").unwrap();
        assert_eq!(read(outbox.pending()), ["0{}", "40/admin,{}", CONNECTED, "early", "2", "late"]);
    }

    #[test]
    fn a_session_that_was_upgraded_goes_on_by_the_lane_behind_all_that_came_before() {
        let mut outbox = Outbox::new(10_000);
        outbox.push_ordinary(&text("42[1]")).unwrap();
        let session = outbox.take_over();
        push_lane(&mut outbox, session, "42[3]").unwrap();
        outbox.push_ordinary(&text("42[2]")).unwrap();
        // Of another session on the same transport: no sign for this one.
        outbox.push_ordinary(&text(CONNECT)).unwrap();
        outbox.push_ordinary(&[text(LAST), text("2")].concat()).unwrap();
        push_lane(&mut outbox, session, "42[4]").unwrap();
        assert_eq!(read(outbox.pending()), ["42[1]", "42[2]", CONNECT, "42[3]", "2", "42[4]"]);
    }

    #[test]
    fn nothing_of_the_lane_follows_disconnect() {
        let mut outbox = Outbox::new(10_000);
        let first = outbox.begin_session("p");
        outbox.push_ordinary(&text(CONNECT)).unwrap();
        outbox.push_ordinary(&text("41")).unwrap();
        push_lane(&mut outbox, first, "late").unwrap();
        let second = outbox.begin_session("p");
        push_lane(&mut outbox, first, "later").unwrap();
        push_lane(&mut outbox, second, "mine").unwrap();
        outbox.push_ordinary(&text(CONNECT)).unwrap();
        assert_eq!(read(outbox.pending()), [CONNECTED, "41", CONNECTED, "mine"]);
    }

    #[test]
    fn a_close_is_last() {
        let mut outbox = Outbox::new(10_000);
        let session = outbox.begin_session("p");
        outbox.push_ordinary(&text(CONNECT)).unwrap();
        outbox.close_after_disconnect();
        outbox.push_ordinary(&text("41")).unwrap();
        outbox.push_ordinary(&text("2")).unwrap();
        push_lane(&mut outbox, session, "late").unwrap();
        let expected = [text(CONNECTED), text("41"), frame::GOING_AWAY.to_vec()].concat();
        assert_eq!(outbox.pending(), expected);
        assert!(outbox.is_closing());
    }

    #[test]
    fn it_has_a_bound_and_gives_its_memory_back() {
        let mut outbox = Outbox::new(10_000);
        let session = outbox.begin_session("p");
        outbox.push_ordinary(&text(CONNECT)).unwrap();
        let big = "x".repeat(6_000);
        push_lane(&mut outbox, session, &big).unwrap();
        assert_eq!(push_lane(&mut outbox, session, &big), Err(Full));
        assert_eq!(outbox.push_ordinary(&text(&big)), Err(Full));
        let pending = outbox.pending().len();
        outbox.advance(pending);
        assert_eq!(outbox.bytes.capacity(), 0);
        push_lane(&mut outbox, session, &big).unwrap();
    }

    #[test]
    fn events_are_refused_from_a_mark_on_and_asked_for_again_below_another() {
        let mut outbox = Outbox::new(1_000_000);
        let session = outbox.begin_session("p");
        outbox.push_ordinary(&text(CONNECT)).unwrap();
        push_lane(&mut outbox, session, &"x".repeat(20_000)).unwrap();
        assert!(outbox.takes_events(session, false));
        assert!(!outbox.takes_events(session, true), "all connections together are in need");
        assert!(!outbox.drained());
        outbox.advance(outbox.pending().len() - 10);
        assert!(!outbox.takes_events(session, false), "not before the session has heard of it");
        assert!(outbox.drained() && !outbox.drained());
        assert!(outbox.takes_events(session, false));
        push_lane(&mut outbox, session, &"x".repeat(Outbox::HIGH)).unwrap();
        assert!(!outbox.takes_events(session, false));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Lane(usize),
        Ordinary(usize),
        Connect,
        Write(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0usize..400).prop_map(Step::Lane),
            2 => (1usize..400).prop_map(Step::Ordinary),
            1 => Just(Step::Connect),
            4 => (0usize..300).prop_map(Step::Write),
        ];
        prop::collection::vec(step, 0..120)
    }

    #[derive(Clone, Debug)]
    enum UpgradeStep {
        Event(usize),
        Upgrade,
        /// socketioxide's queue gives out one packet.
        Pass,
        Write(usize),
    }

    fn upgrade_steps() -> impl Strategy<Value = Vec<UpgradeStep>> {
        let step = prop_oneof![
            4 => (0usize..400).prop_map(UpgradeStep::Event),
            1 => Just(UpgradeStep::Upgrade),
            4 => Just(UpgradeStep::Pass),
            4 => (0usize..300).prop_map(UpgradeStep::Write),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        /// Whatever the order of pushes and however little each write takes, frames come
        /// out whole, each source in its order, and the lane only behind CONNECT.
        #[test]
        fn frames_stay_whole_and_in_order(steps in steps()) {
            let mut outbox = Outbox::new(1 << 20);
            let session = outbox.begin_session("p");
            let (mut wire, mut lane, mut ordinary, mut connected) = (Vec::new(), 0, 0, false);
            for step in steps {
                match step {
                    Step::Lane(length) => {
                        push_lane(&mut outbox, session, &format!("42[{lane},{}]", "x".repeat(length))).unwrap();
                        lane += 1;
                    }
                    Step::Ordinary(length) => {
                        outbox.push_ordinary(&text(&format!("o{ordinary},{}", "y".repeat(length)))).unwrap();
                        ordinary += 1;
                    }
                    Step::Connect if connected => {}
                    Step::Connect => {
                        outbox.push_ordinary(&text(CONNECT)).unwrap();
                        connected = true;
                    }
                    Step::Write(count) => {
                        let count = count.min(outbox.pending().len());
                        wire.extend_from_slice(&outbox.pending()[..count]);
                        outbox.advance(count);
                    }
                }
            }
            wire.extend_from_slice(outbox.pending());
            let frames = read(&wire);
            let of = |prefix: &str| frames.iter().filter(|frame| frame.starts_with(prefix)).cloned().collect::<Vec<_>>();
            let number = |frame: &String| frame.trim_start_matches(|c: char| !c.is_ascii_digit()).split(',').next().unwrap().to_owned();
            let lane_frames: Vec<String> = of("42[").iter().map(|frame| number(&frame.replacen("42[", "", 1))).collect();
            let expected: Vec<String> = if connected { (0..lane).map(|n| n.to_string()).collect() } else { vec![] };
            prop_assert_eq!(lane_frames, expected);
            let ordinary_frames: Vec<String> = of("o").iter().map(number).collect();
            prop_assert_eq!(ordinary_frames, (0..ordinary).map(|n| n.to_string()).collect::<Vec<_>>());
            if let Some(first) = frames.iter().position(|frame| frame.starts_with("42[")) {
                prop_assert!(frames[..first].iter().any(|frame| frame == CONNECTED));
            }
        }

        /// However much is queued when a session is upgraded, and however its queue and the lane take turns,
        /// its events come out in the order in which they were sent.
        #[test]
        fn an_upgrade_reorders_nothing(steps in upgrade_steps()) {
            let mut outbox = Outbox::new(1 << 20);
            let (mut queue, mut lane, mut wire, mut sent) = (std::collections::VecDeque::new(), None, Vec::new(), 0);
            for step in steps {
                match step {
                    UpgradeStep::Event(length) => {
                        let event = format!("42[{sent},{}]", "x".repeat(length));
                        sent += 1;
                        match lane {
                            Some(session) => push_lane(&mut outbox, session, &event).unwrap(),
                            None => queue.push_back(event),
                        }
                    }
                    UpgradeStep::Upgrade => if lane.is_none() {
                        lane = Some(outbox.take_over());
                        queue.push_back(LAST.to_owned());
                    },
                    UpgradeStep::Pass => if let Some(packet) = queue.pop_front() {
                        outbox.push_ordinary(&text(&packet)).unwrap();
                    },
                    UpgradeStep::Write(count) => {
                        let count = count.min(outbox.pending().len());
                        wire.extend_from_slice(&outbox.pending()[..count]);
                        outbox.advance(count);
                    }
                }
            }
            queue.iter().for_each(|packet| outbox.push_ordinary(&text(packet)).unwrap());
            wire.extend_from_slice(outbox.pending());
            let number = |frame: &String| frame.trim_start_matches("42[").split(',').next().unwrap().to_owned();
            let numbers: Vec<String> = read(&wire).iter().map(number).collect();
            prop_assert_eq!(numbers, (0..sent).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }
}
