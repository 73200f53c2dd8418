//! An HTTP server as its users see it, over real sockets: what answers, what is bounded, how it ends.

#[path = "support/service.rs"]
mod service;

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, pending, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use service::ServiceFn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tower_service::Service;
use wharf::{HttpServer, HttpServerBuilder};

const ORDINARY: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn text(text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(text.into()))
}

async fn saying_hello(builder: HttpServerBuilder) -> HttpServer {
    let hello = ServiceFn(|_| ready(Ok::<_, Infallible>(text("hello"))));
    builder.service(hello).bind("127.0.0.1:0").await.expect("a port is free")
}

async fn connect(http: &HttpServer) -> TcpStream {
    TcpStream::connect(http.local_addr()).await.expect("the server listens")
}

/// Sends a request and reads to the end that the server makes.
async fn exchange(http: &HttpServer, request: impl AsRef<[u8]>) -> String {
    let mut client = connect(http).await;
    client.write_all(request.as_ref()).await.expect("the server reads");
    rest(&mut client).await
}

async fn rest(client: &mut TcpStream) -> String {
    let mut response = String::new();
    client.read_to_string(&mut response).await.expect("the server ends, and does not reset");
    response
}

async fn read_until(client: &mut TcpStream, end: &str) -> String {
    let mut response = Vec::new();
    while !response.ends_with(end.as_bytes()) {
        response.push(client.read_u8().await.expect("the server answers"));
    }
    String::from_utf8(response).expect("the answer is text")
}

#[tokio::test]
async fn without_a_service_a_request_is_answered_with_404() {
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    let response = exchange(&http, LAST).await;
    let (date, others): (Vec<_>, Vec<_>) = response.lines().partition(|line| line.starts_with("Date: "));
    assert_eq!(
        others,
        [
            "HTTP/1.1 404 Not Found",
            "Content-Type: text/plain; charset=utf-8",
            "Connection: close",
            "Content-Length: 10",
            "",
            "not found"
        ]
    );
    assert!(date.len() == 1 && date[0].ends_with(" GMT"), "{date:?}");
}

#[tokio::test]
async fn s1_1_while_nothing_is_mounted_a_handshake_goes_to_the_service_too() {
    let http = saying_hello(HttpServer::builder()).await;
    let handshake = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n";
    let response = exchange(&http, handshake).await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\nhello"), "{response}");
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let http = saying_hello(HttpServer::builder()).await;
    let mut client = connect(&http).await;
    for _ in 0..3 {
        client.write_all(ORDINARY.as_bytes()).await.unwrap();
        assert!(read_until(&mut client, "hello").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    client.write_all([ORDINARY, ORDINARY, LAST].concat().as_bytes()).await.unwrap();
    assert_eq!(rest(&mut client).await.matches("hello").count(), 3);
}

#[tokio::test]
async fn the_service_gets_the_body_and_sets_its_own_date() {
    let echo = ServiceFn(|request: Request<Incoming>| async {
        let body = request.into_body().collect().await?.to_bytes();
        let mut response = text(body);
        response.headers_mut().insert("date", "yesterday".parse().unwrap());
        Ok::<_, hyper::Error>(response)
    });
    let http = HttpServer::builder().service(echo).bind("127.0.0.1:0").await.unwrap();
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody";
    let response = exchange(&http, request).await;
    assert!(response.contains("\r\nDate: yesterday\r\n") && response.ends_with("\r\n\r\nbody"), "{response}");
    assert_eq!(response.matches("Date: ").count(), 1);
}

/// A body whose data are no `Bytes`, in frames.
struct Pieces(&'static [&'static [u8]]);

impl Body for Pieces {
    type Data = io::Cursor<&'static [u8]>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        Poll::Ready(self.0.split_off_first().map(|piece| Ok(Frame::data(io::Cursor::new(*piece)))))
    }
}

#[tokio::test]
async fn a_body_may_come_in_pieces_of_any_type() {
    let pieces = ServiceFn(|_| ready(Ok::<_, Infallible>(Response::new(Pieces(&[b"one ", b"two"])))));
    let http = HttpServer::builder().service(pieces).bind("127.0.0.1:0").await.unwrap();
    let response = exchange(&http, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(response.ends_with("\r\n\r\none two"), "{response}");
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }
}

impl std::error::Error for Broken {}

