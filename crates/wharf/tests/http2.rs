//! WebSockets over HTTP/2 (RFC 8441), by prior knowledge on a plain port, beside ordinary requests.

#[path = "support/http2.rs"]
mod http2_client;
#[path = "support/service.rs"]
mod service;
mod support;

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{Method, Request, Response, StatusCode};
use http2_client::{Http2, Http2Stream, reset_of};
use hyper::body::{Body, Frame};
use service::ServiceFn;
use support::{Client, ClientOf, Site, close, text, until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf::{
    Accept, ClientAddressHeader, CloseCode, Connection, Context, Event, Handler, HttpServer, MessageRef,
};
use wharf::{OriginRule, Rejection, Server, ServerConfig};

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = context.send(message);
    }
}

/// One connection of HTTP/2 to a site.
async fn connect(http: &HttpServer) -> Http2 {
    Http2::over(Client::connect(http).await.stream).await
}

/// An open WebSocket on it, both ends.
async fn open(site: &Site, http2: &mut Http2) -> (ClientOf<Http2Stream>, Connection) {
    let stream = http2.ask("/", "").await;
    let connection = site.request().await.accept(Accept::new()).expect("undecided");
    assert_eq!(site.connected().await, connection);
    let mut client = ClientOf::on(stream);
    assert_eq!(client.head().await.status(), 200);
    (client, connection)
}

#[tokio::test]
async fn the_example_of_the_rfc_is_accepted_as_it_shows() {
    // RFC 8441 §5.1
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let lines = "sec-websocket-protocol: chat, superchat\nsec-websocket-extensions: permessage-deflate\n\
        origin: http://www.example.com";
    let mut stream = http2.ask("/chat?a=b", lines).await;
    let request = site.request().await;
    assert_eq!((request.host(), request.resource()), ("server.example.com:81", "/chat?a=b"));
    assert_eq!((request.path(), request.query()), ("/chat", Some("a=b")));
    assert_eq!((request.key(), request.origin()), (None, Some("http://www.example.com")));
    assert_eq!(request.protocols(), ["chat", "superchat"]);
    assert_eq!(request.http_request().method, Method::CONNECT);
    assert_eq!(request.http_request().version, http::Version::HTTP_2);
    let connection = request.accept(Accept::new().protocol("chat")).unwrap();
    let head = stream.head().await;
    let fields: HashMap<_, _> = head.fields().into_iter().filter(|(name, _)| name != "date").collect();
    let mut expected = HashMap::from([("sec-websocket-protocol".to_owned(), "chat")]);
    if cfg!(feature = "deflate") {
        let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        expected.insert("sec-websocket-extensions".to_owned(), agreed);
    }
    assert_eq!((head.status(), fields), (200, expected));
    assert_eq!(connection.protocol(), Some("chat"));
}

#[tokio::test]
async fn the_settings_offer_extended_connect_once_and_for_all() {
    // RFC 8441 §3
    let site = Site::open().await;
    let mut stream = Client::connect(&site.http).await.stream;
    stream
        .write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat())
        .await
        .unwrap();
    // A request that is none ends the connection, so that all that it sends can be seen.
    stream.write_all(&[0, 0, 1, 1, 5, 0, 0, 0, 1, 0xff]).await.unwrap();
    let mut received = Vec::new();
    within(stream.read_to_end(&mut received)).await.unwrap();
    let (mut rest, mut values) = (received.as_slice(), Vec::new());
    while let [a, b, c, kind, flags, _, _, _, _, frame @ ..] = rest {
        let (payload, next) = frame.split_at(usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c));
        let settings = payload.chunks(6).filter(|_| *kind == 4 && flags & 1 == 0);
        values.extend(settings.filter(|setting| setting[..2] == [0, 8]).map(|setting| setting[2..].to_vec()));
        rest = next;
    }
    assert_eq!(values, [[0, 0, 0, 1]]);
}

