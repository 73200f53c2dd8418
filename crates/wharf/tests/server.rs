//! A server's life: mounts, the list of connections, closing them all, and shutting down.

mod support;

use std::time::Duration;

use support::{Client, Site, binary, close, continuation, handshake, text, until, within};
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
    let mut client = Client::connect(http).await;
    client.write(handshake("")).await;
    client.head().await.status()
}

async fn assert_echoes(client: &mut Client, connection: &Connection) {
    client.send([text("are you there")]).await;
    let message = within(connection.recv()).await.expect("a message");
    within(connection.send(message)).await.expect("an open connection");
    assert_eq!(client.frame().await, text("are you there"));
}

#[tokio::test]
async fn s1_1_an_unmounted_server_leaves_handshakes_to_the_http_service() {
    let http = http().await;
    let server = Server::new(ServerConfig::default());
    assert_eq!(status(&http).await, 404);
    assert_eq!((server.connection_count(), server.pending_request_count()), (0, 0));
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
    assert_eq!(site.server.mount([&site.http]).unwrap_err(), MountError::AlreadyMounted(addr));
    let other = Server::new(ServerConfig::default());
    assert_eq!(other.mount([&site.http]).unwrap_err(), MountError::AlreadyMounted(addr));

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
async fn s3_1_after_unmount_the_http_service_answers_handshakes() {
    let site = Site::open().await;
    site.server.unmount();
    assert_eq!(status(&site.http).await, 404);
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
async fn s5_1_s5_3_closing_all_connections_closes_each_and_waits_until_all_are_gone() {
    let site = Site::open().await;
    let (mut first, _first) = site.pair().await;
    let (mut second, _second) = site.pair().await;
    let peers = async {
        for client in [&mut first, &mut second] {
            assert_eq!(client.frame().await, close(1000, "Normal connection closure"));
            client.send([close(1000, "")]).await;
            client.sees_end().await;
            client.end().await;
        }
    };
    let closing = site.server.close_all_connections(CloseCode::NORMAL, LONG);
    within(async { tokio::join!(closing, peers) }).await;

    assert_eq!(site.server.connections(), []);
    for _ in 0..2 {
        assert_eq!(site.close_event().await, (1000, "Normal connection closure".to_owned()));
    }
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
async fn s6_1_shutting_down_leaves_the_http_server_and_ends_the_events() {
    let site = Site::open().await;
    let (mut client, _connection) = site.pair().await;
    let (mut asking, request) = site.ask("").await;
    let peer = async {
        assert_eq!(client.frame().await, close(1001, "Remote peer is going away"));
        client.end().await;
    };
    within(async { tokio::join!(site.server.shut_down(CloseCode::GOING_AWAY, LONG), peer) }).await;

    assert_eq!(asking.head().await.status(), 503);
    assert_eq!(status(&site.http).await, 404, "an ordinary request");
    assert_eq!(site.close_event().await.0, 1001);
    assert!(within(site.server.next_event()).await.is_none());
    drop(request);
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
    let site = Site { http, server };
    let (mut client, connection) = site.pair().await;
    assert_echoes(&mut client, &connection).await;
}

#[tokio::test]
async fn s7_1_at_the_deadline_of_a_shutdown_the_rest_is_dropped() {
    let site = Site::with(ServerConfig::default().close_timeout(LONG)).await;
    let (mut client, connection) = site.pair().await;
    within(site.server.shut_down(CloseCode::GOING_AWAY, Duration::from_millis(50))).await;
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
    let Site { http, server } = site;
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
    let Site { http, server } = Site::open().await;
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
