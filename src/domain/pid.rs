//! What a `pid` names: one session over all of its connections.

use std::fmt;

use super::Position;

/// The part of a `pid` by which its session's rooms are stored. Keys of sessions that
/// began later sort later, so that new rows go to the end of the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PidKey {
    /// Where the log stood as the session began.
    pub began_at: Position,
    /// When it began, in seconds since 1970.
    pub began_secs: u32,
    pub nonce: [u8; 16],
}

impl fmt::Display for PidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:08x}", self.began_at, self.began_secs)?;
        self.nonce.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

// A `pid` is a secret of its session; its key, a part of it, stays out of every log.
impl fmt::Debug for PidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PidKey(began_at {})", self.began_at)
    }
}
