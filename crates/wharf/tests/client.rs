//! The client, against a server that is a bare TCP socket, and against our own.

#[path = "support/raw_server.rs"]
mod raw_server;
mod support;

use std::time::Duration;

use bytes::Bytes;
use raw_server::{RawServer, Request, plain, plain_close};
use support::{Site, until, within};
use tokio::sync::mpsc;
use wharf::{
    Accept, Cause, Client, ClientConfig, ClientRequestError, CloseCode, ConnectError, ConnectRequest,
    Connection, Context, Ending, Event, Handler, Message, MessageRef, Opcode, ProtocolError, Rejection, Side,
    UrlError, VerifyError, Version,
};

fn client() -> Client {
    with(ClientConfig::default())
}

fn with(config: ClientConfig) -> Client {
    Client::new(config).expect("the options are valid")
}

async fn connect(request: ConnectRequest) -> Result<Connection, ConnectError> {
    client().connect(request).await
}

fn to(server: &RawServer) -> ConnectRequest {
    ConnectRequest::new(server.url()).expect("a URL")
}

/// What comes of a request, changed by `ask`, that a server answers with what `answer` makes of it.
async fn answered(
    ask: impl FnOnce(ConnectRequest) -> ConnectRequest,
    answer: impl FnOnce(&Request) -> String,
) -> Result<Connection, ConnectError> {
    let server = RawServer::open().await;
    let serving = async {
        let (mut peer, request) = server.request().await;
        peer.write(answer(&request)).await;
        peer
    };
    let (result, _peer) = within(async { tokio::join!(connect(ask(to(&server))), serving) }).await;
    result
}

/// Why an answer that switches with these fields is not believed.
async fn refused(
    ask: impl FnOnce(ConnectRequest) -> ConnectRequest,
    fields: impl FnOnce(&Request) -> String,
) -> VerifyError {
    let answer = |request: &Request| format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n", fields(request));
    match answered(ask, answer).await {
        Err(ConnectError::Verify(error)) => error,
        other => panic!("not a verdict on the answer: {other:?}"),
    }
}

/// A client's connection and the server's end of it.
async fn pair(config: ClientConfig) -> (Connection, raw_server::Peer<tokio::net::TcpStream>) {
    let server = RawServer::open().await;
    let client = with(config);
    let (connection, peer) =
        within(async { tokio::join!(client.connect(to(&server)), server.opened()) }).await;
    (connection.expect("the handshake is right"), peer)
}

fn as_is(request: ConnectRequest) -> ConnectRequest {
    request
}

const SWITCH: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

fn accepting(request: &Request) -> String {
    format!("Sec-WebSocket-Accept: {}\r\n", request.accept_key())
}

#[tokio::test]
async fn k1_1_a_url_without_scheme_a_relative_one_or_one_of_another_scheme_fails_before_connecting() {
    // RFC 6455 §4.1
    let server = RawServer::open().await;
    let address = format!("127.0.0.1:{}", server.port());
    for url in [format!("{address}/"), "/chat".to_owned(), String::new(), format!("//{address}/")] {
        let error = client().connect(&url).await.unwrap_err();
        assert!(matches!(error, ConnectError::Url(UrlError::SchemeMissing)), "{url}: {error:?}");
    }
    for scheme in ["http", "https", "ftp", "file"] {
        let error = client().connect(format!("{scheme}://{address}/")).await.unwrap_err();
        let ConnectError::Url(UrlError::Scheme { scheme: found, .. }) = &error else { panic!("{error:?}") };
        assert_eq!(found, scheme);
        assert_eq!(error.to_string(), format!("the scheme of the URL is {scheme}, but must be ws or wss"));
    }
    // RFC 6455 §3: a fragment has no meaning here. Credentials would go nowhere.
    let error = ConnectRequest::new(format!("ws://{address}/#top")).unwrap_err();
    assert_eq!(error, UrlError::Fragment);
    let error = ConnectRequest::new(format!("ws://user:password@{address}/")).unwrap_err();
    assert_eq!(error, UrlError::Credentials);
    for url in ["ws://", "ws://:80/", "ws://a b/", "ws://host:99999/", "ws://host:0/", "ws://host:x/"] {
        ConnectRequest::new(url).expect_err(url);
    }
    for url in ["ws://h\u{e9}/", "ws://a/b\r\nX: y", "ws://a/b\u{7f}"] {
        let error = client().connect(url).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Url(UrlError::Malformed { .. }) | ConnectError::Request(_)),
            "{error:?}"
        );
    }
    server.has_no_client().await;
}

