//! A server's life: mounts, the list of connections, closing them all, and shutting down.

mod support;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use support::{Client, Site, binary, close, continuation, handshake, text, until, waits, within};
use tower_service::Service;
use wharf::{
    Accept, AcceptError, CloseCode, ConfigError, Connection, Event, HttpServer, MountError, RejectError,
    Rejection, Server, ServerConfig,
};

const LONG: Duration = Duration::from_secs(3600);

async fn http() -> HttpServer {
    HttpServer::bind("127.0.0.1:0").await.expect("a port is free")
}

/// The status that a handshake gets where nobody decides it.
async fn status(http: &HttpServer) -> u16 {
    status_of(http, &handshake("")).await
}

async fn status_of(http: &HttpServer, request: &str) -> u16 {
    let mut client = Client::connect(http).await;
    client.write(request).await;
    client.head().await.status()
}

/// The application's own HTTP service: 200 to everything.
#[derive(Clone)]
struct Ok200;

impl Service<Request<Incoming>> for Ok200 {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Incoming>) -> Self::Future {
        ready(Ok(Response::new(Full::default())))
    }
}

async fn http_with_service() -> HttpServer {
    HttpServer::builder().service(Ok200).bind("127.0.0.1:0").await.expect("a port is free")
}

/// Answers the Close frame that comes with its own code, and ends TCP after the server.
async fn answers_close(client: &mut Client, code: u16, reason: &str) {
    assert_eq!(client.frame().await, close(code, reason));
    client.send([close(code, "")]).await;
    client.sees_end().await;
    client.end().await;
}

async fn assert_echoes(client: &mut Client, connection: &Connection) {
    client.send([text("are you there")]).await;
    let message = within(connection.recv()).await.expect("a message");
    within(connection.send(message)).await.expect("an open connection");
    assert_eq!(client.frame().await, text("are you there"));
}

#[tokio::test]
async fn s1_1_an_unmounted_server_leaves_handshakes_to_the_http_service() {
    let http = http_with_service().await;
    let server = Server::new(ServerConfig::default().auto_accept_connections(true));
    assert_eq!(status(&http).await, 200);
    assert_eq!((server.connection_count(), server.pending_request_count()), (0, 0));
}

#[tokio::test]
async fn s1_2_a_server_made_on_http_servers_serves_at_once() {
    let (first, second) = (http().await, http().await);
    let config = ServerConfig::default().auto_accept_connections(true);
    let server = Server::mounted(config.clone(), [&first, &second]).unwrap();
    assert_eq!((status(&first).await, status(&second).await), (101, 101));
    assert_eq!(server.config(), &config);
}

#[tokio::test]
async fn s1_3_what_mount_refuses_is_refused_as_the_server_is_made_with_the_same_error() {
    let (free, taken) = (http().await, Site::open().await);
    let bad = ServerConfig::default().fragmentation_threshold(0);
    for (config, http_servers) in [
        (bad, vec![&free]),
        (ServerConfig::default(), vec![]),
        (ServerConfig::default(), vec![&free, &taken.http]),
    ] {
        let error = Server::mounted(config.clone(), http_servers.clone()).unwrap_err();
        assert_eq!(error, Server::new(config).mount(http_servers).unwrap_err());
    }
    assert_eq!(status(&free).await, 404, "nothing was mounted");
}

#[tokio::test]
async fn s2_1_mounting_on_no_http_server_is_an_error_that_names_it() {
    let error = Server::new(ServerConfig::default()).mount([]).unwrap_err();
    assert_eq!(error, MountError::NoHttpServer);
    assert!(error.to_string().contains("httpServer"), "{error}");
}

#[tokio::test]
async fn s2_2_one_server_accepts_on_both_of_its_http_servers() {
    let (first, second) = (http().await, http().await);
    let server = Server::new(ServerConfig::default().auto_accept_connections(true));
    server.mount([&first, &second]).unwrap();
    let mut clients = Vec::new();
    for http in [&first, &second] {
        let mut client = Client::connect(http).await;
        client.write(handshake("")).await;
        assert_eq!(client.head().await.status(), 101);
        clients.push(client);
    }
    let connections = server.connections();
    assert_eq!(connections.len(), 2);
    for (client, connection) in clients.iter_mut().zip(&connections) {
        assert_echoes(client, connection).await;
    }
}

