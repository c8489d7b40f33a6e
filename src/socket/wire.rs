//! The stream that the websocket library sees: the TCP stream, with what was read of
//! it before the hand-over in front, and the connection's outbox behind.

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
    /// Bytes that came with the handshake's request.
    first: Bytes,
}

impl Wire {
    pub fn new(connection: Arc<Connection>, link: Arc<Link>, first: Bytes) -> Self {
        Self { connection, link, first }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let count = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..count]);
            self.first.advance(count);
            return Poll::Ready(Ok(()));
        }
        if self.link.ingress.poll_open(context).is_pending() {
            // Not read while too much of its input is under way, but written all the same.
            self.connection.poll_written(context)?;
            return Poll::Pending;
        }
        self.connection.poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, frames: &[u8]) -> Poll<io::Result<usize>> {
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
