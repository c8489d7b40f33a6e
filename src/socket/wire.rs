//! The stream that the websocket library sees: the TCP stream, with what was read of
//! it before it was asked for in front, and the connection's outbox behind.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Connection;
use super::link::Link;

pub struct Wire {
    connection: Arc<Connection>,
    link: Arc<Link>,
    /// Bytes that were read and not yet asked for: with the handshake's request, or past what a read had room for.
    ahead: Bytes,
}

impl Wire {
    pub fn new(connection: Arc<Connection>, link: Arc<Link>, ahead: Bytes) -> Self {
        Self { connection, link, ahead }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.link.ingress.poll_open(context).is_pending() {
            // Too much of its input is under way.
            return self.connection.poll_unread(context);
        }
        if self.ahead.is_empty() || self.connection.is_dead() {
            let Self { connection, ahead, .. } = &mut *self;
            return connection.poll_read(context, buffer, ahead);
        }
        let count = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, frames: &[u8]) -> Poll<io::Result<usize>> {
        if self.link.tally_frames(frames).is_err() {
            tracing::warn!("a packet was lost in an upgrade: the client has to come back");
            self.link.kill();
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.connection.push_ordinary(frames)?;
        self.link.ordinary_left(frames.len());
        Poll::Ready(Ok(frames.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.write();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(context))?;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connection.shut_down();
        self.link.wire_dropped();
    }
}
