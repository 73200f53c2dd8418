//! What a server tells its application: which events, in which order, and how often.

mod support;

use std::pin::{Pin, pin};
use std::task::{self, Poll, Waker};
use std::time::Duration;

use support::{Client, Site, close, handshake, handshake_to, text, until, within};
use tokio::sync::mpsc;
use wharf::{
    Accept, AcceptError, CloseCode, Connection, Context, Counters, Ending, Event, Handler, HandshakeError,
    MessageRef, Rejection, Request, Server, ServerConfig,
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
async fn s9_1_a_handler_is_told_within_the_same_order() {
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

impl Site {
    /// From now on a request is refused that nobody decides at once.
    fn mount_impatiently(&self) {
        self.server.unmount();
        let config = ServerConfig::default().handshake_timeout(SHORT);
        self.server.mount_with(config, [&self.http]).expect("valid options");
    }
}

/// All events that are there, as far as a test tells them apart.
fn told(site: &Site) -> Vec<String> {
    let mut told = Vec::new();
    while let Poll::Ready(event) =
        pin!(site.server.next_event()).poll(&mut task::Context::from_waker(Waker::noop()))
    {
        told.push(match event.expect("the server goes on") {
            Event::Request(request) => format!("request {}", request.id()),
            Event::Connect(_) => "connect".to_owned(),
            Event::Close { ending, .. } => format!("close {}", ending.code().get()),
            Event::RequestResolved { request } => format!("resolved {request}"),
            Event::RequestAccepted { request, .. } => format!("accepted {request}"),
            Event::RequestRejected { request, status } => format!("rejected {request} {status}"),
            event => format!("{event:?}"),
        });
    }
    told
}

#[tokio::test]
async fn s9_1_request_resolved_connect_accepted_accept_returns_close_and_the_connections_own_close() {
    let site = Site::open().await;
    site.server.tell_decisions(true);
    let (mut client, request) = site.ask("").await;
    let id = request.id();
    assert_eq!((site.server.pending_request_count(), told(&site)), (1, Vec::new()));

    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(site.server.pending_request_count(), 0);
    assert_eq!(site.server.connections(), std::slice::from_ref(&connection));
    let expected = [format!("resolved {id}"), "connect".to_owned(), format!("accepted {id}")];
    assert_eq!(told(&site), expected, "all of it before accept returned");

    let server = site.server.clone();
    let own_close = tokio::spawn(async move {
        let ending = connection.closed().await;
        assert!(!server.connections().contains(&connection));
        ending
    });
    client.head().await;
    client.send([close(3000, "")]).await;
    client.frame().await;
    client.end().await;
    assert_eq!(within(own_close).await.unwrap().code().get(), 3000);
    assert_eq!(told(&site), ["close 3000"], "the server had told it by then");
}

#[tokio::test]
async fn r13_1_resolved_comes_before_accepted_and_before_rejected_and_each_once() {
    let site = Site::open().await;
    site.server.tell_decisions(true);
    let (_accepted_client, accepted) = site.ask("").await;
    let id = accepted.id();
    let connection = accepted.accept(Accept::new()).unwrap();
    assert!(matches!(site.event().await, Event::RequestResolved { request } if request == id));
    assert_eq!(site.connected().await, connection);
    let event = site.event().await;
    assert!(
        matches!(event, Event::RequestAccepted { request, connection: told } if request == id && told == connection)
    );

    let decide: [(fn(Request), u16); 4] = [
        (|request| request.reject(Rejection::new(404)).unwrap(), 404),
        (|request| drop(request), 403),
        (|request| drop(request.accept(Accept::new().protocol("not offered")).unwrap_err()), 500),
        (|request| drop(request.reject(Rejection::new(200)).unwrap_err()), 500),
    ];
    for (decide, status) in decide {
        let (mut client, request) = site.ask("").await;
        let id = request.id();
        decide(request);
        assert_eq!(told(&site), [format!("resolved {id}"), format!("rejected {id} {status}")]);
        assert_eq!(client.head().await.status(), status);
    }

    let (mut client, request) = site.ask("").await;
    let id = request.id();
    let mut closing = pin!(site.server.close_all_connections(CloseCode::NORMAL, SHORT));
    assert!(support::waits(closing.as_mut()));
    assert_eq!(told(&site), [format!("resolved {id}"), format!("rejected {id} 503")]);
    drop(request.accept(Accept::new()));
    assert_eq!((client.head().await.status(), told(&site)), (503, Vec::new()));

    site.mount_impatiently();
    let (mut client, request) = site.ask("").await;
    let id = request.id();
    assert_eq!(client.head().await.status(), 503, "nobody decided it in time");
    drop(request);
    assert_eq!(told(&site), [format!("resolved {id}"), format!("rejected {id} 503")]);
}

#[tokio::test]
async fn decisions_are_not_told_unless_asked_for() {
    let site = Site::open().await;
    for _ in 0..2 {
        let (_client, request) = site.ask("").await;
        drop(request);
    }
    let (_client, request) = site.ask("").await;
    let _connection = request.accept(Accept::new()).unwrap();
    assert_eq!(told(&site), ["connect"]);
    site.server.tell_decisions(true);
    let (_client, request) = site.ask("").await;
    drop(request);
    assert_eq!(told(&site).len(), 2);
    site.server.tell_decisions(false);
    let (_client, request) = site.ask("").await;
    drop(request);
    assert_eq!(told(&site).len(), 0);
}

#[tokio::test]
async fn every_handshake_counts_once_by_how_it_ended() {
    let site = Site::with(ServerConfig::default().max_pending_requests(1)).await;
    let counts = |counters: Counters| {
        let Counters { handshakes, invalid, accepted, rejected, undecided, refused, .. } = counters;
        [handshakes, invalid, accepted, rejected, undecided, refused]
    };
    assert_eq!(counts(site.server.counters()), [0; 6]);

    let mut client = site.client().await;
    client.write(handshake("").replace("GET", "POST")).await;
    client.head().await;
    assert!(matches!(site.event().await, Event::UpgradeError(_)));
    assert_eq!(counts(site.server.counters()), [1, 1, 0, 0, 0, 0]);

    let (_client, _connection) = site.pair().await;
    assert_eq!(counts(site.server.counters()), [2, 1, 1, 0, 0, 0]);

    let (_client, request) = site.ask("").await;
    request.reject(Rejection::default()).unwrap();
    let (_client, request) = site.ask("").await;
    drop(request);
    let (_client, request) = site.ask("").await;
    request.accept(Accept::new().protocol("not offered")).unwrap_err();
    assert_eq!(counts(site.server.counters()), [5, 1, 1, 3, 0, 0]);

    let (_client, _request) = site.ask("").await;
    let mut one_too_many = site.asking("").await;
    assert_eq!(one_too_many.head().await.status(), 503);
    assert_eq!(counts(site.server.counters()), [7, 1, 1, 3, 0, 1]);
    within(site.server.close_all_connections(CloseCode::NORMAL, Duration::ZERO)).await;
    assert_eq!(counts(site.server.counters()), [7, 1, 1, 3, 0, 2]);
    site.closed().await;

    site.mount_impatiently();
    let (mut undecided, _request) = site.ask("").await;
    assert_eq!(undecided.head().await.status(), 503);
    assert_eq!(counts(site.server.counters()), [8, 1, 1, 3, 1, 2]);
}

#[tokio::test]
async fn s9_2_with_auto_accept_nobody_is_asked() {
    let site = Site::with(ServerConfig::default().auto_accept_connections(true)).await;
    let (mut first, mut second) = (site.client().await, site.client().await);
    for (client, path) in [(&mut first, "/"), (&mut second, "/any/path")] {
        client.write(handshake_to(path, "")).await;
        assert_eq!(client.head().await.status(), 101);
    }
    assert_eq!(told(&site), ["connect", "connect"], "no request among them");
}

#[tokio::test]
async fn r9_9_auto_accept_takes_the_first_protocol_and_echoes_the_origin_on_any_path() {
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
}

#[tokio::test]
async fn r9_9_auto_accept_without_offers_names_no_protocol_and_no_origin() {
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

/// Brings an open connection to its end, and says with which code and what its description begins with.
type End = fn(Client, Connection) -> Pin<Box<dyn Future<Output = (Option<Client>, (u16, &'static str))>>>;

#[tokio::test]
async fn s9_4_close_is_told_once_for_each_connect_whatever_ended_it() {
    let config = ServerConfig::default()
        .close_timeout(SHORT)
        .keepalive_interval(SHORT)
        .keepalive_grace_period(Duration::from_secs(1));
    let ends: [(&str, End); 7] = [
        ("the peer's Close", |mut client, _| {
            Box::pin(async {
                client.send([close(3000, "bye")]).await;
                (Some(client), (3000, "bye"))
            })
        }),
        ("our close, answered", |mut client, connection| {
            Box::pin(async move {
                connection.close(CloseCode::NORMAL, None).unwrap();
                while client.frame().await.opcode != wharf::Opcode::Close {}
                client.send([close(1000, "")]).await;
                (Some(client), (1000, "Normal connection closure"))
            })
        }),
        ("our close, unanswered", |client, connection| {
            Box::pin(async move {
                connection.close(CloseCode::new(4000), None).unwrap();
                (Some(client), (4000, ""))
            })
        }),
        ("a drop", |client, connection| {
            Box::pin(async move {
                connection.drop_now(CloseCode::new(4001), None).unwrap();
                connection.drop_silently(CloseCode::new(4002), None);
                (Some(client), (4001, ""))
            })
        }),
        ("FIN", |mut client, _| {
            Box::pin(async {
                client.end().await;
                (Some(client), (1006, "Connection dropped by remote peer."))
            })
        }),
        ("a reset", |client, _| {
            Box::pin(async {
                client.reset();
                (None, (1006, "Socket Error: "))
            })
        }),
        ("the keepalive", |client, _| Box::pin(async { (Some(client), (1006, "Peer not responding.")) })),
    ];
    let site = Site::with(config).await;
    for (what, end) in ends {
        let (client, connection) = site.pair().await;
        let (client, (code, description)) = end(client, connection.clone()).await;
        let (closed, ending) = site.closed().await;
        assert_eq!((&closed, ending.code().get()), (&connection, code), "{what}");
        assert!(ending.description().starts_with(description), "{what}: {}", ending.description());
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
    assert_eq!((site.server.pending_request_count(), site.server.connection_count()), (0, 0));
    let counters = site.server.counters();
    assert_eq!((counters.handshakes, counters.undecided), (1, 1));

    site.server.unmount();
    site.server.mount_with(ServerConfig::default(), [&site.http]).unwrap();
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
        request.reject(Rejection::default()).unwrap();
        client.reset();
    }
    let (mut client, _connection) = site.pair().await;
    client.send([close(1000, "")]).await;
    client.frame().await;
}
