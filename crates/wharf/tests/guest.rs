//! wharf on HTTP servers of others: hyper's own, by a tower service and by a layer.

#[path = "support/http2.rs"]
mod http2_client;
#[path = "support/service.rs"]
mod service;
mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use http2_client::Http2;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use service::ServiceFn;
use support::{Client, ClientOf, Head, close, handshake, text, within};
use tokio::net::TcpListener;
use tower_layer::Layer;
use tower_service::Service;
use wharf::{Accept, CloseCode, Event, Guest, PeerAddress, Rejection, Server, ServerConfig};

/// How a host serves its connections.
#[derive(Clone, Copy)]
enum Host {
    Http1,
    Http1WithoutUpgrades,
    Http2,
}

/// Serves connections with a service, as a host of its own does.
async fn host<S, B>(host: Host, service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.expect("a client");
            let inner = service.clone();
            let service = ServiceFn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(PeerAddress(peer));
                inner.clone().call(request)
            });
            let (stream, service) = (TokioIo::new(stream), TowerToHyperService::new(service));
            tokio::spawn(async move {
                let _ = match host {
                    Host::Http1 => {
                        http1::Builder::new().serve_connection(stream, service).with_upgrades().await
                    }
                    Host::Http1WithoutUpgrades => {
                        http1::Builder::new().serve_connection(stream, service).await
                    }
                    Host::Http2 => {
                        let mut builder = http2::Builder::new(TokioExecutor::new());
                        builder.enable_connect_protocol().serve_connection(stream, service).await
                    }
                };
            });
        }
    });
    address
}

fn server() -> (Server, Guest) {
    let server = Server::new(ServerConfig::default());
    let guest = server.guest().expect("valid options");
    (server, guest)
}

async fn asked(address: SocketAddr) -> Client {
    let mut client = Client::to(address).await;
    client.write(handshake("")).await;
    client
}

async fn event(server: &Server) -> Event {
    within(server.next_event()).await.expect("the server goes on")
}

/// Accepts what was asked for, and echoes one message.
async fn echoes_once<P: support::roads::Peer>(server: &Server, mut client: ClientOf<P>, accepted: u16) {
    let Event::Request(request) = event(server).await else { panic!("not a request") };
    let connection = request.accept(Accept::new()).expect("undecided");
    assert_eq!(client.head().await.status(), accepted);
    client.send([text("hello")]).await;
    let message = within(connection.recv()).await.expect("a message");
    within(connection.send(message)).await.expect("open");
    assert_eq!(client.message().await, "hello".into());
    assert!(matches!(event(server).await, Event::Connect(connected) if connected == connection));
}

/// A service that says hello.
fn hello()
-> impl Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    ServiceFn(|_| async { Ok(Response::new(Full::from("hello"))) })
}

const ORDINARY: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn answer(address: SocketAddr, request: &str) -> Head {
    let mut client = Client::to(address).await;
    client.write(request).await;
    client.head().await
}

#[tokio::test]
async fn a_service_opens_websockets_on_a_server_of_hypers_own() {
    let (server, guest) = server();
    let address = host(Host::Http1, guest).await;
    let client = asked(address).await;
    echoes_once(&server, client, 101).await;
}

#[tokio::test]
async fn a_service_opens_websockets_on_http2_of_hypers_own() {
    let (server, guest) = server();
    let address = host(Host::Http2, guest).await;
    let mut http2 = Http2::over(Client::to(address).await.stream).await;
    let stream = http2.ask("/", "").await;
    echoes_once(&server, ClientOf::on(stream), 200).await;
}

#[tokio::test]
async fn what_came_behind_the_handshake_is_received_first() {
    let (server, guest) = server();
    let address = host(Host::Http1, guest).await;
    let mut client = Client::to(address).await;
    client.write([handshake("").as_bytes(), &text("early").masked()].concat()).await;
    let Event::Request(request) = event(&server).await else { panic!("not a request") };
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(within(connection.recv()).await, Some("early".into()));
}

#[tokio::test]
async fn the_peers_address_is_the_one_that_the_host_tells() {
    let (server, guest) = server();
    let address = host(Host::Http1, guest.clone()).await;
    let client = asked(address).await;
    let Event::Request(request) = event(&server).await else { panic!("not a request") };
    assert_eq!(request.socket_address(), Some(client.stream.local_addr().unwrap()));
}

#[tokio::test]
async fn a_service_answers_what_is_no_handshake_with_426() {
    let (_server, guest) = server();
    let address = host(Host::Http1, guest).await;
    let head = answer(address, ORDINARY).await;
    assert_eq!((head.status(), head.field("upgrade")), (426, Some("websocket")));
}

#[tokio::test]
async fn a_layer_leaves_all_other_requests_to_the_service_under_it() {
    let (server, guest) = server();
    let address = host(Host::Http1, guest.layer(hello())).await;
    assert_eq!(answer(address, ORDINARY).await.status(), 200);
    let client = asked(address).await;
    echoes_once(&server, client, 101).await;
}

#[tokio::test]
async fn a_rejection_reaches_the_client_through_the_layer() {
    let (server, guest) = server();
    let address = host(Host::Http1, guest.layer(hello())).await;
    let mut client = asked(address).await;
    let Event::Request(request) = event(&server).await else { panic!("not a request") };
    request.reject(Rejection::new(404).reason("no such room")).unwrap();
    let head = client.head().await;
    assert_eq!((head.status(), head.field("x-websocket-reject-reason")), (404, Some("no such room")));
}

#[tokio::test]
async fn after_unmount_a_layer_passes_all_on_and_a_service_answers_503() {
    let (server, guest) = server();
    let layered = host(Host::Http1, guest.clone().layer(hello())).await;
    let alone = host(Host::Http1, guest).await;
    server.unmount();
    assert_eq!(answer(layered, &handshake("")).await.status(), 200);
    assert_eq!(answer(alone, &handshake("")).await.status(), 503);
}

#[tokio::test]
async fn a_host_that_lets_go_of_no_connection_is_found_before_anybody_is_asked() {
    let (server, guest) = server();
    let address = host(
        Host::Http1WithoutUpgrades,
        ServiceFn({
            let guest = guest.clone();
            move |mut request: Request<Incoming>| {
                request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
                guest.clone().call(request)
            }
        }),
    )
    .await;
    assert_eq!(answer(address, &handshake("")).await.status(), 501);
    assert_eq!(server.counters().handshakes, 0);
}

#[tokio::test]
async fn shut_down_and_broadcast_reach_the_connections_of_a_guest() {
    let (server, guest) = server();
    let address = host(Host::Http1, guest).await;
    let mut client = asked(address).await;
    let Event::Request(request) = event(&server).await else { panic!("not a request") };
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
    assert_eq!(server.broadcast("to all").sent, 1);
    assert_eq!(client.message().await, "to all".into());
    let shutting_down = server.shut_down(CloseCode::GOING_AWAY, Duration::from_secs(60));
    let leaving = async {
        assert_eq!(client.frame().await, close(1001, "Remote peer is going away"));
        client.send([close(1001, "")]).await;
        client.sees_end().await;
        client.end().await;
    };
    within(async { tokio::join!(shutting_down, leaving) }).await;
    assert!(connection.ending().is_some_and(|ending| ending.is_clean()));
}
