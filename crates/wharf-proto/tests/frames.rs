//! Frames on the wire, whole: written by one side and read by the other, in the forms that others wrote down.

mod support;

use std::sync::Arc;
use std::time::Instant;

use support::*;
use wharf_proto::connection::{Config, Connection, Event, Input, PreparedMessage};
use wharf_proto::frame::{Header, Opcode};
use wharf_proto::limits::Limits;
use wharf_proto::mask::MaskingKey;
use wharf_proto::{Close, CloseCode, MessageRef};

const RFC_KEY: MaskingKey = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);

/// One frame a message, of any length, and every frame handed on.
fn frame_by_frame() -> Config {
    let limits = Limits { max_frame_size: u64::MAX, ..Limits::default() };
    Config { limits, assemble_fragments: false, fragmentation_threshold: None, ..Config::default() }
}

fn client_with(key: MaskingKey) -> Connection {
    Connection::client(Arc::new(frame_by_frame()), move || key, Instant::now())
}

fn server() -> Connection {
    Connection::server(Arc::new(frame_by_frame()), Instant::now())
}

/// A frame on the wire, composed from its parts by the definition of RFC 6455 §5.2 and §5.3.
fn wire(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    let key = header.mask.map_or([0; 4], |MaskingKey(key)| key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The frames that `reader` finds in `bytes`.
fn frames_of(mut reader: Connection, bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut bytes = bytes.to_vec();
    let (mut input, mut output, mut frames) = (Input::new(&mut bytes), Vec::new(), Vec::new());
    while let Some(event) = reader.receive(&mut input, &mut Vec::new(), &mut output, Instant::now()) {
        let Event::Frame(frame) = event else { panic!("not frame by frame: {event:?}") };
        frames.push((frame.header, frame.payload.into_owned()));
    }
    frames
}

fn payload(len: usize) -> Vec<u8> {
    (0_u8..=127).cycle().take(len).collect()
}

#[test]
fn f1_1_every_opcode_flag_and_length_is_read_as_it_was_written() {
    let mut payload_lens = vec![0, 1, 125, 126, 65_535, 65_536];
    for opcode in
        [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong]
    {
        if opcode.is_control() {
            payload_lens.truncate(3);
        }
        for (len, bits, mask) in lengths_and_flags(&payload_lens) {
            let (fin, reserved) = (bits & 0b1000 != 0 || opcode.is_control(), bits & 0b111);
            let header = Header { fin, reserved, opcode, mask, payload_len: len };
            let bytes = wire(header, &[]);
            assert_eq!(Header::read(&bytes), Ok(Some((header, bytes.len()))));
            let rsv = [header.rsv1(), header.rsv2(), header.rsv3()];
            assert_eq!(rsv, [bits & 0b100 != 0, bits & 0b010 != 0, bits & 0b001 != 0]);
        }
    }
}

/// Every length with every flag, masked and not.
fn lengths_and_flags(lens: &[u64]) -> Vec<(u64, u8, Option<MaskingKey>)> {
    let mut all = Vec::new();
    for len in lens {
        for bits in 0..16 {
            all.extend([None, Some(RFC_KEY)].map(|mask| (*len, bits, mask)));
        }
    }
    all
}

#[test]
fn f1_1_a_frame_arrives_as_it_was_sent_from_either_side() {
    for len in [0, 1, 125, 126, 65_535, 65_536] {
        let sent = payload(len);
        let text = String::from_utf8(sent.clone()).expect("ASCII");
        let messages = [MessageRef::Text(&text), MessageRef::Binary(&sent)];
        let mut sides =
            [(client_with(RFC_KEY), server as fn() -> Connection), (server(), || client_with(RFC_KEY))];
        for (sender, reader) in &mut sides {
            for message in messages {
                let mut output = Vec::new();
                sender.send(message, &mut output).unwrap();
                let frames = frames_of(reader(), &output);
                let [(header, received)] = &frames[..] else { panic!("{frames:?}") };
                assert_eq!((header.fin, header.reserved, header.opcode), (true, 0, message.opcode()));
                assert_eq!((header.payload_len, received), (len as u64, &sent));
            }
        }
    }
}

#[test]
fn f1_2_any_split_of_the_bytes_gives_the_same_frames() {
    let frames = [
        text("fr€").more_follows(),
        ping(payload(125)),
        continuation("").more_follows(),
        continuation("ames"),
        binary(payload(126)),
        pong(""),
        binary(payload(200)),
        close(4000, "end"),
    ];
    let bytes = bytes_of(&frames);
    assert_eq!(outcome_at_every_split(&frame_by_frame(), &bytes).events, frames.clone().map(Seen::Frame));
    for size in 2..9 {
        let seen = outcome(&frame_by_frame(), bytes.chunks(size));
        assert_eq!(seen.events, frames.clone().map(Seen::Frame), "in reads of {size}");
    }
}

#[test]
fn f1_2_any_split_of_a_frame_with_a_64_bit_length_gives_the_same_frame() {
    let frame = binary(payload(66_000));
    let bytes = frame.masked();
    for cut in (1..20).chain([4096, 65_535, 65_536, bytes.len() - 1]) {
        let (head, tail) = bytes.split_at(cut);
        let seen = outcome(&frame_by_frame(), [head, tail]);
        assert_eq!(seen.events, [Seen::Frame(frame.clone())], "cut at {cut}");
    }
}

#[test]
fn f1_3_the_vectors_of_the_reference_are_written_and_read() {
    let key = MaskingKey([0xaa, 0xbb, 0xcc, 0xdd]);
    let mut ping = Vec::new();
    client_with(MaskingKey([0; 4])).ping(b"", &mut ping).unwrap();
    assert_eq!(ping, [0x89, 0x80, 0, 0, 0, 0]);
    assert_eq!(frames_of(server(), &ping)[0].0.opcode, Opcode::Ping);

    let vectors = [
        (200, &[0x82, 0xfe, 0x00, 0xc8][..]),
        (66_000, &[0x82, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0xd0]),
    ];
    for (len, start) in vectors {
        let mut output = Vec::new();
        client_with(key).send(MessageRef::Binary(&payload(len)), &mut output).unwrap();
        let masked = payload(len).into_iter().zip(key.0.into_iter().cycle()).map(|(byte, key)| byte ^ key);
        assert_eq!(output, [start, &key.0, &masked.collect::<Vec<_>>()].concat());
        assert_eq!(frames_of(server(), &output)[0].1, payload(len));
    }
}

#[test]
fn f1_4_the_examples_of_the_rfc_are_written_and_read() {
    // RFC 6455 §6.1, §6.2
    // RFC 6455 §5.7, in its order.
    let hello = b"Hello".as_slice();
    let masked_hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let mut output = Vec::new();
    server().send("Hello".into(), &mut output).unwrap();
    assert_eq!(output, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    assert_eq!(frames_of(client_with(RFC_KEY), &output)[0].1, hello);

    output.clear();
    client_with(RFC_KEY).send("Hello".into(), &mut output).unwrap();
    assert_eq!(output, masked_hello);
    assert_eq!(frames_of(server(), &output)[0].1, hello);

    output.clear();
    let in_threes = Config { fragmentation_threshold: std::num::NonZeroUsize::new(3), ..frame_by_frame() };
    Connection::server(in_threes.into(), Instant::now()).send("Hello".into(), &mut output).unwrap();
    let fragments = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(output, fragments);
    let frames = frames_of(client_with(RFC_KEY), &output);
    assert_eq!((&frames[0].1[..], &frames[1].1[..]), (&b"Hel"[..], &b"lo"[..]));

    output.clear();
    server().ping(hello, &mut output).unwrap();
    assert_eq!(output, [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    let mut pong = Vec::new();
    let mut client = client_with(RFC_KEY);
    let mut input = Input::new(&mut output);
    while client.receive(&mut input, &mut Vec::new(), &mut pong, Instant::now()).is_some() {}
    assert_eq!(pong, [&[0x8a, 0x85][..], &masked_hello[2..]].concat());
    assert_eq!(frames_of(server(), &pong)[0].1, hello);

    let lengths = [(256, &[0x82, 0x7e, 0x01, 0x00][..]), (65_536, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0])];
    for (len, start) in lengths {
        output.clear();
        server().send(MessageRef::Binary(&payload(len)), &mut output).unwrap();
        assert_eq!(output, [start, &payload(len)].concat());
        assert_eq!(frames_of(client_with(RFC_KEY), &output)[0].1, payload(len));
    }
}

#[test]
fn f1_7_no_frame_of_a_server_is_masked() {
    // RFC 6455 §5.1
    let config = Config { fragmentation_threshold: std::num::NonZeroUsize::new(2), ..Config::default() };
    let prepared = PreparedMessage::new("for many".into(), &config);
    let mut server = Server::with(config);
    server.connection.send("in fragments".into(), &mut server.output).unwrap();
    server.connection.send(MessageRef::Binary(&[]), &mut server.output).unwrap();
    server.connection.send_prepared(&prepared, &mut server.output).unwrap();
    server.connection.ping(b"ping", &mut server.output).unwrap();
    server.connection.pong(b"pong", &mut server.output).unwrap();
    server.peer_sends([ping("asked")]);
    server.advance(std::time::Duration::from_secs(20));
    let bye = Close::new(CloseCode::NORMAL, "bye").unwrap();
    server.connection.close(&bye, &mut server.output, server.now);

    let mut bytes = &server.output[..];
    let mut opcodes = Vec::new();
    while let Some((header, len)) = Header::read(bytes).expect("valid frames") {
        assert_eq!(header.mask, None, "{header:?}");
        opcodes.push(header.opcode);
        bytes = &bytes[len + usize::try_from(header.payload_len).unwrap()..];
    }
    for opcode in
        [Opcode::Text, Opcode::Continuation, Opcode::Binary, Opcode::Ping, Opcode::Pong, Opcode::Close]
    {
        assert!(opcodes.contains(&opcode), "{opcode:?} was among them");
    }
}

#[test]
fn f1_7_what_a_server_answers_to_a_close_or_a_broken_rule_is_not_masked_either() {
    for bytes in [&close(1000, "").masked()[..], &[0xff]] {
        let mut server = Server::open();
        server.reads(bytes);
        let (header, _) = Header::read(&server.output).unwrap().expect("an answer");
        assert_eq!((header.opcode, header.mask), (Opcode::Close, None));
    }
}

#[test]
fn a_received_frame_tells_its_close_code_apart_from_its_reason() {
    let mut server = Server::with(frame_by_frame());
    let mut bytes = bytes_of(&[text("text"), close(4001, "why")]);
    let mut input = Input::new(&mut bytes);
    let mut seen = Vec::new();
    while let Some(Event::Frame(frame)) =
        server.connection.receive(&mut input, &mut Vec::new(), &mut server.output, server.now)
    {
        seen.push((frame.close_code(), frame.binary_payload().to_vec(), frame.header.payload_len));
    }
    assert_eq!(seen, [(None, b"text".to_vec(), 4), (Some(CloseCode::new(4001)), b"why".to_vec(), 5)]);
    let mut server = Server::with(frame_by_frame());
    let mut bytes = empty_close().masked();
    let mut scratch = Vec::new();
    let event =
        server.connection.receive(&mut Input::new(&mut bytes), &mut scratch, &mut server.output, server.now);
    let Some(Event::Frame(frame)) = event else { panic!("{event:?}") };
    assert_eq!((frame.close_code(), frame.binary_payload()), (None, &b""[..]));
}
