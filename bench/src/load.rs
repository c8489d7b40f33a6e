//! The load generator: raw websocket clients on one thread. It reads every event, checks
//! that none is lost or out of order, and costs little.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::restaurant::{Restaurant, SERVER_SECRET, tab};

/// Where the event's number stands in the frame's payload, and how long it is.
const NUMBER_AT: usize = r#"42["kitchen:new-order",{"n":1"#.len();
const NUMBER_DIGITS: usize = 9;
/// Numbers begin with a 1, so that they are JSON with a fixed length.
const FIRST: &str = r#"42["kitchen:new-order",{"n":1"#;

#[derive(PartialEq)]
enum State {
    Upgrading,
    Opening,
    Connecting,
    Joining,
    Joined,
}

struct Client {
    stream: TcpStream,
    state: State,
    /// What came of a frame that is not whole.
    partial: Vec<u8>,
    unsent: Vec<u8>,
    room: Option<usize>,
    expected: u64,
}

/// What the clients have seen.
pub struct Seen {
    pub deliveries: u64,
    pub out_of_order: u64,
    pub latency_us: Histogram<u64>,
    /// Deliveries that each publish still lacks, by its number, from `oldest` on.
    outstanding: VecDeque<(Instant, usize)>,
    oldest: u64,
}

pub struct Load {
    poll: Poll,
    clients: Vec<Client>,
    rooms: Vec<usize>,
    next_in_room: Vec<u64>,
    next: u64,
    pub joined: usize,
    pub seen: Seen,
    tokens: Vec<String>,
    buffer: Vec<u8>,
    frame: Vec<u8>,
    /// Clients that something was put together for in this turn.
    unwritten: Vec<usize>,
}

impl Load {
    /// `count` clients spread evenly over `rooms`, and the backend, all connecting at once.
    pub fn connect(address: SocketAddr, restaurant: &Restaurant, count: usize, rooms: usize) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut load = Self {
            poll,
            clients: Vec::with_capacity(count + 1),
            rooms: vec![0; rooms],
            next_in_room: vec![0; rooms],
            next: 0,
            joined: 0,
            seen: Seen {
                deliveries: 0,
                out_of_order: 0,
                latency_us: Histogram::new_with_bounds(1, 60_000_000, 3)?,
                outstanding: VecDeque::new(),
                oldest: 0,
            },
            tokens: (0..count).map(|index| restaurant.token(index).to_owned()).collect(),
            buffer: vec![0; 1 << 20],
            frame: Vec::new(),
            unwritten: Vec::new(),
        };
        for index in 0..=count {
            let room = (index < count).then_some(index % rooms);
            room.into_iter().for_each(|room| load.rooms[room] += 1);
            let mut stream = TcpStream::connect(address)?;
            load.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
            let unsent = format!(
                "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            );
            let client = Client {
                stream,
                state: State::Upgrading,
                partial: Vec::new(),
                unsent: unsent.into_bytes(),
                room,
                expected: 0,
            };
            load.clients.push(client);
        }
        Ok(load)
    }

    fn backend(&self) -> usize {
        self.clients.len() - 1
    }