#[tokio::test]
async fn a_connect_for_another_protocol_is_the_services_and_no_tunnel() {
    // RFC 8441 §4, §5
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let ask = |protocol| {
        let request = Request::builder().method(Method::CONNECT).uri("https://127.0.0.1:1/");
        request.extension(h2::ext::Protocol::from_static(protocol)).header("sec-websocket-version", "13")
    };
    let mut other = http2.send(ask("connect-udp").body(()).unwrap(), false).await;
    assert_eq!(other.head().await.status(), 404);
    // The authority is a name, and nothing to connect to: nobody listens there.
    let mut websocket = http2.send(ask("websocket").body(()).unwrap(), false).await;
    site.request().await.accept(Accept::new()).unwrap();
    assert_eq!(websocket.head().await.status(), 200);
}

#[tokio::test]
async fn a_key_is_answered_where_one_was_sent() {
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let mut stream = http2.ask("/", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==").await;
    let request = site.request().await;
    assert_eq!(request.key(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    request.accept(Accept::new()).unwrap();
    assert_eq!(stream.head().await.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[tokio::test]
async fn a_rejection_has_its_status_and_fields_and_the_connection_goes_on() {
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let mut stream = http2.ask("/", "").await;
    let rejection = Rejection::new(401).reason("who are you?").header("WWW-Authenticate", "Basic");
    site.request().await.reject(rejection).unwrap();
    let head = stream.head().await;
    assert_eq!(head.status(), 401);
    assert_eq!(head.field("x-websocket-reject-reason"), Some("who are you?"));
    assert_eq!(head.field("www-authenticate"), Some("Basic"));
    assert_eq!(head.field("connection"), None);
    open(&site, &mut http2).await;
}

#[tokio::test]
async fn what_is_no_handshake_is_refused_as_over_http_1_1() {
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let ask = |version: &str| {
        let protocol = h2::ext::Protocol::from_static("websocket");
        let request = Request::builder().method(Method::CONNECT).uri("https://a/").extension(protocol);
        request.header("sec-websocket-version", version).body(()).unwrap()
    };
    for (version, status, versions) in [("14", 426, Some("13, 8")), ("x", 400, Some("13, 8"))] {
        let mut stream = http2.send(ask(version), false).await;
        let head = stream.head().await;
        assert_eq!((head.status(), head.field("sec-websocket-version")), (status, versions));
        assert_eq!(head.field("upgrade"), None);
        assert!(matches!(site.event().await, Event::UpgradeError(_)));
    }
}

#[tokio::test]
async fn a_hundred_websockets_on_one_connection_echo_at_once_beside_ordinary_requests() {
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        let stream = http2.ask("/", "").await;
        let connection = site.request().await.accept_with(Accept::new(), Echo).unwrap();
        assert_eq!(site.connected().await, connection);
        clients.push(ClientOf::on(stream));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.head().await.status(), 200);
        client.send([text(format!("{number}")), text("x".repeat(20_000))]).await;
    }
    assert_eq!(http2.get("/").await.status(), StatusCode::NOT_FOUND);
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.message().await, format!("{number}").as_str().into());
        assert_eq!(client.message().await, "x".repeat(20_000).as_str().into());
    }
    assert_eq!(site.server.connection_count(), 100);
}

#[tokio::test]
async fn a_client_that_opens_no_window_holds_send_back() {
    // RFC 9113 §5.2
    let site = Site::with(ServerConfig::default().max_buffered_amount(64 * 1024)).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1000).enable_push(false);
    let mut http2 = Http2::with(builder, Client::connect(&site.http).await.stream).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    let message = vec![7; 10_000];
    let mut sent = 0;
    while connection.try_send(message.clone()).is_ok() {
        sent += 1;
        assert!(sent < 100, "try_send is held back");
        tokio::task::yield_now().await;
    }
    assert!(sent >= 6, "what may be buffered is: {sent}");
    for _ in 0..sent {
        assert_eq!(client.message().await, message.clone().into());
    }
    within(connection.send("more")).await.unwrap();
    assert_eq!(client.message().await, "more".into());
}

#[tokio::test]
async fn a_websocket_that_is_not_read_holds_no_other_up() {
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let (mut held, held_connection) = open(&site, &mut http2).await;
    held_connection.pause();
    let bytes = support::bytes_of((0..100).map(|_| support::binary(vec![7; 60_000])));
    assert!(held.write_until_held(&bytes).await < bytes.len());
    let (mut client, connection) = open(&site, &mut http2).await;
    client.send([text("goes on")]).await;
    assert_eq!(within(connection.recv()).await, Some("goes on".into()));
}

struct Counting(Arc<AtomicUsize>);

