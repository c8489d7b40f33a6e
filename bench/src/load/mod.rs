//! The load generator: raw websocket clients on one thread. It reads every event, checks
//! that none is lost or out of order, and costs little: one read for each delivery.

mod client;
mod packets;
mod seen;

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use mio::{Events, Interest, Poll, Token};

use crate::pace::Pace;
use crate::restaurant::{Restaurant, tab};
use client::{Client, State};
use seen::Seen;

const PACE: Token = Token(usize::MAX);
/// How long nothing may happen before a join counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// After how long a client whose join was not answered asks again, where that is allowed.
const ASK_AGAIN: Duration = Duration::from_secs(2);

pub struct Load {
    poll: Poll,
    events: Option<Events>,
    pace: Pace,
    clients: Vec<Client>,
    /// How many are in each room.
    rooms: Vec<usize>,
    next: u64,
    joined: usize,
    joined_last: Instant,
    pub seen: Seen,
    /// The first so many rooms are published to; all, unless this is set.
    pub published: usize,
    /// Events are not to be stored.
    pub volatile: bool,
    /// Latency is that of acknowledgements, not of deliveries.
    acknowledged: bool,
    tokens: Vec<String>,
    buffer: Vec<u8>,
    event: Vec<u8>,
    /// Clients that something was put together for in this turn.
    unwritten: Vec<usize>,
}

