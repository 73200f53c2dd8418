//! What comes in: frames, fragments, control frames, and everything that a peer can do wrong.

mod support;

use proptest::prelude::*;
use support::*;
use wharf_proto::CloseCode;
use wharf_proto::connection::{Config, Connection, Ending, Input};
use wharf_proto::limits::Limits;

fn with_limits(limits: Limits) -> Config {
    Config { limits, ..Config::default() }
}

fn frame_mode() -> Config {
    Config { assemble_fragments: false, ..Config::default() }
}

#[test]
fn c11_1_text_and_binary_come_with_their_exact_content() {
    // RFC 6455 §5.4, §6.2
    let seen = outcome_of([text("Hëllo"), binary([0, 255, 7]), text(""), binary("")]);
    let binary: Vec<u8> = vec![0, 255, 7];
    assert_eq!(seen.events, [message("Hëllo"), message(binary), message(""), message(Vec::new())]);
    assert_eq!((seen.answers, seen.ending), (vec![], None));
}

#[test]
fn c11_2_fragments_become_one_message() {
    // RFC 6455 §5.4, §6.2
    let seen = outcome_of([
        text("Hel").more_follows(),
        continuation("").more_follows(),
        continuation("lo"),
        binary("a").more_follows(),
        continuation("b"),
    ]);
    assert_eq!(seen.events, [message("Hello"), message(b"ab".to_vec())]);
}

#[test]
fn c4_1_a_ping_is_answered_with_its_payload() {
    // RFC 6455 §5.5.2, §5.5.3, §6.2
    for payload in [vec![], vec![1], vec![7; 125]] {
        let seen = outcome_of([ping(&payload)]);
        assert_eq!((seen.events, seen.answers), (vec![Seen::Ping(payload.clone())], vec![pong(&payload)]));
    }
}

#[test]
fn c4_2_a_ping_between_fragments_is_answered_before_the_message_ends() {
    // RFC 6455 §5.4, §5.5.2
    let mut server = Server::open();
    server.peer_sends([text("Hel").more_follows(), ping("x")]);
    assert_eq!(server.answers(), [pong("x")]);
    server.peer_sends([continuation("lo")]);
    assert_eq!(server.events, [Seen::Ping(b"x".to_vec()), message("Hello")]);
}

#[test]
fn c4_3_a_pong_can_be_cancelled() {
    let mut server = Server::open();
    let mut bytes = bytes_of(&[ping("a"), ping("b")]);
    let mut input = Input::new(&mut bytes);
    assert!(server.connection.receive(&mut input, &mut Vec::new(), &mut server.output, server.now).is_some());
    server.connection.cancel_pong();
    assert!(server.connection.receive(&mut input, &mut Vec::new(), &mut server.output, server.now).is_some());
    assert!(server.connection.receive(&mut input, &mut Vec::new(), &mut server.output, server.now).is_none());
    assert_eq!(server.answers(), [pong("b")]);
}

#[test]
fn c4_4_a_pong_is_told_and_not_answered() {
    let seen = outcome_of([pong("late")]);
    assert_eq!((seen.events, seen.answers), (vec![Seen::Pong(b"late".to_vec())], vec![]));
}

#[test]
fn c4_5_messages_and_pings_keep_their_order() {
    let seen = outcome_of([text("1"), ping("p"), text("2")]);
    assert_eq!(seen.events, [message("1"), Seen::Ping(b"p".to_vec()), message("2")]);
}

#[test]
fn while_output_waits_only_the_latest_ping_is_owed_a_pong() {
    // RFC 6455 §5.5.3
    let mut server = Server::open();
    server.output = vec![0; 1 << 20];
    for i in 0..10_000_u32 {
        server.peer_sends([ping(i.to_be_bytes())]);
    }
    assert_eq!(server.output.len(), 1 << 20);
    server.output.clear();
    server.connection.output_written(true, &mut server.output, server.now);
    assert_eq!(server.answers(), [pong(9_999_u32.to_be_bytes())]);
}

