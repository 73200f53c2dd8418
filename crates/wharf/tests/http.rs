//! HTTP servers with a WebSocket server mounted: what of one reaches the other.

mod support;

use std::time::Duration;

use support::{Client, Site, bytes_of, close, handshake, text, until, within};
use wharf::{Accept, CloseCode, HttpServer, Server, ServerConfig};

fn mounted_on(http: HttpServer) -> Site {
    let server = Server::new(ServerConfig::default().auto_accept_connections(true));
    server.mount([&http]).expect("the options are valid");
    Site::of(http, server)
}

#[tokio::test]
async fn a_handshake_may_come_byte_by_byte() {
    let site = mounted_on(HttpServer::bind("127.0.0.1:0").await.unwrap());
    let mut client = site.client().await;
    let bytes = [handshake("").into_bytes(), text("hello").masked()].concat();
    for byte in bytes {
        client.write([byte]).await;
        tokio::task::yield_now().await;
    }
    let connection = site.connected().await;
    assert_eq!(client.head().await.status(), 101);
    assert_eq!(within(connection.recv()).await, Some("hello".into()));
}

#[tokio::test]
async fn a_handshake_that_drips_is_cut_at_the_deadline_and_nobody_hears_of_it() {
    let builder = HttpServer::builder().handshake_timeout(Duration::from_millis(50));
    let site = mounted_on(builder.bind("127.0.0.1:0").await.unwrap());
    let mut client = site.client().await;
    let head = handshake("");
    client.write(&head[..head.len() - 2]).await;
    assert_eq!(client.head().await.status(), 408);
    client.sees_end().await;
    assert_eq!((site.server.pending_request_count(), site.server.connection_count()), (0, 0));
}

#[tokio::test]
async fn s12_2_a_reset_at_any_moment_of_a_handshake_or_a_frame_leaves_nothing_behind() {
    let site = mounted_on(HttpServer::bind("127.0.0.1:0").await.unwrap());
    let frames = bytes_of([text("hello"), close(1000, "")]);
    let bytes = [handshake("").into_bytes(), frames].concat();
    for len in 0..=bytes.len() {
        let mut client = site.client().await;
        client.write(&bytes[..len]).await;
        for _ in 0..len % 4 {
            tokio::task::yield_now().await;
        }
        client.reset();
    }
    let mut client = site.asking("").await;
    assert_eq!(client.head().await.status(), 101);
    until(|| site.server.connection_count() == 1 && site.server.pending_request_count() == 0).await;
}

#[tokio::test]
async fn shutting_the_http_server_down_leaves_websockets_alone() {
    let site = mounted_on(HttpServer::bind("127.0.0.1:0").await.unwrap());
    let mut client = site.asking("").await;
    let connection = site.connected().await;
    client.head().await;
    within(site.http.shut_down()).await;
    client.send([text("hello")]).await;
    let message = within(connection.recv()).await.expect("a message");
    connection.try_send(message).unwrap();
    assert_eq!(client.frame().await, text("hello"));
}

#[tokio::test]
async fn shutting_the_http_server_down_waits_for_a_decision_until_its_deadline() {
    let builder = HttpServer::builder().shutdown_timeout(Duration::from_millis(50));
    let http = builder.bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(ServerConfig::default());
    server.mount([&http]).unwrap();
    let site = Site::of(http, server);
    let (mut client, request) = site.ask("").await;
    within(site.http.shut_down()).await;
    assert_eq!(client.next().await, None, "no answer");
    assert_eq!(site.server.pending_request_count(), 0);
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(within(connection.closed()).await.code(), CloseCode::ABNORMAL);
}

#[tokio::test]
async fn the_websocket_server_answers_what_was_asked_before_the_http_server_closed() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    site.http.close();
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
    client.send([text("hello")]).await;
    assert_eq!(within(connection.recv()).await, Some("hello".into()));
}

#[tokio::test]
async fn when_every_handle_is_gone_no_client_is_taken_in_any_more() {
    let site = mounted_on(HttpServer::bind("127.0.0.1:0").await.unwrap());
    let mut client: Client = site.asking("").await;
    let connection = site.connected().await;
    client.head().await;
    let addr = site.http.local_addr();
    drop(site);
    within(async { while tokio::net::TcpStream::connect(addr).await.is_ok() {} }).await;
    client.send([text("hello")]).await;
    assert_eq!(within(connection.recv()).await, Some("hello".into()));
}
