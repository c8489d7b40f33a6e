//! The frames that instances of one log send each other, sealed with a key that is in the log itself:
//! whoever can write to Redis but not read the database cannot make up a position.
//!
//! `version, log, tag`, then msgpack: the frame, and behind it the traces that its events belong to and the names that
//! they were published under, if there are any.
//! Made and read by the ClusterBridge.

use std::borrow::Cow;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Garbage;
use crate::domain::{LogId, PidKey, Position};

/// Batches of the log, as they were stored.
pub const LOG: &str = "expeditor#log";
/// Events that went out before they could be stored.
pub const UNPLACED: &str = "expeditor#unplaced";
/// Events that are never stored.
pub const VOLATILE: &str = "expeditor#volatile";
/// What else all instances are to know at once.
pub const CONTROL: &str = "expeditor#control";

const VERSION: u8 = 1;
const TAG: usize = 16;
pub(crate) const HEAD: usize = 1 + 4 + TAG;
/// Of one frame. A batch that is larger goes out in several.
pub const MAX_FRAME: usize = 32 * 1024 * 1024;

/// An instance, for as long as its process lives.
pub type InstanceId = u64;

/// A batch, or a part of one. After `before` and up to `last` the log has these events and no others.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct LogFrame<'a> {
    pub instance: InstanceId,
    pub before: Position,
    pub last: Position,
    #[serde(borrow)]
    pub events: Vec<LogEvent<'a>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEvent<'a> {
    pub position: Position,
    #[serde(borrow)]
    pub rooms: Vec<&'a str>,
    pub name: &'a str,
    /// JSON, byte for byte as it was published.
    pub payload: &'a str,
    /// The name under which it went out before, if it did.
    pub held_as: Option<&'a str>,
}

/// An event without a place.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct LooseEvent<'a> {
    pub instance: InstanceId,
    /// By which its stored form is known again; none for what is never stored.
    pub identity: Option<&'a str>,
    #[serde(borrow)]
    pub rooms: Vec<&'a str>,
    pub name: &'a str,
    pub payload: &'a str,
    /// Rooms and sockets that it is not for. Where there are any it is a frame of one member more, which an instance
    /// from before there were any does not take: it has nobody hear the event, rather than those that are excepted.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<&'a str>,
}

/// That an event belongs to a trace which is sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace<'a> {
    /// The event's; [`NO_POSITION`] for one without a place.
    pub position: Position,
    /// The span that it was relayed in, as W3C's `traceparent`.
    #[serde(borrow)]
    pub parent: Cow<'a, str>,
}

/// That an event was published under a name: an instance that the publish is repeated at knows it again, though the
/// database be away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Name<'a> {
    /// The event's; [`NO_POSITION`] for one without a place.
    pub position: Position,
    pub publisher: &'a str,
    pub id: &'a str,
    /// Of what the publish said.
    pub digest: [u8; 32],
}

/// The position in a [`Trace`] or a [`Name`] of an event without one.
pub const NO_POSITION: Position = 0;

