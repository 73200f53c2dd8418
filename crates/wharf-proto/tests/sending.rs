//! What goes out: messages in fragments or whole, control frames, and what is refused.

mod support;

use std::num::NonZeroUsize;

use proptest::prelude::*;
use support::*;
use wharf_proto::connection::{Config, Connection, Input, PreparedMessage};
use wharf_proto::mask::MaskingKey;
use wharf_proto::spare::LONG;
use wharf_proto::{CommandError, MessageRef};

fn sent(threshold: Option<usize>, message: MessageRef<'_>) -> Vec<Frame> {
    let fragmentation_threshold = threshold.and_then(NonZeroUsize::new);
    let mut server = Server::with(Config { fragmentation_threshold, ..Config::default() });
    server.connection.send(message, &mut server.output).expect("the connection is open");
    server.answers()
}

fn lengths(frames: &[Frame]) -> Vec<usize> {
    frames.iter().map(|frame| frame.payload.len()).collect()
}

#[test]
fn c2_2_empty_messages_are_one_empty_frame_each() {
    // RFC 6455 §6.1
    assert_eq!(sent(Some(10), "".into()), [text("")]);
    assert_eq!(sent(Some(10), b"".as_slice().into()), [binary("")]);
}

#[test]
fn o5_effect_fragments_have_the_threshold_and_the_remainder() {
    // RFC 6455 §5.4, §6.1
    let frames = sent(Some(10), MessageRef::Binary(&[7; 25]));
    let expected =
        [binary([7; 10]).more_follows(), continuation([7; 10]).more_follows(), continuation([7; 5])];
    assert_eq!(frames, expected);
}

#[test]
fn o5_default_is_16384_bytes() {
    let default = Config::default().fragmentation_threshold.map(NonZeroUsize::get);
    assert_eq!(lengths(&sent(default, MessageRef::Binary(&vec![0; 16_384]))), [16_384]);
    assert_eq!(lengths(&sent(default, MessageRef::Binary(&vec![0; 16_385]))), [16_384, 1]);
    assert_eq!(lengths(&sent(default, MessageRef::Binary(&vec![0; 32_768]))), [16_384, 16_384]);
}

#[test]
fn o4_disabled_sends_one_frame_of_any_length() {
    // RFC 6455 §6.1
    assert_eq!(lengths(&sent(None, MessageRef::Binary(&vec![0; 70_000]))), [70_000]);
}

#[test]
fn c3_1_a_ping_or_pong_holds_up_to_125_bytes() {
    // RFC 6455 §5.4, §5.5
    let mut server = Server::open();
    server.connection.ping(&[1; 125], &mut server.output).unwrap();
    server.connection.pong(b"unasked", &mut server.output).unwrap();
    assert_eq!(server.answers(), [ping([1; 125]), pong("unasked")]);
    let refused = Err(CommandError::ControlPayloadTooLong { length: 126 });
    assert_eq!(server.connection.ping(&[1; 126], &mut server.output), refused);
    assert_eq!(server.connection.pong(&[1; 126], &mut server.output), refused);
    assert_eq!(server.answers(), []);
}

#[test]
fn a_prepared_message_is_what_a_send_writes() {
    let config = Config { fragmentation_threshold: NonZeroUsize::new(4), ..Config::default() };
    let prepared = PreparedMessage::new("prepared".into(), &config);
    let mut server = Server::with(config);
    server.connection.send_prepared(&prepared, &mut server.output).unwrap();
    assert_eq!(server.output.len(), prepared.wire_len());
    assert_eq!(server.answers(), [text("prep").more_follows(), continuation("ared")]);
}

#[test]
fn f1_6_each_frame_of_a_client_is_masked_with_a_key_of_its_own() {
    // RFC 6455 §5.1, §5.3, §6.1
    let now = std::time::Instant::now();
    let mut next = 0;
    let config = Config { fragmentation_threshold: NonZeroUsize::new(2), ..Config::default() };
    let keys = move || {
        next += 1;
        MaskingKey([next; 4])
    };
    let mut client = Connection::client(config.into(), keys, now);
    let mut output = Vec::new();
    client.send("abc".into(), &mut output).unwrap();
    assert_eq!(output, [0x01, 0x82, 1, 1, 1, 1, b'a' ^ 1, b'b' ^ 1, 0x80, 0x81, 2, 2, 2, 2, b'c' ^ 2]);
}

