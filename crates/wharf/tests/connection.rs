//! A connection over a real socket: messages, control frames and every way to end it.

mod support;

use std::time::Duration;

use support::{
    Site, begin_and_drop, binary, bytes_of, close, continuation, ping, pong, text, until, waits, within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf::{
    Accept, Cause, CloseCode, ConnectionState, ControlError, Ending, Message, SendError, ServerConfig,
    TrySendError,
};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);

/// A server that would wait for its peer longer than any test.
async fn patient() -> Site {
    Site::with(ServerConfig::default().close_timeout(LONG)).await
}

#[tokio::test]
async fn c1_1_a_fresh_connection_is_open_with_no_code_no_description_and_no_extension() {
    let site = Site::open().await;
    let (_client, connection) = site.pair().await;
    assert!(connection.is_connected());
    assert_eq!(connection.state(), ConnectionState::Open);
    assert_eq!(connection.ending(), None);
    assert!(connection.extensions().is_empty());
    assert!(!connection.is_paused() && !connection.is_output_full());
    assert_eq!(connection.buffered_amount(), 0);
    assert!(waits(std::pin::pin!(connection.closed())));
}

#[tokio::test]
async fn c1_2_a_connection_is_not_connected_as_soon_as_either_side_begins_to_close() {
    let site = patient().await;
    let (_client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, None).unwrap();
    assert!(!connection.is_connected(), "before a byte of it is sent");
    assert_eq!(connection.state(), ConnectionState::Closing);

    let (mut client, connection) = site.pair().await;
    client.send([close(1001, "")]).await;
    assert_eq!(client.frame().await, close(1001, ""));
    assert!(!connection.is_connected());
    assert!(waits(std::pin::pin!(connection.closed())), "TCP is still there");
    assert_eq!(connection.state(), ConnectionState::PeerClosing);
    client.end().await;
    within(connection.closed()).await;
    assert_eq!(connection.state(), ConnectionState::Closed);
    assert_eq!(site.close_event().await.0, 1001);

    let (_client, connection) = site.pair().await;
    connection.drop_now(CloseCode::NORMAL, None).unwrap();
    assert!(!connection.is_connected());
}

#[tokio::test]
async fn c1_3_the_remote_address_is_the_requests() {
    let site = Site::open().await;
    let (_client, request) = site.ask("X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n").await;
    let (address, addresses) = (request.remote_address().to_owned(), request.remote_addresses().to_vec());
    assert_eq!(address, "1.1.1.1");
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(connection.remote_address(), address);
    assert_eq!(connection.remote_addresses(), addresses);
    assert_eq!(connection.remote_addresses()[..2], ["1.1.1.1", "2.2.2.2"]);
    assert_eq!(site.connected().await, connection);
    let (client, connection) = site.pair().await;
    let own = client.stream.local_addr().unwrap();
    assert_eq!(
        (connection.remote_address(), connection.socket_address()),
        (&*own.ip().to_string(), Some(own))
    );
}

#[tokio::test]
async fn c2_1_text_goes_out_as_opcode_1_and_bytes_as_opcode_2() {
    // RFC 6455 §6.1
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    within(connection.send("héllo")).await.unwrap();
    within(connection.send(vec![0, 255])).await.unwrap();
    within(connection.send(String::from("owned"))).await.unwrap();
    within(connection.send(&b"lent"[..])).await.unwrap();
    for frame in [text("héllo"), binary([0, 255]), text("owned"), binary("lent")] {
        assert_eq!(client.frame().await, frame);
    }
}

#[tokio::test]
async fn c2_2_empty_text_and_empty_bytes_are_one_empty_frame_each() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    within(connection.send("")).await.unwrap();
    within(connection.send(Vec::new())).await.unwrap();
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    for frame in [text(""), binary(""), close(1000, "")] {
        assert_eq!(client.frame().await, frame);
    }
}