#[tokio::test]
async fn s2_4_the_same_http_server_a_second_time_is_an_error_and_a_handshake_is_answered_once() {
    let site = Site::open().await;
    let addr = site.http.local_addr();
    assert_eq!(
        site.server.mount([&site.http]).unwrap_err(),
        MountError::AlreadyMounted(wharf::LocalAddress::Tcp(addr))
    );
    let other = Server::new(ServerConfig::default());
    assert_eq!(
        other.mount([&site.http]).unwrap_err(),
        MountError::AlreadyMounted(wharf::LocalAddress::Tcp(addr))
    );

    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(client.frame().await, close(1000, ""), "no second answer before it");
}

#[tokio::test]
async fn s2_4_a_mount_that_fails_mounts_nothing() {
    let (free, taken) = (http().await, Site::open().await);
    let server = Server::new(ServerConfig::default());
    server.mount([&free, &taken.http]).unwrap_err();
    server.mount([&free, &free]).unwrap_err();
    let error = server.mount_with(ServerConfig::default().max_connections(0), [&free]).unwrap_err();
    assert!(matches!(error, MountError::Config(ConfigError { option: "max_connections", .. })), "{error}");
    assert_eq!(status(&free).await, 404);
    server.mount([&free]).unwrap();
}

#[tokio::test]
async fn s2_5_a_second_mount_keeps_the_first() {
    let site = Site::open().await;
    let second = http().await;
    site.server.mount([&second]).unwrap();
    for http in [&site.http, &second] {
        let mut client = Client::connect(http).await;
        client.write(handshake("")).await;
        site.request().await.reject(Rejection::new(404).reason("the server's own")).unwrap();
        assert_eq!(client.head().await.field("x-websocket-reject-reason"), Some("the server's own"));
    }
    site.server.unmount();
    assert_eq!(status(&site.http).await, 404);
    assert_eq!(status(&second).await, 404);
}

#[tokio::test]
async fn s3_1_after_unmount_the_http_service_answers_handshakes_on_every_http_server() {
    let (first, second) = (http_with_service().await, http_with_service().await);
    let config = ServerConfig::default().auto_accept_connections(true);
    let server = Server::mounted(config, [&first, &second]).unwrap();
    for http in [&first, &second] {
        assert_eq!(status(http).await, 101);
    }
    server.unmount();
    for http in [&first, &second] {
        assert_eq!(status(http).await, 200);
    }
}

#[tokio::test]
async fn s3_2_after_unmount_a_live_connection_still_echoes() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    site.server.unmount();
    assert_echoes(&mut client, &connection).await;
}

#[tokio::test]
async fn s3_2_after_unmount_a_request_from_before_can_still_be_accepted() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    site.server.unmount();
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
    assert_echoes(&mut client, &connection).await;
}

#[tokio::test]
async fn s3_3_unmount_twice_or_before_any_mount_does_nothing() {
    let server = Server::new(ServerConfig::default());
    server.unmount();
    let site = Site::open().await;
    site.server.unmount();
    site.server.unmount();
    assert_eq!(status(&site.http).await, 404);
    server.unmount();
    assert!(waits(pin!(server.next_event())), "nobody was told of anything");
}

#[tokio::test]
async fn s4_1_mounting_again_serves_again_with_the_new_options() {
    let site = Site::with(ServerConfig::default().auto_accept_connections(true)).await;
    assert_eq!(status(&site.http).await, 101);
    site.connected().await;
    site.closed().await;

    site.server.unmount();
    site.server.mount_with(ServerConfig::default(), [&site.http]).unwrap();
    let (mut client, request) = site.ask("").await;
    request.reject(Rejection::new(404)).unwrap();
    assert_eq!(client.head().await.status(), 404);

    site.server.unmount();
    site.server.mount([&site.http]).unwrap();
    assert_eq!(status(&site.http).await, 101, "the options of the server itself are back");
}

#[tokio::test]
async fn s4_2_connections_from_before_keep_their_options() {
    let site = Site::with(ServerConfig::default().max_received_frame_size(10)).await;
    let (mut old, _old) = site.pair().await;
    site.server.unmount();
    site.server.mount_with(ServerConfig::default(), [&site.http]).unwrap();
    let (mut new, connection) = site.pair().await;

    new.send([binary([7; 11])]).await;
    assert_eq!(within(connection.recv()).await, Some(vec![7; 11].into()));
    old.send([binary([7; 11])]).await;
    let reason = "Frame size of 11 bytes exceeds maximum accepted frame size";
    assert_eq!(old.frame().await, close(1009, reason));
}

