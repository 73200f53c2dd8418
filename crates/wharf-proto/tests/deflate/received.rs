//! What is taken from a peer that compresses, and what is refused (RFC 7692 §6.2, §7.2.2).

use wharf_proto::connection::{Config, Event, Input};
use wharf_proto::frame::Opcode;
use wharf_proto::limits::Limits;
use wharf_proto::message::MessageCow;
use wharf_proto::{CloseCode, Message, MessageRef, ProtocolError};

use crate::ends::{compressed, compression, config, frame, pair, server, with_takeover};
use crate::support::{self, Seen, message};

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
fn nothing_refers_back_over_a_final_block_with_takeover_as_without() {
    // RFC 1951 §3.2.3: it ends its stream.
    let hello_to_the_end = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let hello_again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    for compression in [compression(), with_takeover()] {
        let mut server = server(config(compression));
        server.receives(&compressed(&[&hello_to_the_end[..], &hello_again].concat()));
        assert_eq!(server.broke(), ProtocolError::CorruptCompression);
    }
    let padded = [&hello_to_the_end[..], &[0x00]].concat();
    for first in [&hello_to_the_end[..], &padded] {
        let mut server = server(config(with_takeover()));
        server.receives(&compressed(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]));
        server.receives(&compressed(first));
        server.receives(&compressed(&hello_again));
        assert_eq!(server.seen, [message("Hello"), message("Hello")]);
        assert_eq!(server.broke(), ProtocolError::CorruptCompression);
    }
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
fn a_message_that_was_inflated_keeps_at_most_twice_its_length() {
    let limits = Limits { max_message_size: 8 << 20, ..Limits::default() };
    let mut server = server(Config { limits, ..config(compression()) });
    let (_, mut client) = pair(compression());
    let mut bytes = client.sends("wharf".repeat(60_000).as_str());
    let (first, second) = bytes.split_at_mut(100);
    server.receives(first);
    let mut input = Input::new(second);
    let event = server.connection.receive(&mut input, &mut server.scratch, &mut server.output, server.now);
    let Some(Event::Message(MessageCow::Owned(Message::Text(text)))) = event else { panic!("{event:?}") };
    assert_eq!(text.len(), 300_000);
    assert!(text.capacity() <= 600_000, "{} bytes", text.capacity());
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
fn after_our_close_compressed_messages_are_thrown_away_and_not_inflated() {
    let mut server = server(config(with_takeover()));
    server.receives(&frame(false, 0b100, Opcode::Text, &[0xf2, 0x48, 0xcd]));
    let close = wharf_proto::Close::with_default_reason(CloseCode::NORMAL).unwrap();
    server.connection.close(&close, &mut server.output, server.now);
    server.receives(&frame(true, 0, Opcode::Continuation, b"not deflate"));
    server.receives(&compressed(b"not deflate"));
    assert!(server.connection.ending().is_none(), "still waiting for the peer's Close");
}
