//! Positions in the log, and the offsets by which clients name them.
//!
//! The log gives every event of the house one number, in one order over all rooms, so
//! "everything up to 523" says for all rooms at once what a session has had. While the
//! past of one room is replayed to a session (`since`), that room is behind the rest, and
//! the offset says so apart.

use std::fmt;

use super::RoomName;

/// A place in the log's one order; the first event has 1, and 0 stands before it.
pub type Position = u64;

/// Which log a position is of: a database that was set up anew has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogId(pub u32);

/// What a client has had: all of its rooms' events up to `head`, but for the rooms that are `behind`.
///
/// On the wire `LOG.HEAD`, then `-POSITION-ROOM` for each room that is behind; numbers in base 36.
/// No id of a room that can be behind has a hyphen (`user:` rooms are never replayed apart).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    pub log: LogId,
    pub head: Position,
    pub behind: Vec<(RoomName, Position)>,
}

impl Offset {
    /// As many rooms as a session may be in by default, each with a name of at most 72 characters.
    const MAX_BEHIND: usize = 64;
    const MAX_BYTES: usize = 8 * 1024;

    pub fn at(log: LogId, head: Position) -> Self {
        Self { log, head, behind: Vec::new() }
    }

    /// Returns `None` where the text is no offset.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_BYTES {
            return None;
        }
        let mut parts = text.split('-');
        let (log, head) = parts.next()?.split_once('.')?;
        let log = LogId(u32::try_from(parse_base36(log)?).ok()?);
        let head = parse_base36(head)?;
        let mut behind = Vec::new();
        while let Some(position) = parts.next() {
            behind.push((RoomName::parse(parts.next()?)?, parse_base36(position)?));
        }
        (behind.len() <= Self::MAX_BEHIND).then_some(Self { log, head, behind })
    }

    /// How far the holder has had this room's events.
    pub fn position_in(&self, room: &RoomName) -> Position {
        self.behind.iter().find(|(name, _)| name == room).map_or(self.head, |(_, position)| *position)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", Base36(self.log.0.into()), Base36(self.head))?;
        self.behind.iter().try_for_each(|(room, position)| write!(f, "-{}-{room}", Base36(*position)))
    }
}

struct Base36(u64);

impl fmt::Display for Base36 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        // 36 to the power of 13 is more than 64 bits hold.
        let mut digits = ['0'; 13];
        let mut first = digits.len();
        let mut rest = self.0;
        loop {
            first -= 1;
            digits[first] = char::from(DIGITS[(rest % 36) as usize]);
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        digits[first..].iter().try_for_each(|digit| fmt::Write::write_char(f, *digit))
    }
}

/// What this program writes is read; not signs, capitals or leading zeros.
fn parse_base36(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let shortest = text == "0" || !text.starts_with('0');
    if !plain || !shortest {
        return None;
    }
    // A database counts in 63 bits.
    u64::from_str_radix(text, 36).ok().filter(|number| i64::try_from(*number).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn room(text: &str) -> RoomName {
        RoomName::parse(text).unwrap()
    }

    #[test]
    fn an_offset_has_a_short_form() {
        let mut offset = Offset::at(LogId(46_655), 36);
        assert_eq!(offset.to_string(), "zzz.10");
        offset.behind.push((room("tab:c12345678"), 7));
        assert_eq!(offset.to_string(), "zzz.10-7-tab:c12345678");
        assert_eq!(offset.position_in(&room("tab:c12345678")), 7);
        assert_eq!(offset.position_in(&room("user:u")), 36);
    }

    #[test]
    fn what_is_no_offset_is_refused() {
        for bad in ["", ".", "a", "a.", ".1", "a.+1", "A.1", "a.01", "a.1-", "a.1-1", "a.1-1-", "a.1-1-bar:x", "a.-1"] {
            assert_eq!(Offset::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Offset::parse("1.3w5e11264sgsg"), None, "over 63 bits");
        assert_eq!(Offset::parse(&format!("1.1{}", "-1-user:u".repeat(65))), None);
        assert_eq!(Offset::parse(&"1".repeat(9000)), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(log: u32, head in 0..i64::MAX as u64, behind in prop::collection::vec(0..i64::MAX as u64, 0..3)) {
            let behind = behind.into_iter().map(|position| (room("kitchen:c12345678"), position)).collect();
            let offset = Offset { log: LogId(log), head, behind };
            prop_assert_eq!(Offset::parse(&offset.to_string()), Some(offset));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            Offset::parse(&text);
        }
    }
}