#[tokio::test]
async fn k1_2_an_illegal_protocol_name_fails_before_connecting() {
    let server = RawServer::open().await;
    for name in ["a b", "a,b", "chat\r\nX: y", "\u{e9}", "a/b"] {
        let error = connect(to(&server).protocol(name)).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Request(ClientRequestError::Protocol { .. })),
            "{name}: {error:?}"
        );
    }
    let error = connect(to(&server).protocols(["a", "b", "a"])).await.unwrap_err();
    assert!(matches!(error, ConnectError::Request(ClientRequestError::ProtocolRepeated { .. })), "{error:?}");
    server.has_no_client().await;
}

#[test]
fn k1_3_a_version_other_than_8_and_13_is_an_error() {
    assert_eq!(Version::try_from(13), Ok(Version::V13));
    assert_eq!(Version::try_from(8), Ok(Version::V8));
    for number in [0, 7, 9, 12, 14, 255] {
        let error = Version::try_from(number).unwrap_err();
        assert_eq!(error.to_string(), format!("the WebSocket version is {number}, but must be 13 or 8"));
    }
}

async fn request_of(client: Client, request: ConnectRequest, server: &RawServer) -> Request {
    let (connection, request) = within(async {
        tokio::join!(client.connect(request), async {
            let (mut peer, request) = server.request().await;
            let protocol = request.field("Sec-WebSocket-Protocol").and_then(|list| list.split(", ").next());
            let line = protocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
            peer.write(request.switching(&line)).await;
            request
        })
    })
    .await;
    connection.expect("the handshake is right");
    request
}

#[tokio::test]
async fn k2_1_the_request_is_the_handshake_of_the_rfc() {
    // RFC 6455 §4.1
    let server = RawServer::open().await;
    let url = format!("ws://127.0.0.1:{}/a%20b/c?d=e&f", server.port());
    let request =
        ConnectRequest::new(url).unwrap().protocols(["chat.v2", "chat"]).origin("https://example.com");
    let request = request_of(client(), request, &server).await;
    assert_eq!(request.line(), "GET /a%20b/c?d=e&f HTTP/1.1");
    let key = request.field("Sec-WebSocket-Key").unwrap().to_owned();
    assert!(wharf_proto::handshake::is_key(key.as_bytes()), "16 bytes in base64: {key}");
    let host = format!("127.0.0.1:{}", server.port());
    let expected = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key.as_str()),
        ("Host", host.as_str()),
        ("Sec-WebSocket-Protocol", "chat.v2, chat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
        ("Origin", "https://example.com"),
    ];
    assert_eq!(request.fields(), expected);

    let request = request_of(client(), to(&server).protocol(""), &server).await;
    assert_eq!(request.field("Sec-WebSocket-Protocol"), None, "an empty name is none");
    assert_ne!(request.field("Sec-WebSocket-Key"), Some(key.as_str()), "a nonce is used once");
    let url = format!("ws://127.0.0.1:{}?x", server.port());
    let request = request_of(client(), url.parse().unwrap(), &server).await;
    assert_eq!(request.line(), "GET /?x HTTP/1.1");
}

#[tokio::test]
async fn k2_1_what_a_url_may_not_hold_is_sent_percent_encoded() {
    // RFC 6455 §11.1.1, §11.1.2: as UTF-8, byte by byte. What is encoded already stays as it is.
    let server = RawServer::open().await;
    let url = format!("ws://127.0.0.1:{}/caf\u{e9} %20{{a}}?q=\u{1f600}&b|c\\", server.port());
    let request = request_of(client(), url.parse().unwrap(), &server).await;
    assert_eq!(request.line(), "GET /caf%C3%A9%20%20%7Ba%7D?q=%F0%9F%98%80&b%7Cc%5C HTTP/1.1");
}