#[test]
fn c9_1_a_reserved_bit_fails_with_1002() {
    // RFC 6455 §5.2
    for bits in 1..=0b111_u8 {
        let first = 0x81 | (bits << 4);
        let reason = "Unsupported usage of rsv bits without negotiated extension.";
        assert_fails(&Config::default(), &[first], CloseCode::PROTOCOL_ERROR, reason);
    }
}

#[test]
fn c9_2_a_reserved_opcode_fails_with_1002() {
    // RFC 6455 §5.2
    for opcode in (3..=7_u8).chain(11..=15) {
        let reason = format!("Unrecognized Opcode: {opcode:#x}");
        assert_fails(&Config::default(), &[0x80 | opcode], CloseCode::PROTOCOL_ERROR, &reason);
    }
}

#[test]
fn c9_3_a_control_frame_over_125_bytes_fails_with_1002_from_its_second_byte() {
    // RFC 6455 §5.5
    let reason = "Illegal control frame longer than 125 bytes.";
    for start in [[0x88, 0xfe], [0x89, 0xfe], [0x8a, 0xff]] {
        assert_fails(&Config::default(), &start, CloseCode::PROTOCOL_ERROR, reason);
    }
}

#[test]
fn c9_4_a_fragmented_control_frame_fails_with_1002_from_its_first_byte() {
    // RFC 6455 §5.4
    let reason = "Control frames must not be fragmented.";
    for first in [0x08, 0x09, 0x0a] {
        assert_fails(&Config::default(), &[first], CloseCode::PROTOCOL_ERROR, reason);
        let amid_fragments = [text("a").more_follows().masked(), vec![first]].concat();
        assert_fails(&Config::default(), &amid_fragments, CloseCode::PROTOCOL_ERROR, reason);
    }
}

#[test]
fn c9_5_a_continuation_without_a_start_fails_with_1002() {
    // RFC 6455 §5.4
    let reason = "Unexpected Continuation Frame";
    assert_fails(&Config::default(), &[0x80], CloseCode::PROTOCOL_ERROR, reason);
    let after_a_whole_message = [text("x").masked(), vec![0x00]].concat();
    assert_fails(&Config::default(), &after_a_whole_message, CloseCode::PROTOCOL_ERROR, reason);
}

#[test]
fn c9_6_a_message_amid_fragments_fails_with_1002() {
    // RFC 6455 §5.4
    for opcode in 1..=7_u8 {
        let reason = format!("Illegal frame opcode {opcode:#x} received in middle of fragmented message.");
        for amid in [&[text("a").more_follows()][..], &[text("").more_follows(), ping("between")]] {
            let bytes = [bytes_of(amid), vec![0x80 | opcode]].concat();
            assert_fails(&Config::default(), &bytes, CloseCode::PROTOCOL_ERROR, &reason);
        }
    }
}

#[test]
fn c9_8_a_frame_over_its_limit_fails_with_1009_from_its_header() {
    // RFC 6455 §10.4
    let config = with_limits(Limits { max_frame_size: 10, ..Limits::default() });
    let seen = outcome_at_every_split(&config, &binary([1; 10]).masked());
    assert_eq!(seen.events, [message(vec![1; 10])]);
    let header = &binary([1; 11]).masked()[..2];
    let reason = "Frame size of 11 bytes exceeds maximum accepted frame size";
    assert_fails(&config, header, CloseCode::MESSAGE_TOO_BIG, reason);
}

#[test]
fn c9_9_fragments_over_the_message_limit_fail_with_1009_from_the_header_that_passes_it() {
    // RFC 6455 §10.4
    let config = with_limits(Limits { max_message_size: 10, ..Limits::default() });
    let fits = [binary([1; 5]).more_follows(), continuation([2; 5])];
    assert_eq!(outcome_at_every_split(&config, &bytes_of(&fits)).events.len(), 1);
    let header = &continuation([2; 6]).masked()[..6];
    let bytes = [binary([1; 5]).more_follows().masked(), header.to_vec()].concat();
    assert_fails(&config, &bytes, CloseCode::MESSAGE_TOO_BIG, "Maximum message size exceeded.");
    let first_alone = binary([1; 11]).more_follows().masked();
    assert_fails(&config, &first_alone[..6], CloseCode::MESSAGE_TOO_BIG, "Maximum message size exceeded.");
    let in_one_frame = outcome_at_every_split(&config, &binary([1; 11]).masked());
    assert_eq!(in_one_frame.events, [message(vec![1; 11])], "the limit is for fragments alone");
}

