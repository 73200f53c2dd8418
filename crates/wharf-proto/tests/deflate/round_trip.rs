//! Whatever is agreed on, and whatever a peer sends.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use wharf_proto::MessageRef;
use wharf_proto::connection::Config;
use wharf_proto::deflate::{self, ContextMemory, WindowBits};
use wharf_proto::frame::{Header, Opcode};
use wharf_proto::limits::Limits;

use crate::ends::{compression, config, frame, json, noise, pair_of, server, with_takeover};
use crate::support::{Seen, message};

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
        is_long: bool,
        takeover: bool,
        assemble_fragments: bool,
    ) {
        let compression = if takeover { with_takeover() } else { compression() };
        let limits = Limits { max_frame_size: 50_000, max_message_size: 50_000, ..Limits::default() };
        // Bytes that are nothing, and bytes that nearly are something, much of it or little.
        let in_one_frame = Config { fragmentation_threshold: None, ..config(compression.clone()) };
        let memory = Arc::new(ContextMemory::new(usize::MAX));
        let (_, mut client) = pair_of(config(compression.clone()), in_one_frame, &memory);
        client.sends(json(3000).as_str());
        let message = if is_long { [json(3000).into_bytes(), noise(30_000)].concat() } else { json(3000).into() };
        let sent = client.sends(MessageRef::Binary(&message));
        let (header, header_len) = Header::read(&sent).unwrap().unwrap();
        let mut nearly = sent[header_len..].to_vec();
        header.mask.unwrap().apply(&mut nearly);
        let at = flip.0.index(nearly.len());
        nearly[at] ^= flip.1;
        for payload in [payload, nearly] {
            let bytes = frame(true, 0b100, Opcode::Binary, &payload);
            let [in_pieces, at_once] = [cut, bytes.len()].map(|len| {
                let mut server = server(Config { limits, assemble_fragments, ..config(compression.clone()) });
                for piece in bytes.chunks(len) {
                    server.receives(piece);
                }
                server
            });
            for server in [&in_pieces, &at_once] {
                prop_assert!(server.connection.is_open() != server.seen.is_empty() || !assemble_fragments);
                prop_assert!(server.scratch.capacity() <= 50_001);
            }
            prop_assert_eq!(&in_pieces.seen, &at_once.seen, "wherever it is cut");
            prop_assert_eq!(in_pieces.connection.is_open(), at_once.connection.is_open());
        }
    }
}