/// A service that is never ready.
#[derive(Clone)]
struct Unready;

impl Service<Request<Incoming>> for Unready {
    type Response = Response<Full<Bytes>>;
    type Error = Broken;
    type Future = Ready<Result<Self::Response, Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Err(Broken))
    }

    fn call(&mut self, _: Request<Incoming>) -> Self::Future {
        ready(Ok(text("called without being ready")))
    }
}

#[tokio::test]
async fn an_error_of_the_service_is_answered_with_500_and_kept_to_ourselves() {
    let failing = ServiceFn(|_| ready(Err::<Response<Full<Bytes>>, _>(Broken)));
    for http in [
        HttpServer::builder().service(failing).bind("127.0.0.1:0").await.unwrap(),
        HttpServer::builder().service(Unready).bind("127.0.0.1:0").await.unwrap(),
    ] {
        let response = exchange(&http, LAST).await;
        assert!(response.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{response}");
        assert!(response.ends_with("\r\n\r\ninternal server error\n"), "{response}");
    }
}

#[tokio::test]
async fn a_panic_in_the_service_ends_its_own_connection_only() {
    let panicking = ServiceFn(|request: Request<Incoming>| async move {
        assert_ne!(request.uri().path(), "/panic", "as the test wants it");
        Ok::<_, Infallible>(text("hello"))
    });
    let http = HttpServer::builder().service(panicking).bind("127.0.0.1:0").await.unwrap();
    let mut before = connect(&http).await;
    before.write_all(ORDINARY.as_bytes()).await.unwrap();
    read_until(&mut before, "hello").await;

    assert_eq!(exchange(&http, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await, "");

    before.write_all(LAST.as_bytes()).await.unwrap();
    assert!(rest(&mut before).await.ends_with("hello"));
    assert!(exchange(&http, LAST).await.ends_with("hello"));
}

#[tokio::test]
async fn a_service_may_upgrade_by_itself() {
    let upgrading = ServiceFn(|mut request: Request<Incoming>| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let upgraded = upgrade.await.unwrap();
            let parts = upgraded.downcast::<hyper_util::rt::TokioIo<TcpStream>>();
            // It is HTTP's own stream; users have it through hyper's traits.
            let mut upgraded = hyper_util::rt::TokioIo::new(parts.unwrap_err());
            upgraded.write_all(b"upgraded").await.unwrap();
        });
        let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).header("upgrade", "x");
        response.header("connection", "upgrade").body(Full::<Bytes>::default())
    });
    let http = HttpServer::builder().service(upgrading).bind("127.0.0.1:0").await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n";
    let response = exchange(&http, request).await;
    assert!(response.starts_with("HTTP/1.1 101 ") && response.ends_with("\r\n\r\nupgraded"), "{response}");
}

/// A request head of exactly `len` bytes.
fn head_of(len: usize) -> Vec<u8> {
    let (start, end) = ("GET / HTTP/1.1\r\nConnection: close\r\nX: ", "\r\n\r\n");
    [start.as_bytes(), &vec![b'x'; len - start.len() - end.len()], end.as_bytes()].concat()
}