#[test]
fn c9_10_text_that_is_not_utf8_fails_with_1007() {
    // RFC 6455 §5.6, §8.1
    for payload in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"cut \xf0\x9f"] {
        let bytes = text(payload).masked();
        assert_fails(&Config::default(), &bytes, CloseCode::INVALID_DATA, "Invalid UTF-8 Data Received");
    }
}

#[test]
fn c9_15_text_that_is_not_utf8_fails_while_its_frame_is_incomplete() {
    // RFC 6455 §8.1; the end of the frame never comes.
    let reason = "Invalid UTF-8 Data Received";
    // No character begins so; overlong forms of 2, 3 and 4 bytes; a surrogate; above U+10FFFF.
    let impossible =
        [&b"\xff"[..], b"\xc0", b"\xc1\xbf", b"\xe0\x80", b"\xf0\x8f", b"\xed\xa0", b"\xf4\x90", b"\xf5"];
    for bad in impossible {
        let payload = [b"good ", bad, b" and much more that never comes"].concat();
        let cut = &text(payload).masked()[..6 + 5 + bad.len()];
        assert_fails(&Config::default(), cut, CloseCode::INVALID_DATA, reason);
        let in_a_first_fragment = text(bad).more_follows().masked();
        assert_fails(&Config::default(), &in_a_first_fragment, CloseCode::INVALID_DATA, reason);
        let in_a_later_one = [text("good").more_follows(), continuation(bad).more_follows()];
        assert_fails(&Config::default(), &bytes_of(&in_a_later_one), CloseCode::INVALID_DATA, reason);
    }
}

#[test]
fn c9_16_a_character_may_be_split_over_fragments_with_a_ping_between() {
    // RFC 6455 §5.6
    for character in ["é", "€", "𐍈"] {
        for cut in 1..character.len() {
            let (head, tail) = character.as_bytes().split_at(cut);
            let seen = outcome_of([text(head).more_follows(), ping("p"), continuation(tail)]);
            assert_eq!(seen.events, [Seen::Ping(b"p".to_vec()), message(character)]);
            assert_eq!((seen.answers, seen.ending), (vec![pong("p")], None));
        }
    }
}

#[test]
fn c9_17_a_byte_order_mark_is_data() {
    assert_eq!(outcome_of([text("\u{feff}x")]).events, [message("\u{feff}x")]);
    let in_fragments = [text(b"\xef\xbb").more_follows(), continuation(b"\xbf")];
    assert_eq!(outcome_of(in_fragments).events, [message("\u{feff}")]);
}

#[test]
fn c9_14_a_frame_of_exactly_the_limit_passes_and_huge_announced_lengths_fail() {
    // RFC 6455 §10.4
    let mut server = Server::open();
    server.peer_sends([binary(vec![7; 65_536])]);
    assert_eq!((&server.events[..], server.connection.ending()), (&[message(vec![7; 65_536])][..], None));
    for length in [(1_u64 << 32) - 1, 1 << 32, (1 << 63) - 1] {
        let bytes = [&[0x82, 0xff][..], &length.to_be_bytes()].concat();
        let reason = format!("Frame size of {length} bytes exceeds maximum accepted frame size");
        assert_fails(&Config::default(), &bytes, CloseCode::MESSAGE_TOO_BIG, &reason);
    }
    let top_bit = [&[0x82, 0xff][..], &(1_u64 << 63).to_be_bytes(), &[0; 4]].concat();
    let reason = "Unsupported 64-bit length frame received";
    assert_fails(&Config::default(), &top_bit, CloseCode::PROTOCOL_ERROR, reason);
}

