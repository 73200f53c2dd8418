//! What goes out compressed, and what as it is (RFC 7692 §6.1, §7.2.1).

use std::sync::Arc;
use std::time::Duration;

use wharf_proto::connection::{Config, Frame, PreparedMessage, RawFrame};
use wharf_proto::deflate::{self, ContextMemory, WindowBits};
use wharf_proto::frame::Opcode;
use wharf_proto::limits::Limits;
use wharf_proto::{CommandError, MessageRef};

use crate::ends::{compression, config, headers, json, noise, pair, pair_of, with_takeover};
use crate::support::{self, message};

#[test]
fn a_message_goes_out_compressed_in_fragments_of_which_the_first_has_rsv1() {
    // RFC 7692 §6.1
    let noise = noise(240_000);
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
