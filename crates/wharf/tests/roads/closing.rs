//! Codes and reasons of either side, on the wire and in the event.

use std::time::Duration;

use super::{Client, Site};
use crate::support::{Frame, close, ping, text, until, waits, within};
use tokio::io::AsyncWriteExt;
use wharf::{Cause, CloseCode, CloseError, Connection, Ending, Opcode, ServerConfig};

/// The reference's table of default descriptions, for the codes that may be sent.
const DEFAULT_DESCRIPTIONS: [(u16, &str); 14] = [
    (1000, "Normal connection closure"),
    (1001, "Remote peer is going away"),
    (1002, "Protocol error"),
    (1003, "Unprocessable input"),
    (1007, "Invalid data received"),
    (1008, "Policy violation"),
    (1009, "Message too big"),
    (1010, "Extension requested by client is required"),
    (1011, "Internal Server Error"),
    (1012, ""),
    (1013, ""),
    (1014, ""),
    (3000, ""),
    (4999, ""),
];

/// A server that would wait for its peer longer than any test.
async fn patient() -> Site {
    Site::with(ServerConfig::default().close_timeout(Duration::from_secs(3600))).await
}

fn close_frame(payload: &[u8]) -> Frame {
    Frame { fin: true, opcode: Opcode::Close, payload: payload.to_vec() }
}

/// Whether the socket's other end is gone altogether, and does not just send nothing more.
async fn is_cut_off(client: &mut Client) {
    within(async { while client.stream.write_all(b"still there?").await.is_ok() {} }).await;
}

/// Answers our Close and sees the whole end of it.
async fn ends_clean(site: &Site, mut client: Client, connection: &Connection, code: u16, told: &str) {
    client.send([close(code, "")]).await;
    client.sees_end().await;
    client.end().await;
    assert!(within(connection.closed()).await.is_clean());
    assert_eq!(site.close_event().await, (code, told.to_owned()));
}

#[tokio::test]
async fn c5_1_close_says_1000_normal_connection_closure_by_default() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, None).unwrap();
    assert_eq!(client.frame().await, close(1000, "Normal connection closure"));
    ends_clean(&site, client, &connection, 1000, "Normal connection closure").await;
}

#[tokio::test]
async fn c5_2_close_sends_the_code_and_reason_that_it_is_given() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::new(4001), Some("why")).unwrap();
    assert_eq!(client.frame().await, close(4001, "why"));
    ends_clean(&site, client, &connection, 4001, "why").await;
}

#[tokio::test]
async fn c5_3_an_empty_reason_leaves_a_payload_of_2_bytes() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(client.frame().await, close_frame(&[0x03, 0xe8]));
    ends_clean(&site, client, &connection, 1000, "").await;
}

#[tokio::test]
async fn c5_4_a_code_without_a_default_goes_out_without_a_reason() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::new(3000), None).unwrap();
    assert_eq!(client.frame().await, close_frame(&[0x0b, 0xb8]));
    ends_clean(&site, client, &connection, 3000, "").await;
}

#[tokio::test]
async fn c5_6_a_second_close_changes_nothing() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::new(4001), Some("first")).unwrap();
    connection.close(CloseCode::new(4002), Some("second")).unwrap();
    assert_eq!(client.frame().await, close(4001, "first"));
    connection.close(CloseCode::new(4003), Some("third")).unwrap();
    ends_clean(&site, client, &connection, 4001, "first").await;
}

#[tokio::test]
async fn c5_8_at_the_close_timeout_a_silent_peers_socket_is_gone_altogether() {
    let site = Site::with(ServerConfig::default().close_timeout(Duration::from_millis(50))).await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::new(4001), Some("why")).unwrap();
    assert_eq!(client.frame().await, close(4001, "why"));
    assert_eq!(site.close_event().await, (4001, "why".to_owned()));
    assert_eq!(site.server.connection_count(), 0);
    is_cut_off(&mut client).await;
}