#[test]
fn with_unlimited_frames_an_announced_length_takes_no_memory_before_its_bytes() {
    let unlimited = Limits { max_frame_size: u64::MAX, max_message_size: u64::MAX, max_fragments: u32::MAX };
    let mut server = Server::with(with_limits(unlimited));
    server.reads(&[&[0x82, 0xff][..], &((1_u64 << 63) - 1).to_be_bytes(), &[0; 4], b"abc"].concat());
    assert_eq!((server.events.len(), server.connection.ending()), (0, None));
}

#[test]
fn c9_18_empty_fragments_take_no_memory_and_are_counted() {
    // RFC 6455 §10.4
    let limits = Limits { max_fragments: 100_001, ..Limits::default() };
    let mut server = Server::with(with_limits(limits));
    server.peer_sends([binary("").more_follows()]);
    let empty = bytes_of(&vec![continuation("").more_follows(); 100_000]);
    server.reads(&empty);
    assert_eq!(server.connection.ending(), None);
    server.peer_sends([continuation("")]);
    assert_eq!(server.answers(), [close(1008, "Message of more than 100001 fragments.")]);
}

#[test]
fn the_default_fragment_limit_allows_65537() {
    let mut server = Server::open();
    server.peer_sends([binary("x").more_follows()]);
    server.reads(&bytes_of(&vec![continuation("x").more_follows(); 65_535]));
    server.peer_sends([continuation("x")]);
    assert_eq!(server.events, [message(vec![b'x'; 65_537])]);
}

#[test]
fn c9_19_an_unmasked_frame_from_a_client_fails_with_1002() {
    // RFC 6455 §5.1
    let reason = "Frames from a client must be masked.";
    assert_fails(&Config::default(), &[0x81, 0x01, b'x'], CloseCode::PROTOCOL_ERROR, reason);
}

#[test]
fn k9_1_a_masked_frame_from_a_server_fails_with_1002() {
    // RFC 6455 §5.1
    let now = std::time::Instant::now();
    let key = wharf_proto::mask::MaskingKey([1, 2, 3, 4]);
    let mut client = Connection::client(Config::default().into(), move || key, now);
    let mut bytes = text("x").masked();
    let mut output = Vec::new();
    assert!(client.receive(&mut Input::new(&mut bytes), &mut Vec::new(), &mut output, now).is_none());
    assert_eq!(client.ending().map(Ending::code), Some(CloseCode::PROTOCOL_ERROR));
}

#[test]
fn events_before_a_broken_rule_are_not_lost() {
    let bytes = [text("one").masked(), ping("two").masked(), vec![0xff]].concat();
    let reason = "Unsupported usage of rsv bits without negotiated extension.";
    let seen = assert_fails(&Config::default(), &bytes, CloseCode::PROTOCOL_ERROR, reason);
    assert_eq!(seen.events, [message("one"), Seen::Ping(b"two".to_vec())]);
    assert_eq!(seen.answers[0], pong("two"));
}

#[test]
fn input_left_between_two_events_is_not_lost() {
    let mut server = Server::open();
    let mut bytes = bytes_of(&[text("one"), text("two")]);
    let mut input = Input::new(&mut bytes);
    assert!(server.connection.receive(&mut input, &mut Vec::new(), &mut server.output, server.now).is_some());
    let kept = input.rest().to_vec();
    server.reads(&kept);
    assert_eq!(server.events, [message("two")]);
}

#[test]
fn c11_4_in_frame_mode_each_frame_is_handed_on() {
    let frames = [text("a").more_follows(), ping("p"), continuation("b"), binary("c"), close(1000, "")];
    let seen = outcome_at_every_split(&frame_mode(), &bytes_of(&frames));
    assert_eq!(seen.events, frames.map(Seen::Frame));
    assert_eq!(seen.answers, [pong("p"), close(1000, "")]);
}

