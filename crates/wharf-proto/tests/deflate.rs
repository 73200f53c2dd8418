//! permessage-deflate on a connection (RFC 7692 §6, §7.2).

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use support::{Seen, message};
use wharf_proto::connection::{Config, Connection, Ending, Event, Frame, Input, PreparedMessage, RawFrame};
use wharf_proto::deflate::{self, ContextMemory, WindowBits};
use wharf_proto::frame::{Header, Opcode};
use wharf_proto::limits::Limits;
use wharf_proto::mask::MaskingKey;
use wharf_proto::{CloseCode, CommandError, Message, MessageRef, ProtocolError};

fn compression() -> deflate::Config {
    deflate::Config {
        level: 6,
        memory_level: 8,
        threshold: 0,
        server_context_takeover: false,
        client_context_takeover: false,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
        idle_timeout: Duration::from_secs(60),
    }
}

fn with_takeover() -> deflate::Config {
    deflate::Config { server_context_takeover: true, client_context_takeover: true, ..compression() }
}

fn config(compression: deflate::Config) -> Config {
    Config { deflate: Some(compression), ..Config::default() }
}

/// One end, its scratch memory and what it has received.
struct End {
    connection: Connection,
    scratch: Vec<u8>,
    output: Vec<u8>,
    now: Instant,
    seen: Vec<Seen>,
}

impl End {
    fn receives(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let Self { connection, scratch, output, now, seen } = self;
        while let Some(event) = connection.receive(&mut input, scratch, output, *now) {
            seen.push(event.into());
        }
    }

    fn sends<'m>(&mut self, message: impl Into<MessageRef<'m>>) -> Vec<u8> {
        self.connection.send(message.into(), &mut self.output).expect("an open connection");
        self.written()
    }

    /// What it wrote, and the socket took.
    fn written(&mut self) -> Vec<u8> {
        let written = std::mem::take(&mut self.output);
        self.connection.output_written(true, &mut self.output, self.now);
        written
    }

    fn broke(&self) -> ProtocolError {
        match self.connection.ending() {
            Some(Ending::Failed(error)) => *error,
            other => panic!("{other:?}"),
        }
    }
}

/// Both ends, which have agreed on what the configuration of each allows.
fn pair_of(server: Config, client: Config, memory: &Arc<ContextMemory>) -> (End, End) {
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

fn pair(compression: deflate::Config) -> (End, End) {
    let memory = Arc::new(ContextMemory::new(usize::MAX));
    pair_of(config(compression.clone()), config(compression), &memory)
}

fn server(config: Config) -> End {
    let client = self::config(config.deflate.clone().expect("compression"));
    pair_of(config, client, &Arc::new(ContextMemory::new(usize::MAX))).0
}

/// A client's frame.
fn frame(fin: bool, reserved: u8, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let key = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);
    let mut bytes = Vec::new();
    Header { reserved, mask: Some(key), ..Header::new(fin, opcode, payload.len() as u64) }.write(&mut bytes);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    key.apply(&mut bytes[start..]);
    bytes
}

fn compressed(payload: &[u8]) -> Vec<u8> {
    frame(true, 0b100, Opcode::Text, payload)
}

fn headers(mut bytes: &[u8]) -> Vec<Header> {
    let mut headers = Vec::new();
    while let Some((header, len)) = Header::read(bytes).expect("valid frames") {
        headers.push(header);
        bytes = &bytes[len + usize::try_from(header.payload_len).expect("a length that fits")..];
    }
    headers
}

fn json(len: usize) -> String {
    let entry = |number: usize| format!("{{\"id\":{number},\"name\":\"user {}\"}},", number * 7919 % 1000);
    let mut text: String = (0..=len / 20).map(entry).collect();
    text.truncate(len);
    text
}

/// The payloads of RFC 7692 §7.2.3, each of which is "Hello".
mod examples_of_the_rfc {
    use super::*;

    fn is_hello(payloads: &[&[u8]]) {
        let mut server = server(config(with_takeover()));
        for payload in payloads {
            server.receives(&compressed(payload));
        }
        assert_eq!(server.seen, vec![message("Hello"); payloads.len()]);
        assert!(server.connection.is_open());
    }