#[tokio::test]
async fn s5_1_closing_all_connections_sends_each_a_close_of_1000_and_its_description() {
    let site = Site::open().await;
    let (mut first, _first) = site.pair().await;
    let (mut second, _second) = site.pair().await;
    let mut closing = pin!(site.server.close_all_connections(CloseCode::NORMAL, LONG));
    assert!(waits(closing.as_mut()));
    for client in [&mut first, &mut second] {
        assert_eq!(client.frame().await, close(1000, "Normal connection closure"));
    }
    assert!(waits(closing.as_mut()), "nobody has answered");
}

#[tokio::test]
async fn s5_3_each_close_is_told_once_its_peer_has_answered_and_then_none_is_left() {
    let site = Site::open().await;
    let (mut first, one) = site.pair().await;
    let (mut second, other) = site.pair().await;
    let peers = async {
        answers_close(&mut second, 1000, "Normal connection closure").await;
        let (closed, ending) = site.closed().await;
        assert_eq!((&closed, ending.code()), (&other, CloseCode::NORMAL));
        assert_eq!(site.server.connections(), std::slice::from_ref(&one), "the first has not answered yet");
        answers_close(&mut first, 1000, "Normal connection closure").await;
    };
    let closing = site.server.close_all_connections(CloseCode::NORMAL, LONG);
    within(async { tokio::join!(closing, peers) }).await;
    assert_eq!(site.server.connections(), []);
    let (closed, ending) = site.closed().await;
    assert_eq!((closed, ending.code()), (one, CloseCode::NORMAL));

    let (mut client, connection) = site.pair().await;
    assert_echoes(&mut client, &connection).await;
}

#[tokio::test]
async fn s5_2_closing_all_connections_rejects_undecided_requests_with_503() {
    let site = Site::open().await;
    let (mut first, to_accept) = site.ask("").await;
    let (mut second, to_reject) = site.ask("").await;
    assert_eq!(site.server.pending_request_count(), 2);
    within(site.server.close_all_connections(CloseCode::NORMAL, LONG)).await;

    assert_eq!(site.server.pending_request_count(), 0);
    for client in [&mut first, &mut second] {
        let head = client.head().await;
        assert_eq!((head.status(), head.field("x-websocket-reject-reason")), (503, None));
        client.sees_end().await;
    }
    assert_eq!(to_accept.accept(Accept::new()).unwrap_err(), AcceptError::AlreadyDecided);
    assert_eq!(to_reject.reject(Rejection::new(404)).unwrap_err(), RejectError::AlreadyDecided);
}

#[tokio::test]
async fn s5_1_a_code_that_cannot_be_sent_closes_all_the_same() {
    let site = Site::open().await;
    let (mut client, _connection) = site.pair().await;
    let peer = async {
        assert_eq!(client.frame().await, close(1000, "Normal connection closure"));
        client.end().await;
    };
    let closing = site.server.close_all_connections(CloseCode::ABNORMAL, LONG);
    within(async { tokio::join!(closing, peer) }).await;
}

#[tokio::test]
async fn s6_1_shutting_down_unmounts_closes_all_and_leaves_the_http_server() {
    let http = http_with_service().await;
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let site = Site::of(http, server);
    let (mut client, _connection) = site.pair().await;
    let (mut asking, request) = site.ask("").await;
    let peers = async {
        assert_eq!(asking.head().await.status(), 503);
        assert_eq!(status(&site.http).await, 200, "a handshake is the service's");
        answers_close(&mut client, 1000, "Normal connection closure").await;
    };
    within(async { tokio::join!(site.server.shut_down(CloseCode::NORMAL, LONG), peers) }).await;

    assert_eq!(status_of(&site.http, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await, 200);
    assert_eq!(request.accept(Accept::new()).unwrap_err(), AcceptError::AlreadyDecided);
    assert_eq!(site.close_event().await, (1000, "Normal connection closure".to_owned()));
    assert!(within(site.server.next_event()).await.is_none(), "the events end");
}

#[tokio::test]
async fn s6_1_whoever_waits_for_an_event_hears_of_the_shutdown() {
    let site = Site::open().await;
    let server = site.server.clone();
    let waiting = tokio::spawn(async move { server.next_event().await.is_none() });
    tokio::task::yield_now().await;
    within(site.server.shut_down(CloseCode::NORMAL, LONG)).await;
    assert!(within(waiting).await.unwrap());
}

#[tokio::test]
async fn s6_2_shutting_down_twice_or_before_any_mount_does_nothing_more() {
    let server = Server::new(ServerConfig::default());
    within(server.shut_down(CloseCode::NORMAL, LONG)).await;
    within(server.close_all_connections(CloseCode::NORMAL, LONG)).await;
    assert!(within(server.next_event()).await.is_none());
    within(server.shut_down(CloseCode::NORMAL, LONG)).await;

    let http = http().await;
    server.mount([&http]).unwrap();
    let site = Site::of(http, server);
    let (mut client, connection) = site.pair().await;
    assert_echoes(&mut client, &connection).await;
}

#[tokio::test]
async fn s6_2_a_second_shutdown_sends_nothing_and_leaves_the_first_code() {
    let site = Site::open().await;
    let (mut client, _connection) = site.pair().await;
    let mut first = pin!(site.server.shut_down(CloseCode::GOING_AWAY, LONG));
    let mut second = pin!(site.server.shut_down(CloseCode::NORMAL, LONG));
    assert!(waits(first.as_mut()) && waits(second.as_mut()));
    answers_close(&mut client, 1001, "Remote peer is going away").await;
    within(async { tokio::join!(first, second) }).await;
    within(site.server.shut_down(CloseCode::NORMAL, LONG)).await;
    assert_eq!(site.close_event().await.0, 1001);
    assert!(within(site.server.next_event()).await.is_none(), "told once");
}

#[tokio::test]
async fn s7_1_a_shutdown_ends_when_the_last_connection_has_closed() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    let mut shutting_down = pin!(site.server.shut_down(CloseCode::GOING_AWAY, LONG));
    assert!(waits(shutting_down.as_mut()));
    assert_eq!(client.frame().await, close(1001, "Remote peer is going away"));
    client.send([close(1001, "")]).await;
    client.sees_end().await;
    until(|| connection.ending().is_some()).await;
    assert!(waits(shutting_down.as_mut()), "its TCP connection is still there");
    client.end().await;
    within(shutting_down).await;
    assert_eq!(site.server.connection_count(), 0);
}

