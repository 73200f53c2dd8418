//! Clients of HTTP/2 that keep to no rule but their own.

#[path = "support/http2.rs"]
mod http2_client;
#[path = "support/service.rs"]
mod service;
mod support;

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{Request, Response};
use http_body_util::Full;
use http2_client::{Http2, Http2Stream, reset_of};
use service::ServiceFn;
use support::{Client, ClientOf, Site, close, text, within};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use wharf::{Accept, CloseCode, Connection, HttpServer, Server, ServerConfig};

const PING: u8 = 6;
const GOAWAY: u8 = 7;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const SHORT: Duration = Duration::from_millis(50);

/// A site whose times are all short.
async fn short() -> Site {
    let http = HttpServer::builder().close_timeout(SHORT).write_timeout(SHORT).handshake_timeout(SHORT);
    let http = http.bind("127.0.0.1:0").await.expect("a free port");
    let server = Server::mounted(ServerConfig::default().close_timeout(SHORT), [&http])
        .expect("the options are valid");
    Site::of(http, server)
}

async fn open(site: &Site, http2: &mut Http2) -> (ClientOf<Http2Stream>, Connection) {
    let stream = http2.ask("/", "").await;
    let connection = site.request().await.accept(Accept::new()).expect("undecided");
    assert_eq!(site.connected().await, connection);
    let mut client = ClientOf::on(stream);
    assert_eq!(client.head().await.status(), 200);
    (client, connection)
}

/// Passes on all frames but those of a kind, behind so many bytes.
async fn relay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    preface: usize,
    but: u8,
) -> std::io::Result<()> {
    let mut bytes = vec![0; preface];
    from.read_exact(&mut bytes).await?;
    to.write_all(&bytes).await?;
    loop {
        let mut frame = vec![0; 9];
        from.read_exact(&mut frame).await?;
        let len = usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2]);
        frame.resize(9 + len, 0);
        from.read_exact(&mut frame[9..]).await?;
        if frame[3] != but {
            to.write_all(&frame).await?;
        }
    }
}

/// A client's stream to the server on which it neither hears that it is to go nor answers a PING.
fn deaf(stream: TcpStream) -> DuplexStream {
    let (near, far) = duplex(64 * 1024);
    let (from_server, to_server) = stream.into_split();
    let (from_client, to_client) = tokio::io::split(far);
    tokio::spawn(async move {
        tokio::select! {
            _ = relay(from_client, to_server, 24, PING) => {}
            _ = relay(from_server, to_client, 0, GOAWAY) => {}
        }
    });
    near
}

#[tokio::test]
async fn a_websocket_whose_end_its_client_does_not_take_is_reset_and_holds_no_connection() {
    let site = short().await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0).enable_push(false);
    let mut http2 = Http2::with(builder, Client::connect(&site.http).await.stream).await;
    let (mut client, _connection) = open(&site, &mut http2).await;
    client.send([close(1000, "")]).await;
    assert_eq!(site.close_event().await.0, 1000);
    assert_eq!(client.stream.sees_reset().await, Reason::CANCEL);
    // Without a stream it is told to go.
    let _ = within(http2.connection).await;
}

#[tokio::test]
async fn a_client_that_does_not_hear_that_it_is_to_go_is_not_served_on_behind_the_end() {
    let site = short().await;
    let mut http2 = Http2::over(deaf(Client::connect(&site.http).await.stream)).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    within(site.http.shut_down()).await;
    client.send([text("still here")]).await;
    assert_eq!(within(connection.recv()).await, Some("still here".into()));

    // What is on its way when the server ends has its answer.
    let error = within(async {
        loop {
            let request = Request::get("https://a/").body(()).unwrap();
            let mut stream = http2.send(request, true).await;
            if let Err(error) = stream.response.take().unwrap().await {
                break error;
            }
        }
    })
    .await;
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    client.send([text("unharmed")]).await;
    assert_eq!(within(connection.recv()).await, Some("unharmed".into()));
}