proptest! {
    #[test]
    fn what_a_client_sends_a_server_receives(
        message in prop_oneof![
            any::<String>().prop_map(wharf_proto::Message::from),
            proptest::collection::vec(any::<u8>(), 0..400).prop_map(wharf_proto::Message::from),
        ],
        threshold in 1usize..50,
        key in any::<[u8; 4]>(),
    ) {
        let now = std::time::Instant::now();
        let config = Config { fragmentation_threshold: NonZeroUsize::new(threshold), ..Config::default() };
        let mut client = Connection::client(config.into(), move || MaskingKey(key), now);
        let mut wire = Vec::new();
        client.send(message.as_ref(), &mut wire).unwrap();
        let mut server = Server::open();
        server.reads(&wire);
        prop_assert_eq!(&server.events, &[Seen::Message(message)]);
        let mut input = Input::new(&mut wire);
        prop_assert!(client.receive(&mut input, &mut Vec::new(), &mut Vec::new(), now).is_none(), "its own frames are masked");
    }
}

/// What leaves of messages that are sent through a socket which takes `taken` bytes, and how many bytes it got to see.
fn sent_through(threshold: Option<usize>, payloads: &[&[u8]], taken: usize) -> (Vec<u8>, usize) {
    let fragmentation_threshold = threshold.and_then(NonZeroUsize::new);
    let mut server = Server::with(Config { fragmentation_threshold, ..Config::default() });
    let (mut left, mut seen) = (Vec::new(), 0);
    let write = |parts: &[std::io::IoSlice<'_>]| {
        let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        seen = all.len();
        left.extend_from_slice(&all[..taken.min(seen)]);
        taken.min(seen)
    };
    let messages = payloads.iter().map(|payload| MessageRef::Binary(payload));
    let sent = server.connection.send_through(messages, &mut server.output, write);
    assert_eq!(sent, Ok(()));
    left.append(&mut server.output);
    (left, seen)
}

#[test]
fn a_long_message_goes_past_the_output_and_what_the_socket_did_not_take_follows() {
    let payload: Vec<u8> = (0..LONG + 1000).map(|at| at.to_le_bytes()[0]).collect();
    for threshold in [None, Some(16_384), Some(LONG)] {
        let frames = sent(threshold, MessageRef::Binary(&payload));
        let (all, seen) = sent_through(threshold, &[&payload], usize::MAX);
        assert_eq!((read_frames(&all), seen), (frames, all.len()));
        for taken in [0, 1, 4, 10, 11, 16_387, 16_388, 16_389, LONG, all.len() - 1, all.len()] {
            assert_eq!(
                sent_through(threshold, &[&payload], taken),
                (all.clone(), all.len()),
                "{taken} taken"
            );
        }
    }
}

#[test]
fn several_messages_go_past_the_output_together_and_in_their_order() {
    let (first, second) = (vec![1; 20_000], vec![2; 10_000]);
    for threshold in [None, Some(16_384)] {
        let mut frames = sent(threshold, MessageRef::Binary(&first));
        frames.extend(sent(threshold, MessageRef::Binary(&second)));
        let (all, seen) = sent_through(threshold, &[&first, &second], usize::MAX);
        assert_eq!((read_frames(&all), seen), (frames, all.len()));
        for taken in [0, 1, 20_003, 20_004, 20_005, all.len() - 1] {
            let left = sent_through(threshold, &[&first, &second], taken);
            assert_eq!(left, (all.clone(), all.len()), "{taken} taken");
        }
    }
}

#[test]
fn a_message_in_short_fragments_goes_through_the_output() {
    let payload = vec![7; LONG];
    let (all, seen) = sent_through(Some(100), &[&payload], usize::MAX);
    assert_eq!((read_frames(&all), seen), (sent(Some(100), MessageRef::Binary(&payload)), 0));
}

#[test]
fn messages_go_through_the_output_where_other_output_waits() {
    let mut server = Server::open();
    server.connection.ping(b"first", &mut server.output).unwrap();
    let long = vec![7; LONG];
    let write = |_: &[std::io::IoSlice<'_>]| panic!("it would overtake the ping");
    server.connection.send_through([MessageRef::Binary(&long)], &mut server.output, write).unwrap();
    assert_eq!(server.answers()[0], ping("first"));
    server.connection.close(&wharf_proto::Close::EMPTY, &mut server.output, server.now);
    server.answers();
    let refused = server.connection.send_through([MessageRef::Binary(&long)], &mut server.output, write);
    assert_eq!(refused, Err(CommandError::Closed));
}