#[tokio::test]
async fn c11_1_text_and_binary_messages_come_with_their_exact_content() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    client.send([text("héllo"), binary([1, 255]), text(""), binary("")]).await;
    let expected: [Message; 4] = ["héllo".into(), vec![1, 255].into(), "".into(), Vec::new().into()];
    for message in expected {
        assert_eq!(within(connection.recv()).await, Some(message));
    }
}

#[tokio::test]
async fn c11_2_fragments_are_one_message() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    let fragments =
        [text("in ").more_follows(), ping("amid"), continuation("").more_follows(), continuation("pieces")];
    // In segments of their own, and in one.
    for fragment in fragments.clone() {
        client.send([fragment]).await;
    }
    client.send(fragments).await;
    for _ in 0..2 {
        assert_eq!(within(connection.recv()).await, Some("in pieces".into()));
        assert_eq!(client.frame().await, pong("amid"));
    }
}

#[tokio::test]
async fn o5_a_message_over_the_threshold_goes_out_in_fragments() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    within(connection.send(vec![7; 16_385])).await.unwrap();
    assert_eq!(client.frame().await, binary(vec![7; 16_384]).more_follows());
    assert_eq!(client.frame().await, continuation([7]));
}

#[tokio::test]
async fn c2_4_a_send_after_close_or_after_the_end_hands_the_message_back_and_changes_nothing() {
    // RFC 6455 §5.5.1
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::new(4001), Some("why")).unwrap();
    assert!(!connection.is_connected());
    for _ in 0..2 {
        assert_eq!(within(connection.send("late")).await, Err(SendError("late".into())));
        assert_eq!(connection.try_send("late"), Err(TrySendError::Closed("late".into())));
        assert_eq!(connection.ping("late"), Err(ControlError::Closed));
        if connection.ending().is_none() {
            assert_eq!(client.frame().await, close(4001, "why"));
            client.send([close(4001, "")]).await;
            client.sees_end().await;
            client.end().await;
            within(connection.closed()).await;
        }
    }
    assert_eq!(site.close_event().await, (4001, "why".to_owned()));
}

#[tokio::test]
async fn c5_1_close_sends_the_default_reason_after_what_was_sent_before() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.try_send("before").unwrap();
    connection.close(CloseCode::NORMAL, None).unwrap();
    connection.close(CloseCode::new(4002), None).unwrap();
    assert_eq!(client.frame().await, text("before"));
    assert_eq!(client.frame().await, close(1000, "Normal connection closure"));
}

#[tokio::test]
async fn c5_5_codes_that_may_not_be_sent_are_errors_and_the_connection_stays_open() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000].map(CloseCode::new) {
        connection.close(code, None).unwrap_err();
        connection.drop_now(code, None).unwrap_err();
    }
    connection.close(CloseCode::NORMAL, Some(&"x".repeat(124))).unwrap_err();
    within(connection.send("still here")).await.unwrap();
    assert_eq!(client.frame().await, text("still here"));
}

#[tokio::test]
async fn c5_7_the_peers_answer_makes_the_server_end_tcp_first() {
    // RFC 6455 §5.5.1
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::new(4001), Some("why")).unwrap();
    assert_eq!(client.frame().await, close(4001, "why"));
    client.send([text("not delivered"), close(3000, "another")]).await;
    client.sees_end().await;
    assert_eq!(connection.recv().await, None, "c5_9");
    assert!(connection.ending().is_some(), "known before TCP is gone");
    assert!(waits(std::pin::pin!(connection.closed())));
    client.end().await;
    assert!(within(connection.closed()).await.is_clean());
    assert_eq!(site.close_event().await, (4001, "why".to_owned()));
}

#[tokio::test]
async fn c5_8_a_silent_peer_loses_its_socket_at_the_close_timeout() {
    let site = Site::with(ServerConfig::default().close_timeout(SHORT)).await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::new(4001), None).unwrap();
    assert_eq!(client.frame().await, close(4001, ""));
    let ending = within(connection.closed()).await;
    assert!(matches!(ending, Ending::Unanswered { .. }), "{ending:?}");
    assert_eq!(ending.code(), CloseCode::new(4001));
    client.sees_end().await;
}

