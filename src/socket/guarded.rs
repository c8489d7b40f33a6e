//! A TCP connection for as long as it speaks HTTP: it has its place among all connections, and ends where a
//! request's head does not arrive or its answer is not taken. A websocket's handshake takes the stream out of it.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::access::Permit;
use crate::config::LimitsConfig;
use crate::telemetry::Metrics;

/// How long a connection may keep the service waiting.
#[derive(Clone, Copy)]
pub struct Patience {
    head: Duration,
    answer: Duration,
}

impl Patience {
    /// How long an idle connection is kept for another request: not so long that it would seem slow with it.
    pub fn keep_alive(self) -> Duration {
        (self.head / 2).min(Duration::from_secs(5))
    }
}

impl From<&LimitsConfig> for Patience {
    fn from(limits: &LimitsConfig) -> Self {
        Self { head: limits.handshake_timeout, answer: limits.request_timeout }
    }
}

/// Until when the next request's head has to be here; `None` while a request is carried out. The
/// connection's requests find it among the connection's extensions.
#[derive(Clone)]
pub struct HeadDeadline(Rc<Cell<Option<Instant>>>);

impl HeadDeadline {
    /// A head is here.
    pub fn met(&self) {
        self.0.set(None);
    }
}

pub struct GuardedStream {
    stream: TcpStream,
    place: Permit<IpAddr>,
    patience: Patience,
    head: HeadDeadline,
    /// Until when the peer has to take some of what is written; `None` where nothing waits.
    taken: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    metrics: Arc<Metrics>,
}

impl GuardedStream {
    pub fn new(stream: TcpStream, place: Permit<IpAddr>, patience: Patience, metrics: Arc<Metrics>) -> Self {
        let deadline = Instant::now() + patience.head;
        let head = HeadDeadline(Rc::new(Cell::new(Some(deadline))));
        Self { stream, place, patience, head, taken: None, timer: Box::pin(sleep_until(deadline)), metrics }
    }

    pub fn head_deadline(&self) -> HeadDeadline {
        self.head.clone()
    }

    /// The stream, and its place among all connections.
    pub fn into_parts(self) -> (TcpStream, Permit<IpAddr>) {
        (self.stream, self.place)
    }

    /// Has the task come back at the nearest deadline.
    fn poll_deadlines(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(nearest) = self.head.0.get().into_iter().chain(self.taken).min() else { return Ok(()) };
        if self.timer.deadline() != nearest {
            self.timer.as_mut().reset(nearest);
        }
        if self.timer.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        self.metrics.limited(if self.taken == Some(nearest) { "answer_timeout" } else { "head_timeout" });
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_deadlines(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.taken = None;
            // actix-http times the first head alone, and an idle connection until a part of the next has come.
            self.head.0.set(Some(Instant::now() + self.patience.head));
        } else {
            let patience = self.patience.answer;
            self.taken.get_or_insert_with(|| Instant::now() + patience);
        }
        self.poll_deadlines(context)?;
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