impl Handler for Counting {
    fn message(&mut self, _: &mut Context<'_>, _: MessageRef<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn small_messages_come_on_many_websockets_at_once_as_fast_as_their_client_can() {
    const WEBSOCKETS: usize = 100;
    let site = Site::open().await;
    let count = Arc::new(AtomicUsize::new(0));
    let stream = Client::connect(&site.http).await.stream.into_std().unwrap();
    // Elsewhere, so that it does not wait for the server.
    let client = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let mut http2 = Http2::over(TcpStream::from_std(stream).unwrap()).await;
            let mut clients = Vec::new();
            for _ in 0..WEBSOCKETS {
                let mut client = ClientOf::on(http2.ask("/", "").await);
                assert_eq!(client.head().await.status(), 200);
                clients.push(client);
            }
            for _ in 0..20 {
                for client in &mut clients {
                    for _ in 0..50 {
                        client.send([text("a")]).await;
                    }
                }
            }
            for client in &mut clients {
                client.send([close(1000, "")]).await;
                assert_eq!(client.frame().await, close(1000, ""));
            }
        });
    });
    for _ in 0..WEBSOCKETS {
        site.request().await.accept_with(Accept::new(), Counting(Arc::clone(&count))).unwrap();
        site.connected().await;
    }
    for _ in 0..WEBSOCKETS {
        assert_eq!(site.close_event().await.0, 1000);
    }
    assert_eq!(count.load(Ordering::Relaxed), WEBSOCKETS * 1000);
    client.join().unwrap();
}

#[tokio::test]
async fn one_websocket_that_is_not_read_does_not_end_the_connection_however_small_its_messages() {
    let http = HttpServer::builder().max_concurrent_streams(2).bind("127.0.0.1:0").await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let site = Site::of(http, server);
    let mut http2 = connect(&site.http).await;
    let (mut held, held_connection) = open(&site, &mut http2).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    held_connection.pause();
    for _ in 0..5000 {
        held.send([text("a")]).await;
    }
    client.send([text("goes on")]).await;
    assert_eq!(within(connection.recv()).await, Some("goes on".into()));
    held_connection.resume();
    for _ in 0..5000 {
        assert_eq!(within(held_connection.recv()).await, Some("a".into()));
    }
}

#[tokio::test]
async fn a_stream_that_its_client_resets_ends_alone() {
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let (reset, reset_connection) = open(&site, &mut http2).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    reset.reset();
    assert_eq!(within(reset_connection.closed()).await.code(), CloseCode::ABNORMAL);
    client.send([text("here")]).await;
    assert_eq!(within(connection.recv()).await, Some("here".into()));
}

#[tokio::test]
async fn a_connection_that_is_dropped_with_output_waiting_is_a_reset_with_cancel() {
    // RFC 8441 §5
    let site = Site::open().await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1000).enable_push(false);
    let mut http2 = Http2::with(builder, Client::connect(&site.http).await.stream).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    connection.try_send(vec![7; 900_000]).unwrap();
    until(|| connection.buffered_amount() < 900_000).await;
    connection.drop_now(CloseCode::NORMAL, None).unwrap();
    within(connection.closed()).await;
    assert_eq!(client.stream.sees_reset().await, Reason::CANCEL);
}

#[tokio::test]
async fn the_closing_handshake_ends_the_stream_and_not_the_connection() {
    // RFC 8441 §5
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    connection.close(CloseCode::NORMAL, Some("bye")).unwrap();
    assert_eq!(client.frame().await, close(1000, "bye"));
    client.send([close(1000, "")]).await;
    client.sees_end().await;
    client.end().await;
    assert_eq!(site.close_event().await, (1000, "bye".to_owned()));
    open(&site, &mut http2).await;
}

#[tokio::test]
async fn a_client_that_goes_before_the_decision_leaves_a_connection_that_ended() {
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let mut stream = http2.ask("/", "").await;
    let request = site.request().await;
    stream.reset();
    until(|| site.server.pending_request_count() == 0).await;
    drop(request);
    open(&site, &mut http2).await;
}

