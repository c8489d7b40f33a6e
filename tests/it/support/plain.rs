//! A bare TCP connection, for what no client would do.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub struct Plain(TcpStream);

impl Plain {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }

    /// Sends, where the other side still takes it.
    pub fn send(&mut self, text: &str) -> bool {
        self.0.write_all(text.as_bytes()).is_ok()
    }

    /// What has come once it holds `text`.
    pub fn read_until(&mut self, text: &str) -> String {
        let (mut all, mut some) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&all).contains(text) {
            let count = self.0.read(&mut some).unwrap();
            assert!(count > 0, "{text:?} never came: {:?}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&some[..count]);
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Whether `text` comes before the end.
    pub fn ended_or(&mut self, text: &str) -> bool {
        let (mut all, mut some) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = self.0.read(&mut some) {
            all.extend_from_slice(&some[..count]);
            if String::from_utf8_lossy(&all).contains(text) {
                return true;
            }
        }
        false
    }

    /// Sends a byte at a time until the other side has closed, and says how many it took.
    pub fn trickle(&mut self, text: &str, every: Duration) -> usize {
        self.0.set_read_timeout(Some(every)).unwrap();
        for (count, byte) in text.bytes().enumerate() {
            if self.0.write_all(&[byte]).is_err() {
                return count;
            }
            // Whatever is answered, it goes on until the connection ends.
            match self.0.read(&mut [0; 4096]) {
                Ok(0) => return count,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return count,
                _ => {}
            }
        }
        text.len()
    }

    /// Reads to the end of the connection, and says how long that took.
    pub fn ended_after(&mut self) -> Duration {
        let began = Instant::now();
        let mut some = [0; 4096];
        loop {
            match self.0.read(&mut some) {
                Ok(0) => return began.elapsed(),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return began.elapsed(),
                Err(error) => panic!("it goes on: {error}"),
            }
        }
    }

    /// Opens a websocket by hand.
    pub fn upgrade(&mut self, query: &str) -> String {
        self.send(&format!(
            "GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n\
             connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ));
        self.read_until("\r\n\r\n")
    }
}