    #[test]
    fn one_block() {
        // RFC 7692 §7.2.3.1
        is_hello(&[&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]]);
    }

    #[test]
    fn one_block_in_two_fragments() {
        // RFC 7692 §6.2, §7.2.3.1
        let mut server = server(config(compression()));
        server.receives(&frame(false, 0b100, Opcode::Text, &[0xf2, 0x48, 0xcd]));
        server.receives(&frame(true, 0, Opcode::Continuation, &[0xc9, 0xc9, 0x07, 0x00]));
        assert_eq!(server.seen, [message("Hello")]);
    }

    #[test]
    fn a_second_message_that_refers_to_the_first() {
        // RFC 7692 §7.2.2, §7.2.3.2
        is_hello(&[&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], &[0xf2, 0x00, 0x11, 0x00, 0x00]]);
    }

    #[test]
    fn a_block_without_compression() {
        // RFC 7692 §7.2.3.3
        is_hello(&[&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]]);
    }

    #[test]
    fn a_final_block() {
        // RFC 7692 §7.2.3.4
        let payload: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        is_hello(&[payload, payload]);
    }

    #[test]
    fn two_blocks_in_one_message() {
        // RFC 7692 §7.2.3.5
        is_hello(&[&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]]);
    }

    #[test]
    fn an_empty_message_is_one_byte() {
        // RFC 7692 §7.2.3.6
        let (mut server, mut client) = pair(with_takeover());
        for _ in 0..2 {
            let bytes = server.sends("");
            assert_eq!(bytes, [0xc1, 0x01, 0x00]);
            client.receives(&bytes);
        }
        assert_eq!(client.seen, [message(""), message("")]);
    }
}