#[tokio::test]
async fn websockets_outlive_the_http_server_and_ordinary_requests_end_with_it() {
    let http =
        HttpServer::builder().close_timeout(Duration::from_millis(10)).bind("127.0.0.1:0").await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let site = Site::of(http, server);
    let mut http2 = connect(&site.http).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    within(site.http.shut_down()).await;
    client.send([text("still here")]).await;
    assert_eq!(within(connection.recv()).await, Some("still here".into()));
    within(connection.send("so am I")).await.unwrap();
    assert_eq!(client.message().await, "so am I".into());

    connection.close(CloseCode::GOING_AWAY, None).unwrap();
    assert_eq!(client.frame().await, close(1001, "Remote peer is going away"));
    client.send([close(1001, "")]).await;
    client.sees_end().await;
    client.end().await;
    // GOAWAY was sent, and the last stream is gone (RFC 9113 §6.8).
    drop((client, http2.requests));
    within(http2.connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_handshake_on_its_way_as_the_http_server_closed_becomes_a_websocket_that_outlives_it() {
    let builder = HttpServer::builder().close_timeout(Duration::from_millis(50));
    let http = builder.bind("127.0.0.1:0").await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let site = Site::of(http, server);
    let mut http2 = connect(&site.http).await;

    // Nothing is awaited in between, so that neither has heard of the other.
    site.http.close();
    let (mut client, connection) = open(&site, &mut http2).await;
    within(site.http.shut_down()).await;
    client.send([text("hello")]).await;
    assert_eq!(within(connection.recv()).await, Some("hello".into()));
}

#[tokio::test]
async fn a_client_that_keeps_on_resetting_its_requests_loses_the_connection() {
    // CVE-2023-44487
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    for count in 0.. {
        assert!(count < 3000, "the server ends the connection");
        let Ok(ready) = within(http2.requests.clone().ready()).await else { break };
        http2.requests = ready;
        let protocol = h2::ext::Protocol::from_static("websocket");
        let request = Request::builder().method(Method::CONNECT).uri("https://a/").extension(protocol);
        let request = request.header("sec-websocket-version", "13").body(()).unwrap();
        let Ok((_response, mut send)) = http2.requests.send_request(request, false) else { break };
        // Accepted by the server, and never decided.
        let _request = tokio::select! {
            request = site.request() => request,
            _ = &mut http2.connection => break,
        };
        send.send_reset(Reason::CANCEL);
        until(|| site.server.pending_request_count() == 0).await;
    }
    // The server itself goes on.
    let mut other = connect(&site.http).await;
    other.ask("/", "").await;
    site.request().await;
}

#[tokio::test]
async fn an_answer_that_its_client_does_not_take_is_reset_at_the_write_timeout_and_no_other_stream_with_it() {
    let long = ServiceFn(|_| async { Ok::<_, Infallible>(Response::new(Chunks(10))) });
    let http = HttpServer::builder().service(long).write_timeout(Duration::from_millis(50));
    let http = http.bind("127.0.0.1:0").await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let site = Site::of(http, server);
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1000).enable_push(false);
    let mut http2 = Http2::with(builder, Client::connect(&site.http).await.stream).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    let mut body = http2.get("/").await.into_body();
    assert_eq!(reset_of(&mut body).await, Reason::CANCEL);
    client.send([text("unharmed")]).await;
    assert_eq!(within(connection.recv()).await, Some("unharmed".into()));
}

/// So many pieces of a body, each longer than the window.
struct Chunks(usize);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 = self.0.saturating_sub(1);
        Poll::Ready((self.0 > 0).then(|| Ok(Frame::data(vec![7; 2000].into()))))
    }
}

#[tokio::test]
async fn without_http2_a_client_that_begins_with_it_is_not_spoken_with() {
    let http = HttpServer::builder().http2(false).bind("127.0.0.1:0").await.unwrap();
    let mut client = Client::connect(&http).await;
    client.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_beginning_of_the_preface_that_goes_on_otherwise_is_http_1_1() {
    let site = Site::open().await;
    let mut client = site.client().await;
    client.write("P").await;
    client.write("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 404);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_stream_ends_after_the_handshake_timeout() {
    let timeout = Duration::from_secs(3);
    let http = HttpServer::builder().handshake_timeout(timeout).bind("127.0.0.1:0").await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let site = Site::of(http, server);
    let mut stream = Client::connect(&site.http).await.stream;
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), settings].concat()).await.unwrap();
    let mut received = Vec::new();
    let began = tokio::time::Instant::now();
    // Never an acknowledgement of anything: it is told to go, and then dropped.
    let _ = stream.read_to_end(&mut received).await;
    assert!(began.elapsed() >= timeout, "{:?}", began.elapsed());
    let goaway = received.windows(9).any(|head| head[3] == 7 && head[5..9] == [0; 4]);
    assert!(goaway, "{}", received.escape_ascii());
}