#[tokio::test]
async fn c5_11_a_description_of_123_bytes_is_sent_whole_and_of_124_is_an_error() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    let (fits, too_long) = ("é".repeat(61) + "x", "é".repeat(62));
    let refused = Err(CloseError::ReasonTooLong { length: 124 });
    assert_eq!(connection.close(CloseCode::NORMAL, Some(&too_long)), refused);
    assert_eq!(connection.drop_now(CloseCode::NORMAL, Some(&too_long)), refused);
    assert!(connection.is_connected());
    connection.close(CloseCode::NORMAL, Some(&fits)).unwrap();
    let frame = client.frame().await;
    assert_eq!((frame.payload.len(), frame), (125, close(1000, &fits)));
    ends_clean(&site, client, &connection, 1000, &fits).await;
}

#[tokio::test]
async fn c6_1_a_drop_leaves_no_socket_behind() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.drop_now(CloseCode::PROTOCOL_ERROR, None).unwrap();
    assert_eq!(client.frame().await, close(1002, "Protocol error"));
    assert_eq!(site.close_event().await, (1002, "Protocol error".to_owned()));
    is_cut_off(&mut client).await;
}

#[tokio::test]
async fn c6_2_a_drop_without_a_close_frame_sends_nothing_and_may_have_any_code() {
    for code in [1000, 1005, 1006, 1015, 70] {
        let site = patient().await;
        let (mut client, connection) = site.pair().await;
        connection.drop_silently(CloseCode::new(code), Some("gone"));
        assert_eq!(site.close_event().await, (code, "gone".to_owned()));
        client.sees_end().await;
    }
}

#[tokio::test]
async fn c6_4_a_drop_after_the_end_changes_nothing() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    client.send([close(4001, "theirs")]).await;
    assert_eq!(client.frame().await, close(4001, "theirs"));
    client.end().await;
    let ending = within(connection.closed()).await;
    connection.drop_now(CloseCode::new(4002), Some("ours")).unwrap();
    connection.drop_silently(CloseCode::new(4003), None);
    assert_eq!(within(connection.closed()).await, ending);
    assert_eq!(site.close_event().await, (4001, "theirs".to_owned()));
    client.sees_end().await;
}

#[tokio::test]
async fn c6_5_a_drop_with_a_code_that_cannot_be_sent_changes_nothing() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    for code in [0, 70, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000].map(CloseCode::new) {
        assert_eq!(connection.drop_now(code, None), Err(CloseError::Unsendable { code }));
    }
    assert!(connection.is_connected());
    client.send([ping("alive?")]).await;
    assert_eq!(client.frame().await, crate::support::pong("alive?"));
}

/// The peer's Close, its answer, and the event.
async fn peer_closes(payload: &[u8], answer: &[u8], told: (u16, &str)) {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    client.send([close_frame(payload)]).await;
    assert_eq!(client.frame().await, close_frame(answer));
    client.sees_end().await;
    client.end().await;
    assert_eq!(site.close_event().await, (told.0, told.1.to_owned()));
    assert_eq!(within(connection.recv()).await, None);
}

#[tokio::test]
async fn c7_1_the_peers_close_is_answered_with_its_code_which_the_event_has() {
    for code in [1000_u16, 1001, 1011, 3000, 4999] {
        let payload = [&code.to_be_bytes()[..], b"why"].concat();
        peer_closes(&payload, &payload, (code, "why")).await;
    }
}

#[tokio::test]
async fn c7_2_the_peers_reason_is_told_or_the_codes_own_or_none() {
    peer_closes(b"\x03\xe9bye", b"\x03\xe9bye", (1001, "bye")).await;
    peer_closes(&[0x03, 0xe9], &[0x03, 0xe9], (1001, "Remote peer is going away")).await;
    peer_closes(&[0x13, 0x87], &[0x13, 0x87], (4999, "")).await;
}

#[tokio::test]
async fn c7_3_a_reason_of_one_byte_counts() {
    peer_closes(b"\x03\xe8x", b"\x03\xe8x", (1000, "x")).await;
}

#[tokio::test]
async fn c7_4_a_close_without_a_code_is_told_as_1005() {
    peer_closes(&[], &[], (1005, "Reason not provided")).await;
}

