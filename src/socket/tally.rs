//! How many of a session's packets went into socketioxide's queue and how many came out of it, on either
//! transport. engineioxide 0.17.9 forgets a packet that a poll had no room for if the session is upgraded
//! then (`peeked_packet` in its `transport/ws.rs`): such a gap is seen here, and the client has to come back.

use std::sync::atomic::{AtomicU64, Ordering};

use super::frame;

/// The last packet on the ordinary way; it never reaches the client. A room's event has a payload and an
/// offset behind its name, so none can be mistaken for it.
pub const LAST: &str = r#"42["expeditor#lane",0]"#;
/// What [`LAST`] is called when it is emitted.
pub const LAST_NAME: &str = "expeditor#lane";

/// A packet that was queued has not come out.
#[derive(Debug, PartialEq, Eq)]
pub struct Lost;

#[derive(Default)]
pub struct Tally {
    queued: AtomicU64,
    passed: AtomicU64,
}

impl Tally {
    pub fn queued(&self) {
        self.queued.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts what the websocket library writes.
    ///
    /// # Errors
    /// [`Lost`] where the last packet comes and another has not.
    pub fn frames_pass(&self, mut frames: &[u8]) -> Result<(), Lost> {
        while let Some((start, end)) = frame::split(frames) {
            self.passes(&frames[start..end])?;
            frames = &frames[end..];
        }
        Ok(())
    }

    /// Counts one packet on its way out.
    ///
    /// # Errors
    /// [`Lost`] where it is the last one and another has not come.
    pub fn passes(&self, packet: &[u8]) -> Result<(), Lost> {
        if !is_sessions(packet) {
            return Ok(());
        }
        let passed = self.passed.fetch_add(1, Ordering::AcqRel) + 1;
        let whole = packet != LAST.as_bytes() || passed == self.queued.load(Ordering::Acquire);
        whole.then_some(()).ok_or(Lost)
    }
}

/// An event or an acknowledgement of namespace `/`: Engine.IO's message `4`, Socket.IO's `2` or `3`.
fn is_sessions(packet: &[u8]) -> bool {
    match packet {
        [b'4', b'2', next, ..] => *next == b'[',
        [b'4', b'3', next, ..] => next.is_ascii_digit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(packets: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        packets.iter().for_each(|packet| frame::push_text(&mut bytes, &[packet.as_bytes()]));
        bytes
    }

    #[test]
    fn a_packet_that_was_forgotten_is_missed_when_the_last_one_comes() {
        let (whole, gap) = (Tally::default(), Tally::default());
        for tally in [&whole, &gap] {
            (0..4).for_each(|_| tally.queued());
            tally.passes(br#"42["e",1,"o"]"#).unwrap();
            tally.frames_pass(&frames(&["2", "40{}", r#"42/admin,["x"]"#, "43/admin,1[]"])).unwrap();
        }
        let rest = frames(&[r#"437[{"ok":true}]"#, r#"42["e",2,"o"]"#, LAST]);
        assert_eq!(whole.frames_pass(&rest), Ok(()));
        let cut = frames(&[r#"437[{"ok":true}]"#, LAST]);
        assert_eq!(gap.frames_pass(&cut), Err(Lost));
    }
}
