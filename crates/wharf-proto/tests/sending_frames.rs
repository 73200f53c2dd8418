//! Frames composed by hand: what goes out as composed, and what is refused because a peer would refuse it.

mod support;

use proptest::prelude::*;
use support::*;
use wharf_proto::connection::{Config, Connection, Ending, Frame as Composed, Input, RawFrame};
use wharf_proto::frame::Opcode;
use wharf_proto::limits::Limits;
use wharf_proto::mask::MaskingKey;
use wharf_proto::{CloseCode, CommandError, MessageRef, ProtocolError};

fn composed(fin: bool, opcode: Opcode, payload: &[u8]) -> Composed<'_> {
    Composed::new(fin, opcode, payload)
}

fn send(server: &mut Server, frame: &Composed<'_>) -> Result<(), CommandError> {
    server.connection.send_frame(frame, &mut server.output, server.now)
}

/// A client's end that has read `bytes`, in pieces of `piece` bytes: how it ended, if it did.
fn peers_view(bytes: &[u8], piece: usize) -> Option<Ending> {
    let limits = Limits { max_frame_size: u64::MAX, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    let now = std::time::Instant::now();
    let mut client = Connection::client(config.into(), || MaskingKey([1, 2, 3, 4]), now);
    for piece in bytes.chunks(piece) {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        while client.receive(&mut input, &mut Vec::new(), &mut Vec::new(), now).is_some() {}
    }
    client.ending().cloned()
}

#[test]
fn f1_8_a_frame_goes_out_as_composed_whatever_the_threshold() {
    let mut server = Server::open();
    let long = vec![7; 20_000];
    let frames = [
        composed(false, Opcode::Binary, &long),
        composed(true, Opcode::Ping, b"amid"),
        composed(false, Opcode::Continuation, b""),
        composed(true, Opcode::Continuation, b"end"),
        composed(true, Opcode::Pong, b""),
    ];
    for frame in &frames {
        send(&mut server, frame).unwrap();
    }
    let expected = [
        binary(long).more_follows(),
        ping("amid"),
        continuation("").more_follows(),
        continuation("end"),
        pong(""),
    ];
    assert_eq!(server.answers(), expected);
}

#[test]
fn f1_8_a_received_frame_can_be_sent_on_with_its_mask_and_length_left_out() {
    let mut server = Server::open();
    let mut frame = composed(true, Opcode::Text, b"relayed");
    frame.header.mask = Some(MaskingKey([1, 2, 3, 4]));
    frame.header.payload_len = 1;
    send(&mut server, &frame).unwrap();
    assert_eq!(server.answers(), [text("relayed")]);
}

#[test]
fn f1_8_what_would_break_the_protocol_is_refused_with_its_rule_and_nothing_is_sent() {
    // RFC 6455 §5.2, §5.4, §5.5
    let mut reserved = composed(true, Opcode::Text, b"");
    reserved.header.reserved = 0b100;
    let refused = [
        (reserved, ProtocolError::ReservedBits { bits: 0b100 }),
        (composed(true, Opcode::Ping, &[0; 126]), ProtocolError::ControlFrameTooLong),
        (composed(false, Opcode::Pong, b""), ProtocolError::FragmentedControlFrame),
        (composed(true, Opcode::Continuation, b""), ProtocolError::UnexpectedContinuation),
        (composed(true, Opcode::Text, "€".as_bytes().split_at(1).0), ProtocolError::InvalidUtf8),
        (composed(false, Opcode::Text, &[0xff]), ProtocolError::InvalidUtf8),
        (composed(true, Opcode::Close, &[3]), ProtocolError::CloseOfOneByte),
        (
            composed(true, Opcode::Close, b"\x03\xed"),
            ProtocolError::InvalidCloseCode { code: CloseCode::NOT_PROVIDED },
        ),
        (composed(true, Opcode::Close, &[3, 0xe8, 0xff]), ProtocolError::InvalidUtf8),
    ];
    for (frame, error) in refused {
        let mut server = Server::open();
        assert_eq!(send(&mut server, &frame), Err(CommandError::InvalidFrame(error)), "{frame:?}");
        assert!(server.output.is_empty() && server.connection.is_open());
        server.connection.send(MessageRef::Text("whole"), &mut server.output).unwrap();
        assert_eq!(server.answers(), [text("whole")], "as though nothing had been asked");
    }
}

#[test]
fn f1_8_within_fragments_only_what_continues_them_passes() {
    // RFC 6455 §5.4
    let mut server = Server::open();
    let (head, tail) = "€".as_bytes().split_at(2);
    send(&mut server, &composed(false, Opcode::Text, head)).unwrap();
    assert!(server.connection.is_within_message());
    for opcode in [Opcode::Text, Opcode::Binary] {
        let error = ProtocolError::MessageAmidFragments { opcode: opcode.bits() };
        let refused = send(&mut server, &composed(true, opcode, b""));
        assert_eq!(refused, Err(CommandError::InvalidFrame(error)));
    }
    let refused = server.connection.send(MessageRef::Text("another"), &mut server.output);
    assert_eq!(refused, Err(CommandError::MessageUnfinished));
    let refused = send(&mut server, &composed(true, Opcode::Continuation, b"x"));
    assert_eq!(refused, Err(CommandError::InvalidFrame(ProtocolError::InvalidUtf8)));
    send(&mut server, &composed(true, Opcode::Continuation, tail)).unwrap();
    server.connection.send(MessageRef::Text("another"), &mut server.output).unwrap();
    assert_eq!(server.answers(), [text(head).more_follows(), continuation(tail), text("another")]);
}

#[test]
fn f1_8_a_close_composed_by_hand_begins_the_closing_handshake() {
    let mut server = Server::open();
    send(&mut server, &composed(true, Opcode::Close, b"\x0f\xa1why")).unwrap();
    assert!(!server.connection.is_open());
    assert_eq!(send(&mut server, &composed(true, Opcode::Ping, b"")), Err(CommandError::Closed));
    assert_eq!(server.answers(), [close(4001, "why")]);
    server.peer_sends([close(4001, "")]);
    assert_eq!((server.end_code().get(), server.ending().is_clean()), (4001, true));
}

#[test]
fn f1_8_raw_frames_go_out_whatever_they_are() {
    let mut server = Server::open();
    let raw = [
        RawFrame { fin: true, reserved: 0b111, opcode: 0xb, payload: vec![7; 126].into() },
        RawFrame { fin: false, reserved: 0, opcode: 0x9, payload: "x".into() },
        composed(true, Opcode::Close, b"").into(),
    ];
    for frame in &raw {
        server.connection.send_raw_frame(frame, &mut server.output).unwrap();
    }
    let expected = [&[0xfb, 126, 0, 126][..], &[7; 126], &[0x09, 1, b'x'], &[0x88, 0]].concat();
    assert_eq!(server.output, expected);
    assert!(server.connection.is_open(), "a raw Close is nothing but a frame");
}

#[test]
fn f1_8_a_message_begun_raw_is_to_be_ended_before_the_next() {
    let mut server = Server::open();
    let begun: RawFrame = composed(false, Opcode::Binary, b"a").into();
    server.connection.send_raw_frame(&begun, &mut server.output).unwrap();
    let refused = server.connection.send(MessageRef::Text("another"), &mut server.output);
    assert_eq!(refused, Err(CommandError::MessageUnfinished));
    send(&mut server, &composed(true, Opcode::Continuation, b"b")).unwrap();
    assert_eq!(server.answers(), [binary("a").more_follows(), continuation("b")]);
}

#[test]
fn f1_8_a_clients_frames_are_masked_composed_or_raw() {
    let now = std::time::Instant::now();
    let mut client = Connection::client(Config::default().into(), || MaskingKey([1, 2, 3, 4]), now);
    let mut output = Vec::new();
    client.send_frame(&composed(true, Opcode::Text, b"abcd"), &mut output, now).unwrap();
    let raw = RawFrame { fin: true, reserved: 0, opcode: 3, payload: "abcd".into() };
    client.send_raw_frame(&raw, &mut output).unwrap();
    let masked = [b'a' ^ 1, b'b' ^ 2, b'c' ^ 3, b'd' ^ 4];
    assert_eq!(output, [&[0x81, 0x84, 1, 2, 3, 4][..], &masked, &[0x83, 0x84, 1, 2, 3, 4], &masked].concat());
}

fn any_frame() -> impl Strategy<Value = (bool, u8, Opcode, Vec<u8>)> {
    let opcode = prop_oneof![
        4 => Just(Opcode::Continuation),
        2 => Just(Opcode::Text),
        2 => Just(Opcode::Binary),
        1 => Just(Opcode::Ping),
        1 => Just(Opcode::Pong),
    ];
    let payload = prop_oneof![
        4 => proptest::collection::vec(0_u8..0x80, 0..4),
        2 => proptest::sample::select(vec![&b"\xe2"[..], b"\x82\xac", b"\xe2\x82", b"\xac", b"\xff"])
            .prop_map(<[u8]>::to_vec),
        1 => Just(vec![b'x'; 126]),
    ];
    (any::<bool>(), prop_oneof![9 => Just(0_u8), 1 => Just(0b010)], opcode, payload)
}

proptest! {
    /// What is refused here and what a peer fails on are the same, rule by rule.
    #[test]
    fn f1_8_a_frame_is_refused_exactly_where_a_peer_would_fail(
        frames in proptest::collection::vec(any_frame(), 1..12),
        piece in 1_usize..200,
    ) {
        let mut server = Server::open();
        for (fin, reserved, opcode, payload) in &frames {
            let mut frame = composed(*fin, *opcode, payload);
            frame.header.reserved = *reserved;
            let before = server.output.len();
            match send(&mut server, &frame) {
                Ok(()) => prop_assert_eq!(peers_view(&server.output, piece), None),
                Err(CommandError::InvalidFrame(error)) => {
                    prop_assert_eq!(server.output.len(), before);
                    let mut broken = Server::open();
                    broken.connection.send_raw_frame(&frame.into(), &mut broken.output).unwrap();
                    let bytes = [&server.output[..], &broken.output].concat();
                    prop_assert_eq!(peers_view(&bytes, piece), Some(Ending::Failed(error)));
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }
}
