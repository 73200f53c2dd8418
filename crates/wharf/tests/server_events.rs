//! What a server tells its application: which events, in which order, and how often.

mod support;

use std::time::Duration;

use support::{Client, Site, close, handshake, handshake_to, text, until, within};
use tokio::sync::mpsc;
use wharf::{
    Accept, AcceptError, CloseCode, Connection, Context, Ending, Event, Handler, HandshakeError, MessageRef,
    Server, ServerConfig,
};

const SHORT: Duration = Duration::from_millis(50);

/// Tells when its connection opens and ends, and whether the server still lists it then.
struct Listed(Server, mpsc::UnboundedSender<&'static str>);

impl Handler for Listed {
    fn connect(&mut self, context: &mut Context<'_>) {
        assert!(self.0.connections().contains(context.connection()));
        let _ = self.1.send("handler connect");
    }

    fn message(&mut self, _: &mut Context<'_>, _: MessageRef<'_>) {
        let _ = self.1.send("handler message");
    }

    fn close(&mut self, connection: &Connection, _: &Ending) {
        assert!(!self.0.connections().contains(connection));
        let _ = self.1.send("handler close");
    }
}

#[tokio::test]
async fn s9_1_request_then_connect_then_the_servers_close_then_the_connections_own() {
    let site = Site::open().await;
    let (told, mut order) = mpsc::unbounded_channel();
    let (mut client, request) = site.ask("").await;
    assert_eq!((site.server.pending_request_count(), site.server.connection_count()), (1, 0));

    let handler = Listed(site.server.clone(), told.clone());
    let connection = request.accept_with(Accept::new(), handler).unwrap();
    let is_listed = site.server.connections().contains(&connection);
    assert!(is_listed, "accept returns with it in the list");
    assert_eq!(site.connected().await, connection);
    client.head().await;
    assert_eq!(site.server.pending_request_count(), 0);

    client.send([text("hello"), close(1000, "")]).await;
    client.frame().await;
    client.end().await;
    let (closed, _) = site.closed().await;
    assert_eq!(closed, connection);
    within(connection.closed()).await;
    for expected in ["handler connect", "handler message", "handler close"] {
        assert_eq!(within(order.recv()).await, Some(expected));
    }
}

#[tokio::test]
async fn s9_2_r9_9_auto_accept_asks_nobody_takes_the_first_protocol_and_echoes_the_origin_on_any_path() {
    let site = Site::with(ServerConfig::default().auto_accept_connections(true)).await;
    let mut client = site.client().await;
    client
        .write(handshake_to("/any/path", "Sec-WebSocket-Protocol: Chat, other\r\nOrigin: http://a\r\n"))
        .await;
    let connection = site.connected().await;
    assert_eq!(connection.protocol(), Some("chat"));
    let head = client.head().await;
    assert_eq!(head.status(), 101);
    assert_eq!(head.field("sec-websocket-protocol"), Some("Chat"));
    assert_eq!(head.field("origin"), Some("http://a"));
    client.reset();
    site.closed().await;
}

#[tokio::test]
async fn s9_2_auto_accept_without_offers_names_no_protocol_and_no_origin() {
    let site = Site::with(ServerConfig::default().auto_accept_connections(true)).await;
    let mut client = site.asking("").await;
    let head = client.head().await;
    assert_eq!((head.field("sec-websocket-protocol"), head.field("origin")), (None, None));
    assert_eq!(site.connected().await.protocol(), None);
}

#[tokio::test]
async fn r9_10_auto_accept_of_an_illegal_offer_costs_only_its_own_client() {
    let site = Site::with(ServerConfig::default().auto_accept_connections(true)).await;
    for offer in ["a/b", "@", "\"chat\"", "a b", "chat, a/b", ",", "\u{e9}"] {
        let mut client = site.asking(&format!("Sec-WebSocket-Protocol: {offer}\r\n")).await;
        let status = client.head().await.status();
        assert!(matches!(status, 101 | 400 | 500), "{offer}: {status}");
    }
    let mut client = site.asking("Sec-WebSocket-Protocol: foo , bar\r\n").await;
    assert_eq!(client.head().await.field("sec-websocket-protocol"), Some("foo"));
}

/// Greets.
struct Greeting;

impl Handler for Greeting {
    fn connect(&mut self, context: &mut Context<'_>) {
        context.send("hello").expect("an open connection");
    }
}

#[tokio::test]
async fn s9_3_what_is_sent_on_connect_follows_the_101() {
    let site = Site::open().await;
    let (mut client, _connection) = site.pair_with(Greeting).await;
    assert_eq!(client.frame().await, text("hello"));

    let (mut client, request) = site.ask("").await;
    let connection = request.accept(Accept::new()).unwrap();
    connection.try_send("sent before the 101 can have left").unwrap();
    assert_eq!(client.head().await.status(), 101);
    assert_eq!(client.frame().await, text("sent before the 101 can have left"));
}

/// Brings an open connection to its end, and says with which code.
type End = fn(Client, Connection) -> std::pin::Pin<Box<dyn Future<Output = (Option<Client>, u16)>>>;

#[tokio::test]
async fn s9_4_close_is_told_once_for_each_connect_whatever_ended_it() {
    let config =
        ServerConfig::default().close_timeout(SHORT).keepalive_interval(SHORT).keepalive_grace_period(SHORT);
    let ends: [(&str, End); 7] = [
        ("the peer's Close", |mut client, _| {
            Box::pin(async {
                client.send([close(3000, "bye")]).await;
                (Some(client), 3000)
            })
        }),
        ("our close, answered", |mut client, connection| {
            Box::pin(async move {
                connection.close(CloseCode::NORMAL, None).unwrap();
                while client.frame().await.opcode != wharf::Opcode::Close {}
                client.send([close(1000, "")]).await;
                (Some(client), 1000)
            })
        }),
        ("our close, unanswered", |client, connection| {
            Box::pin(async move {
                connection.close(CloseCode::new(4000), None).unwrap();
                (Some(client), 4000)
            })
        }),
        ("a drop", |client, connection| {
            Box::pin(async move {
                connection.drop_now(CloseCode::new(4001), None).unwrap();
                connection.drop_silently(CloseCode::new(4002), None);
                (Some(client), 4001)
            })
        }),
        ("FIN", |mut client, _| {
            Box::pin(async {
                client.end().await;
                (Some(client), 1006)
            })
        }),
        ("a reset", |client, _| {
            Box::pin(async {
                client.reset();
                (None, 1006)
            })
        }),
        ("the keepalive", |client, _| Box::pin(async { (Some(client), 1006) })),
    ];
    let site = Site::with(config).await;
    for (what, end) in ends {
        let (client, connection) = site.pair().await;
        let (client, code) = end(client, connection.clone()).await;
        let (closed, ending) = site.closed().await;
        assert_eq!((&closed, ending.code().get()), (&connection, code), "{what}");
        assert_eq!(within(connection.closed()).await, ending, "{what}");
        drop(client);
    }
    within(site.server.shut_down(CloseCode::NORMAL, SHORT)).await;
    assert!(within(site.server.next_event()).await.is_none(), "no close was told twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s9_4_every_close_is_told_before_the_events_of_a_shutdown_end() {
    for _ in 0..100 {
        let site = Site::with(ServerConfig::default().auto_accept_connections(true)).await;
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(site.asking("").await);
            site.connected().await;
        }
        let server = site.server.clone();
        let events = tokio::spawn(async move {
            let mut closes = 0;
            while let Some(event) = server.next_event().await {
                closes += usize::from(matches!(event, Event::Close { .. }));
            }
            closes
        });
        let resets = async { clients.into_iter().for_each(Client::reset) };
        tokio::join!(site.server.shut_down(CloseCode::NORMAL, SHORT), resets);
        assert_eq!(within(events).await.unwrap(), 8);
    }
}

#[tokio::test]
async fn s10_1_an_invalid_handshake_is_told_once_after_its_refusal_and_is_no_request() {
    let site = Site::open().await;
    let invalid = handshake("").replace("Version: 13", "Version: 7");
    let mut client = site.client().await;
    client.write(&invalid).await;
    let head = client.head().await;
    assert_eq!((head.status(), head.field("sec-websocket-version")), (426, Some("13, 8")));
    client.sees_end().await;

    let mut client = site.client().await;
    client.write(handshake("").replace("GET", "POST")).await;
    assert_eq!(client.head().await.status(), 400);
    let errors = [site.event().await, site.event().await];
    assert!(
        matches!(
            errors,
            [
                Event::UpgradeError(HandshakeError::VersionUnsupported { .. }),
                Event::UpgradeError(HandshakeError::Method { .. })
            ]
        ),
        "{errors:?}"
    );
    let (mut client, _connection) = site.pair().await;
    client.send([close(1000, "")]).await;
    client.frame().await;
}

#[tokio::test]
async fn s10_1_invalid_handshakes_that_nobody_hears_of_do_not_pile_up() {
    let site = Site::with(ServerConfig::default().max_pending_events(3)).await;
    for _ in 0..5 {
        let mut client = site.client().await;
        client.write(handshake("").replace("GET", "POST")).await;
        assert_eq!(client.head().await.status(), 400);
    }
    for _ in 0..3 {
        assert!(matches!(site.event().await, Event::UpgradeError(_)));
    }
    let (client, _connection) = site.pair().await;
    drop(client);
}

#[tokio::test]
async fn s12_1_a_request_that_nobody_decides_in_time_is_refused_and_the_server_lives() {
    let site = Site::with(ServerConfig::default().handshake_timeout(SHORT)).await;
    let (mut client, request) = site.ask("").await;
    let head = client.head().await;
    let reason = head.field("x-websocket-reject-reason");
    assert_eq!((head.status(), reason), (503, Some("The request was not decided in time.")));
    client.sees_end().await;
    assert_eq!(request.accept(Accept::new()).unwrap_err(), AcceptError::AlreadyDecided);
    until(|| site.server.pending_request_count() == 0).await;
    assert_eq!(site.server.connection_count(), 0);

    let (mut client, _connection) = site.pair().await;
    client.send([close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
}

#[tokio::test]
async fn s12_2_a_reset_of_an_undecided_request_leaves_the_list_by_itself() {
    let site = Site::open().await;
    let (client, request) = site.ask("").await;
    client.reset();
    until(|| site.server.pending_request_count() == 0).await;
    drop(request);
    let (mut client, _connection) = site.pair().await;
    client.send([close(1000, "")]).await;
    client.frame().await;
}

#[tokio::test]
async fn s12_2_a_reset_of_a_rejected_request_disturbs_nothing() {
    let site = Site::open().await;
    for _ in 0..20 {
        let (client, request) = site.ask("").await;
        request.reject(wharf::Rejection::default()).unwrap();
        client.reset();
    }
    let (mut client, _connection) = site.pair().await;
    client.send([close(1000, "")]).await;
    client.frame().await;
}