    /// Runs until all have joined.
    pub fn until_joined(&mut self, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        while self.joined < self.clients.len() {
            ensure!(Instant::now() < deadline, "only {} of {} joined", self.joined, self.clients.len());
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Publishes so that always `in_flight` events are on their way.
    pub fn closed_loop(&mut self, in_flight: usize, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            while self.seen.outstanding.len() < in_flight {
                self.publish()?;
            }
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Publishes `rate` events a second, evenly, whether or not they arrive.
    pub fn open_loop(&mut self, rate: u64, time: Duration) -> anyhow::Result<()> {
        let (begin, total) = (Instant::now(), rate * time.as_secs());
        for index in 0..total {
            let due = begin + Duration::from_nanos(index * 1_000_000_000 / rate);
            loop {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                self.turn(left)?;
            }
            self.publish()?;
        }
        Ok(())
    }

    /// Waits for what is still on its way; returns how many deliveries never came.
    pub fn drain(&mut self) -> anyhow::Result<u64> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.seen.outstanding.is_empty() && Instant::now() < deadline {
            self.turn(Duration::from_millis(100))?;
        }
        Ok(self.seen.outstanding.iter().map(|(_, lacking)| *lacking as u64).sum())
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        let room = (self.next % self.rooms.len() as u64) as usize;
        let payload = format!(
            r#"42["broadcast",{{"room":"tab:{}","event":"kitchen:new-order","payload":{{"n":1{:09},"venueId":"cvenuebench0000000000001","tabId":"ctab0000000000","items":[{{"id":"citem000000000000000000001","name":"Burger","quantity":1,"modifiers":["NO ONIONS","EXTRA CHEESE"],"notes":"medium rare, nut allergy at the table"}},{{"id":"citem000000000000000000002","name":"Fries","quantity":2,"modifiers":[],"notes":null}}],"timestamp":"2026-11-24T12:00:00.000Z"}}}}]"#,
            tab(room),
            self.next
        );
        self.seen.outstanding.push_back((Instant::now(), self.rooms[room]));
        self.next_in_room[room] = self.next;
        self.next += 1;
        let backend = self.backend();
        self.send(backend, payload.as_bytes())
    }

    /// Sends a text frame, masked with zeros.
    fn send(&mut self, index: usize, payload: &[u8]) -> anyhow::Result<()> {
        self.frame.clear();
        self.frame.push(0x81);
        match payload.len() {
            length @ 0..=125 => self.frame.push(0x80 | length as u8),
            length => {
                self.frame.push(0x80 | 126);
                self.frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        self.frame.extend_from_slice(&[0; 4]);
        self.frame.extend_from_slice(payload);
        let client = &mut self.clients[index];
        // Written once with whatever else this turn sends to the same client.
        if client.unsent.is_empty() {
            self.unwritten.push(index);
        }
        client.unsent.extend_from_slice(&self.frame);
        Ok(())
    }

    /// Waits for the sockets and serves them once.
    fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        for index in std::mem::take(&mut self.unwritten) {
            write(&mut self.clients[index])?;
        }
        let mut events = Events::with_capacity(1024);
        // A wait in whole milliseconds would be too coarse for an even rate.
        let wait = if wait < Duration::from_millis(1) { Duration::ZERO } else { wait };
        if let Err(error) = self.poll.poll(&mut events, Some(wait))
            && error.kind() != ErrorKind::Interrupted
        {
            bail!(error);
        }
        for event in &events {
            let index = event.token().0;
            if event.is_writable() {
                write(&mut self.clients[index])?;
            }
            if event.is_readable() {
                self.read(index)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, index: usize) -> anyhow::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = loop {
            let client = &mut self.clients[index];
            let carried = client.partial.len();
            buffer[..carried].copy_from_slice(&client.partial);
            client.partial.clear();
            match client.stream.read(&mut buffer[carried..]) {
                Ok(0) => break Err(anyhow::anyhow!("the server closed client {index}")),
                Ok(count) => {
                    if let Err(error) = self.take(index, &buffer[..carried + count]) {
                        break Err(error);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    client.partial.extend_from_slice(&buffer[..carried]);
                    break Ok(());
                }
                Err(error) => break Err(error.into()),
            }
        };
        self.buffer = buffer;
        outcome
    }

    fn take(&mut self, index: usize, mut bytes: &[u8]) -> anyhow::Result<()> {
        if self.clients[index].state == State::Upgrading {
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                self.clients[index].partial.extend_from_slice(bytes);
                return Ok(());
            };
            ensure!(bytes.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(bytes));
            bytes = &bytes[end + 4..];
            self.clients[index].state = State::Opening;
        }
        while let Some((start, end)) = split(bytes) {
            self.packet(index, &bytes[start..end])?;
            bytes = &bytes[end..];
        }
        self.clients[index].partial.extend_from_slice(bytes);
        Ok(())
    }

    fn packet(&mut self, index: usize, packet: &[u8]) -> anyhow::Result<()> {
        if packet.starts_with(FIRST.as_bytes()) {
            self.delivered(index, packet);
            return Ok(());
        }
        match (packet, &self.clients[index].state) {
            ([b'2'], _) => self.send(index, b"3"),
            ([b'0', ..], State::Opening) => {
                self.clients[index].state = State::Connecting;
                let token = self.tokens.get(index).map_or(SERVER_SECRET, String::as_str);
                let connect = format!(r#"40{{"token":"{token}"}}"#);
                self.send(index, connect.as_bytes())
            }
            ([b'4', b'0', b'{', ..], State::Connecting) => match self.clients[index].room {
                None => {
                    self.clients[index].state = State::Joined;
                    self.joined += 1;
                    Ok(())
                }
                Some(room) => {
                    self.clients[index].state = State::Joining;
                    let join = format!(r#"420["tab:join",{{"tabId":"{}"}}]"#, tab(room));
                    self.send(index, join.as_bytes())
                }
            },
            ([b'4', b'3', b'0', b'[', ..], State::Joining) => {
                ensure!(
                    packet.windows(9).any(|window| window == br#""ok":true"#),
                    "{}",
                    String::from_utf8_lossy(packet)
                );
                self.clients[index].state = State::Joined;
                self.joined += 1;
                Ok(())
            }
            ([b'4', b'4', ..], _) => bail!("refused: {}", String::from_utf8_lossy(packet)),
            _ => Ok(()),
        }
    }

    fn delivered(&mut self, index: usize, packet: &[u8]) {
        let digits = &packet[NUMBER_AT..NUMBER_AT + NUMBER_DIGITS];
        let number = digits.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        let client = &mut self.clients[index];
        let seen = &mut self.seen;
        seen.deliveries += 1;
        // A room's events have numbers that are as many apart as there are rooms.
        let expected = if client.expected == 0 { client.room.unwrap_or(0) as u64 } else { client.expected };
        if number != expected {
            seen.out_of_order += 1;
        }
        client.expected = number + self.rooms.len() as u64;
        if let Some((published, lacking)) =
            number.checked_sub(seen.oldest).and_then(|at| seen.outstanding.get_mut(at as usize))
        {
            let latency = published.elapsed().as_micros() as u64;
            seen.latency_us.saturating_record(latency.max(1));
            *lacking -= 1;
        }
        while seen.outstanding.front().is_some_and(|(_, lacking)| *lacking == 0) {
            seen.outstanding.pop_front();
            seen.oldest += 1;
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for client in &self.clients {
            // No TIME_WAIT: ten thousand of them would use up the ports of the next shape.
            socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).ok();
        }
    }
}

fn write(client: &mut Client) -> anyhow::Result<()> {
    while !client.unsent.is_empty() {
        match client.stream.write(&client.unsent) {
            Ok(count) => drop(client.unsent.drain(..count)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Where the first frame's payload begins and ends, if the frame is whole.
fn split(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, length) = match bytes.get(1)? & 0x7F {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?) as usize),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        length => (2, length as usize),
    };
    (start + length <= bytes.len()).then_some((start, start + length))
}