#[tokio::test]
async fn c5_9_what_comes_after_our_close_is_read_and_thrown_away() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(client.frame().await, close(1000, ""));
    let message = binary(vec![7; 1024 * 1024]).masked();
    for _ in 0..40 {
        client.write(&message).await;
    }
    client.send([close(1000, "")]).await;
    client.sees_end().await;
    client.end().await;
    assert!(within(connection.closed()).await.is_clean());
    assert_eq!(within(connection.recv()).await, None);
}

#[tokio::test]
async fn c5_10_the_server_keeps_its_half_open_until_the_peers_close() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(client.frame().await, close(1000, ""));
    client.send([text("a"), text("b")]).await;
    assert!(waits(std::pin::pin!(client.stream.read_u8())));
    client.send([close(1000, "")]).await;
    client.sees_end().await;
}

#[tokio::test]
async fn o13_disabled_a_close_timeout_of_0_ends_tcp_right_after_the_close_frame() {
    let site = Site::with(ServerConfig::default().close_timeout(Duration::ZERO)).await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(client.frame().await, close(1000, ""));
    client.sees_end().await;
    assert_eq!(within(connection.closed()).await.code(), CloseCode::NORMAL);
}

#[tokio::test]
async fn c6_1_a_drop_says_why_and_waits_for_nobody() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.drop_now(CloseCode::PROTOCOL_ERROR, None).unwrap();
    assert_eq!(within(connection.closed()).await.code(), CloseCode::PROTOCOL_ERROR);
    assert_eq!(client.frame().await, close(1002, "Protocol error"));
    client.sees_end().await;
    assert_eq!(site.close_event().await, (1002, "Protocol error".to_owned()));
}

#[tokio::test]
async fn c6_2_a_silent_drop_sends_no_close_frame() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.drop_silently(CloseCode::ABNORMAL, Some("gone"));
    assert_eq!(site.close_event().await, (1006, "gone".to_owned()));
    client.sees_end().await;
}

#[tokio::test]
async fn c6_3_a_drop_after_close_sends_no_second_close_frame_and_its_code_is_told() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(client.frame().await, close(1000, ""));
    connection.drop_now(CloseCode::new(4009), Some("enough")).unwrap();
    client.sees_end().await;
    assert_eq!(site.close_event().await, (4009, "enough".to_owned()));
    connection.drop_now(CloseCode::new(4010), None).unwrap();
    assert_eq!(within(connection.closed()).await.code(), CloseCode::new(4009), "c6_4");
}

#[tokio::test]
async fn c6_a_drop_with_output_that_cannot_go_resets_tcp() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    // Until the kernel's buffers take no more.
    while connection.try_send(vec![7; 1024 * 1024]).is_ok() {
        tokio::task::yield_now().await;
    }
    connection.drop_now(CloseCode::new(4001), None).unwrap();
    within(connection.closed()).await;
    client.sees_reset().await;
}

