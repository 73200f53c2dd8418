//! wharf among the routes of an axum application.

#[path = "support/http2.rs"]
mod http2_client;
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::{any, get};
use http2_client::Http2;
use support::{Client, ClientOf, close, handshake_to, text, until, within};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wharf::axum::WebSocketRequest;
use wharf::{
    Accept, AcceptError, CloseCode, Event, HttpServer, RejectError, Rejection, Server, ServerConfig,
};

async fn echo(request: WebSocketRequest) -> Result<Response, AcceptError> {
    let accept = match request.protocols().first() {
        Some(protocol) => Accept::new().protocol(protocol),
        None => Accept::new(),
    };
    let serve = |connection: wharf::Connection| async move {
        while let Some(message) = connection.recv().await {
            if connection.send(message).await.is_err() {
                break;
            }
        }
    };
    request.accept(accept, serve).await
}

async fn reject(request: WebSocketRequest) -> Result<Response, RejectError> {
    request.reject(Rejection::new(401).reason("who are you?")).await
}

async fn decide_never(request: WebSocketRequest) -> Response {
    let (request, answer) = request.into_parts();
    drop(request);
    answer.await
}

async fn wrong_protocol(request: WebSocketRequest) -> Result<Response, AcceptError> {
    request.accept(Accept::new().protocol("nobody asked for it"), |_| async {}).await
}

fn app(server: &Server) -> Router {
    Router::new()
        .route("/", get("hello"))
        .route("/echo", any(echo))
        .route("/reject", any(reject))
        .route("/never", any(decide_never))
        .route("/wrong", any(wrong_protocol))
        .with_state(server.guest().expect("valid options"))
}

struct Host {
    server: Server,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// axum's own server, which ends in order when it is told to stop.
async fn host(config: ServerConfig) -> Host {
    let server = Server::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let service = app(&server).into_make_service_with_connect_info::<SocketAddr>();
    let (stop, stopped) = oneshot::channel();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let ended = tokio::spawn(async { serving.await.expect("it serves") });
    Host { server, address, stop, ended }
}

impl Host {
    async fn asking(&self, path: &str) -> Client {
        let mut client = Client::to(self.address).await;
        client.write(handshake_to(path, "")).await;
        client
    }

    async fn open(&self) -> Client {
        let mut client = self.asking("/echo").await;
        assert_eq!(client.head().await.status(), 101);
        client
    }
}

async fn echoes<P: support::roads::Peer>(client: &mut ClientOf<P>) {
    client.send([text("hello")]).await;
    assert_eq!(client.message().await, "hello".into());
}

#[tokio::test]
async fn a_handler_accepts_and_serves_the_connection() {
    let host = host(ServerConfig::default()).await;
    let mut client = host.open().await;
    echoes(&mut client).await;
    let connection = &host.server.connections()[0];
    assert_eq!(connection.socket_address(), Some(client.stream.local_addr().unwrap()));
}

#[tokio::test]
async fn a_handler_serves_websockets_over_http2_beside_other_routes() {
    let host = host(ServerConfig::default()).await;
    let mut http2 = Http2::over(Client::to(host.address).await.stream).await;
    let mut client = ClientOf::on(http2.ask("/echo", "sec-websocket-protocol: chat").await);
    let head = client.head().await;
    assert_eq!((head.status(), head.field("sec-websocket-protocol")), (200, Some("chat")));
    echoes(&mut client).await;
    assert_eq!(http2.get("/").await.status(), 200);
}

#[tokio::test]
async fn a_handlers_rejection_is_what_the_client_gets() {
    let host = host(ServerConfig::default()).await;
    let head = host.asking("/reject").await.head().await;
    assert_eq!((head.status(), head.field("x-websocket-reject-reason")), (401, Some("who are you?")));
    assert_eq!(host.asking("/never").await.head().await.status(), 403);
    assert_eq!(host.asking("/wrong").await.head().await.status(), 500);
    assert_eq!(host.server.counters().rejected, 3);
}

#[tokio::test]
async fn what_is_no_websocket_is_answered_without_the_handler() {
    let host = host(ServerConfig::default()).await;
    let mut client = Client::to(host.address).await;
    client.write("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!((head.status(), head.field("upgrade")), (426, Some("websocket")));
    let mut client = Client::to(host.address).await;
    client.write(handshake_to("/echo", "").replace("Version: 13", "Version: 14")).await;
    let head = client.head().await;
    assert_eq!((head.status(), head.field("sec-websocket-version")), (426, Some("13, 8")));
}

#[tokio::test]
async fn a_server_that_nobody_listens_to_serves_on_and_one_that_is_listened_to_tells_all() {
    let host = host(ServerConfig::default().max_pending_events(2)).await;
    for _ in 0..5 {
        echoes(&mut host.open().await).await;
    }
    let mut told = std::pin::pin!(host.server.next_event());
    until(|| host.server.connection_count() == 0).await;
    assert!(support::waits(told.as_mut()), "what came before is past");
    let _client = host.open().await;
    assert!(matches!(within(told).await, Some(Event::Connect(_))));
}

#[tokio::test]
async fn the_hosts_shutdown_waits_for_websockets_that_are_closed_at_the_same_time() {
    let host = host(ServerConfig::default()).await;
    let mut http1 = host.open().await;
    let mut http2 = Http2::over(Client::to(host.address).await.stream).await;
    let mut stream = ClientOf::on(http2.ask("/echo", "").await);
    assert_eq!(stream.head().await.status(), 200);
    drop(http2.requests);

    let server = host.server.clone();
    host.stop.send(()).unwrap();
    let shutting_down =
        tokio::spawn(async move { server.shut_down(CloseCode::GOING_AWAY, Duration::from_secs(60)).await });
    assert_eq!(http1.frame().await, close(1001, "Remote peer is going away"));
    assert_eq!(stream.frame().await, close(1001, "Remote peer is going away"));
    assert!(!host.ended.is_finished() && !shutting_down.is_finished());
    http1.send([close(1001, "")]).await;
    stream.send([close(1001, "")]).await;
    http1.sees_end().await;
    stream.sees_end().await;
    http1.end().await;
    stream.end().await;
    within(shutting_down).await.unwrap();
    within(host.ended).await.unwrap();
}

#[tokio::test]
async fn axum_routes_on_an_http_server_of_wharfs_own_have_their_websockets_there() {
    let server = Server::new(ServerConfig::default());
    let http = HttpServer::builder().service(app(&server)).close_timeout(Duration::from_millis(10));
    let http = http.bind("127.0.0.1:0").await.unwrap();
    let mut client = Client::to(http.local_addr()).await;
    client.write(handshake_to("/echo", "")).await;
    assert_eq!(client.head().await.status(), 101);
    echoes(&mut client).await;

    let mut http2 = Http2::over(Client::to(http.local_addr()).await.stream).await;
    let mut client = ClientOf::on(http2.ask("/echo", "").await);
    assert_eq!(client.head().await.status(), 200);
    echoes(&mut client).await;
    within(http.shut_down()).await;
    echoes(&mut client).await;
}