/// What stands behind a frame with events: an instance from before there was any of it takes no frame with members that
/// it does not know, and does not look behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Behind<'a> {
    pub traces: Vec<Trace<'a>>,
    pub names: Vec<Name<'a>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Control<'a> {
    pub instance: InstanceId,
    #[serde(borrow)]
    pub fact: Fact<'a>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Fact<'a> {
    /// Sent again and again. Its own come back to an instance too, which tells that the way is open.
    Alive {
        head: Position,
        /// Whether that instance takes in what Node servers publish.
        lease: bool,
    },
    /// A client with this `pid` is connected there now, since that many ms after 1970.
    Connected { began_at: Position, began_secs: u32, nonce: [u8; 16], since_ms: u64 },
    /// The rows behind this user have changed.
    Rights { user: &'a str },
    /// The lease was given back.
    LeaseFree,
}

impl Fact<'_> {
    pub fn connected(pid: PidKey, since_ms: u64) -> Self {
        Self::Connected { began_at: pid.began_at, began_secs: pid.began_secs, nonce: pid.nonce, since_ms }
    }
}

/// Seals and opens the frames of one log.
pub struct Seal {
    log: LogId,
    key: Hmac<Sha256>,
}

impl Seal {
    /// `secret` is the log's own.
    pub fn new(log: LogId, secret: &[u8]) -> Self {
        let mut key = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        // The same secret signs pids: neither passes for the other.
        key.update(b"relay\0");
        Self { log, key }
    }

    /// `None` where the frame is larger than any that is taken.
    pub fn close<T: Serialize>(&self, channel: &str, frame: &T) -> Option<Vec<u8>> {
        self.close_with(channel, frame, &Behind::default())
    }

    /// The same of a frame with events.
    pub fn close_with<T: Serialize>(&self, channel: &str, frame: &T, behind: &Behind<'_>) -> Option<Vec<u8>> {
        let Behind { traces, names } = behind;
        let mut sealed = vec![0; HEAD];
        rmp_serde::encode::write(&mut sealed, frame).ok()?;
        if !(traces.is_empty() && names.is_empty()) {
            rmp_serde::encode::write(&mut sealed, traces).ok()?;
        }
        if !names.is_empty() {
            rmp_serde::encode::write(&mut sealed, names).ok()?;
        }
        self.stamp(channel, sealed)
    }

    /// Seals what follows a head that is still blank, whatever it is.
    pub(crate) fn stamp(&self, channel: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        if sealed.len() > MAX_FRAME {
            return None;
        }
        let tag = self.tag(channel, &sealed[HEAD..]);
        sealed[0] = VERSION;
        sealed[1..5].copy_from_slice(&self.log.0.to_be_bytes());
        sealed[5..HEAD].copy_from_slice(&tag);
        Some(sealed)
    }

    /// # Errors
    /// Why it is not a frame of this log.
    pub fn open<'a, T: Deserialize<'a>>(&self, channel: &str, sealed: &'a [u8]) -> Result<T, Garbage> {
        let body = self.unsealed(channel, sealed)?;
        rmp_serde::from_slice(body).map_err(|_| Garbage::Malformed)
    }

    /// The same of a frame with events. What cannot be read of what is behind it is not there.
    ///
    /// # Errors
    /// Why it is not a frame of this log.
    pub fn open_with<'a, T: Deserialize<'a>>(
        &self,
        channel: &str,
        sealed: &'a [u8],
    ) -> Result<(T, Behind<'a>), Garbage> {
        let body = self.unsealed(channel, sealed)?;
        let mut reader = rmp_serde::Deserializer::from_read_ref(body);
        let frame = T::deserialize(&mut reader).map_err(|_| Garbage::Malformed)?;
        let traces = Vec::deserialize(&mut reader).unwrap_or_default();
        let names = Vec::deserialize(&mut reader).unwrap_or_default();
        Ok((frame, Behind { traces, names }))
    }

    fn unsealed<'a>(&self, channel: &str, sealed: &'a [u8]) -> Result<&'a [u8], Garbage> {
        if sealed.len() > MAX_FRAME {
            return Err(Garbage::TooLarge);
        }
        let (head, body) = sealed.split_at_checked(HEAD).ok_or(Garbage::Malformed)?;
        if head[0] != VERSION {
            return Err(Garbage::Version);
        }
        if head[1..5] != self.log.0.to_be_bytes() {
            return Err(Garbage::Foreign);
        }
        if !bool::from(self.tag(channel, body).ct_eq(&head[5..])) {
            return Err(Garbage::Forged);
        }
        Ok(body)
    }

    fn tag(&self, channel: &str, body: &[u8]) -> [u8; TAG] {
        let whole = self.key.clone().chain_update(channel).chain_update([0]).chain_update(body).finalize().into_bytes();
        let mut tag = [0; TAG];
        tag.copy_from_slice(&whole[..TAG]);
        tag
    }
}

#[cfg(test)]
mod tests;
