//! What RFC 6455 asks of an endpoint of either role, and no other test here proves. `docs/rfc-coverage.md` has it all.

mod support;

use std::sync::Arc;
use std::time::Instant;

use support::*;
use wharf_proto::connection::{Cause, Config, Connection, Ending, Input};
use wharf_proto::frame::Header;
use wharf_proto::mask::MaskingKey;
use wharf_proto::{Close, CloseCode, CommandError};

/// A client's connection whose keys are 1, 2, 3 and so on.
struct Client {
    connection: Connection,
    output: Vec<u8>,
    now: Instant,
}

impl Client {
    fn open() -> Self {
        let now = Instant::now();
        let mut keys = 0;
        let next_key = move || {
            keys += 1;
            MaskingKey([keys; 4])
        };
        let connection = Connection::client(Arc::new(Config::default()), next_key, now);
        Self { connection, output: Vec::new(), now }
    }

    /// Receives what a server sends, byte by byte.
    fn reads(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let mut events = Vec::new();
        for byte in bytes {
            let mut read = [*byte];
            let mut input = Input::new(&mut read);
            while let Some(event) =
                self.connection.receive(&mut input, &mut Vec::new(), &mut self.output, self.now)
            {
                events.push(event.into());
            }
        }
        events
    }

    /// Headers and unmasked payloads of what it wrote.
    fn sent(&mut self) -> Vec<(Header, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut bytes = std::mem::take(&mut self.output);
        while !bytes.is_empty() {
            let (header, header_len) = Header::read(&bytes).expect("valid frames").expect("whole frames");
            let end = header_len + usize::try_from(header.payload_len).expect("frames of a test fit memory");
            let mut payload = bytes[header_len..end].to_vec();
            header.mask.expect("a client's frames are masked").apply(&mut payload);
            frames.push((header, payload));
            bytes.drain(..end);
        }
        frames
    }
}

/// As a server sends it.
fn plain(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    Header::new(frame.fin, frame.opcode, frame.payload.len() as u64).write(&mut bytes);
    bytes.extend_from_slice(&frame.payload);
    bytes
}

#[test]
fn a_client_masks_data_and_control_frames_alike() {
    // RFC 6455 §5.1, §5.2, §5.3, §5.5.1, §9.1
    let mut client = Client::open();
    client.connection.send("text".into(), &mut client.output).unwrap();
    client.connection.ping(b"ping", &mut client.output).unwrap();
    client.connection.pong(b"pong", &mut client.output).unwrap();
    assert_eq!(client.reads(&plain(&ping("asked"))), [Seen::Ping(b"asked".to_vec())]);
    let close = Close::new(CloseCode::NORMAL, "bye").unwrap();
    client.connection.close(&close, &mut client.output, client.now);
    let sent = client.sent();
    let keys: Vec<_> = sent.iter().map(|(header, _)| header.mask).collect();
    assert_eq!(keys, [1, 2, 3, 4, 5].map(|key| Some(MaskingKey([key; 4]))), "each a key of its own");
    let payloads: Vec<_> = sent.iter().map(|(_, payload)| payload.as_slice()).collect();
    assert_eq!(payloads, [&b"text"[..], b"ping", b"pong", b"asked", b"\x03\xe8bye"]);
    assert!(sent.iter().all(|(header, _)| header.reserved == 0), "no extension is in use");
}

#[test]
fn f1_7_a_server_masks_no_frame_and_sets_no_reserved_bit() {
    // RFC 6455 §5.1, §5.2
    let mut server = Server::open();
    server.connection.send("text".into(), &mut server.output).unwrap();
    server.connection.send(vec![7; 20_000].as_slice().into(), &mut server.output).unwrap();
    server.connection.ping(b"ping", &mut server.output).unwrap();
    server.connection.pong(b"pong", &mut server.output).unwrap();
    server.peer_sends([ping("asked"), close(1000, "bye")]);
    let mut bytes = server.output.as_slice();
    let mut frames = 0;
    while let Some((header, len)) = Header::read(bytes).unwrap() {
        assert_eq!((header.mask, header.reserved), (None, 0));
        bytes = &bytes[len + usize::try_from(header.payload_len).unwrap()..];
        frames += 1;
    }
    assert_eq!(frames, 7);
}

