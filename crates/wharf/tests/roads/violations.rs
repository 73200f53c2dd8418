//! Everything a peer can do wrong with its frames, seen from both ends of a real socket: the Close frame that it is
//! told with, and the event that the application gets. The numbers are the lines of the reference's table.

use super::Site;
use crate::support::{Frame, binary, bytes_of, close, continuation, ping, text, within};
use wharf::{Ending, ServerConfig};

/// That a peer is told what it broke and TCP ends in order, and that the application is told the same.
async fn ends(config: &ServerConfig, bytes: &[u8], code: u16, reason: &str) {
    let site = Site::with(config.clone()).await;
    let (mut client, connection) = site.pair().await;
    client.write(bytes).await;
    assert_eq!(client.frame().await, close(code, reason));
    client.sees_end().await;
    client.end().await;
    assert_eq!(site.close_event().await, (code, reason.to_owned()));
    let ending = within(connection.closed()).await;
    assert!(matches!(ending, Ending::Failed(_)), "{ending:?}");
}

async fn breaks_the_protocol(bytes: &[u8], reason: &str) {
    ends(&ServerConfig::default(), bytes, 1002, reason).await;
}

fn begun_and(bytes: &[u8]) -> Vec<u8> {
    [&text("begun").more_follows().masked(), bytes].concat()
}

fn with_first_byte(first: u8, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[0] = first;
    bytes
}

#[tokio::test]
async fn c9_1_a_reserved_bit_is_1002() {
    for first in [0xc1, 0xa1, 0x91] {
        let bytes = with_first_byte(first, text("x").masked());
        breaks_the_protocol(&bytes, "Unsupported usage of rsv bits without negotiated extension.").await;
    }
}

#[tokio::test]
async fn c9_2_a_reserved_opcode_is_1002() {
    for opcode in (3..=7_u8).chain(11..=15) {
        let bytes = with_first_byte(0x80 | opcode, text("x").masked());
        breaks_the_protocol(&bytes, &format!("Unrecognized Opcode: {opcode:#x}")).await;
    }
}

#[tokio::test]
async fn c9_3_a_control_frame_over_125_bytes_is_1002() {
    let reason = "Illegal control frame longer than 125 bytes.";
    breaks_the_protocol(&ping([7; 126]).masked(), reason).await;
    breaks_the_protocol(&close(1000, &"x".repeat(124)).masked(), reason).await;
}

#[tokio::test]
async fn c9_4_a_control_frame_without_fin_is_1002() {
    let reason = "Control frames must not be fragmented.";
    breaks_the_protocol(&ping("x").more_follows().masked(), reason).await;
    breaks_the_protocol(&close(1000, "").more_follows().masked(), reason).await;
}

#[tokio::test]
async fn c9_5_a_continuation_without_a_start_is_1002() {
    let reason = "Unexpected Continuation Frame";
    breaks_the_protocol(&continuation("x").masked(), reason).await;
    breaks_the_protocol(&continuation("x").more_follows().masked(), reason).await;
}

#[tokio::test]
async fn c9_6_a_message_amid_fragments_is_1002() {
    for opcode in 1..=7 {
        let bytes = begun_and(&with_first_byte(0x80 | opcode, text("x").masked()));
        let reason = format!("Illegal frame opcode {opcode:#x} received in middle of fragmented message.");
        breaks_the_protocol(&bytes, &reason).await;
    }
}

#[tokio::test]
async fn c9_7_a_length_with_its_top_bit_set_is_1002() {
    let bytes = announcing(1 << 63);
    breaks_the_protocol(&bytes, "Unsupported 64-bit length frame received").await;
}

#[tokio::test]
async fn c9_8_a_frame_over_its_limit_is_1009() {
    let config = ServerConfig::default().max_received_frame_size(1000);
    let reason = "Frame size of 1001 bytes exceeds maximum accepted frame size";
    ends(&config, &binary([7; 1001]).masked(), 1009, reason).await;
}

#[tokio::test]
async fn c9_9_fragments_over_the_message_limit_are_1009() {
    let config = ServerConfig::default().max_received_message_size(1000);
    let fragments = [binary([7; 600]).more_follows(), ping("between"), continuation([7; 401])];
    let site = Site::with(config.clone()).await;
    let (mut client, _connection) = site.pair().await;
    client.send(fragments).await;
    assert_eq!(client.frame().await, crate::support::pong("between"));
    assert_eq!(client.frame().await, close(1009, "Maximum message size exceeded."));
    let without_an_end = [binary([7; 600]).more_follows(), continuation([7; 401]).more_follows()];
    ends(&config, &bytes_of(without_an_end), 1009, "Maximum message size exceeded.").await;
}

#[tokio::test]
async fn c9_10_text_that_is_not_utf8_is_1007() {
    let reason = "Invalid UTF-8 Data Received";
    for payload in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"cut \xe2\x82"] {
        ends(&ServerConfig::default(), &text(payload).masked(), 1007, reason).await;
        let in_fragments = [text("good ").more_follows(), continuation(payload)];
        ends(&ServerConfig::default(), &bytes_of(in_fragments), 1007, reason).await;
    }
}

