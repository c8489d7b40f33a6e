//! Socket.IO packets, to the command that an event stands for. A line that begins with `b` stands for an attachment.
#![no_main]

use socketioxide_core::packet::PacketData;
use socketioxide_core::parser::{Parse, ParseConfig, ParserState};
use socketioxide_parser_common::CommonParser;

libfuzzer_sys::fuzz_target!(|text: &str| {
    // As `SocketServer::new` sets it up.
    let config = ParseConfig { max_incoming_binaries: 16, max_incoming_binary_buf_size: 8_192, ..ParseConfig::default() };
    let state = ParserState::default();
    for line in text.split('\n') {
        let packet = match line.strip_prefix('b') {
            Some(attachment) => CommonParser.decode_bin(&config, &state, attachment.to_owned().into()),
            None => CommonParser.decode_str(&config, &state, line.to_owned().into()),
        };
        match packet.map(|packet| packet.inner) {
            Ok(PacketData::Event(value, _) | PacketData::BinaryEvent(value, _)) => expeditor::fuzzing::event(&value),
            _ => {}
        }
    }
});
