//! A request: what it tells of its client, and what the client is told, accepted or rejected.

mod support;

use std::time::Duration;

use support::{Client, Site, binary, close, handshake, text, until, within};
use wharf::{
    Accept, AcceptError, AnswerError, CloseCode, RejectError, Rejection, Request, Server, SetCookie,
};

const LONG: Duration = Duration::from_secs(3600);

/// What a client that was refused sees: the whole answer, and the end.
async fn refusal(client: &mut Client) -> support::Head {
    let head = client.head().await;
    assert_eq!(head.field("connection"), Some("close"), "{head:?}");
    assert_eq!(head.field("sec-websocket-accept"), None);
    client.sees_end().await;
    head
}

#[tokio::test]
async fn r9_1_accept_answers_101_with_its_fields_in_order() {
    // RFC 6455 §4.2.2
    let site = Site::open().await;
    let lines = "Origin: http://a\r\nSec-WebSocket-Protocol: Chat\r\n";
    let (mut client, request) = site.ask(lines).await;
    let _connection = request.accept(Accept::new()).unwrap();
    site.connected().await;
    let head = client.head().await;
    assert_eq!(head.status_line(), "HTTP/1.1 101 Switching Protocols");
    let plain = [
        ("upgrade".to_owned(), "websocket"),
        ("connection".to_owned(), "Upgrade"),
        ("sec-websocket-accept".to_owned(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ];
    assert_eq!(head.fields(), plain, "r9_5, r9_6: no protocol and no origin unless given");

    let (mut second, request) = site.ask(lines).await;
    let accept = Accept::new()
        .protocol("chat")
        .origin("http://b")
        .cookie(SetCookie::new("a", "1").path("/"))
        .cookie(SetCookie::new("b", "2"));
    request.accept(accept).unwrap();
    let head = second.head().await;
    let more = [
        ("sec-websocket-protocol".to_owned(), "Chat"),
        ("origin".to_owned(), "http://b"),
        ("set-cookie".to_owned(), "a=1;Path=/"),
        ("set-cookie".to_owned(), "b=2"),
    ];
    assert_eq!(head.fields(), [&plain[..], &more[..]].concat());
}

#[tokio::test]
async fn r9_2_a_protocol_in_any_case_is_answered_in_the_clients_spelling() {
    for asked in ["chat", "Chat", "CHAT"] {
        let site = Site::open().await;
        let (mut client, request) = site.ask("Sec-WebSocket-Protocol: other, Chat\r\n").await;
        let connection = request.accept(Accept::new().protocol(asked)).unwrap();
        assert_eq!(connection.protocol(), Some("chat"));
        assert_eq!(client.head().await.field("sec-websocket-protocol"), Some("Chat"));
    }
}

/// Asserts that the caller gets an error, and the client a whole answer of 500 with nothing of what was asked for.
async fn assert_not_accepted(accept: Accept) -> AcceptError {
    let site = Site::open().await;
    let (mut client, request) = site.ask("Sec-WebSocket-Protocol: chat\r\n").await;
    let error = request.accept(accept.clone()).expect_err("it may not be sent");
    let head = refusal(&mut client).await;
    assert_eq!(head.status_line(), "HTTP/1.1 500 Internal Server Error", "{accept:?}");
    let names: Vec<_> = head.fields().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["connection", "date", "content-length"], "{accept:?}");
    assert_eq!((site.server.connection_count(), site.server.pending_request_count()), (0, 0));
    error
}

#[tokio::test]
async fn r9_3_a_protocol_that_was_not_offered_is_500_to_the_client_and_an_error_to_the_caller() {
    let error = assert_not_accepted(Accept::new().protocol("superchat")).await;
    let protocol = "superchat".to_owned();
    assert_eq!(error, AcceptError::Answer(AnswerError::ProtocolNotRequested { protocol }));
}

#[tokio::test]
async fn r9_4_a_protocol_with_a_separator_or_control_character_is_500_and_an_error() {
    for character in "()<>@,;:\\\"/[]?={} \t\r\n\0\u{7f}".chars() {
        let error = assert_not_accepted(Accept::new().protocol(format!("ch{character}at"))).await;
        assert!(matches!(error, AcceptError::Answer(AnswerError::Protocol { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn r9_5_without_a_protocol_the_line_is_left_out_though_some_were_offered() {
    for accept in [Accept::new(), Accept::new().protocol("")] {
        let site = Site::open().await;
        let (mut client, request) = site.ask("Sec-WebSocket-Protocol: chat\r\n").await;
        let connection = request.accept(accept).unwrap();
        let head = client.head().await;
        assert_eq!((head.status(), head.field("sec-websocket-protocol")), (101, None));
        assert_eq!(connection.protocol(), None);
    }
}

#[tokio::test]
async fn r9_6_an_origin_that_is_given_is_echoed_and_none_otherwise() {
    for (accept, expected) in
        [(Accept::new().origin("http://anything.else"), Some("http://anything.else")), (Accept::new(), None)]
    {
        let site = Site::open().await;
        let (mut client, request) = site.ask("Origin: http://a\r\n").await;
        let _connection = request.accept(accept).unwrap();
        let head = client.head().await;
        assert_eq!((head.status(), head.field("origin")), (101, expected));
    }
}

#[tokio::test]
async fn r9_7_an_origin_with_a_control_character_is_500_and_an_error_and_nothing_of_it_goes_out() {
    for character in "\r\n\0\t\u{1b}\u{7f}".chars() {
        let error = assert_not_accepted(Accept::new().origin(format!("http://a{character}X-Evil: 1"))).await;
        assert!(matches!(error, AcceptError::Answer(AnswerError::Field(_))), "{error:?}");
    }
}

#[tokio::test]
async fn r9_8_whatever_fails_within_accept_the_client_gets_a_whole_answer() {
    for accept in [
        Accept::new().protocol("constructor"),
        Accept::new().protocol("\u{1f600}"),
        Accept::new().origin("\u{1f600}"),
        Accept::new().cookie(SetCookie::new("a", "1; X-Evil")),
        Accept::new().cookie(SetCookie::new("a", "1")).cookie(SetCookie::new("a", "2")),
        Accept::new().protocol("chat").origin("a\r\nb").cookie(SetCookie::new("", "")),
    ] {
        assert_not_accepted(accept).await;
    }
}

#[tokio::test]
async fn r11_1_a_plain_rejection_is_403_without_a_reason_and_ends_tcp() {
    // RFC 6455 §4.2.2, §7.2.2
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    request.reject(Rejection::default()).unwrap();
    let head = refusal(&mut client).await;
    assert_eq!(head.status_line(), "HTTP/1.1 403 Forbidden");
    assert_eq!(head.field("x-websocket-reject-reason"), None);
}

#[tokio::test]
async fn r11_1_a_request_that_is_dropped_undecided_is_rejected_with_403() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    drop(request);
    assert_eq!(refusal(&mut client).await.status(), 403);
}

#[tokio::test]
async fn r11_2_a_rejection_has_its_status_and_its_reason() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    request.reject(Rejection::new(404).reason("x")).unwrap();
    let head = refusal(&mut client).await;
    assert_eq!(head.status_line(), "HTTP/1.1 404 Not Found");
    assert_eq!(head.field("x-websocket-reject-reason"), Some("x"));
}

#[tokio::test]
async fn r11_3_further_headers_come_after_the_reason() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    request.reject(Rejection::new(404).reason("x").header("X-First", "1").header("X-Second", "2")).unwrap();
    let head = refusal(&mut client).await;
    let own: Vec<_> = head.fields().into_iter().filter(|(name, _)| name.starts_with("x-")).collect();
    let expected = [("x-websocket-reject-reason", "x"), ("x-first", "1"), ("x-second", "2")];
    assert_eq!(own, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[tokio::test]
async fn r11_4_statuses_have_their_registered_texts_and_others_none() {
    let site = Site::open().await;
    for (status, line) in [
        (418, "HTTP/1.1 418 I'm a teapot"),
        (429, "HTTP/1.1 429 Too Many Requests"),
        (451, "HTTP/1.1 451 Unavailable For Legal Reasons"),
        (599, "HTTP/1.1 599 "),
    ] {
        let (mut client, request) = site.ask("").await;
        request.reject(Rejection::new(status)).unwrap();
        assert_eq!(refusal(&mut client).await.status_line(), line);
    }
}

/// Asserts that the caller gets an error, and the client 500 with nothing of what was asked for.
async fn assert_not_rejected(rejection: Rejection) -> RejectError {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    let error = request.reject(rejection.clone()).expect_err("it may not be sent");
    let head = refusal(&mut client).await;
    assert_eq!(head.status(), 500, "{rejection:?}");
    let names: Vec<_> = head.fields().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["connection", "date", "content-length"], "{rejection:?}");
    error
}

#[tokio::test]
async fn r11_5_what_is_no_refusal_in_http_cannot_reject() {
    for status in [0, 100, 101, 103, 200, 204, 299, 600, 999] {
        let error = assert_not_rejected(Rejection::new(status)).await;
        assert_eq!(error, RejectError::Answer(AnswerError::Status { status }));
    }
}

#[tokio::test]
async fn r11_6_control_characters_in_reason_name_or_value_never_create_a_line() {
    let plain = Rejection::new(404);
    for character in "\r\n\0\u{1b}\u{7f}".chars() {
        let evil = format!("x{character}X-Evil: 1");
        for rejection in [
            plain.clone().reason(&evil),
            plain.clone().header(&evil, "1"),
            plain.clone().header("X-A", &evil),
        ] {
            let error = assert_not_rejected(rejection).await;
            assert!(matches!(error, RejectError::Answer(AnswerError::Field(_))), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_rejection_cannot_announce_a_body() {
    for name in ["Content-Length", "transfer-encoding", "Connection"] {
        let error = assert_not_rejected(Rejection::new(404).header(name, "5")).await;
        assert_eq!(error, RejectError::Answer(AnswerError::FieldReserved { name: name.to_owned() }));
    }
}

/// That one request is decided twice does not compile: accepting or rejecting takes it. Others can still come first.
#[tokio::test]
async fn r12_1_a_decision_after_another_is_an_error_and_nothing_further_goes_out() {
    let late: [fn(Request) -> bool; 2] = [
        |request| request.accept(Accept::new()).unwrap_err() == AcceptError::AlreadyDecided,
        |request| request.reject(Rejection::new(404)).unwrap_err() == RejectError::AlreadyDecided,
    ];
    for decide in late {
        let site = Site::open().await;
        let (mut client, request) = site.ask("").await;
        within(site.server.close_all_connections(CloseCode::NORMAL, LONG)).await;
        assert!(decide(request));
        assert_eq!(refusal(&mut client).await.status(), 503, "and nothing after it");
        assert_eq!(site.server.connection_count(), 0);
        let counters = site.server.counters();
        assert_eq!((counters.accepted, counters.rejected, counters.refused), (0, 0, 1));
    }
}

/// A request whose client has hung up, and the server knows it.
async fn abandoned(site: &Site, is_reset: bool) -> Request {
    let (mut client, request) = site.ask("").await;
    if is_reset {
        client.reset();
    } else {
        client.end().await;
        client.sees_end().await;
    }
    until(|| site.server.pending_request_count() == 0).await;
    request
}

const LOST: &str = "TCP connection lost before handshake completed.";

#[tokio::test]
async fn r14_1_a_client_that_is_gone_gives_a_connection_that_ends_with_1006() {
    for is_reset in [true, false] {
        let site = Site::open().await;
        let connection = abandoned(&site, is_reset).await.accept(Accept::new()).unwrap();
        assert_eq!(within(connection.recv()).await, None);
        let ending = within(connection.closed()).await;
        assert_eq!((ending.code(), ending.description()), (CloseCode::ABNORMAL, LOST.to_owned()));
        assert!(!connection.is_connected());
    }
}

#[tokio::test]
async fn r14_2_connect_and_close_are_both_told_of_a_client_that_is_gone() {
    for is_reset in [true, false] {
        let site = Site::open().await;
        let connection = abandoned(&site, is_reset).await.accept(Accept::new()).unwrap();
        assert_eq!(site.connected().await, connection);
        let (closed, ending) = site.closed().await;
        assert_eq!((closed, ending.description()), (connection, LOST.to_owned()));
        assert_eq!(site.server.connections(), []);
    }
}

#[tokio::test]
async fn r14_3_after_a_reset_the_request_is_no_longer_pending() {
    let site = Site::open().await;
    let (client, _request) = site.ask("").await;
    assert_eq!(site.server.pending_request_count(), 1);
    client.reset();
    until(|| site.server.pending_request_count() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r14_2_a_client_that_goes_while_it_is_accepted_is_told_as_closed_too() {
    let site = Site::open().await;
    for _ in 0..500 {
        let (client, request) = site.ask("").await;
        let accepting = tokio::spawn(async move { request.accept(Accept::new()).unwrap() });
        client.reset();
        let connection = accepting.await.unwrap();
        assert_eq!(site.connected().await, connection);
        assert_eq!(site.closed().await.0, connection);
    }
    assert_eq!(site.server.connections(), []);
}

#[tokio::test]
async fn r15_1_frames_in_the_segment_of_the_handshake_are_delivered_after_a_late_accept_too() {
    let site = Site::open().await;
    let mut bytes = handshake("").into_bytes();
    bytes.extend(support::bytes_of([text("one"), binary([2])]));

    for is_late in [false, true] {
        let mut client = site.client().await;
        client.write(&bytes).await;
        let request = site.request().await;
        if is_late {
            // Another client comes and goes meanwhile.
            let (mut other, request) = site.ask("").await;
            request.reject(Rejection::default()).unwrap();
            refusal(&mut other).await;
        }
        let connection = request.accept(Accept::new()).unwrap();
        assert_eq!(within(connection.recv()).await, Some("one".into()));
        assert_eq!(within(connection.recv()).await, Some(vec![2].into()));
        site.connected().await;
        client.reset();
        site.closed().await;
    }
}

#[tokio::test]
async fn r15_2_frames_sent_before_a_late_accept_are_delivered_in_order() {
    let site = Site::open().await;
    let mut client = site.client().await;
    let mut bytes = handshake("").into_bytes();
    bytes.extend(text("0").masked());
    client.write(&bytes).await;
    let request = site.request().await;
    for number in 1..100 {
        client.send([text(number.to_string())]).await;
        tokio::task::yield_now().await;
    }
    let connection = request.accept(Accept::new()).unwrap();
    for number in 0..100 {
        assert_eq!(within(connection.recv()).await, Some(number.to_string().into()));
    }
    client.send([close(1000, "")]).await;
    assert_eq!(within(connection.recv()).await, None);
}

#[tokio::test]
async fn kept_alive_requests_before_the_handshake_disturb_nothing() {
    let site = Site::open().await;
    let mut client = site.client().await;
    for _ in 0..3 {
        client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let head = client.head().await;
        assert_eq!(head.status(), 404);
        let body = head.field("content-length").and_then(|len| len.parse().ok()).unwrap();
        client.skip(body).await;
    }
    client.write(handshake("")).await;
    let connection = site.request().await.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
    client.send([text("hello")]).await;
    assert_eq!(within(connection.recv()).await, Some("hello".into()));
}

#[tokio::test]
async fn a_request_outlives_its_server() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    let Site { http, server, .. } = site;
    drop::<Server>(server);
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
    drop(http);
    client.send([text("hello")]).await;
    assert_eq!(within(connection.recv()).await, Some("hello".into()));
}