#[test]
fn c11_5_in_frame_mode_a_message_in_one_frame_means_that_message() {
    let mut server = Server::with(frame_mode());
    let mut bytes = bytes_of(&[text("whole"), text("part").more_follows()]);
    let mut input = Input::new(&mut bytes);
    let mut meanings = Vec::new();
    while let Some(event) =
        server.connection.receive(&mut input, &mut Vec::new(), &mut server.output, server.now)
    {
        let wharf_proto::connection::Event::Frame(frame) = event else { panic!("{event:?}") };
        meanings.push(frame.meaning().map(Seen::from));
    }
    assert_eq!(meanings, [Some(message("whole")), None]);
}

#[test]
fn c11_7_in_frame_mode_order_and_utf8_are_still_checked() {
    let split = "€".as_bytes().split_at(1);
    let good = [text(split.0).more_follows(), continuation(split.1)];
    assert_eq!(outcome_at_every_split(&frame_mode(), &bytes_of(&good)).ending, None);
    let bad = bytes_of(&[text(split.0).more_follows(), continuation("x")]);
    assert_fails(&frame_mode(), &bad, CloseCode::INVALID_DATA, "Invalid UTF-8 Data Received");
    let reason = "Unexpected Continuation Frame";
    assert_fails(&frame_mode(), &[0x80], CloseCode::PROTOCOL_ERROR, reason);
}

#[test]
fn c11_6_in_frame_mode_the_sum_of_fragments_has_no_limit() {
    let limits = Limits { max_message_size: 10, ..Limits::default() };
    let config = Config { limits, ..frame_mode() };
    let frames = [binary([1; 8]).more_follows(), continuation([2; 8])];
    let seen = outcome_at_every_split(&config, &bytes_of(&frames));
    assert_eq!((seen.events.len(), seen.ending), (2, None));
}

#[test]
fn c11_6_in_frame_mode_the_number_of_fragments_has_no_limit() {
    let limits = Limits { max_fragments: 2, ..Limits::default() };
    let config = Config { limits, ..frame_mode() };
    let mut frames = vec![continuation("x").more_follows(); 20];
    frames[0] = text("x").more_follows();
    let seen = outcome_at_every_split(&config, &bytes_of(&frames));
    assert_eq!((seen.events.len(), seen.ending), (20, None));
}

/// First bytes of frames: those that a peer may send somewhere, and those that it may not send or that end it all.
const GOOD: [u8; 11] = [0x81, 0x81, 0x81, 0x01, 0x00, 0x80, 0x80, 0x82, 0x02, 0x89, 0x8a];
const BAD: [u8; 4] = [0x88, 0x83, 0xc1, 0x09];

/// Frames as peers send them, right and wrong.
fn any_frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..140)
    ];
    let first =
        prop_oneof![9 => proptest::sample::select(&GOOD[..]), 1 => proptest::sample::select(&BAD[..])];
    let frame = (first, payload).prop_map(|(first, payload)| {
        let mut bytes = binary(payload).masked();
        bytes[0] = first;
        bytes
    });
    proptest::collection::vec(frame, 0..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn any_split_into_reads_gives_the_same_outcome(
        bytes in any_frames(),
        cuts in proptest::collection::vec(0usize..600, 0..6),
        assemble_fragments in any::<bool>(),
    ) {
        // RFC 6455 §6.2
        let config = Config { assemble_fragments, ..Config::default() };
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let bounds: Vec<_> = [0].into_iter().chain(cuts).chain([bytes.len()]).collect();
        let reads = bounds.windows(2).map(|bounds| &bytes[bounds[0]..bounds[1]]);
        prop_assert_eq!(outcome(&config, reads), outcome(&config, [&bytes[..]]));
        prop_assert_eq!(outcome(&config, bytes.chunks(1)), outcome(&config, [&bytes[..]]));
    }

    #[test]
    fn no_bytes_panic_the_connection(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        // RFC 6455 §10.7
        outcome(&Config::default(), bytes.chunks(7));
    }
}
