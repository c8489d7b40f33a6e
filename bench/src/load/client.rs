//! One client: a raw websocket that speaks just enough Engine.IO and Socket.IO.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;

use crate::frame;

/// How an event of the load begins; the number after it has always the same length.
/// Numbers begin with a 1, so that they are JSON all the same.
const EVENT: &[u8] = br#"42["kitchen:new-order",{"n":1"#;
const NUMBER_DIGITS: usize = 9;

#[derive(Clone, Copy, PartialEq)]
pub enum State {
    Upgrading,
    Opening,
    Connecting,
    Joining,
    Joined,
}

pub struct Client {
    pub stream: TcpStream,
    pub state: State,
    /// What came of a frame that is not whole.
    pub partial: Vec<u8>,
    unsent: Vec<u8>,
    /// `None`: the backend.
    pub room: Option<usize>,
    /// The number that its room's next event must have.
    pub expected: u64,
}

impl Client {
    pub fn connect(address: SocketAddr, room: Option<usize>) -> anyhow::Result<Self> {
        let upgrade = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        let stream = TcpStream::connect(address)?;
        // As browsers and Node do: the kernel would hold a small frame back, up to 40 ms.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            state: State::Upgrading,
            partial: Vec::new(),
            unsent: upgrade.into_bytes(),
            room,
            expected: room.unwrap_or(0) as u64,
        })
    }

    /// Puts a text frame behind what waits; says whether nothing waited before it.
    pub fn push(&mut self, payload: &[u8]) -> bool {
        let first = self.unsent.is_empty();
        frame::push_masked(&mut self.unsent, payload);
        first
    }

    pub fn write(&mut self) -> anyhow::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// An event of the load. After `number` anything may follow: the payload, and
/// arguments behind it, such as the event's offset.
pub fn event(number: u64, room: &str, ack: Option<u64>, volatile: bool, out: &mut Vec<u8>) {
    use std::io::Write as _;
    out.extend_from_slice(b"42");
    if let Some(ack) = ack {
        write!(out, "{ack}").ok();
    }
    let volatile = if volatile { r#","volatile":true"# } else { "" };
    // Writing to a Vec does not fail.
    write!(
        out,
        r#"["broadcast",{{"room":"tab:{room}","event":"kitchen:new-order","payload":{{"n":1{number:09},"venueId":"cvenuebench0000000000001","tabId":"ctab0000000000","items":[{{"id":"citem000000000000000000001","name":"Burger","quantity":1,"modifiers":["NO ONIONS","EXTRA CHEESE"],"notes":"medium rare, nut allergy at the table"}},{{"id":"citem000000000000000000002","name":"Fries","quantity":2,"modifiers":[],"notes":null}}],"timestamp":"2026-11-24T12:00:00.000Z"}}{volatile}}}]"#
    )
    .ok();
}

/// The number of an event of the load, `None` of any other packet.
pub fn event_number(packet: &[u8]) -> Option<u64> {
    let digits = packet.strip_prefix(EVENT)?.get(..NUMBER_DIGITS)?;
    Some(decimal(digits))
}

/// The number and the arguments of an acknowledgement packet, `43<number>[…]`.
pub fn answer(packet: &[u8]) -> Option<(u64, &[u8])> {
    let rest = packet.strip_prefix(b"43")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| (decimal(&rest[..digits]), &rest[digits..]))
}

fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit.wrapping_sub(b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client gets of an event, without and with an offset behind it.
    #[test]
    fn an_offset_behind_the_payload_does_not_matter() {
        let mut sent = Vec::new();
        event(1_234, "ctab0000000001", None, false, &mut sent);
        let text = String::from_utf8(sent).unwrap();
        let payload = text.split_once(r#""payload":"#).unwrap().1.strip_suffix("}]").unwrap();
        for packet in [
            format!(r#"42["kitchen:new-order",{payload}]"#),
            format!(r#"42["kitchen:new-order",{payload},"1:42,7:9"]"#),
        ] {
            assert_eq!(event_number(packet.as_bytes()), Some(1_234), "{packet}");
        }
        assert_eq!(event_number(br#"42["tab:joined",{"tabId":"ctab0000000001"}]"#), None);
    }

    #[test]
    fn answers_carry_their_number() {
        assert_eq!(answer(br#"4317[{"ok":true}]"#), Some((17, &br#"[{"ok":true}]"#[..])));
        assert_eq!(answer(b"43[]"), None);
        assert_eq!(answer(br#"42["x"]"#), None);
    }
}