#[tokio::test]
async fn k2_1_host_has_no_port_where_it_is_the_default() {
    // A proxy sees what is asked for at port 80, where no test can listen.
    for (url, host, authority) in [
        ("ws://example.com/", "example.com", "example.com:80"),
        ("ws://example.com:80/", "example.com", "example.com:80"),
        ("ws://example.com:8080/", "example.com:8080", "example.com:8080"),
        ("ws://example.com:443/", "example.com:443", "example.com:443"),
        ("ws://[::1]/", "[::1]", "[::1]:80"),
    ] {
        let proxy = RawServer::open().await;
        let config = ClientConfig::default()
            .proxy(Some(wharf::Proxy::new(format!("http://127.0.0.1:{}", proxy.port())).unwrap()));
        let serving = async {
            let (mut peer, connect) = proxy.request().await;
            assert_eq!(connect.line(), format!("CONNECT {authority} HTTP/1.1"));
            peer.write("HTTP/1.1 200 OK\r\n\r\n").await;
            let request = peer.request().await;
            assert_eq!(request.field("Host"), Some(host));
            peer.write(request.switching("")).await;
        };
        let client = with(config);
        let (connection, ()) = within(async { tokio::join!(client.connect(url), serving) }).await;
        connection.unwrap();
    }
}

#[tokio::test]
async fn k2_2_own_headers_go_out_first_and_host_can_be_replaced() {
    let server = RawServer::open().await;
    let request = to(&server).header("Cookie", "a=b").header("X-One", "1").header("Host", "other.example");
    let request = request_of(client(), request, &server).await;
    assert_eq!(request.fields()[..3], [("Cookie", "a=b"), ("X-One", "1"), ("Host", "other.example")]);
    assert_eq!(request.fields().iter().filter(|(name, _)| *name == "Host").count(), 1);
}

#[tokio::test]
async fn k2_2_the_handshakes_own_headers_cannot_be_overridden() {
    let server = RawServer::open().await;
    for name in [
        "Upgrade",
        "connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "sec-websocket-protocol",
        "Sec-WebSocket-Extensions",
    ] {
        let error = connect(to(&server).header(name, "x")).await.unwrap_err();
        let ConnectError::Request(ClientRequestError::FieldReserved { name: found }) = error else {
            panic!("{name}: {error:?}")
        };
        assert_eq!(found, name);
    }
    for (name, value) in [("X-A\r\nX-B", "1"), ("X-A", "1\r\nX-B: 2"), ("", "1")] {
        let error = connect(to(&server).header(name, value)).await.unwrap_err();
        assert!(matches!(error, ConnectError::Request(ClientRequestError::Field(_))), "{error:?}");
    }
    server.has_no_client().await;
}

#[tokio::test]
async fn k2_3_version_8_names_the_origin_in_a_header_of_its_own() {
    let server = RawServer::open().await;
    let version_8 = with(ClientConfig::default().websocket_version(Version::V8));
    let request = request_of(version_8, to(&server).origin("https://example.com"), &server).await;
    assert_eq!(request.field("Sec-WebSocket-Version"), Some("8"));
    assert_eq!(request.field("Sec-WebSocket-Origin"), Some("https://example.com"));
    assert_eq!(request.field("Origin"), None);
}

#[tokio::test]
async fn k3_1_no_subprotocol_where_one_was_asked_for_fails() {
    let error =
        refused(|ask| ask.protocol("chat"), |request| format!("{SWITCH}{}", accepting(request))).await;
    assert_eq!(error, VerifyError::ProtocolMissing { requested: "chat".to_owned() });
}

#[tokio::test]
async fn k3_2_a_subprotocol_that_was_not_asked_for_fails() {
    let fields =
        |request: &Request| format!("{SWITCH}{}Sec-WebSocket-Protocol: mqtt\r\n", accepting(request));
    let error = refused(|ask| ask.protocol("chat"), fields).await;
    assert_eq!(error, VerifyError::ProtocolNotRequested { protocol: "mqtt".to_owned() });
}