#[tokio::test]
async fn a_head_over_the_limit_is_answered_with_431() {
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    assert!(exchange(&http, head_of(16_384)).await.starts_with("HTTP/1.1 404 "));
    assert!(exchange(&http, head_of(16_385)).await.starts_with("HTTP/1.1 431 "));
    // Also where its end never comes, and where more follows than the server will ever read as HTTP.
    assert!(exchange(&http, &head_of(20_000)[..19_000]).await.starts_with("HTTP/1.1 431 "));
    assert!(exchange(&http, head_of(1_000_000)).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_small_limit_on_heads_holds_as_well() {
    let http = HttpServer::builder().max_header_size(100).bind("127.0.0.1:0").await.unwrap();
    assert!(exchange(&http, head_of(100)).await.starts_with("HTTP/1.1 404 "));
    assert!(exchange(&http, head_of(101)).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_head_with_more_fields_than_allowed_is_answered_with_431() {
    let with =
        |count: usize| format!("GET / HTTP/1.1\r\nConnection: close\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    assert!(exchange(&http, with(100)).await.starts_with("HTTP/1.1 404 "));
    assert!(exchange(&http, with(101)).await.starts_with("HTTP/1.1 431 "));

    let http = HttpServer::builder().max_headers(3).bind("127.0.0.1:0").await.unwrap();
    assert!(exchange(&http, with(3)).await.starts_with("HTTP/1.1 404 "));
    assert!(exchange(&http, with(4)).await.starts_with("HTTP/1.1 431 "));

    let most = HttpServer::builder().max_headers(16_384).max_header_size(1 << 20);
    let http = most.bind("127.0.0.1:0").await.unwrap();
    assert!(exchange(&http, with(16_384)).await.starts_with("HTTP/1.1 404 "));
    assert!(exchange(&http, with(16_385)).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_400() {
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    for nonsense in ["\x16\x03\x01\x02\0", "GET  HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n"] {
        let response = exchange(&http, nonsense).await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{nonsense:?}: {response}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let http = saying_hello(HttpServer::builder().max_connections(2)).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut client = connect(&http).await;
        client.write_all(ORDINARY.as_bytes()).await.unwrap();
        read_until(&mut client, "hello").await;
        open.push(client);
    }

    let mut waiting = connect(&http).await;
    waiting.write_all(LAST.as_bytes()).await.unwrap();
    // The others are served while it waits.
    open[0].write_all(ORDINARY.as_bytes()).await.unwrap();
    read_until(&mut open[0], "hello").await;
    let mut byte = [0];
    assert_eq!(waiting.try_read(&mut byte).unwrap_err().kind(), io::ErrorKind::WouldBlock);

    drop(open.pop());
    assert!(rest(&mut waiting).await.ends_with("hello"));
}

#[tokio::test]
async fn shutting_down_refuses_connections_and_finishes_what_was_asked() {
    let (called, decide) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (on_call, decided) = (Arc::clone(&called), Arc::clone(&decide));
    let slow = ServiceFn(move |_| {
        let (on_call, decided) = (Arc::clone(&on_call), Arc::clone(&decided));
        async move {
            on_call.notify_one();
            decided.notified().await;
            Ok::<_, Infallible>(text("at last"))
        }
    });
    let http = HttpServer::builder().service(slow).bind("127.0.0.1:0").await.unwrap();
    let mut idle = connect(&http).await;
    let mut busy = connect(&http).await;
    busy.write_all(ORDINARY.as_bytes()).await.unwrap();
    called.notified().await;

    let ending = tokio::spawn({
        let http = http.clone();
        async move { http.shut_down().await }
    });
    assert_eq!(rest(&mut idle).await, "");
    drop(idle);
    assert!(!ending.is_finished());
    decide.notify_one();
    let response = rest(&mut busy).await;
    assert!(response.contains("\r\nConnection: close\r\n") && response.ends_with("at last"), "{response}");
    drop(busy);
    ending.await.unwrap();

    assert_eq!(
        TcpStream::connect(http.local_addr()).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
    http.shut_down().await;
    http.close();
    // Nothing of the old server is in the way of a new one.
    HttpServer::bind(http.local_addr()).await.unwrap();
}

#[tokio::test]
async fn shutting_down_drops_what_is_left_at_its_deadline() {
    let called = Arc::new(Notify::new());
    let on_call = Arc::clone(&called);
    let never = ServiceFn(move |_| {
        on_call.notify_one();
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let builder = HttpServer::builder().service(never).shutdown_timeout(Duration::ZERO);
    let http = builder.bind("127.0.0.1:0").await.unwrap();
    let mut client = connect(&http).await;
    client.write_all(ORDINARY.as_bytes()).await.unwrap();
    called.notified().await;
    http.shut_down().await;
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test]
async fn it_listens_until_the_last_handle_is_dropped() {
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    let addr = http.local_addr();
    let mut client = connect(&http).await;
    let other = http.clone();
    drop(http);
    assert!(exchange(&other, LAST).await.contains("404"));
    drop(other);
    // Ends with the rest of the server, so that nobody listens any more once it has.
    assert_eq!(rest(&mut client).await, "");
    drop(client);
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_address_in_use_is_an_error_and_of_several_the_first_free_one_is_taken() {
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    let taken = http.local_addr();
    assert_eq!(HttpServer::bind(taken).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let free = "127.0.0.1:0".parse().unwrap();
    assert_ne!(HttpServer::bind(&[taken, free][..]).await.unwrap().local_addr(), taken);
    assert!(HttpServer::bind(&[][..]).await.is_err());
}