#[tokio::test]
async fn c9_11_an_unmasked_frame_is_1002() {
    // RFC 6455 §5.1
    let reason = "Frames from a client must be masked.";
    breaks_the_protocol(b"\x81\x05hello", reason).await;
    breaks_the_protocol(&[0x88, 0x02, 0x03, 0xe8], reason).await;
}

#[tokio::test]
async fn c9_12_a_length_not_in_its_shortest_form_is_1002() {
    // RFC 6455 §5.2
    let bytes = [&[0x82, 0xfe, 0x00, 0x01, 0, 0, 0, 0][..], b"x"].concat();
    breaks_the_protocol(&bytes, "Frame length 1 is not in its shortest form.").await;
}

/// The header of a masked binary frame that announces so many bytes, all that ever comes of it.
fn announcing(length: u64) -> Vec<u8> {
    [&[0x82, 0xff][..], &length.to_be_bytes(), &[1, 2, 3, 4]].concat()
}

#[tokio::test]
async fn c9_13_what_the_header_tells_is_answered_without_the_payload() {
    let header_of = |frame: Frame, first: u8| with_first_byte(first, frame.masked())[..6].to_vec();
    for (bytes, code) in [
        (header_of(text("never sent"), 0xc1), 1002),
        (header_of(text("never sent"), 0x83), 1002),
        (ping([7; 126]).masked()[..2].to_vec(), 1002),
        (header_of(ping("never sent"), 0x09), 1002),
        (header_of(continuation("never sent"), 0x80), 1002),
        (begun_and(&header_of(text("never sent"), 0x81)), 1002),
        (announcing(65_537)[..10].to_vec(), 1009),
        (vec![0x81, 0x05], 1002),
        (vec![0x82, 0xfe, 0x00, 0x05], 1002),
    ] {
        let site = Site::open().await;
        let (mut client, _connection) = site.pair().await;
        client.write(&bytes).await;
        let answer = client.frame().await;
        assert_eq!(answer.payload[..2], u16::to_be_bytes(code), "{bytes:x?}");
        client.sees_end().await;
    }
}

#[tokio::test]
async fn c9_14_a_frame_of_exactly_the_limit_passes_and_longer_ones_are_judged_by_their_announced_length() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    client.send([binary(vec![7; 65_536])]).await;
    assert_eq!(within(connection.recv()).await, Some(vec![7; 65_536].into()));
    for length in [65_537, (1 << 32) - 1, 1 << 32, (1 << 63) - 1] {
        let reason = format!("Frame size of {length} bytes exceeds maximum accepted frame size");
        ends(&ServerConfig::default(), &announcing(length), 1009, &reason).await;
    }
    breaks_the_protocol(&announcing(1 << 63), "Unsupported 64-bit length frame received").await;
}

#[tokio::test]
async fn c9_15_text_that_is_not_utf8_fails_before_its_message_ends() {
    // RFC 6455 §8.1; overlong forms, a surrogate and what lies above U+10FFFF, by their first impossible byte.
    for bad in [&b"\xff"[..], b"\xc0", b"\xe0\x80", b"\xed\xa0", b"\xf4\x90"] {
        let frame = text([b"good ", bad].concat()).more_follows();
        ends(&ServerConfig::default(), &frame.masked(), 1007, "Invalid UTF-8 Data Received").await;
        let unfinished = text([b"good ", bad, b"never sent"].concat()).masked();
        let cut = &unfinished[..unfinished.len() - b"never sent".len()];
        ends(&ServerConfig::default(), cut, 1007, "Invalid UTF-8 Data Received").await;
    }
}

#[tokio::test]
async fn c9_16_a_character_split_over_fragments_with_a_ping_between_passes() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    for fragment in [text(b"\xf0\x9f").more_follows(), ping("between"), continuation(b"\x98\x80")] {
        client.send([fragment]).await;
    }
    assert_eq!(within(connection.recv()).await, Some("😀".into()));
}

#[tokio::test]
async fn c9_17_a_byte_order_mark_is_delivered() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    client.send([text("\u{feff}text")]).await;
    assert_eq!(within(connection.recv()).await, Some("\u{feff}text".into()));
}

#[tokio::test]
async fn c11_7_in_frame_mode_the_same_ends_follow_but_for_the_message_limit() {
    let config = ServerConfig::default().assemble_fragments(false).max_received_message_size(10);
    let reserved = with_first_byte(0x83, text("x").masked());
    ends(&config, &reserved, 1002, "Unrecognized Opcode: 0x3").await;
    ends(&config, &continuation("x").masked(), 1002, "Unexpected Continuation Frame").await;
    let amid = begun_and(&text("x").masked());
    ends(&config, &amid, 1002, "Illegal frame opcode 0x1 received in middle of fragmented message.").await;
    ends(&config, b"\x81\x01x", 1002, "Frames from a client must be masked.").await;
    let cut = bytes_of([text(b"\xe2").more_follows(), continuation("x")]);
    ends(&config, &cut, 1007, "Invalid UTF-8 Data Received").await;
    let reason = "Frame size of 65537 bytes exceeds maximum accepted frame size";
    ends(&config, &announcing(65_537), 1009, reason).await;
}