#[tokio::test]
async fn an_origin_that_is_not_allowed_is_refused_on_its_stream_alone_and_proxies_tell_of_each_client() {
    let config = ServerConfig::default()
        .allowed_origins([OriginRule::SAME_ORIGIN])
        .trusted_proxies(vec!["127.0.0.1".parse().unwrap()])
        .client_address_header(ClientAddressHeader::Forwarded);
    let site = Site::with(config).await;
    let mut http2 = connect(&site.http).await;
    let mut refused = ClientOf::on(http2.ask("/", "origin: https://elsewhere.example").await);
    assert_eq!(refused.head().await.status(), 403);
    for client in ["192.0.2.1", "192.0.2.2"] {
        let lines = format!("origin: https://server.example.com:81\nforwarded: for={client}");
        let _stream = http2.ask("/", &lines).await;
        assert_eq!(site.request().await.remote_address(), client);
    }
}

#[tokio::test]
async fn a_closing_server_lets_websockets_end_before_it_tells_their_connection_to_go() {
    let site = Site::open().await;
    let mut http2 = connect(&site.http).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    site.http.close();
    connection.close(CloseCode::GOING_AWAY, None).unwrap();
    assert_eq!(client.frame().await, close(1001, "Remote peer is going away"));
    // It was not told yet: a request is still taken.
    assert_eq!(http2.get("/").await.status(), 404);
    client.send([close(1001, "")]).await;
    client.sees_end().await;
    client.end().await;
    assert_eq!(site.close_event().await, (1001, "Remote peer is going away".to_owned()));
    drop((client, http2.requests));
    within(http2.connection).await.unwrap().unwrap();
    within(site.http.shut_down()).await;
}

#[tokio::test]
async fn an_answer_to_head_has_its_length_and_no_body() {
    // RFC 9110 §9.3.2
    let said = ServiceFn(|_| async {
        Ok::<_, Infallible>(Response::new(http_body_util::Full::<Bytes>::from("said")))
    });
    let http = HttpServer::builder().service(said).bind("127.0.0.1:0").await.unwrap();
    let mut http2 = connect(&http).await;
    let mut stream = http2.send(Request::head("https://a/").body(()).unwrap(), true).await;
    let head = stream.head().await;
    assert_eq!((head.status(), head.field("content-length")), (200, Some("4")));
    let mut body = Vec::new();
    within(stream.read_to_end(&mut body)).await.unwrap();
    assert_eq!(body, b"");
}

#[tokio::test]
async fn who_asks_for_http2_or_tls_by_an_upgrade_is_answered_in_http_1_1() {
    // RFC 9110 §7.8, RFC 9113 §3.1; Apache's client asks for TLS so.
    let site = Site::open().await;
    for upgrade in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n",
    ] {
        let mut client = site.client().await;
        client.write(format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n")).await;
        assert_eq!(client.head().await.status_line(), "HTTP/1.1 404 Not Found");
    }
    assert_eq!(site.server.counters().handshakes, 0);
}

#[tokio::test]
async fn after_the_closing_handshake_a_client_that_leaves_its_half_open_is_not_waited_for() {
    // Firefox and undici
    let hour = Duration::from_secs(3600);
    let site = Site::with(ServerConfig::default().close_timeout(hour)).await;
    let mut http2 = connect(&site.http).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    client.send([close(1000, "bye")]).await;
    within(connection.closed()).await;
    assert_eq!(client.frame().await, close(1000, "bye"));
    client.sees_end().await;
    assert_eq!(site.close_event().await, (1000, "bye".to_owned()));
    let (mut client, connection) = open(&site, &mut http2).await;
    connection.close(CloseCode::NORMAL, Some("bye")).unwrap();
    assert_eq!(client.frame().await, close(1000, "bye"));
    client.send([close(1000, "")]).await;
    within(connection.closed()).await;
    client.sees_end().await;
}