#[tokio::test]
async fn k3_3_a_subprotocol_in_another_case_fails() {
    let fields =
        |request: &Request| format!("{SWITCH}{}Sec-WebSocket-Protocol: chat\r\n", accepting(request));
    let error = refused(|ask| ask.protocol("Chat"), fields).await;
    assert_eq!(error, VerifyError::ProtocolNotRequested { protocol: "chat".to_owned() });
    let fields = |request: &Request| request.switching("Sec-WebSocket-Protocol: Chat\r\n");
    let connection = answered(|ask| ask.protocol("Chat"), fields).await.unwrap();
    assert_eq!(connection.protocol(), Some("Chat"), "as it was asked for");
}

#[tokio::test]
async fn k3_4_a_wrong_or_missing_upgrade_fails() {
    for line in ["", "Upgrade: h2c\r\n"] {
        let fields = |request: &Request| format!("Connection: Upgrade\r\n{line}{}", accepting(request));
        assert!(matches!(refused(as_is, fields).await, VerifyError::Upgrade { .. }));
    }
}

#[tokio::test]
async fn k3_5_a_wrong_or_missing_accept_key_fails() {
    assert_eq!(refused(as_is, |_| SWITCH.to_owned()).await, VerifyError::AcceptMissing);
    let wrong = |_: &Request| format!("{SWITCH}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    assert!(matches!(refused(as_is, wrong).await, VerifyError::Accept { .. }));
}

#[tokio::test]
async fn k3_6_a_connection_header_without_upgrade_fails() {
    for line in ["", "Connection: close\r\n"] {
        let fields = |request: &Request| format!("Upgrade: websocket\r\n{line}{}", accepting(request));
        assert!(matches!(refused(as_is, fields).await, VerifyError::Connection { .. }));
    }
}

#[tokio::test]
async fn k3_7_upgrade_among_others_in_connection_passes() {
    let answer = |request: &Request| {
        format!(
            "HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n{}\r\n",
            accepting(request)
        )
    };
    assert!(answered(as_is, answer).await.unwrap().is_connected());
}

#[tokio::test]
async fn k3_8_a_subprotocol_or_extension_that_nobody_asked_for_fails() {
    let fields =
        |request: &Request| format!("{SWITCH}{}Sec-WebSocket-Protocol: chat\r\n", accepting(request));
    assert!(matches!(refused(as_is, fields).await, VerifyError::ProtocolNotRequested { .. }));
    let fields =
        |request: &Request| format!("{SWITCH}{}Sec-WebSocket-Extensions: x-own\r\n", accepting(request));
    let error = refused(as_is, fields).await;
    assert_eq!(error, VerifyError::ExtensionNotRequested { name: "x-own".to_owned() });
}

#[tokio::test]
async fn k3_after_an_answer_that_is_not_believed_tcp_is_gone() {
    // RFC 6455 §4.1, §7.2.1
    let server = RawServer::open().await;
    let serving = async {
        let (mut peer, _) = server.request().await;
        peer.write(format!("HTTP/1.1 101 Switching Protocols\r\n{SWITCH}\r\n")).await;
        peer.sees_end().await;
    };
    let (result, ()) = within(async { tokio::join!(connect(to(&server)), serving) }).await;
    assert!(matches!(result, Err(ConnectError::Verify(VerifyError::AcceptMissing))));
}

async fn response(answer: &str) -> http::Response<Bytes> {
    match answered(as_is, |_| answer.to_owned()).await {
        Err(ConnectError::HttpResponse(response)) => *response,
        other => panic!("not an HTTP response: {other:?}"),
    }
}

#[tokio::test]
async fn k4_1_an_answer_of_200_is_a_failure_with_status_headers_and_body() {
    let answer = "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 5\r\n\r\nhello";
    let found = response(answer).await;
    assert_eq!(found.status(), 200);
    assert_eq!(found.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(found.body(), "hello");
    let error = ConnectError::HttpResponse(Box::new(found));
    assert_eq!(error.to_string(), "the server answered with status 200 OK, not 101");
    let chunked = "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n";
    assert_eq!(response(chunked).await.body(), "no");
}

#[tokio::test]
async fn k4_2_a_redirect_is_not_followed_its_location_is_readable_and_the_socket_ended() {
    let (server, other) = (RawServer::open().await, RawServer::open().await);
    let serving = async {
        let (mut peer, _) = server.request().await;
        let location = other.url();
        peer.write(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")).await;
        peer.sees_end().await;
    };
    let (result, ()) = within(async { tokio::join!(connect(to(&server)), serving) }).await;
    let Err(ConnectError::HttpResponse(response)) = result else { panic!("{result:?}") };
    assert_eq!(response.status(), 302);
    other.has_no_client().await;

    // What a caller who follows does.
    let location = response.headers()["location"].to_str().unwrap();
    let client = client();
    let (connection, _peer) = within(async { tokio::join!(client.connect(location), other.opened()) }).await;
    assert!(connection.unwrap().is_connected());
}

#[tokio::test]
async fn k4_2_a_body_is_cut_at_max_response_body_size() {
    let server = RawServer::open().await;
    let client = with(ClientConfig::default().max_response_body_size(3));
    let serving = async {
        let (mut peer, _) = server.request().await;
        // Longer than what comes: a client that waited for it would wait for its deadline.
        peer.write("HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\nhello").await;
        peer
    };
    let (result, _peer) = within(async { tokio::join!(client.connect(to(&server)), serving) }).await;
    let Err(ConnectError::HttpResponse(response)) = result else { panic!("{result:?}") };
    assert_eq!(response.body(), "hel");
}

#[tokio::test]
async fn k4_3_a_refused_connection_is_a_failure() {
    // RFC 6455 §4.1
    let server = RawServer::open().await;
    let url = server.url();
    drop(server);
    let error = client().connect(url).await.unwrap_err();
    let ConnectError::Tcp { host, source } = error else { panic!("{error:?}") };
    assert_eq!((host.as_str(), source.kind()), ("127.0.0.1", std::io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn k4_3_a_server_that_ends_or_speaks_something_else_is_a_failure() {
    let error = answered(as_is, |_| "SSH-2.0-OpenSSH\r\n".to_owned()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Malformed(_)), "{error:?}");
    let server = RawServer::open().await;
    let serving = async { server.request().await.0.end().await };
    let (result, ()) = within(async { tokio::join!(connect(to(&server)), serving) }).await;
    assert!(matches!(result, Err(ConnectError::Lost(_))), "{result:?}");
}

#[tokio::test]
async fn k5_1_frames_in_the_segment_of_the_101_arrive() {
    let server = RawServer::open().await;
    let frames =
        [plain(Opcode::Text, "first"), plain(Opcode::Ping, "p"), plain(Opcode::Binary, [7])].concat();
    let serving = async {
        let (mut peer, request) = server.request().await;
        peer.write([request.switching("").into_bytes(), frames].concat()).await;
        let pong = peer.frame().await;
        assert_eq!((pong.opcode, pong.payload), (Opcode::Pong, b"p".to_vec()));
    };
    let (connection, ()) = within(async { tokio::join!(connect(to(&server)), serving) }).await;
    let connection = connection.unwrap();
    assert_eq!(within(connection.recv()).await, Some(Message::from("first")));
    assert_eq!(within(connection.recv()).await, Some(Message::Binary(vec![7].into())));
}

#[tokio::test]
async fn k6_1_a_connect_that_is_dropped_before_the_answer_closes_the_socket() {
    let server = RawServer::open().await;
    let connecting = tokio::spawn({
        let request = to(&server);
        async move { client().connect(request).await }
    });
    let (mut peer, _) = server.request().await;
    connecting.abort();
    assert!(within(connecting).await.unwrap_err().is_cancelled());
    peer.sees_end().await;
}

#[tokio::test(start_paused = true)]
async fn k6_1_a_server_that_says_nothing_is_given_up_after_connect_timeout() {
    let server = RawServer::open().await;
    for config in [ClientConfig::default(), ClientConfig::default().connect_timeout(Duration::from_secs(3))] {
        let limit = config.connect_timeout;
        let client = with(config);
        let began = tokio::time::Instant::now();
        let (result, mut peer) = tokio::join!(client.connect(to(&server)), async {
            let (stream, _) = server.listener().accept().await.unwrap();
            raw_server::Peer::new(stream)
        });
        let Err(error) = result else { panic!("{result:?}") };
        assert_eq!(began.elapsed().as_secs(), limit.as_secs());
        let expected =
            format!("there was no connection within {limit:?}; it was waiting for the server's answer");
        assert_eq!(error.to_string(), expected);
        peer.request().await;
        peer.sees_end().await;
    }
}

#[tokio::test]
async fn k6_2_dropping_the_client_later_does_nothing_to_its_connections() {
    let (connection, mut peer) = pair(ClientConfig::default()).await;
    connection.send("still here").await.unwrap();
    assert_eq!(peer.frame().await.payload, b"still here");
    assert!(connection.is_connected());
}

#[tokio::test]
async fn k8_1_the_defaults_are_a_frame_of_1_mib_a_message_of_8_mib_and_no_keepalive() {
    let config = ClientConfig::default();
    assert_eq!(config.max_received_frame_size, 1024 * 1024);
    assert_eq!(config.max_received_message_size, 8 * 1024 * 1024);
    assert!(!config.keepalive);
    assert_eq!(config.websocket_version, Version::V13);

    let (connection, mut peer) = pair(config.clone()).await;
    let largest = vec![b'x'; 1024 * 1024];
    peer.write(plain(Opcode::Binary, &largest)).await;
    assert_eq!(within(connection.recv()).await.map(|message| message.len()), Some(largest.len()));
    peer.write(&plain(Opcode::Binary, vec![0; 1024 * 1024 + 1])[..10]).await;
    peer.end().await;
    assert_eq!(within(connection.closed()).await.code(), CloseCode::MESSAGE_TOO_BIG);
}

#[tokio::test(start_paused = true)]
async fn k8_1_without_keepalive_a_silent_server_is_neither_pinged_nor_dropped() {
    let (connection, mut peer) = pair(ClientConfig::default()).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(connection.is_connected());
    connection.send("x").await.unwrap();
    assert_eq!(peer.frame().await.opcode, Opcode::Text, "no ping before");
}

#[tokio::test(start_paused = true)]
async fn k8_1_the_keepalive_options_work_where_they_are_given() {
    let config = ClientConfig::default()
        .keepalive(true)
        .keepalive_interval(Duration::from_secs(7))
        .keepalive_grace_period(Duration::from_secs(2));
    let (connection, mut peer) = pair(config).await;
    let began = tokio::time::Instant::now();
    let ping = peer.frame().await;
    assert_eq!((ping.opcode, began.elapsed().as_secs()), (Opcode::Ping, 7));
    assert_eq!(connection.closed().await, Ending::Lost(Cause::PeerSilent));
    assert_eq!(began.elapsed().as_secs(), 9);
}

#[test]
fn k8_1_a_bad_option_is_refused_by_name() {
    for (config, option) in [
        (ClientConfig::default().max_received_frame_size(0), "max_received_frame_size"),
        (ClientConfig::default().max_received_message_size(0), "max_received_message_size"),
        (ClientConfig::default().fragmentation_threshold(0), "fragmentation_threshold"),
        (ClientConfig::default().connect_timeout(Duration::ZERO), "connect_timeout"),
        (ClientConfig::default().connect_timeout(Duration::MAX), "connect_timeout"),
        (ClientConfig::default().keepalive(true).keepalive_interval(Duration::ZERO), "keepalive_interval"),
        (ClientConfig::default().close_timeout(Duration::MAX), "close_timeout"),
        (ClientConfig::default().write_timeout(Duration::ZERO), "write_timeout"),
        (ClientConfig::default().max_fragments(0), "max_fragments"),
        (ClientConfig::default().max_buffered_amount(0), "max_buffered_amount"),
        (ClientConfig::default().max_unread_messages(0), "max_unread_messages"),
        (ClientConfig::default().max_unread_bytes(0), "max_unread_bytes"),
    ] {
        assert_eq!(Client::new(config).unwrap_err().option, option);
    }
}

#[tokio::test]
async fn k9_1_a_masked_frame_from_the_server_ends_the_connection_with_1002() {
    let (connection, mut peer) = pair(ClientConfig::default()).await;
    peer.write(support::text("Hello").masked()).await;
    let close = peer.frame().await;
    assert_eq!((close.opcode, &close.payload[..2]), (Opcode::Close, &1002u16.to_be_bytes()[..]));
    peer.end().await;
    assert_eq!(within(connection.closed()).await, Ending::Failed(ProtocolError::MaskedFrame));
}

#[tokio::test]
async fn f1_6_frames_are_masked_and_their_keys_differ() {
    // RFC 6455 §5.3, §10.3
    let (connection, mut peer) = pair(ClientConfig::default()).await;
    let mut keys = std::collections::HashSet::new();
    for _ in 0..64 {
        connection.send("Hello").await.unwrap();
        let frame = peer.frame().await;
        assert_eq!(frame.payload, b"Hello");
        keys.insert(frame.key);
    }
    assert_eq!(keys.len(), 64);
}

#[tokio::test]
async fn the_client_waits_for_the_server_to_end_tcp() {
    // RFC 6455 §7.1.1
    let (connection, mut peer) = pair(ClientConfig::default()).await;
    connection.close(CloseCode::NORMAL, Some("bye")).unwrap();
    assert_eq!(peer.frame().await.payload, b"\x03\xe8bye");
    peer.write(plain_close(1000, "bye")).await;
    until(|| connection.ending().is_some()).await;
    assert!(!peer.has_news().await, "the client leaves the end of TCP to the server");
    peer.end().await;
    peer.sees_end().await;
    assert!(within(connection.closed()).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_end_tcp_is_waited_for_until_close_timeout() {
    let config = ClientConfig::default().close_timeout(Duration::from_secs(3));
    let (connection, mut peer) = pair(config).await;
    peer.write(plain_close(1001, "")).await;
    let answer = peer.frame().await;
    assert_eq!((answer.opcode, answer.payload), (Opcode::Close, 1001u16.to_be_bytes().to_vec()));
    let began = tokio::time::Instant::now();
    let ending = connection.closed().await;
    assert!(matches!(ending, Ending::Clean { first: Side::Peers, .. }), "{ending:?}");
    assert_eq!(began.elapsed().as_secs(), 3);
    peer.sees_end().await;
}

struct Told(mpsc::UnboundedSender<String>);

impl Handler for Told {
    fn connect(&mut self, context: &mut Context<'_>) {
        let _ = context.send("hello");
    }

    fn message(&mut self, _: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = self.0.send(format!("{message:?}"));
    }

    fn close(&mut self, _: &Connection, ending: &Ending) {
        let _ = self.0.send(format!("closed {}", ending.code().get()));
    }
}

#[tokio::test]
async fn a_handler_is_told_what_a_client_receives() {
    let server = RawServer::open().await;
    let (told, mut tales) = mpsc::unbounded_channel();
    let client = client();
    let (connection, mut peer) =
        within(async { tokio::join!(client.connect_with(to(&server), Told(told)), server.opened()) }).await;
    let connection = connection.unwrap();
    assert_eq!(peer.frame().await.payload, b"hello");
    peer.write(plain(Opcode::Text, "one")).await;
    peer.write(plain_close(1000, "")).await;
    peer.frame().await;
    peer.end().await;
    assert_eq!(within(tales.recv()).await.as_deref(), Some("Text(\"one\")"));
    assert_eq!(within(tales.recv()).await.as_deref(), Some("closed 1000"));
    assert_eq!(connection.recv().await, None, "a handler receives");
}

#[tokio::test]
async fn client_and_server_of_this_crate_speak_to_each_other() {
    // RFC 6455 §4.1
    let site = Site::open().await;
    let url = format!("ws://{}/chat", site.http.local_addr());
    let client = client();
    let serving = async {
        let request = site.request().await;
        assert_eq!(request.protocols(), ["Chat"]);
        let connection = request.accept(Accept::new().protocol("chat")).unwrap();
        while let Some(message) = connection.recv().await {
            connection.send(message).await.unwrap();
        }
        connection.closed().await
    };
    let talking = async {
        let request = ConnectRequest::new(&url).unwrap().protocol("Chat");
        let connection = client.connect(request).await.unwrap();
        assert_eq!(connection.protocol(), Some("Chat"));
        assert_eq!(connection.socket_address(), Some(site.http.local_addr()));
        assert_eq!(connection.remote_address(), "127.0.0.1");
        assert_eq!(connection.websocket_version(), Version::V13);
        for message in [Message::from("text"), Message::Binary(vec![0xff; 300_000].into()), Message::from("")]
        {
            connection.send(message.clone()).await.unwrap();
            assert_eq!(connection.recv().await, Some(message));
        }
        connection.close(CloseCode::NORMAL, None).unwrap();
        connection.closed().await
    };
    let (theirs, ours) = within(async { tokio::join!(serving, talking) }).await;
    assert!(matches!(theirs, Ending::Clean { first: Side::Peers, .. }), "{theirs:?}");
    assert!(matches!(ours, Ending::Clean { first: Side::Ours, .. }), "{ours:?}");
}

#[tokio::test]
async fn a_rejection_of_our_own_server_can_be_read() {
    let site = Site::open().await;
    let url = format!("ws://{}/", site.http.local_addr());
    let rejecting = async {
        let Event::Request(request) = site.event().await else { panic!("not a request") };
        request
            .reject(Rejection::new(401).reason("who are you?").header("WWW-Authenticate", "Basic"))
            .unwrap();
    };
    let (result, ()) =
        within(async { tokio::join!(connect(ConnectRequest::new(&url).unwrap()), rejecting) }).await;
    let Err(ConnectError::HttpResponse(response)) = result else { panic!("{result:?}") };
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Basic");
    assert_eq!(response.headers()["x-websocket-reject-reason"], "who are you?");
}

#[tokio::test]
async fn handshakes_with_the_same_host_go_one_after_another() {
    // RFC 6455 §4.1
    let server = RawServer::open().await;
    let client = client();
    let connecting = [to(&server), to(&server)].map(|request| {
        let client = client.clone();
        tokio::spawn(async move { client.connect(request).await })
    });
    let (mut first, request) = server.request().await;
    // Whoever comes now was not held back by the client.
    server.has_no_client().await;
    first.write(request.switching("")).await;
    let _second = server.opened().await;
    for connection in connecting {
        assert!(within(connection).await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_handshake_that_fails_or_is_given_up_makes_way_for_the_next() {
    let server = RawServer::open().await;
    let client = client();
    let connect = || {
        let (client, request) = (client.clone(), to(&server));
        tokio::spawn(async move { client.connect(request).await })
    };
    let given_up = connect();
    let first = server.request().await;
    let (failing, good) = (connect(), connect());
    given_up.abort();
    drop(first);
    server.request().await.0.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    let _peer = server.opened().await;
    assert!(matches!(within(failing).await.unwrap(), Err(ConnectError::HttpResponse(_))));
    assert!(within(good).await.unwrap().is_ok());
}

#[tokio::test]
async fn handshakes_overlap_where_serialize_handshakes_is_off() {
    let server = RawServer::open().await;
    let client = with(ClientConfig::default().serialize_handshakes(false));
    let connecting = [to(&server), to(&server)].map(|request| {
        let client = client.clone();
        tokio::spawn(async move { client.connect(request).await })
    });
    let (mut first, first_asks) = server.request().await;
    let (mut second, second_asks) = server.request().await;
    first.write(first_asks.switching("")).await;
    second.write(second_asks.switching("")).await;
    for connection in connecting {
        assert!(within(connection).await.unwrap().is_ok());
    }
}