#[test]
fn a_frame_is_whole_and_masked_before_any_byte_of_it_can_go() {
    // RFC 6455 §10.3
    let mut client = Client::open();
    let mut data = vec![0; 1000];
    client.connection.send(data.as_slice().into(), &mut client.output).unwrap();
    data.fill(b'G');
    client.connection.send(data.as_slice().into(), &mut client.output).unwrap();
    let sent = client.sent();
    assert_eq!((sent[0].1.as_slice(), sent[1].1.as_slice()), (&[0; 1000][..], &[b'G'; 1000][..]));
    assert_ne!(sent[0].0.mask, sent[1].0.mask, "what has changed is a new frame with a new key");
}

#[test]
fn a_client_answers_the_servers_close() {
    // RFC 6455 §5.5.1
    let mut client = Client::open();
    assert_eq!(client.reads(&plain(&close(1001, "bye"))), []);
    let sent = client.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1, b"\x03\xe9bye");
    assert!(client.connection.ending().is_some_and(Ending::is_clean));
}

#[test]
fn a_ping_that_comes_after_our_close_is_answered() {
    // RFC 6455 §5.5.2
    let mut server = Server::open();
    let ours = Close::new(CloseCode::NORMAL, "").unwrap();
    server.connection.close(&ours, &mut server.output, server.now);
    server.peer_sends([ping("before it left"), ping("before it left, too")]);
    assert_eq!(server.answers(), [close(1000, "")]);
    let frames = bytes_of(&[ping("one"), text("not delivered"), ping("two"), close(1000, ""), ping("late")]);
    for byte in frames {
        server.reads(&[byte]);
    }
    assert_eq!(server.answers(), [pong("before it left, too"), pong("one"), pong("two")]);
    assert_eq!(server.events, []);
    assert!(server.ending().is_clean());
}

#[test]
fn nothing_can_be_sent_after_the_peers_close() {
    // RFC 6455 §6.1
    let mut server = Server::open();
    server.peer_sends([close(1000, "")]);
    assert_eq!(server.answers(), [close(1000, "")]);
    assert_eq!(server.connection.send("late".into(), &mut server.output), Err(CommandError::Closed));
    assert_eq!(server.connection.ping(b"late", &mut server.output), Err(CommandError::Closed));
    assert_eq!(server.answers(), []);
}

#[test]
fn what_follows_a_broken_rule_is_not_looked_at() {
    // RFC 6455 §7.1.7
    let follows = bytes_of(&[ping("late"), text("late"), close(1000, "")]);
    let bytes = [vec![0x83], follows].concat();
    let seen =
        assert_fails(&Config::default(), &bytes, CloseCode::PROTOCOL_ERROR, "Unrecognized Opcode: 0x3");
    assert_eq!((seen.events.len(), seen.answers.len()), (0, 1));
}

#[test]
fn a_client_that_fails_the_connection_says_why_and_ends_it() {
    // RFC 6455 §7.1.7
    let mut client = Client::open();
    // Masked, as no server may send it.
    client.reads(&text("x").masked());
    let sent = client.sent();
    assert_eq!((sent.len(), &sent[0].1[..2]), (1, &1002_u16.to_be_bytes()[..]));
    assert!(matches!(client.connection.ending(), Some(Ending::Failed(_))));
    assert_eq!(client.reads(&plain(&ping("late"))), []);
    assert_eq!(client.sent().len(), 0);
}

#[test]
fn a_client_that_loses_its_transport_has_failed() {
    // RFC 6455 §7.2.1
    for cause in [Cause::PeerEnded, Cause::Transport("connection reset".into())] {
        let mut client = Client::open();
        client.reads(&plain(&text("unfinished"))[..5]);
        client.connection.lost(cause.clone(), client.now);
        assert_eq!(client.connection.ending(), Some(&Ending::Lost(cause)));
        assert_eq!(client.connection.send("late".into(), &mut client.output), Err(CommandError::Closed));
    }
}
