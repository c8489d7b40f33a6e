//! The floor: it speaks just enough of the protocol to be joined, then writes ready-made
//! frames, one `write` for each delivery. The least that the kernel asks without batching.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::frame;

struct Client {
    stream: TcpStream,
    upgraded: bool,
    input: Vec<u8>,
}

const LISTENER: Token = Token(usize::MAX);
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const OPEN: &[u8] = br#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":60000}"#;
/// The length of a tab's id in the benchmark.
const TAB: usize = 14;

pub fn serve(port: u16) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (mut clients, mut rooms) = (Slab::<Client>::new(), HashMap::<String, Vec<usize>>::new());
    let (mut events, mut buffer) = (Events::with_capacity(1024), vec![0; 1 << 16]);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let entry = clients.vacant_entry();
                    poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE)?;
                    entry.insert(Client { stream, upgraded: false, input: Vec::new() });
                }
                continue;
            }
            let index = event.token().0;
            // A client that is gone, or has nothing more to say, ends the loop alike.
            while let Ok(count @ 1..) = clients[index].stream.read(&mut buffer) {
                clients[index].input.extend_from_slice(&buffer[..count]);
                serve_client(index, &mut clients, &mut rooms);
            }
        }
    }
}

fn serve_client(index: usize, clients: &mut Slab<Client>, rooms: &mut HashMap<String, Vec<usize>>) {
    let mut input = std::mem::take(&mut clients[index].input);
    if !clients[index].upgraded {
        if input.windows(4).any(|window| window == b"\r\n\r\n") {
            clients[index].upgraded = true;
            // The load generator does not check the answer to its key.
            send(&mut clients[index], SWITCHING);
            send(&mut clients[index], &text(OPEN));
            input.clear();
        }
        clients[index].input = input;
        return;
    }
    let mut at = 0;
    while let Some((start, end)) = frame::split(&input[at..]) {
        let payload = &input[at + start..at + end];
        if payload.starts_with(b"40") {
            send(&mut clients[index], &text(br#"40{"sid":"x"}"#));
        } else if payload.starts_with(b"420") {
            let end = payload.len() - br#""}]"#.len();
            let tab = String::from_utf8_lossy(&payload[end - TAB..end]).into_owned();
            rooms.entry(tab).or_default().push(index);
            send(&mut clients[index], &text(br#"430[{"ok":true}]"#));
        } else if payload.starts_with(b"42[") {
            publish(payload, clients, rooms);
        }
        at += end;
    }
    input.drain(..at);
    clients[index].input = input;
}

fn publish(payload: &[u8], clients: &mut Slab<Client>, rooms: &HashMap<String, Vec<usize>>) {
    let prefix = br#"42["broadcast",{"room":"tab:"#.len();
    let tab = String::from_utf8_lossy(&payload[prefix..prefix + TAB]);
    let body_at = prefix + TAB + br#"","event":"kitchen:new-order","payload":"#.len();
    let body = &payload[body_at..payload.len() - 2];
    let frame = text(&[br#"42["kitchen:new-order","#, body, b"]"].concat());
    for index in rooms.get(&*tab).into_iter().flatten() {
        send(&mut clients[*index], &frame);
    }
}

fn send(client: &mut Client, bytes: &[u8]) {
    // A socket that is full loses it: the floor is no server.
    let _taken = client.stream.write(bytes);
}

fn text(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 10);
    frame::push_text(&mut bytes, payload);
    bytes
}