/// With the clock stopped: it moves on when nothing else is left to do.
#[tokio::test]
async fn s7_1_at_the_deadline_of_a_shutdown_the_rest_is_dropped() {
    let site = Site::with(ServerConfig::default().close_timeout(LONG).keepalive(false)).await;
    let (mut client, connection) = site.pair().await;
    tokio::time::pause();
    let (began, deadline) = (tokio::time::Instant::now(), Duration::from_secs(7));
    site.server.shut_down(CloseCode::GOING_AWAY, deadline).await;
    assert!(began.elapsed() >= deadline && began.elapsed() < deadline + Duration::from_secs(1));
    assert_eq!(within(connection.closed()).await.code(), CloseCode::GOING_AWAY);
    assert_eq!(client.frame().await, close(1001, "Remote peer is going away"));
    client.sees_end().await;
}

#[tokio::test]
async fn s7_1_at_the_deadline_a_peer_that_answered_and_does_not_end_tcp_is_dropped_too() {
    let site = Site::with(ServerConfig::default().close_timeout(LONG)).await;
    let (mut client, connection) = site.pair().await;
    let peer = async {
        client.frame().await;
        client.send([close(1001, "")]).await;
        client.sees_end().await;
    };
    let shutting_down = site.server.shut_down(CloseCode::GOING_AWAY, Duration::from_millis(50));
    within(async { tokio::join!(shutting_down, peer) }).await;
    assert!(within(connection.closed()).await.is_clean(), "how it ended stays what it was");
}

#[tokio::test]
async fn s8_1_connections_are_listed_in_order_of_acceptance_and_leave_before_their_close_event() {
    let site = Site::open().await;
    let (first_client, first_request) = site.ask("").await;
    let (_second_client, second_request) = site.ask("").await;
    let second = second_request.accept(Accept::new()).unwrap();
    let first = first_request.accept(Accept::new()).unwrap();
    assert_eq!(site.server.connections(), [second.clone(), first.clone()]);
    assert!(second.id() < first.id());
    assert_eq!((site.connected().await, site.connected().await), (second.clone(), first.clone()));

    first_client.reset();
    let (gone, _) = site.closed().await;
    assert_eq!(gone, first);
    assert_eq!(site.server.connections(), [second]);
}

#[tokio::test]
async fn s8_2_a_broadcast_reaches_every_connection_once_as_text_or_binary() {
    let site = Site::open().await;
    let (mut first, _first) = site.pair().await;
    let (mut second, _second) = site.pair().await;
    for reach in [site.server.broadcast("héllo"), site.server.broadcast(vec![1, 2, 3])] {
        assert_eq!((reach.sent, reach.full), (2, 0));
    }
    for client in [&mut first, &mut second] {
        assert_eq!(client.frame().await, text("héllo"));
        assert_eq!(client.frame().await, binary([1, 2, 3]));
    }
    within(site.server.close_all_connections(CloseCode::NORMAL, Duration::ZERO)).await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.frame().await.payload[..2], 1000_u16.to_be_bytes(), "nothing came twice");
    }
}