#[test]
fn a_final_block_may_be_followed_by_others() {
    // RFC 7692 §7.2.3.4
    let mut server = server(config(compression()));
    let mut payload = vec![0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    payload.extend([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    server.receives(&compressed(&payload));
    // And may end the data, though the sender should have added an empty block.
    server.receives(&compressed(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]));
    assert_eq!(server.seen, [message("HelloHello"), message("Hello")]);
}

#[test]
fn an_empty_payload_with_rsv1_is_an_empty_message() {
    let mut server = server(config(compression()));
    server.receives(&compressed(&[]));
    assert_eq!(server.seen, [message("")]);
}

#[test]
fn rsv1_has_no_meaning_but_on_the_first_frame_of_a_message() {
    // RFC 7692 §6, §6.1
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let broken = |frames: &[Vec<u8>]| {
        let mut server = server(config(compression()));
        server.receives(&frames.concat());
        server.broke()
    };
    let reserved = |bits| ProtocolError::ReservedBits { bits };
    assert_eq!(broken(&[frame(true, 0b100, Opcode::Ping, &[])]), reserved(0b100));
    assert_eq!(broken(&[frame(true, 0b110, Opcode::Text, &hello)]), reserved(0b110));
    assert_eq!(broken(&[frame(true, 0b001, Opcode::Text, &hello)]), reserved(0b001));
    let continued = [
        frame(false, 0b100, Opcode::Text, &hello[..3]),
        frame(true, 0b100, Opcode::Continuation, &hello[3..]),
    ];
    assert_eq!(broken(&continued), reserved(0b100));
}

#[test]
fn without_an_agreement_rsv1_breaks_the_protocol() {
    // RFC 7692 §6
    let mut server = support::Server::with(config(compression()));
    server.reads(&compressed(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]));
    assert_eq!(server.end_code(), CloseCode::PROTOCOL_ERROR);
}

#[test]
fn a_message_that_is_not_compressed_may_come_all_the_same() {
    // RFC 7692 §6, §6.2
    let mut server = server(config(with_takeover()));
    server.receives(&frame(true, 0, Opcode::Text, b"plain"));
    assert_eq!(server.seen, [message("plain")]);
}

#[test]
fn control_frames_come_between_the_fragments_of_a_compressed_message() {
    // RFC 7692 §6.1
    let mut server = server(config(compression()));
    server.receives(&frame(false, 0b100, Opcode::Text, &[0xf2, 0x48, 0xcd]));
    server.receives(&frame(true, 0, Opcode::Ping, b"?"));
    server.receives(&frame(true, 0, Opcode::Continuation, &[0xc9, 0xc9, 0x07, 0x00]));
    assert_eq!(server.seen, [Seen::Ping(b"?".to_vec()), message("Hello")]);
    assert_eq!(server.output, [&[0x8a, 1][..], b"?"].concat());
}

#[test]
fn corrupt_and_cut_data_is_1007() {
    // RFC 7692 §7.2.2
    let block_of_no_type = [0x06];
    let cut = [0xf2, 0x48, 0xcd, 0xc9];
    let too_far_back = [0xf2, 0x00, 0x11, 0x00, 0x00];
    for payload in [&block_of_no_type[..], &cut, &too_far_back, b"not deflate"] {
        let mut whole = server(config(compression()));
        whole.receives(&compressed(payload));
        assert_eq!(whole.broke(), ProtocolError::CorruptCompression, "{payload:x?}");
        assert_eq!(whole.connection.ending().unwrap().code(), CloseCode::INVALID_DATA);
        let mut in_bytes = server(config(compression()));
        for byte in compressed(payload) {
            in_bytes.receives(&[byte]);
        }
        assert_eq!((in_bytes.broke(), in_bytes.seen.len()), (ProtocolError::CorruptCompression, 0));
    }
}

#[test]
fn text_that_is_not_utf_8_once_inflated_is_1007() {
    // RFC 6455 §8.1
    let payload = [0x00, 0x02, 0x00, 0xfd, 0xff, 0xc3, 0x28, 0x00];
    let mut whole = server(config(compression()));
    whole.receives(&[compressed(&payload), frame(true, 0, Opcode::Text, b"late")].concat());
    assert_eq!((whole.broke(), whole.seen.len()), (ProtocolError::InvalidUtf8, 0));
    let mut in_bytes = server(config(compression()));
    for byte in compressed(&payload) {
        in_bytes.receives(&[byte]);
    }
    assert_eq!(in_bytes.broke(), ProtocolError::InvalidUtf8);
}

#[test]
fn what_a_message_is_inflated_to_is_bounded_while_it_is_inflated() {
    let limits = Limits { max_frame_size: 10_000, max_message_size: 100_000, ..Limits::default() };
    let zeros = |len: usize| {
        let (_, mut client) = pair(compression());
        client.sends(MessageRef::Binary(&vec![0; len]))
    };
    let with = |limits| server(Config { limits, ..config(compression()) });
    let mut at_the_limit = with(limits);
    at_the_limit.receives(&zeros(100_000));
    assert_eq!(at_the_limit.seen, [message(vec![0; 100_000])]);
    for bytes in [zeros(100_001), zeros(4_000_000)] {
        let mut over = with(limits);
        over.receives(&bytes);
        assert!(matches!(over.broke(), ProtocolError::MessageTooLarge { limit: 100_000, .. }));
        assert_eq!(over.connection.ending().unwrap().code(), CloseCode::MESSAGE_TOO_BIG);
        assert!(over.scratch.capacity() <= 100_001);
        let mut in_halves = with(limits);
        let (first, second) = bytes.split_at(bytes.len() / 2);
        in_halves.receives(first);
        in_halves.receives(second);
        assert!(matches!(in_halves.broke(), ProtocolError::MessageTooLarge { .. }));
    }
    // A message in one frame may be as long as that frame might be.
    let mut large_frames = with(Limits { max_frame_size: 200_000, ..limits });
    large_frames.receives(&zeros(200_000));
    assert_eq!(large_frames.seen.len(), 1);
}

#[test]
fn where_frames_are_handed_on_they_are_inflated_one_by_one_and_bounded_one_by_one() {
    let limits = Limits { max_frame_size: 1000, ..Limits::default() };
    let in_frames = || server(Config { assemble_fragments: false, limits, ..config(compression()) });
    let mut server = in_frames();
    server.receives(&frame(false, 0b100, Opcode::Text, &[0xf2, 0x48, 0xcd, 0xc9]));
    server.receives(&frame(true, 0, Opcode::Continuation, &[0xc9, 0x07, 0x00]));
    let text: Vec<u8> = server
        .seen
        .iter()
        .flat_map(|seen| match seen {
            Seen::Frame(frame) => frame.payload.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((server.seen.len(), text.as_slice()), (2, &b"Hello"[..]));

    let mut header = None;
    let mut server = in_frames();
    let mut bytes = compressed(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    let mut input = Input::new(&mut bytes);
    while let Some(event) =
        server.connection.receive(&mut input, &mut server.scratch, &mut server.output, server.now)
    {
        let Event::Frame(frame) = event else { panic!("{event:?}") };
        assert_eq!(frame.clone().into_message(), Some(Message::from("Hello")));
        header = Some(frame.header);
    }
    let header = header.unwrap();
    assert_eq!(
        (header.reserved, header.payload_len),
        (0, 5),
        "the frame is as if it had not been compressed"
    );

    let mut over = in_frames();
    let (_, mut client) = pair(compression());
    over.receives(&client.sends(MessageRef::Binary(&[0; 1001])));
    assert_eq!(over.broke(), ProtocolError::FrameTooLarge { length: 1001, limit: 1000 });
}

#[test]
fn a_message_goes_out_compressed_in_fragments_of_which_the_first_has_rsv1() {
    // RFC 7692 §6.1
    let noise: Vec<u8> = (0..60_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let (mut server, mut client) = pair_of(
        config(with_takeover()),
        Config { limits: Limits { max_frame_size: 1 << 20, ..Limits::default() }, ..config(with_takeover()) },
        &Arc::new(ContextMemory::new(usize::MAX)),
    );
    let bytes = server.sends(MessageRef::Binary(&noise));
    let headers = headers(&bytes);
    assert!(headers.len() > 10);
    assert!(headers[0].rsv1() && headers[1..].iter().all(|header| header.reserved == 0));
    client.receives(&bytes);
    assert_eq!(client.seen, [message(noise)]);
}

#[test]
fn a_message_below_the_threshold_or_longer_when_compressed_goes_out_as_it_is() {
    // RFC 7692 §6.1
    let (mut server, _) = pair(deflate::Config { threshold: 100, ..compression() });
    assert_eq!(server.sends(json(99).as_str())[0], 0x81);
    assert_eq!(server.sends(json(100).as_str())[0], 0xc1);
    let noise: Vec<u8> = (0..200_u8).map(|n| n.wrapping_mul(167) ^ 0x5a).collect();
    assert_eq!(server.sends(MessageRef::Binary(&noise))[0], 0x82);
    server.connection.send_uncompressed(json(200).as_str().into(), &mut server.output).unwrap();
    assert_eq!(server.written()[0], 0x81);
}

#[test]
fn with_takeover_a_repeated_message_costs_a_few_bytes_and_without_it_costs_the_same() {
    // RFC 7692 §7.1.1, §7.2.1, §7.2.2
    let text = json(1000);
    let lens = |compression: deflate::Config| {
        let (mut server, mut client) = pair(compression);
        let lens: Vec<usize> = (0..3)
            .map(|_| {
                let bytes = server.sends(text.as_str());
                client.receives(&bytes);
                bytes.len()
            })
            .collect();
        assert_eq!(client.seen, vec![message(text.as_str()); 3]);
        lens
    };
    let with = lens(with_takeover());
    assert!(with[1] < 30 && with[1] < with[0] / 5, "{with:?}");
    let without = lens(compression());
    assert!(without[0] == without[1] && without[1] == without[2], "{without:?}");
}

#[test]
fn a_compressor_that_is_not_used_is_given_back_and_the_next_message_refers_to_nothing() {
    // RFC 7692 §7.1.1.1
    let memory = Arc::new(ContextMemory::new(usize::MAX));
    let quiet = Config { keepalive: None, ..config(with_takeover()) };
    let (mut server, mut client) = pair_of(quiet.clone(), quiet, &memory);
    let windows = memory.used();
    let text = json(1000);
    let first = server.sends(text.as_str());
    client.receives(&first);
    assert!(memory.used() > windows);
    let (at, _) = server.connection.next_deadline().unwrap();
    assert_eq!(at, server.now + Duration::from_secs(60));
    server.connection.deadline_passed(&mut server.output, at);
    assert_eq!((memory.used(), server.connection.next_deadline()), (windows, None));
    let again = server.sends(text.as_str());
    client.receives(&again);
    assert_eq!(again.len(), first.len());
    assert_eq!(client.seen, [message(text.as_str()), message(text.as_str())]);
    drop((server, client));
    assert_eq!(memory.used(), 0);
}

#[test]
fn where_the_memory_is_exhausted_messages_are_compressed_without_their_context() {
    let memory = Arc::new(ContextMemory::new(2_000_000));
    let (mut server, mut client) = pair_of(config(with_takeover()), config(with_takeover()), &memory);
    let rest = memory.reserve(2_000_000 - memory.used()).unwrap();
    let text = json(1000);
    let lens = [0; 2].map(|_| {
        let bytes = server.sends(text.as_str());
        client.receives(&bytes);
        bytes.len()
    });
    assert_eq!(lens[0], lens[1]);
    // Compressed it would be longer, and nothing is to refer back to it.
    assert_eq!(server.sends("ab"), [0x81, 2, b'a', b'b']);
    drop(rest);
    for _ in 0..2 {
        client.receives(&server.sends(text.as_str()));
    }
    assert_eq!(client.seen, vec![message(text.as_str()); 4]);
}

#[test]
fn a_message_is_compressed_once_for_all_who_agreed_on_the_same() {
    let server_config = config(compression());
    let text = json(1000);
    let prepared = PreparedMessage::compressed(text.as_str().into(), &server_config, 15);
    assert!(prepared.wire_len() < 500);
    let (mut server, mut client) = pair(compression());
    for _ in 0..2 {
        server.connection.send_prepared(&prepared, &mut server.output).unwrap();
    }
    client.receives(&server.written());
    assert_eq!(client.seen, [message(text.as_str()), message(text.as_str())]);

    let (mut takes_over, _) = pair(with_takeover());
    let refused = takes_over.connection.send_prepared(&prepared, &mut takes_over.output);
    assert_eq!(refused, Err(CommandError::NotAgreed));
    let (mut small_window, _) =
        pair(deflate::Config { server_max_window_bits: WindowBits::MIN, ..compression() });
    let refused = small_window.connection.send_prepared(&prepared, &mut small_window.output);
    assert_eq!(refused, Err(CommandError::NotAgreed));
    let mut plain = support::Server::open();
    assert_eq!(plain.connection.send_prepared(&prepared, &mut plain.output), Err(CommandError::NotAgreed));
}

#[test]
fn a_frame_that_was_compressed_elsewhere_is_not_what_later_ones_refer_to() {
    let (mut server, mut client) = pair(with_takeover());
    let text = json(1000);
    client.receives(&server.sends(text.as_str()));
    let hello = RawFrame {
        fin: true,
        reserved: 0b100,
        opcode: 1,
        payload: vec![0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00].into(),
    };
    server.connection.send_raw_frame(&hello, &mut server.output).unwrap();
    client.receives(&server.written());
    client.receives(&server.sends(text.as_str()));
    assert_eq!(client.seen, [message(text.as_str()), message("Hello"), message(text.as_str())]);
}

#[test]
fn frames_composed_by_hand_go_out_as_they_are() {
    let (mut server, _) = pair(with_takeover());
    let frame = Frame::new(true, Opcode::Text, json(200).into_bytes());
    server.connection.send_frame(&frame, &mut server.output, server.now).unwrap();
    assert_eq!(server.output[0], 0x81);
}

#[test]
fn after_our_close_compressed_messages_are_thrown_away_and_not_inflated() {
    let mut server = server(config(with_takeover()));
    server.receives(&frame(false, 0b100, Opcode::Text, &[0xf2, 0x48, 0xcd]));
    let close = wharf_proto::Close::with_default_reason(CloseCode::NORMAL).unwrap();
    server.connection.close(&close, &mut server.output, server.now);
    server.receives(&frame(true, 0, Opcode::Continuation, b"not deflate"));
    server.receives(&compressed(b"not deflate"));
    assert!(server.connection.ending().is_none(), "still waiting for the peer's Close");
}

fn any_config() -> impl Strategy<Value = deflate::Config> {
    (1..=9_u8, 1..=9_u8, any::<[bool; 2]>(), 9..=15_u8, 9..=15_u8, prop::sample::select(vec![0, 50, 5000]))
        .prop_map(|(level, memory_level, [server, client], server_bits, client_bits, threshold)| {
            deflate::Config {
                level,
                memory_level,
                threshold,
                server_context_takeover: server,
                client_context_takeover: client,
                server_max_window_bits: WindowBits::new(server_bits).expect("9 to 15"),
                client_max_window_bits: WindowBits::new(client_bits).expect("9 to 15"),
                idle_timeout: Duration::from_secs(60),
            }
        })
}

/// Texts of which parts come again, near and far.
fn any_messages() -> impl Strategy<Value = Vec<String>> {
    let part = (
        prop::sample::select(vec!["ab", "wharf ", "\u{e4}\u{20ac}", "{\"id\":", "0123456789"]),
        1..400_usize,
    );
    let text = prop::collection::vec(part, 0..30)
        .prop_map(|parts| parts.into_iter().map(|(part, times)| part.repeat(times)).collect::<String>());
    prop::collection::vec(text, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // RFC 7692 §5, §7.2.1, §7.2.2
    #[test]
    fn whatever_both_sides_allow_every_message_arrives(
        (servers, clients) in (any_config(), any_config()),
        messages in any_messages(),
        cut in 1..5000_usize,
    ) {
        let limits = Limits { max_frame_size: 1 << 22, max_message_size: 1 << 22, ..Limits::default() };
        let with = |deflate| Config { limits, ..config(deflate) };
        let memory = Arc::new(ContextMemory::new(usize::MAX));
        let (mut server, mut client) = pair_of(with(servers), with(clients), &memory);
        for message in &messages {
            let there = client.sends(message.as_str());
            for piece in there.chunks(cut) {
                server.receives(piece);
            }
            let back = server.sends(message.as_str());
            for piece in back.chunks(cut) {
                client.receives(piece);
            }
        }
        let expected: Vec<Seen> = messages.iter().map(|text| message(text.as_str())).collect();
        prop_assert_eq!(&server.seen, &expected);
        prop_assert_eq!(&client.seen, &expected);
    }

    #[test]
    fn any_bytes_as_a_compressed_message_give_a_result_or_an_error_and_bounded_memory(
        payload: Vec<u8>,
        flip in any::<(prop::sample::Index, u8)>(),
        cut in 1..100_usize,
        takeover: bool,
        assemble_fragments: bool,
    ) {
        let compression = if takeover { with_takeover() } else { compression() };
        let limits = Limits { max_frame_size: 50_000, max_message_size: 50_000, ..Limits::default() };
        // Bytes that are nothing, and bytes that nearly are something.
        let (_, mut client) = pair(compression.clone());
        client.sends(json(3000).as_str());
        let sent = client.sends(json(3000).as_str());
        let (header, header_len) = Header::read(&sent).unwrap().unwrap();
        let mut nearly = sent[header_len..].to_vec();
        header.mask.unwrap().apply(&mut nearly);
        let at = flip.0.index(nearly.len());
        nearly[at] ^= flip.1;
        for payload in [payload, nearly] {
            let mut server = server(Config { limits, assemble_fragments, ..config(compression.clone()) });
            for piece in frame(true, 0b100, Opcode::Binary, &payload).chunks(cut) {
                server.receives(piece);
            }
            prop_assert!(server.connection.is_open() != server.seen.is_empty() || !assemble_fragments);
            prop_assert!(server.scratch.capacity() <= 50_001);
        }
    }
}
