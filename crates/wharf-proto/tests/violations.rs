//! Rules that the header alone shows to be broken, and rules broken where frames are handed on one by one.

mod support;

use support::*;
use wharf_proto::connection::{Config, Side};
use wharf_proto::limits::Limits;
use wharf_proto::{Close, CloseCode};

const UNMASKED: &str = "Frames from a client must be masked.";
const TOP_BIT: &str = "Unsupported 64-bit length frame received";

/// Bytes up to the one that tells, and what they end the connection with.
fn violations() -> Vec<(Vec<u8>, CloseCode, String)> {
    let first_fragment = text("a").more_follows().masked();
    let amid_fragments = |bytes: &[u8]| [&first_fragment, bytes].concat();
    let broken = |bytes: &[u8], reason: &str| (bytes.to_vec(), CloseCode::PROTOCOL_ERROR, reason.to_owned());
    let too_big =
        |bytes: &[u8], reason: &str| (bytes.to_vec(), CloseCode::MESSAGE_TOO_BIG, reason.to_owned());
    let not_utf8 = (
        text(b"\xff and more").masked()[..7].to_vec(),
        CloseCode::INVALID_DATA,
        "Invalid UTF-8 Data Received".to_owned(),
    );
    vec![
        broken(&[0xc1], "Unsupported usage of rsv bits without negotiated extension."),
        broken(&[0x83], "Unrecognized Opcode: 0x3"),
        broken(&[0x8f], "Unrecognized Opcode: 0xf"),
        broken(&[0x89, 0xfe], "Illegal control frame longer than 125 bytes."),
        broken(&[0x09], "Control frames must not be fragmented."),
        broken(&[0x80], "Unexpected Continuation Frame"),
        broken(
            &amid_fragments(&[0x82]),
            "Illegal frame opcode 0x2 received in middle of fragmented message.",
        ),
        broken(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], TOP_BIT),
        too_big(
            &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1],
            "Frame size of 65537 bytes exceeds maximum accepted frame size",
        ),
        not_utf8,
        broken(&[0x81, 0x05], UNMASKED),
        broken(&[0x82, 0xfe, 0, 125], "Frame length 125 is not in its shortest form."),
    ]
}

#[test]
fn c9_7_a_length_with_its_top_bit_set_fails_with_1002() {
    // RFC 6455 §5.2
    for length in [1_u64 << 63, u64::MAX] {
        let bytes = [&[0x82, 0xff][..], &length.to_be_bytes()].concat();
        assert_fails(&Config::default(), &bytes, CloseCode::PROTOCOL_ERROR, TOP_BIT);
    }
}

#[test]
fn c9_11_an_unmasked_frame_from_a_client_fails_with_1002() {
    // RFC 6455 §5.1
    for first in [0x81, 0x82, 0x01, 0x88, 0x89, 0x8a] {
        assert_fails(&Config::default(), &[first, 0x00], CloseCode::PROTOCOL_ERROR, UNMASKED);
    }
    let amid_fragments = [text("a").more_follows().masked(), vec![0x80, 0x01]].concat();
    assert_fails(&Config::default(), &amid_fragments, CloseCode::PROTOCOL_ERROR, UNMASKED);
}

#[test]
fn c9_12_a_length_not_in_its_shortest_form_fails_with_1002() {
    // RFC 6455 §5.2
    for length in [0_u16, 1, 125] {
        let reason = format!("Frame length {length} is not in its shortest form.");
        let bytes = [&[0x82, 0xfe][..], &length.to_be_bytes()].concat();
        assert_fails(&Config::default(), &bytes, CloseCode::PROTOCOL_ERROR, &reason);
    }
    for length in [0_u64, 126, 65_535] {
        let reason = format!("Frame length {length} is not in its shortest form.");
        let bytes = [&[0x82, 0xff][..], &length.to_be_bytes()].concat();
        assert_fails(&Config::default(), &bytes, CloseCode::PROTOCOL_ERROR, &reason);
    }
}

#[test]
fn c9_13_every_violation_is_answered_at_the_byte_that_tells_and_not_before() {
    for (bytes, code, reason) in violations() {
        assert_fails(&Config::default(), &bytes, code, &reason);
        let before = outcome(&Config::default(), [&bytes[..bytes.len() - 1]]);
        assert_eq!((before.ending, before.answers), (None, vec![]), "{reason}");
    }
}

#[test]
fn of_two_broken_rules_the_first_byte_that_tells_one_decides_however_they_are_read() {
    let reason = "Control frames must not be fragmented.";
    assert_fails(&Config::default(), &[0x09, 0x00], CloseCode::PROTOCOL_ERROR, reason);
    let reason = "Frames from a client must be masked.";
    assert_fails(&Config::default(), &[0x82, 0x7e, 0x00, 0x01], CloseCode::PROTOCOL_ERROR, reason);
}

#[test]
fn a_rule_is_told_with_the_message_limit_too_before_the_payload_that_passes_it() {
    let limits = Limits { max_message_size: 10, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    let first = binary([1; 10]).more_follows().masked();
    let bytes = [&first[..], &continuation([1]).masked()[..6]].concat();
    assert_fails(&config, &bytes, CloseCode::MESSAGE_TOO_BIG, "Maximum message size exceeded.");
    assert_eq!(outcome(&config, [&bytes[..bytes.len() - 1]]).ending, None);
}

#[test]
fn c11_7_in_frame_mode_every_rule_but_the_message_limit_holds() {
    let frame_mode = Config { assemble_fragments: false, ..Config::default() };
    for (bytes, code, reason) in violations() {
        assert_fails(&frame_mode, &bytes, code, &reason);
    }
    let seen = outcome_at_every_split(&frame_mode, &bytes_of(&[ping("p"), close(1001, "bye")]));
    assert_eq!(seen.answers, [pong("p"), close(1001, "bye")]);
    let bye = Close::new(CloseCode::GOING_AWAY, "bye").expect("a code that may be sent");
    let clean = wharf_proto::connection::Ending::Clean { close: bye, first: Side::Peers };
    assert_eq!(seen.ending, Some(clean));
}

#[test]
fn c5_11_every_reason_that_we_give_fits_a_control_frame() {
    for (bytes, _, reason) in violations() {
        let answers = outcome(&Config::default(), [&bytes[..]]).answers;
        let answer = answers.last().expect("it is told");
        assert!(answer.payload.len() <= 125, "{reason}");
        assert_eq!(answer.payload[2..], *reason.as_bytes(), "whole, not cut");
    }
}