#[tokio::test]
async fn s8_2_a_broadcast_is_framed_for_each_connections_own_options() {
    let site = Site::open().await;
    let (mut whole, _whole) = site.pair().await;
    site.server.unmount();
    site.server.mount_with(ServerConfig::default().fragmentation_threshold(3), [&site.http]).unwrap();
    let (mut in_pieces, _in_pieces) = site.pair().await;
    site.server.broadcast("hello");
    assert_eq!(whole.frame().await, text("hello"));
    assert_eq!(in_pieces.frame().await, text("hel").more_follows());
    assert_eq!(in_pieces.frame().await, continuation("lo"));
}

#[tokio::test]
async fn s8_3_a_broadcast_passes_over_closing_and_full_connections() {
    let site = Site::with(ServerConfig::default().max_buffered_amount(10)).await;
    let (mut closing, closing_connection) = site.pair().await;
    let (_full, full_connection) = site.pair().await;
    closing_connection.close(CloseCode::new(4001), Some("")).unwrap();
    full_connection.try_send("longer than the bound").unwrap();

    let reach = site.server.broadcast("all");
    assert_eq!((reach.sent, reach.full), (0, 1));
    assert_eq!(closing.frame().await, close(4001, ""));
    closing.send([close(4001, "")]).await;
    closing.sees_end().await;
    closing.end().await;
    assert_eq!(site.close_event().await.0, 4001);
}

#[tokio::test]
async fn s11_1_with_nobody_to_decide_a_handshake_gets_404_and_live_connections_go_on() {
    // RFC 6455 §4.2.2
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    let Site { http, server, .. } = site;
    drop(server);
    assert_echoes(&mut client, &connection).await;
    let mut late = Client::connect(&http).await;
    late.write(handshake("")).await;
    let head = late.head().await;
    let reason = head.field("x-websocket-reject-reason");
    assert_eq!((head.status(), reason), (404, Some("No handler is configured to accept the connection.")));
}

#[tokio::test]
async fn s11_1_with_nobody_to_decide_an_invalid_handshake_is_still_told_why() {
    let Site { http, server, .. } = Site::open().await;
    drop(server);
    let mut client = Client::connect(&http).await;
    client.write("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n").await;
    client.write("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 7\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!((head.status(), head.field("sec-websocket-version")), (426, Some("13, 8")));
}

#[tokio::test]
async fn requests_over_a_limit_are_refused_with_503_and_served_again_below_it() {
    for (config, reason) in [
        (ServerConfig::default().max_pending_requests(1), "Too many requests wait for a decision."),
        (ServerConfig::default().max_connections(1), "Too many connections."),
        (ServerConfig::default().max_pending_events(1), "The server is too busy."),
    ] {
        let site = Site::with(config).await;
        let _asking = site.asking("").await;
        until(|| site.server.pending_request_count() == 1).await;
        let mut refused = site.asking("").await;
        let head = refused.head().await;
        assert_eq!((head.status(), head.field("x-websocket-reject-reason")), (503, Some(reason)));
        drop(site.request().await);
        until(|| site.server.pending_request_count() == 0).await;
        let (mut client, connection) = site.pair().await;
        assert_echoes(&mut client, &connection).await;
    }
}

#[tokio::test]
async fn next_event_given_up_again_and_again_loses_nothing() {
    let site = Site::open().await;
    support::begin_and_drop(site.server.next_event());
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(site.asking("").await);
    }
    let mut requests = 0;
    within(async {
        while requests < 20 {
            tokio::select! {
                event = site.server.next_event() => {
                    assert!(matches!(event, Some(Event::Request(_))), "{event:?}");
                    requests += 1;
                }
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_broadcast_reaches_those_who_came_since_the_last_and_not_those_who_went() {
    let site = Site::open().await;
    let (mut first, _first) = site.pair().await;
    assert_eq!(site.server.broadcast("one").sent, 1);
    assert_eq!(first.frame().await, text("one"));
    let (mut second, _second) = site.pair().await;
    assert_eq!(site.server.broadcast("two").sent, 2);
    for client in [&mut first, &mut second] {
        assert_eq!(client.frame().await, text("two"));
    }
    first.reset();
    site.closed().await;
    assert_eq!(site.server.broadcast("three").sent, 1);
    assert_eq!(second.frame().await, text("three"));
}