#[tokio::test]
async fn c7_8_after_the_closing_handshake_the_server_ends_tcp_though_the_peer_never_does() {
    // RFC 6455 §5.5.1
    let site = Site::with(ServerConfig::default().close_timeout(SHORT)).await;
    let (mut client, _connection) = site.pair().await;
    client.send([close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
    client.sees_end().await;
    assert_eq!(site.close_event().await.0, 1000, "with the peer's half still open");
}

#[tokio::test]
async fn c7_9_the_end_of_tcp_without_close_is_1006_also_within_a_frame() {
    let whole = text("hello").masked();
    for bytes in [&[][..], &whole, &whole[..1], &whole[..4], &whole[..8]] {
        let site = patient().await;
        let (mut client, _connection) = site.pair().await;
        client.write(bytes).await;
        client.end().await;
        client.sees_end().await;
        assert_eq!(site.close_event().await, (1006, "Connection dropped by remote peer.".to_owned()));
    }
}

#[tokio::test]
async fn c7_10_a_reset_is_1006_with_the_sockets_error() {
    let site = patient().await;
    let (client, connection) = site.pair().await;
    client.reset();
    let ending = within(connection.closed()).await;
    assert!(matches!(ending, Ending::Lost(Cause::Transport(_))), "{ending:?}");
    assert_eq!(ending.code(), CloseCode::ABNORMAL);
    assert!(ending.description().starts_with("Socket Error: "), "{}", ending.description());
}

#[tokio::test]
async fn c9_a_broken_rule_is_told_to_the_peer_even_while_it_goes_on_sending_megabytes() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    client.send([text("fine")]).await;
    client.write([0x81, 0x05]).await;
    let (mut reading, mut writing) = client.stream.into_split();
    let sending = tokio::spawn(async move {
        let flood = vec![0x55; 1024 * 1024];
        for _ in 0..16 {
            writing.write_all(&flood).await.expect("nothing is reset");
        }
        writing.shutdown().await.expect("nothing is reset");
    });
    let mut answer = Vec::new();
    within(reading.read_to_end(&mut answer)).await.expect("an orderly end, and no reset");
    within(sending).await.unwrap();

    let reason = b"Frames from a client must be masked.";
    assert_eq!(answer[..4], [0x88, 2 + 36, 0x03, 0xea]);
    assert_eq!(&answer[4..], reason);
    assert_eq!(within(connection.recv()).await, Some("fine".into()), "what came before is not lost");
    assert_eq!(within(connection.recv()).await, None);
    assert_eq!(site.close_event().await.0, 1002);
}

#[tokio::test]
async fn o8_disabled_there_is_a_ping_every_interval_and_no_drop() {
    let config = ServerConfig::default()
        .keepalive_interval(Duration::from_millis(10))
        .keepalive_grace_period(Duration::from_millis(1))
        .drop_connection_on_keepalive_timeout(false);
    let site = Site::with(config).await;
    let (mut client, connection) = site.pair().await;
    for _ in 0..5 {
        assert_eq!(client.frame().await, ping(""));
    }
    assert!(connection.is_connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_connections_at_once_each_get_their_own_messages() {
    let site = Site::open().await;
    let server = site.server.clone();
    let serving = tokio::spawn(async move {
        while let Some(event) = server.next_event().await {
            if let wharf::Event::Request(request) = event {
                let connection = request.accept(Accept::new()).unwrap();
                tokio::spawn(async move {
                    while let Some(message) = connection.recv().await {
                        connection.send(message).await.unwrap();
                    }
                });
            }
        }
    });
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..100 {
        let mut client = site.asking("").await;
        clients.spawn(async move {
            assert_eq!(client.head().await.status(), 101);
            for round in 0..20 {
                let message = text(format!("{number} {round}"));
                client.send([message.clone()]).await;
                assert_eq!(client.frame().await, message);
            }
            client
        });
    }
    let clients = within(clients.join_all()).await;
    assert_eq!(site.server.connection_count(), 100);
    drop(clients);
    until(|| site.server.connection_count() == 0).await;
    within(site.server.shut_down(CloseCode::NORMAL, LONG)).await;
    within(serving).await.unwrap();
}

#[tokio::test]
async fn recv_given_up_again_and_again_loses_nothing() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    begin_and_drop(connection.recv());
    client.write(bytes_of((0..200).map(|number| text(number.to_string())))).await;
    for number in 0..200 {
        let message = within(async {
            loop {
                tokio::select! {
                    biased;
                    () = tokio::task::yield_now() => {}
                    message = connection.recv() => break message,
                }
            }
        });
        assert_eq!(message.await, Some(number.to_string().into()));
    }
}
