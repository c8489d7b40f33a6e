//! What a client makes of the packets that it reads.

use std::time::Instant;

use anyhow::{bail, ensure};

use super::Load;
use super::client::{self, State};
use crate::frame;
use crate::restaurant::SERVER_SECRET;

impl Load {
    pub(super) fn take(&mut self, index: usize, mut bytes: &[u8]) -> anyhow::Result<()> {
        if self.clients[index].state == State::Upgrading {
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                self.clients[index].partial.extend_from_slice(bytes);
                return Ok(());
            };
            ensure!(bytes.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(bytes));
            bytes = &bytes[end + 4..];
            self.clients[index].state = State::Opening;
        }
        while let Some((start, end)) = frame::split(bytes) {
            self.packet(index, &bytes[start..end])?;
            bytes = &bytes[end..];
        }
        self.clients[index].partial.extend_from_slice(bytes);
        Ok(())
    }

    fn packet(&mut self, index: usize, packet: &[u8]) -> anyhow::Result<()> {
        if let Some(number) = client::event_number(packet) {
            // A room's events have numbers that are as many apart as there are rooms that are published to.
            let expected = std::mem::replace(&mut self.clients[index].expected, number + self.published as u64);
            self.seen.delivered(number, expected, !self.acknowledged);
            return Ok(());
        }
        let state = self.clients[index].state;
        match (packet, state) {
            ([b'2'], _) => self.send(index, b"3"),
            ([b'0', ..], State::Opening) => {
                self.clients[index].state = State::Connecting;
                let token = self.tokens.get(index).map_or(SERVER_SECRET, String::as_str);
                self.send(index, format!(r#"40{{"token":"{token}"}}"#).as_bytes());
            }
            ([b'4', b'0', b'{', ..], State::Connecting) => {
                self.clients[index].state = State::Joining;
                if self.clients[index].room.is_none() {
                    self.joined(index);
                }
                self.join(index);
            }
            ([b'4', b'3', ..], State::Joining) => {
                ensure!(packet.windows(9).any(|part| part == br#""ok":true"#), "{}", String::from_utf8_lossy(packet));
                self.joined(index);
            }
            ([b'4', b'3', ..], State::Joined) => {
                if let Some((number, answer)) = client::answer(packet)
                    && index == self.backend()
                {
                    self.seen.answered(number, answer);
                }
            }
            ([b'4', b'4', ..], _) => bail!("refused: {}", String::from_utf8_lossy(packet)),
            _ => {}
        }
        Ok(())
    }

    fn joined(&mut self, index: usize) {
        self.clients[index].state = State::Joined;
        self.joined += 1;
        self.joined_last = Instant::now();
    }
}