#[tokio::test]
async fn c7_5_a_close_of_one_byte_is_1002() {
    let reason = "Close frame with a payload of one byte.";
    peer_closes(&[0x03], &[&[0x03, 0xea], reason.as_bytes()].concat(), (1002, reason)).await;
}

#[tokio::test]
async fn c7_6_a_close_with_a_code_that_may_not_come_is_1002() {
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        let reason = format!("Close frame with the invalid code {code}.");
        let payload = [&code.to_be_bytes()[..], b"why"].concat();
        peer_closes(&payload, &[&[0x03, 0xea], reason.as_bytes()].concat(), (1002, &reason)).await;
    }
}

#[tokio::test]
async fn c7_7_a_reason_that_is_not_utf8_is_1007_also_where_it_is_one_byte() {
    let reason = "Invalid UTF-8 Data Received";
    for bad in [&b"\xff"[..], b"good until \xc3", b"\xed\xa0\x80"] {
        let payload = [&[0x03, 0xe8], bad].concat();
        peer_closes(&payload, &[&[0x03, 0xef], reason.as_bytes()].concat(), (1007, reason)).await;
    }
}

#[tokio::test]
async fn c7_8_after_the_peers_close_its_socket_goes_at_the_timeout_though_it_never_ends_its_half() {
    let site = Site::with(ServerConfig::default().close_timeout(Duration::from_millis(50))).await;
    let (mut client, connection) = site.pair().await;
    client.send([close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
    client.sees_end().await;
    within(connection.closed()).await;
    is_cut_off(&mut client).await;
}

#[tokio::test]
async fn c7_10_a_reset_amid_a_message_is_1006_with_the_sockets_error() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    client.send([text("whole"), text("begun").more_follows()]).await;
    assert_eq!(within(connection.recv()).await, Some("whole".into()));
    client.reset();
    let ending = within(connection.closed()).await;
    match &ending {
        Ending::Lost(Cause::Transport(error)) => {
            assert_eq!(ending.description(), format!("Socket Error: {error}"));
        }
        ending => assert!(!super::TELLS_RESETS && *ending == Ending::Lost(Cause::PeerEnded), "{ending:?}"),
    }
    assert_eq!(site.close_event().await, (1006, ending.description()));
    assert_eq!(within(connection.recv()).await, None);
}

#[tokio::test]
async fn c8_1_each_default_description_is_sent_and_told() {
    for (code, description) in DEFAULT_DESCRIPTIONS {
        let site = patient().await;
        let (mut client, connection) = site.pair().await;
        connection.close(CloseCode::new(code), None).unwrap();
        assert_eq!(client.frame().await, close(code, description));
        ends_clean(&site, client, &connection, code, description).await;

        let (mut client, _connection) = site.pair().await;
        client.send([close(code, "")]).await;
        client.end().await;
        assert_eq!(site.close_event().await, (code, description.to_owned()));
    }
}

#[tokio::test]
async fn c8_1_codes_that_are_never_on_the_wire_have_their_descriptions_too() {
    for (code, description) in [
        (1004, "Reserved"),
        (1005, "Reason not provided"),
        (1006, "Abnormal closure, no further detail available"),
        (1015, "TLS Handshake Failed"),
    ] {
        let site = patient().await;
        let (_client, connection) = site.pair().await;
        connection.drop_silently(CloseCode::new(code), None);
        assert_eq!(site.close_event().await, (code, description.to_owned()));
    }
}

#[tokio::test]
async fn c10_5_a_resume_without_a_pause_changes_nothing() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.resume();
    assert!(!connection.is_paused());
    client.send([text("one")]).await;
    assert_eq!(within(connection.recv()).await, Some("one".into()));
    assert!(waits(std::pin::pin!(connection.recv())));
}

#[tokio::test]
async fn a_pause_does_not_hold_the_end_of_a_connection() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.pause();
    connection.close(CloseCode::NORMAL, None).unwrap();
    assert_eq!(client.frame().await, close(1000, "Normal connection closure"));
    ends_clean(&site, client, &connection, 1000, "Normal connection closure").await;
    until(|| site.server.connection_count() == 0).await;
}
