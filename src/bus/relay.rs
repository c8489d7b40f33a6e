//! The frames that instances of one log send each other, sealed with a key that is in the log itself:
//! whoever can write to Redis but not read the database cannot make up a position.
//!
//! `version, log, tag`, then msgpack: the frame, and behind it the traces that its events belong to, if there are any.
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

/// That an event belongs to a trace which is sampled. It stands behind the frame, as an instance from before there
/// were any takes no frame with members that it does not know, and does not look behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace<'a> {
    /// The event's; [`Self::UNPLACED`] for one without a place.
    pub position: Position,
    /// The span that it was relayed in, as W3C's `traceparent`.
    #[serde(borrow)]
    pub parent: Cow<'a, str>,
}

impl Trace<'_> {
    pub const UNPLACED: Position = 0;
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
        self.close_traced(channel, frame, &[])
    }

    /// The same of a frame with events, some of which may belong to a trace.
    pub fn close_traced<T: Serialize>(&self, channel: &str, frame: &T, traces: &[Trace<'_>]) -> Option<Vec<u8>> {
        let mut sealed = vec![0; HEAD];
        rmp_serde::encode::write(&mut sealed, frame).ok()?;
        if !traces.is_empty() {
            rmp_serde::encode::write(&mut sealed, traces).ok()?;
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

    /// The same of a frame with events. Traces that cannot be read are none.
    ///
    /// # Errors
    /// Why it is not a frame of this log.
    pub fn open_traced<'a, T: Deserialize<'a>>(
        &self,
        channel: &str,
        sealed: &'a [u8],
    ) -> Result<(T, Vec<Trace<'a>>), Garbage> {
        let body = self.unsealed(channel, sealed)?;
        let mut reader = rmp_serde::Deserializer::from_read_ref(body);
        let frame = T::deserialize(&mut reader).map_err(|_| Garbage::Malformed)?;
        Ok((frame, Vec::deserialize(&mut reader).unwrap_or_default()))
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal() -> Seal {
        Seal::new(LogId(7), b"secret")
    }

    #[test]
    fn only_an_instance_of_the_log_can_make_a_frame() {
        let event =
            LogEvent { position: 5, rooms: vec!["a:b"], name: "e", payload: "{ \"b\":1,\"a\":2 }", held_as: None };
        let frame = LogFrame { instance: 1, before: 4, last: 5, events: vec![event] };
        let sealed = seal().close(LOG, &frame).unwrap();
        assert_eq!(seal().open::<LogFrame<'_>>(LOG, &sealed).unwrap(), frame);
        let open = |seal: Seal, channel: &str| seal.open::<LogFrame<'_>>(channel, &sealed).unwrap_err();
        assert_eq!(open(Seal::new(LogId(7), b"other"), LOG), Garbage::Forged);
        assert_eq!(open(Seal::new(LogId(8), b"secret"), LOG), Garbage::Foreign);
        assert_eq!(open(seal(), VOLATILE), Garbage::Forged, "it is for its channel only");
        for index in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[index] ^= 1;
            assert!(seal().open::<LogFrame<'_>>(LOG, &bent).is_err(), "byte {index}");
        }
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn loose() -> LooseEvent<'static> {
        LooseEvent { instance: 1, identity: None, rooms: vec!["a:b"], name: "e", payload: "1", except: vec![] }
    }

    /// In a rolling upgrade either may be the older one.
    #[test]
    fn an_instance_that_knows_no_traces_reads_a_frame_with_some_and_its_own_are_read() {
        let trace = Trace { position: Trace::UNPLACED, parent: PARENT.into() };
        let (newer, older) = (
            seal().close_traced(VOLATILE, &loose(), std::slice::from_ref(&trace)).unwrap(),
            seal().close(VOLATILE, &loose()).unwrap(),
        );
        assert_eq!(seal().open::<LooseEvent<'_>>(VOLATILE, &newer).unwrap(), loose());
        let read = seal().open_traced::<LooseEvent<'_>>(VOLATILE, &newer).unwrap();
        assert_eq!(read, (loose(), vec![trace]));
        assert_eq!(seal().open_traced::<LooseEvent<'_>>(VOLATILE, &older).unwrap(), (loose(), vec![]));
        assert_eq!(seal().close_traced(VOLATILE, &loose(), &[]).unwrap(), older, "without any it is the same frame");
        for index in HEAD..newer.len() {
            let mut bent = newer.clone();
            bent[index] ^= 1;
            let read = seal().open_traced::<LooseEvent<'_>>(VOLATILE, &bent);
            assert_eq!(read.unwrap_err(), Garbage::Forged, "byte {index}: traces are under the seal");
        }
    }

    /// As it was read before an event could be for some of its rooms' members only.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct FormerLooseEvent<'a> {
        instance: InstanceId,
        identity: Option<&'a str>,
        #[serde(borrow)]
        rooms: Vec<&'a str>,
        name: &'a str,
        payload: &'a str,
    }

    #[test]
    fn an_instance_that_would_send_an_event_to_those_whom_it_is_not_for_does_not_take_it() {
        let trace = Trace { position: Trace::UNPLACED, parent: PARENT.into() };
        let excepting = LooseEvent { except: vec!["user:x", "abcdefghijklmnop"], ..loose() };
        for traces in [&[][..], &[trace][..]] {
            let sealed = |event| seal().close_traced(VOLATILE, event, traces).unwrap();
            let (excepting_sealed, plain) = (sealed(&excepting), sealed(&loose()));
            let former = |sealed| seal().open_traced::<FormerLooseEvent<'_>>(VOLATILE, sealed).map(|(event, _)| event);
            assert_eq!(former(&excepting_sealed), Err(Garbage::Malformed));
            assert_eq!(former(&plain).unwrap().payload, "1");
            let former = former(&plain).unwrap();
            assert_eq!(seal().close_traced(VOLATILE, &former, traces).unwrap(), plain, "the same frame as ever");
            let read = seal().open_traced::<LooseEvent<'_>>(VOLATILE, &excepting_sealed).unwrap();
            assert_eq!((read.0, &read.1[..]), (LooseEvent { except: excepting.except.clone(), ..loose() }, traces));
        }
    }

    proptest! {
        #[test]
        fn what_stands_behind_a_frame_does_it_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut body = seal().close(VOLATILE, &loose()).unwrap();
            body.extend(bytes);
            let sealed = seal().stamp(VOLATILE, body).unwrap();
            prop_assert_eq!(seal().open_traced::<LooseEvent<'_>>(VOLATILE, &sealed).unwrap().0, loose());
        }

        #[test]
        fn arbitrary_bytes_are_no_frame(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(seal().open::<LogFrame<'_>>(LOG, &bytes).is_err());
        }

        /// Sealed by a peer of another make, say: what is in it may be anything.
        #[test]
        fn arbitrary_contents_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let seal = seal();
            let sealed = seal.stamp(CONTROL, [vec![0; HEAD], bytes].concat()).unwrap();
            let _: Result<Control<'_>, Garbage> = seal.open(CONTROL, &sealed);
            let _: Result<LogFrame<'_>, Garbage> = seal.open(CONTROL, &sealed);
        }
    }
}