#[tokio::test]
async fn a_connection_that_outlived_the_server_ends_with_its_last_websocket_whatever_the_client_hears() {
    let site = short().await;
    let mut http2 = Http2::over(deaf(Client::connect(&site.http).await.stream)).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    within(site.http.shut_down()).await;
    connection.close(CloseCode::NORMAL, None).unwrap();
    client.frame().await;
    client.send([close(1000, "")]).await;
    client.sees_end().await;
    client.end().await;
    let _ = within(http2.connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_only_pings_ends_all_the_same() {
    let site = short().await;
    let (mut stream, servers) = duplex(64 * 1024);
    site.http.serve_stream(servers, None);
    stream.write_all(PREFACE).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let pings = async {
        while write.write_all(&[0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        pending::<()>().await;
    };
    let mut received = Vec::new();
    within(async {
        tokio::select! {
            _ = read.read_to_end(&mut received) => {}
            () = pings => {}
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_in_one_piece_that_its_client_does_not_take_is_reset_at_the_write_timeout() {
    let long =
        ServiceFn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(vec![7; 1 << 20]))) });
    let http = HttpServer::builder().service(long).write_timeout(SHORT).bind("127.0.0.1:0").await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let site = Site::of(http, server);
    let mut http2 = Http2::over(Client::connect(&site.http).await.stream).await;
    let (mut client, connection) = open(&site, &mut http2).await;
    let mut body = http2.get("/").await.into_body();
    assert_eq!(reset_of(&mut body).await, Reason::CANCEL);
    client.send([text("unharmed")]).await;
    assert_eq!(within(connection.recv()).await, Some("unharmed".into()));
}

#[tokio::test(start_paused = true)]
async fn a_closing_server_waits_for_an_answer_in_one_piece_that_is_being_taken() {
    const LEN: usize = 1 << 20;
    let long = ServiceFn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(vec![7; LEN]))) });
    let http = HttpServer::builder().service(long).close_timeout(SHORT).unbound().await.unwrap();
    let (stream, servers) = duplex(64 * 1024);
    http.serve_stream(servers, None);
    let mut http2 = Http2::over(stream).await;
    let mut body = http2.get("/").await.into_body();
    http.close();
    let mut taken = 0;
    while let Some(piece) = within(body.data()).await {
        let len = piece.expect("nothing is cut off").len();
        taken += len;
        tokio::time::sleep(Duration::from_millis(5)).await;
        body.flow_control().release_capacity(len).unwrap();
    }
    assert_eq!(taken, LEN);
    within(http.shut_down()).await;
}

#[tokio::test]
async fn a_connection_whose_place_others_have_taken_ends_whatever_the_client_hears() {
    let holding = Arc::new(Notify::new());
    let is_holding = Arc::clone(&holding);
    let service = ServiceFn(move |request: Request<_>| {
        let holding = Arc::clone(&holding);
        async move {
            if request.uri().path() == "/hold" {
                holding.notify_one();
                pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let http = HttpServer::builder().service(service).max_connections(1).write_timeout(SHORT);
    let http = http.bind("127.0.0.1:0").await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let site = Site::of(http, server);
    let mut http2 = Http2::over(deaf(Client::connect(&site.http).await.stream)).await;
    let (mut client, _connection) = open(&site, &mut http2).await;
    let mut other = site.client().await;
    other.write("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
    within(is_holding.notified()).await;

    client.send([close(1000, "")]).await;
    client.frame().await;
    client.sees_end().await;
    client.end().await;
    within(async {
        while let Ok(mut ready) = http2.requests.clone().ready().await {
            let request = Request::get("https://a/").body(()).unwrap();
            let Ok((response, _)) = ready.send_request(request, true) else { break };
            if response.await.is_err() {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_keeps_its_place_until_its_client_has_ended_it() {
    let http = HttpServer::builder().max_connections(1).bind("127.0.0.1:0").await.unwrap();
    let mut first = Client::connect(&http).await;
    // A frame of SETTINGS that is none ends it.
    first.write([PREFACE, &[0, 0, 1, 4, 0, 0, 0, 0, 0, 0]].concat()).await;
    assert!(!first.rest().await.is_empty());

    let mut second = Client::connect(&http).await;
    second.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut answer = pin!(second.head());
    assert!(tokio::time::timeout(SHORT, &mut answer).await.is_err());
    drop(first);
    assert_eq!(answer.await.status(), 404);
}

#[tokio::test]
async fn a_service_that_panics_is_not_taken_for_a_client_that_gives_up() {
    let service = ServiceFn(|request: Request<_>| async move {
        assert_ne!(request.uri().path(), "/", "it panics");
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let http = HttpServer::builder().service(service).bind("127.0.0.1:0").await.unwrap();
    let mut http2 = Http2::over(Client::connect(&http).await.stream).await;
    for _ in 0..1100 {
        let request = Request::get("https://a/").body(()).unwrap();
        let mut stream = http2.send(request, true).await;
        let error = within(stream.response.take().unwrap()).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CANCEL));
    }
}
