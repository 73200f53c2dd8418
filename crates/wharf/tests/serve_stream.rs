//! HTTP on streams that came by no listener.

mod support;

use std::time::Duration;

use support::{Client, ClientOf, Site, close, handshake, text, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use wharf::{Accept, HttpServer, Server, ServerConfig};

impl support::roads::Peer for DuplexStream {
    fn reset(self) {}
}

async fn site() -> Site {
    let http = HttpServer::builder().unbound().await.expect("the options are valid");
    let server = Server::mounted(ServerConfig::default(), [&http]).expect("the options are valid");
    Site::of(http, server)
}

#[tokio::test]
async fn any_stream_is_served_from_its_first_byte() {
    let site = site().await;
    assert_eq!(site.http.local_addresses(), []);
    let (client, stream) = duplex(1024);
    let peer = "192.0.2.1:4711".parse().unwrap();
    site.http.serve_stream(stream, Some(peer));
    let mut client: ClientOf<DuplexStream> = ClientOf::on(client);
    client.write(handshake("")).await;
    let request = site.request().await;
    assert_eq!(request.socket_address(), Some(peer));
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
    client.send([text("hello")]).await;
    assert_eq!(within(connection.recv()).await, Some("hello".into()));
    client.send([close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
    client.sees_end().await;
}

#[tokio::test]
async fn an_ordinary_request_on_it_is_answered_too() {
    let site = site().await;
    let (client, stream) = duplex(1024);
    site.http.serve_stream(stream, None);
    let mut client: ClientOf<DuplexStream> = ClientOf::on(client);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 404);
}

#[tokio::test]
async fn a_socket_of_tcp_is_one_to_a_server_that_listens_elsewhere() {
    let site = Site::open().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = Client::to(listener.local_addr().unwrap()).await;
    let (stream, peer) = listener.accept().await.unwrap();
    site.http.serve_stream(stream, Some(peer));
    client.write(handshake("")).await;
    site.request().await.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
}

#[tokio::test]
async fn a_server_that_is_closed_drops_it_and_waits_for_those_that_it_took() {
    let site = site().await;
    let (client, stream) = duplex(1024);
    site.http.serve_stream(stream, None);
    let mut taken: ClientOf<DuplexStream> = ClientOf::on(client);
    taken.write(handshake("")).await;
    let request = site.request().await;
    let mut closing = std::pin::pin!(site.http.shut_down());
    assert!(support::waits(closing.as_mut()));

    let (client, stream) = duplex(1024);
    site.http.serve_stream(stream, None);
    ClientOf::<DuplexStream>::on(client).sees_end().await;

    request.accept(Accept::new()).unwrap();
    assert_eq!(taken.head().await.status(), 101);
    within(closing).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_finds_no_place_in_time_is_dropped() {
    let http = HttpServer::builder().max_connections(1).handshake_timeout(Duration::from_secs(3));
    let http = http.unbound().await.unwrap();
    let [(_first, stream), (second, other)] = [duplex(1024), duplex(1024)];
    http.serve_stream(stream, None);
    tokio::task::yield_now().await;
    let began = Instant::now();
    http.serve_stream(other, None);
    ClientOf::<DuplexStream>::on(second).sees_end().await;
    assert_eq!(began.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_for_a_place_is_dropped_as_the_server_closes() {
    let http = HttpServer::builder().max_connections(1).unbound().await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let (mut holding, stream) = duplex(1024);
    http.serve_stream(stream, None);
    holding.write_all(handshake("").as_bytes()).await.unwrap();
    let _undecided = within(server.next_event()).await;

    let (mut waiting, stream) = duplex(1024);
    http.serve_stream(stream, None);
    tokio::task::yield_now().await;
    http.close();
    let started = Instant::now();
    assert_eq!(waiting.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(started.elapsed(), Duration::ZERO);
}