impl Load {
    /// `count` clients spread evenly over `rooms`, each room's over all instances, and
    /// the backend at the first instance, all connecting at once.
    pub fn connect(
        instances: &[SocketAddr],
        restaurant: &Restaurant,
        count: usize,
        rooms: usize,
    ) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let pace = Pace::new()?;
        pace.register(poll.registry(), PACE)?;
        let mut load = Self {
            poll,
            events: Some(Events::with_capacity(1024)),
            pace,
            clients: Vec::with_capacity(count + 1),
            rooms: vec![0; rooms],
            next: 0,
            joined: 0,
            joined_last: Instant::now(),
            seen: Seen::new()?,
            published: rooms,
            volatile: false,
            acknowledged: false,
            tokens: (0..count).map(|index| restaurant.token(index).to_owned()).collect(),
            buffer: vec![0; 1 << 20],
            event: Vec::new(),
            unwritten: Vec::new(),
        };
        for index in 0..=count {
            let room = (index < count).then_some(index % rooms);
            room.into_iter().for_each(|room| load.rooms[room] += 1);
            let instance = room.map_or(0, |_| index / rooms % instances.len());
            let mut client = Client::connect(instances[instance], room)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            load.poll.registry().register(&mut client.stream, Token(index), both)?;
            load.clients.push(client);
        }
        Ok(load)
    }

    fn backend(&self) -> usize {
        self.clients.len() - 1
    }

    /// Runs until all have joined, or nothing more comes. Returns how many joins were
    /// lost, and when the last one was answered.
    pub fn until_joined(&mut self) -> anyhow::Result<(usize, Instant)> {
        while self.joined < self.clients.len() && self.joined_last.elapsed() < PATIENCE {
            self.turn(Duration::from_millis(100))?;
        }
        Ok((self.clients.len() - self.joined, self.joined_last))
    }

    /// Runs until all have joined; those without an answer ask again.
    pub fn until_all_joined(&mut self, within: Duration) -> anyhow::Result<()> {
        let (deadline, mut asked) = (Instant::now() + within, Instant::now());
        while self.joined < self.clients.len() {
            ensure!(Instant::now() < deadline, "only {} of {} joined", self.joined, self.clients.len());
            if self.joined_last.max(asked).elapsed() > ASK_AGAIN {
                asked = Instant::now();
                for index in 0..self.clients.len() {
                    if self.clients[index].state == State::Joining {
                        self.join(index);
                    }
                }
            }
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Publishes so that always `in_flight` events are on their way.
    pub fn closed_loop(&mut self, in_flight: usize, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            while self.seen.on_their_way() < in_flight {
                self.publish();
            }
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Publishes so that always `in_flight` publishes wait for their acknowledgement.
    pub fn acknowledged_loop(&mut self, in_flight: usize, time: Duration) -> anyhow::Result<()> {
        self.acknowledged = true;
        let end = Instant::now() + time;
        while Instant::now() < end {
            while self.seen.unanswered() < in_flight {
                self.publish();
            }
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Publishes `rate` events a second, evenly, whether or not they arrive.
    pub fn open_loop(&mut self, rate: u64, time: Duration) -> anyhow::Result<()> {
        let (begin, total) = (Instant::now(), rate * time.as_secs());
        self.pace.start(rate)?;
        for index in 0..total {
            let due = begin + Duration::from_nanos(index * 1_000_000_000 / rate);
            while Instant::now() < due {
                self.turn(Duration::from_millis(100))?;
            }
            self.publish();
        }
        self.pace.stop()
    }

    /// Does nothing but read and answer pings.
    pub fn idle(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Waits for what is still on its way; returns how many deliveries never came.
    pub fn drain(&mut self) -> anyhow::Result<u64> {
        let deadline = Instant::now() + PATIENCE;
        while self.seen.on_their_way() + self.seen.unanswered() > 0 && Instant::now() < deadline {
            self.turn(Duration::from_millis(100))?;
        }
        Ok(self.seen.give_up())
    }

    pub fn publish(&mut self) {
        let room = (self.next % self.published as u64) as usize;
        let mut event = std::mem::take(&mut self.event);
        event.clear();
        let ack = self.acknowledged.then_some(self.next);
        client::event(self.next, &tab(room), ack, self.volatile, &mut event);
        if self.acknowledged {
            self.seen.wants_acknowledgement(self.next);
        }
        self.seen.published(self.rooms[room]);
        self.next += 1;
        self.send(self.backend(), &event);
        self.event = event;
    }

    fn join(&mut self, index: usize) {
        if let Some(room) = self.clients[index].room {
            let join = format!(r#"420["tab:join",{{"tabId":"{}"}}]"#, tab(room));
            self.send(index, join.as_bytes());
        }
    }

    /// Written once, in the next turn, with whatever else is sent to the same client by then.
    fn send(&mut self, index: usize, payload: &[u8]) {
        if self.clients[index].push(payload) {
            self.unwritten.push(index);
        }
    }

    /// Waits for the sockets and serves them once.
    fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        for index in std::mem::take(&mut self.unwritten) {
            self.clients[index].write()?;
        }
        let mut events = self.events.take().unwrap_or_else(|| Events::with_capacity(1024));
        if let Err(error) = self.poll.poll(&mut events, Some(wait))
            && error.kind() != ErrorKind::Interrupted
        {
            bail!(error);
        }
        for event in &events {
            if event.token() == PACE {
                self.pace.woken();
                continue;
            }
            let index = event.token().0;
            if event.is_writable() {
                self.clients[index].write()?;
            }
            if event.is_readable() {
                self.read(index)?;
            }
        }
        self.events = Some(events);
        Ok(())
    }

    fn read(&mut self, index: usize) -> anyhow::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = self.read_into(index, &mut buffer);
        self.buffer = buffer;
        outcome
    }

    fn read_into(&mut self, index: usize, buffer: &mut [u8]) -> anyhow::Result<()> {
        loop {
            let client = &mut self.clients[index];
            let carried = client.partial.len();
            buffer[..carried].copy_from_slice(&client.partial);
            match client.stream.read(&mut buffer[carried..]) {
                Ok(0) => bail!("the server closed client {index}"),
                Ok(count) => {
                    client.partial.clear();
                    self.take(index, &buffer[..carried + count])?;
                    // A read that does not fill the buffer has emptied the socket (epoll(7)).
                    if carried + count < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
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
