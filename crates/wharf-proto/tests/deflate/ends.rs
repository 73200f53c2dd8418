//! Both ends of a connection that agreed on compression, and the frames that a client sends.

use std::sync::Arc;
use std::time::Instant;

use wharf_proto::connection::{Config, Connection, Ending, Input};
use wharf_proto::deflate::{self, ContextMemory};
use wharf_proto::frame::{Header, Opcode};
use wharf_proto::mask::MaskingKey;
use wharf_proto::{MessageRef, ProtocolError};

use crate::support::Seen;

pub(crate) fn compression() -> deflate::Config {
    deflate::Config { level: 6, threshold: 0, ..deflate::Config::default() }
}

pub(crate) fn with_takeover() -> deflate::Config {
    deflate::Config { server_context_takeover: true, client_context_takeover: true, ..compression() }
}

pub(crate) fn config(compression: deflate::Config) -> Config {
    Config { deflate: Some(compression), ..Config::default() }
}

/// One end, its scratch memory and what it has received.
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) scratch: Vec<u8>,
    pub(crate) output: Vec<u8>,
    pub(crate) now: Instant,
    pub(crate) seen: Vec<Seen>,
}

impl End {
    pub(crate) fn receives(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let Self { connection, scratch, output, now, seen } = self;
        while let Some(event) = connection.receive(&mut input, scratch, output, *now) {
            seen.push(event.into());
        }
    }

    pub(crate) fn sends<'m>(&mut self, message: impl Into<MessageRef<'m>>) -> Vec<u8> {
        self.connection.send(message.into(), &mut self.output).expect("an open connection");
        self.written()
    }

    /// What it wrote, and the socket took.
    pub(crate) fn written(&mut self) -> Vec<u8> {
        let written = std::mem::take(&mut self.output);
        self.connection.output_written(true, &mut self.output, self.now);
        written
    }

    pub(crate) fn broke(&self) -> ProtocolError {
        match self.connection.ending() {
            Some(Ending::Failed(error)) => *error,
            other => panic!("{other:?}"),
        }
    }
}

/// Both ends, which have agreed on what the configuration of each allows.
pub(crate) fn pair_of(server: Config, client: Config, memory: &Arc<ContextMemory>) -> (End, End) {
    let now = Instant::now();
    let (servers, clients) =
        (server.deflate.clone().expect("compression"), client.deflate.clone().expect("compression"));
    let offers = deflate::offers(&clients, memory);
    let negotiated = deflate::negotiate(&offers, &servers, memory).expect("an offer to take");
    let answer = [negotiated.extension()];
    let accepted =
        deflate::accept(&answer, &offers, &clients, memory).expect("a legal answer").expect("an answer");
    assert_eq!(negotiated.agreed, accepted.agreed);
    let end = |connection| End { connection, scratch: Vec::new(), output: Vec::new(), now, seen: Vec::new() };
    let server = Connection::server(Arc::new(server), now).with_deflate(negotiated);
    let client =
        Connection::client(Arc::new(client), || MaskingKey([1, 2, 3, 4]), now).with_deflate(accepted);
    (end(server), end(client))
}

pub(crate) fn pair(compression: deflate::Config) -> (End, End) {
    let memory = Arc::new(ContextMemory::new(usize::MAX));
    pair_of(config(compression.clone()), config(compression), &memory)
}

pub(crate) fn server(config: Config) -> End {
    let client = self::config(config.deflate.clone().expect("compression"));
    pair_of(config, client, &Arc::new(ContextMemory::new(usize::MAX))).0
}

/// A client's frame.
pub(crate) fn frame(fin: bool, reserved: u8, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let key = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);
    let mut bytes = Vec::new();
    Header { reserved, mask: Some(key), ..Header::new(fin, opcode, payload.len() as u64) }.write(&mut bytes);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    key.apply(&mut bytes[start..]);
    bytes
}

pub(crate) fn compressed(payload: &[u8]) -> Vec<u8> {
    frame(true, 0b100, Opcode::Text, payload)
}

pub(crate) fn headers(mut bytes: &[u8]) -> Vec<Header> {
    let mut headers = Vec::new();
    while let Some((header, len)) = Header::read(bytes).expect("valid frames") {
        headers.push(header);
        bytes = &bytes[len + usize::try_from(header.payload_len).expect("a length that fits")..];
    }
    headers
}

/// Bytes that cannot be compressed.
pub(crate) fn noise(len: u32) -> Vec<u8> {
    (0..len / 4).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

pub(crate) fn json(len: usize) -> String {
    let entry = |number: usize| format!("{{\"id\":{number},\"name\":\"user {}\"}},", number * 7919 % 1000);
    let mut text: String = (0..=len / 20).map(entry).collect();
    text.truncate(len);
    text
}
