//! A request: what it tells of its client, and what the client is told, accepted or rejected.

mod support;

use std::time::Duration;

use support::{Client, Site, binary, close, handshake, handshake_to, text, until, within};
use wharf::{
    Accept, AcceptError, AnswerError, CloseCode, Rejection, Server, ServerConfig, SetCookie, Version,
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
async fn r1_2_r1_3_r4_a_request_tells_what_the_client_sent() {
    let site = Site::open().await;
    let mut client = site.client().await;
    let lines = "Origin: http://a\r\nSec-WebSocket-Protocol: Chat, other\r\nX-Own: value\r\n\
                 Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    client.write(handshake_to("/a%20b?x=1&x=2", lines)).await;
    let request = site.request().await;
    assert_eq!(request.host(), "server.example.com:81");
    assert_eq!(request.resource(), "/a%20b?x=1&x=2");
    assert_eq!((request.path(), request.query()), ("/a%20b", Some("x=1&x=2")));
    assert_eq!(request.key(), "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(request.websocket_version(), Version::V13);
    assert_eq!(request.origin(), Some("http://a"));
    assert_eq!(request.protocols(), ["Chat", "other"]);
    assert_eq!(request.requested_protocols(), ["chat", "other"]);
    assert_eq!(request.requested_extensions()[0].name, "permessage-deflate");
    assert_eq!(request.http_request().headers["x-own"], "value");

    client = site.client().await;
    client.write(handshake_to("http://x/p?q=1", "")).await;
    let request = site.request().await;
    assert_eq!(request.resource(), "http://x/p?q=1");
    assert_eq!((request.path(), request.query()), ("/p", Some("q=1")));
    assert_eq!((request.origin(), request.protocols().len()), (None, 0));
}

#[tokio::test]
async fn r6_1_forwarded_addresses_come_before_the_peers_own() {
    let site = Site::open().await;
    let (client, request) = site.ask("X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n").await;
    let peer = client.stream.local_addr().unwrap();
    assert_eq!(request.remote_address(), "1.1.1.1");
    assert_eq!(request.remote_addresses(), ["1.1.1.1", "2.2.2.2", "127.0.0.1"]);
    assert_eq!(request.socket_address(), peer, "r6_3");

    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(connection.remote_address(), "1.1.1.1", "c1_3");
    assert_eq!(connection.remote_addresses(), ["1.1.1.1", "2.2.2.2", "127.0.0.1"]);
    assert_eq!(connection.socket_address(), peer);
}

#[tokio::test]
async fn r6_2_without_the_header_or_with_it_ignored_the_peer_is_the_client() {
    let ignoring = ServerConfig::default().ignore_x_forwarded_for(true);
    for (config, lines) in [
        (ServerConfig::default(), ""),
        (ServerConfig::default(), "X-Forwarded-For:\r\n"),
        (ignoring, "X-Forwarded-For: 1.1.1.1\r\n"),
    ] {
        let site = Site::with(config).await;
        let (_client, request) = site.ask(lines).await;
        assert_eq!(request.remote_address(), "127.0.0.1");
        assert_eq!(request.remote_addresses(), ["127.0.0.1"]);
        let connection = request.accept(Accept::new()).unwrap();
        assert_eq!(connection.remote_addresses(), ["127.0.0.1"]);
    }
}

#[tokio::test]
async fn r8_cookies_are_read_without_harm_from_malformed_ones() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("Cookie: a=1; b=\"q v\"; c=%41; d; e=x=y; f=1,2; g=%zz\r\n").await;
    let cookies: Vec<_> = request.cookies().iter().collect();
    assert_eq!(
        cookies,
        [
            ("a", Some("1")),
            ("b", Some("q v")),
            ("c", Some("A")),
            ("d", None),
            ("e", Some("x=y")),
            ("f", Some("1,2")),
            ("g", Some("%zz"))
        ]
    );
    request.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
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

#[tokio::test]
async fn r9_3_r9_4_r9_7_r9_8_what_cannot_be_answered_is_500_to_the_client_and_an_error_to_the_caller() {
    let site = Site::open().await;
    let not_requested = AnswerError::ProtocolNotRequested { protocol: "superchat".to_owned() };
    let accepts = [
        (Accept::new().protocol("superchat"), Some(AcceptError::Answer(not_requested))),
        (Accept::new().protocol("ch/at"), None),
        (Accept::new().protocol("chat\r\nX-Evil: 1"), None),
        (Accept::new().origin("http://a\r\nX-Evil: 1"), None),
        (Accept::new().origin("http://a\u{7f}"), None),
        (Accept::new().cookie(SetCookie::new("a", "1; X-Evil")), None),
        (Accept::new().cookie(SetCookie::new("a", "1")).cookie(SetCookie::new("a", "2")), None),
    ];
    for (accept, expected) in accepts {
        let (mut client, request) = site.ask("Sec-WebSocket-Protocol: chat\r\n").await;
        let error = request.accept(accept.clone()).unwrap_err();
        assert_ne!(error, AcceptError::AlreadyDecided);
        if let Some(expected) = expected {
            assert_eq!(error, expected);
        }
        let head = refusal(&mut client).await;
        assert_eq!(head.status_line(), "HTTP/1.1 500 Internal Server Error", "{accept:?}");
        assert!(!head.0.contains("Evil"), "{head:?}");
        assert_eq!(site.server.connection_count(), 0);
    }
}

#[tokio::test]
async fn r10_2_each_cookie_to_set_has_a_line_of_its_own() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    let session = SetCookie::new("id", "7")
        .path("/")
        .domain("Example.COM")
        .expires(std::time::UNIX_EPOCH)
        .max_age(Duration::from_secs(60))
        .secure(true)
        .http_only(true);
    request.accept(Accept::new().cookie(session).cookie(SetCookie::new("b", "2"))).unwrap();
    let head = client.head().await;
    let fields = head.fields();
    let cookies: Vec<_> = fields.iter().filter(|(name, _)| name == "set-cookie").collect();
    let first =
        "id=7;Path=/;Domain=example.com;Expires=Thu, 01 Jan 1970 00:00:00 GMT;Max-Age=60;Secure;HttpOnly";
    assert_eq!(cookies, [&("set-cookie".to_owned(), first), &("set-cookie".to_owned(), "b=2")]);
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
async fn r11_2_r11_3_a_rejection_has_its_status_its_reason_and_then_its_headers() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    request.reject(Rejection::new(404).reason("x").header("X-First", "1").header("X-Second", "2")).unwrap();
    let head = refusal(&mut client).await;
    assert_eq!(head.status_line(), "HTTP/1.1 404 Not Found");
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

#[tokio::test]
async fn r11_5_r11_6_what_is_no_rejection_is_500_to_the_client_and_an_error_to_the_caller() {
    let site = Site::open().await;
    for rejection in [
        Rejection::new(101),
        Rejection::new(200),
        Rejection::new(600),
        Rejection::new(404).reason("x\r\nX-Evil: 1"),
        Rejection::new(404).header("X-A\r\nX-Evil", "1"),
        Rejection::new(404).header("X-A", "1\r\nX-Evil: 1"),
        Rejection::new(404).header("X-A", "1\0"),
        Rejection::new(404).header("Content-Length", "5"),
    ] {
        let (mut client, request) = site.ask("").await;
        request.reject(rejection.clone()).unwrap_err();
        let head = refusal(&mut client).await;
        assert_eq!(head.status(), 500, "{rejection:?}");
        assert!(!head.0.contains("Evil"), "{head:?}");
    }
}

#[tokio::test]
async fn r12_1_a_decision_after_another_is_an_error_and_sends_nothing() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    within(site.server.close_all_connections(CloseCode::NORMAL, LONG)).await;
    assert_eq!(request.accept(Accept::new()).unwrap_err(), AcceptError::AlreadyDecided);
    assert_eq!(refusal(&mut client).await.status(), 503, "and nothing after it");
    assert_eq!(site.server.connection_count(), 0);
}

#[tokio::test]
async fn r14_1_r14_2_a_client_that_is_gone_gives_a_connection_that_ends_at_once_and_is_told_so() {
    let site = Site::open().await;
    for is_reset in [true, false] {
        let (mut client, request) = site.ask("").await;
        if is_reset {
            client.reset();
        } else {
            client.end().await;
            client.sees_end().await;
        }
        until(|| site.server.pending_request_count() == 0).await;
        let connection = request.accept(Accept::new()).unwrap();
        assert_eq!(connection.recv().await, None);
        assert_eq!(site.connected().await, connection);
        let (closed, ending) = site.closed().await;
        assert_eq!(closed, connection);
        let expected = (CloseCode::ABNORMAL, "TCP connection lost before handshake completed.".to_owned());
        assert_eq!((ending.code(), ending.description()), expected);
        assert!(!connection.is_connected());
        assert_eq!(within(connection.closed()).await, ending);
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
async fn r15_1_frames_in_the_segment_of_the_handshake_are_delivered() {
    let site = Site::open().await;
    let mut bytes = handshake("").into_bytes();
    bytes.extend(support::bytes_of([text("one"), binary([2])]));

    let mut client = site.client().await;
    client.write(&bytes).await;
    let connection = site.request().await.accept(Accept::new()).unwrap();
    assert_eq!(within(connection.recv()).await, Some("one".into()));
    assert_eq!(within(connection.recv()).await, Some(vec![2].into()));
    site.connected().await;
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
    let Site { http, server } = site;
    drop::<Server>(server);
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
    drop(http);
    client.send([text("hello")]).await;
    assert_eq!(within(connection.recv()).await, Some("hello".into()));
}
