//! A server on wharf's own threads: where its connections live, what is shared, how it ends.
//!
//! On Linux alone connections are spread over the listeners of one address.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what the tests share is part of them")]

#[cfg(feature = "tls")]
#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/service.rs"]
mod service;
mod support;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use service::ServiceFn;
use support::{Client, Site, begin_and_drop, close, text, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::mpsc;
use wharf::{
    Accept, ClientConfig, CloseCode, Connection, Context, Handler, HttpServer, HttpServerBuilder, Message,
    MessageRef, Server, ServerConfig,
};

const LOCALHOST: &str = "127.0.0.1:0";

fn with_workers(count: usize) -> HttpServerBuilder {
    HttpServer::builder().workers(count)
}

async fn site(builder: HttpServerBuilder) -> Site {
    site_with(builder, ServerConfig::default()).await
}

async fn site_with(builder: HttpServerBuilder, config: ServerConfig) -> Site {
    let http = builder.bind(LOCALHOST).await.unwrap();
    let server = Server::mounted(config, [&http]).unwrap();
    Site::of(http, server)
}

fn name_of_this_thread() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Answers each message with the name of the thread that it is called on.
struct ThreadName;

impl Handler for ThreadName {
    fn message(&mut self, context: &mut Context<'_>, _: MessageRef<'_>) {
        context.send(name_of_this_thread().as_str()).unwrap();
    }
}

async fn answer(client: &mut Client) -> String {
    client.send([text("where?")]).await;
    String::from_utf8(client.frame().await.payload).unwrap()
}

/// Connections, each with its worker, until there is one on each of `count`.
async fn some_on_each_worker(site: &Site, count: usize) -> Vec<(String, Client, Connection)> {
    let (mut workers, mut connections) = (BTreeSet::new(), Vec::new());
    within(async {
        while workers.len() < count {
            let (mut client, connection) = site.pair_with(ThreadName).await;
            let worker = answer(&mut client).await;
            workers.insert(worker.clone());
            connections.push((worker, client, connection));
        }
    })
    .await;
    connections
}

async fn each_is_on_its_worker(connections: &mut [(String, Client, Connection)]) {
    for (worker, client, _) in connections {
        assert_eq!(answer(client).await, *worker);
    }
}

/// Sends back what comes, until the end.
async fn echo(connection: Connection) {
    while let Some(message) = connection.recv().await {
        if connection.send(message).await.is_err() {
            return;
        }
    }
}

async fn is_echoed(client: &mut Client, message: &str) {
    client.send([text(message)]).await;
    assert_eq!(client.message().await, Message::from(message));
}

async fn closes(mut client: Client) {
    client.send([close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
    client.sees_end().await;
}

#[tokio::test]
async fn connections_are_spread_over_all_workers_and_each_is_served_by_its_own() {
    let site = site(with_workers(3)).await;
    assert_ne!(site.http.local_addr().port(), 0);
    let mut connections = some_on_each_worker(&site, 3).await;
    let workers: BTreeSet<_> = connections.iter().map(|(worker, ..)| worker.as_str()).collect();
    assert_eq!(workers, BTreeSet::from(["wharf-worker-0", "wharf-worker-1", "wharf-worker-2"]));
    for _ in 0..3 {
        each_is_on_its_worker(&mut connections).await;
    }
}

#[tokio::test]
async fn without_the_option_connections_are_tasks_of_the_runtime_that_bind_was_called_on() {
    let site = Site::open().await;
    let (mut client, _connection) = site.pair_with(ThreadName).await;
    assert_eq!(answer(&mut client).await, name_of_this_thread());
}

#[tokio::test]
async fn messages_are_received_and_sent_by_tasks_of_another_runtime() {
    let site = site(with_workers(2)).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let (client, connection) = site.pair().await;
        tokio::spawn(echo(connection));
        clients.push(client);
    }
    for client in &mut clients {
        is_echoed(client, "a").await;
        is_echoed(client, &"b".repeat(60_000)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_serve_a_server_whose_runtime_has_several_threads() {
    let site = site(with_workers(2)).await;
    let mut connections = some_on_each_worker(&site, 2).await;
    let (mut client, connection) = site.pair().await;
    tokio::spawn(echo(connection));
    is_echoed(&mut client, "a").await;
    each_is_on_its_worker(&mut connections).await;
}

#[test]
fn workers_serve_on_when_the_runtime_that_bind_was_called_on_has_ended() {
    let runtime = || runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let binding = runtime();
    let site = binding.block_on(site(with_workers(2)));
    drop(binding);
    runtime().block_on(async {
        let mut connections = some_on_each_worker(&site, 2).await;
        let (mut client, connection) = site.pair().await;
        tokio::spawn(echo(connection));
        is_echoed(&mut client, "a").await;
        each_is_on_its_worker(&mut connections).await;
    });
}

#[tokio::test]
async fn connections_that_are_accepted_by_themselves_live_on_workers_too() {
    let site = site_with(with_workers(2), ServerConfig::default().auto_accept_connections(true)).await;
    let mut client = site.asking("").await;
    assert_eq!(client.head().await.status(), 101);
    tokio::spawn(echo(site.connected().await));
    is_echoed(&mut client, "a").await;
}

#[tokio::test]
async fn a_broadcast_reaches_the_connections_of_all_workers() {
    let site = site(with_workers(3)).await;
    let mut connections = some_on_each_worker(&site, 3).await;
    site.server.broadcast("all");
    for (_, client, _) in &mut connections {
        assert_eq!(client.frame().await, text("all"));
    }
}

#[tokio::test]
async fn closing_all_connections_reaches_all_workers() {
    let site = site(with_workers(3)).await;
    let connections = some_on_each_worker(&site, 3).await;
    let closing = site.server.close_all_connections(CloseCode::GOING_AWAY, Duration::from_secs(10));
    let clients = async {
        for (_, mut client, _) in connections {
            let frame = client.frame().await;
            assert_eq!(frame.payload[..2], 1001_u16.to_be_bytes());
            client.send([frame]).await;
            client.sees_end().await;
        }
    };
    within(async { tokio::join!(closing, clients) }).await;
}

const ORDINARY: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const NOT_FOUND: &str = "not found\n";

async fn is_answered(client: &mut Client) {
    client.write(ORDINARY).await;
    assert_eq!(client.head().await.status(), 404);
    client.skip(NOT_FOUND.len()).await;
}

#[tokio::test]
async fn all_workers_have_one_limit_on_connections() {
    let http = with_workers(4).max_connections(2).bind(LOCALHOST).await.unwrap();
    let mut open = [Client::connect(&http).await, Client::connect(&http).await];
    for client in &mut open {
        is_answered(client).await;
    }
    // Whichever workers these come to.
    let mut waiting = Vec::new();
    for _ in 0..16 {
        let mut client = Client::connect(&http).await;
        client.write(ORDINARY.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
        waiting.push(client);
    }
    for client in &mut open {
        is_answered(client).await;
    }
    for client in &waiting {
        assert_eq!(client.stream.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    let [first, _second] = open;
    drop(first);
    // One after the other, in whichever order.
    let answered = waiting.into_iter().map(|mut client| tokio::spawn(async move { client.head().await }));
    for head in answered.collect::<Vec<_>>() {
        assert_eq!(head.await.unwrap().status(), 404);
    }
}

#[tokio::test]
async fn a_limit_below_the_number_of_workers_keeps_none_of_them_from_serving() {
    let http = with_workers(4).max_connections(1).bind(LOCALHOST).await.unwrap();
    for _ in 0..32 {
        is_answered(&mut Client::connect(&http).await).await;
    }
}

#[tokio::test]
async fn what_a_handler_spawns_runs_on_its_worker_and_ends_with_it() {
    /// Spawns a task that tells where it is, and then waits for its end.
    struct Spawns(mpsc::UnboundedSender<String>);

    impl Handler for Spawns {
        fn connect(&mut self, _: &mut Context<'_>) {
            let tell = self.0.clone();
            tokio::spawn(async move {
                tell.send(name_of_this_thread()).unwrap();
                pending::<()>().await;
                drop(tell);
            });
        }
    }

    let site = site(with_workers(1)).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let (client, _connection) = site.pair_with(Spawns(tell)).await;
    assert_eq!(within(told.recv()).await.unwrap(), "wharf-worker-0");
    site.http.close();
    closes(client).await;
    assert_eq!(within(told.recv()).await, None);
}

/// Tells when the thread ends that it was left on.
struct End {
    tell: mpsc::UnboundedSender<String>,
    thread: String,
}

thread_local! {
    static END: RefCell<Option<End>> = const { RefCell::new(None) };
}

impl End {
    fn of_this_thread(tell: &mpsc::UnboundedSender<String>) {
        END.with_borrow_mut(|end| {
            end.get_or_insert_with(|| Self { tell: tell.clone(), thread: name_of_this_thread() });
        });
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.tell.send(std::mem::take(&mut self.thread));
    }
}

/// Leaves an [`End`] on its worker.
struct LeavesEnd(mpsc::UnboundedSender<String>);

impl Handler for LeavesEnd {
    fn connect(&mut self, _: &mut Context<'_>) {
        End::of_this_thread(&self.0);
    }

    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        context.send(message).unwrap();
    }
}

#[tokio::test]
async fn connections_outlive_their_server_and_each_worker_ends_with_its_last_one() {
    let site = site(with_workers(1)).await;
    let (tell, mut ended) = mpsc::unbounded_channel();
    let (mut first, _) = site.pair_with(LeavesEnd(tell.clone())).await;
    let (mut second, _) = site.pair_with(LeavesEnd(tell)).await;
    within(site.http.shut_down()).await;
    let refused = TcpStream::connect(site.http.local_addr()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    is_echoed(&mut first, "a").await;
    closes(first).await;
    is_echoed(&mut second, "b").await;
    assert!(ended.is_empty());
    closes(second).await;
    assert_eq!(within(ended.recv()).await.unwrap(), "wharf-worker-0");
    // Nothing of the old server is in the way of a new one, with workers or without.
    let addr = site.http.local_addr();
    with_workers(2).bind(addr).await.unwrap().shut_down().await;
    HttpServer::bind(addr).await.unwrap();
}

#[tokio::test]
async fn a_handshake_under_way_when_the_server_closes_becomes_a_connection_all_the_same() {
    for _ in 0..20 {
        let site = site(with_workers(1)).await;
        let (mut client, request) = site.ask("").await;
        site.http.close();
        tokio::spawn(echo(request.accept(Accept::new()).unwrap()));
        assert_eq!(client.head().await.status(), 101);
        is_echoed(&mut client, "a").await;
        closes(client).await;
    }
}

#[tokio::test]
async fn a_connection_that_a_service_has_upgraded_by_itself_keeps_its_worker_too() {
    let service = ServiceFn(|mut request: Request<Incoming>| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut upgraded = TokioIo::new(upgrade.await.unwrap());
            let byte = upgraded.read_u8().await.unwrap();
            upgraded.write_u8(byte).await.unwrap();
        });
        let response = Response::builder().status(101).header("upgrade", "x");
        response.header("connection", "upgrade").body(Full::<Bytes>::default())
    });
    let http = with_workers(1).service(service).bind(LOCALHOST).await.unwrap();
    let mut client = Client::connect(&http).await;
    client.write("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 101);
    within(http.shut_down()).await;
    client.write("a").await;
    assert_eq!(client.rest().await, b"a");
}

#[tokio::test]
async fn workers_end_when_the_last_handle_is_dropped() {
    let (tell, mut ended) = mpsc::unbounded_channel();
    let (called, mut calls) = mpsc::unbounded_channel();
    let service = ServiceFn(move |_| {
        End::of_this_thread(&tell);
        called.send(name_of_this_thread()).unwrap();
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let http = with_workers(2).service(service).bind(LOCALHOST).await.unwrap();
    let mut workers = BTreeSet::new();
    let mut clients = Vec::new();
    while workers.len() < 2 {
        let mut client = Client::connect(&http).await;
        client.write(ORDINARY).await;
        workers.insert(within(calls.recv()).await.unwrap());
        clients.push(client);
    }
    let other = http.clone();
    drop(http);
    is_served(&other).await;
    assert!(ended.is_empty());
    drop(other);
    drop(clients);
    let (first, second) = (within(ended.recv()).await, within(ended.recv()).await);
    assert_eq!(BTreeSet::from([first.unwrap(), second.unwrap()]), workers);
}

async fn is_served(http: &HttpServer) {
    let mut client = Client::connect(http).await;
    client.write(ORDINARY).await;
    assert_eq!(client.head().await.status(), 200);
}

#[tokio::test]
async fn a_client_that_connects_on_a_worker_keeps_it_as_long_as_its_connection() {
    /// Connects to `to`, and echoes what comes from there.
    struct Connects(String);

    impl Handler for Connects {
        fn connect(&mut self, _: &mut Context<'_>) {
            let to = self.0.clone();
            tokio::spawn(async move {
                let client = wharf::Client::new(ClientConfig::default()).unwrap();
                echo(client.connect(to).await.unwrap()).await;
            });
        }
    }

    let other = Site::open().await;
    let site = site(with_workers(1)).await;
    let handler = Connects(format!("ws://{}/", other.http.local_addr()));
    let (client, _connection) = site.pair_with(handler).await;
    let from_worker = other.request().await.accept(Accept::new()).unwrap();
    closes(client).await;
    within(site.http.shut_down()).await;
    from_worker.send("still there?").await.unwrap();
    assert_eq!(within(from_worker.recv()).await, Some(Message::from("still there?")));
}

#[tokio::test]
async fn a_port_that_another_server_listens_on_is_in_use_with_workers_or_without() {
    let mut alone = HttpServer::bind(LOCALHOST).await.unwrap();
    let shared = with_workers(2).bind(LOCALHOST).await.unwrap();
    for taken in [alone.local_addr(), shared.local_addr()] {
        for builder in [HttpServer::builder(), with_workers(1), with_workers(3)] {
            assert_eq!(builder.bind(taken).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        }
        let free = LOCALHOST.parse().unwrap();
        alone = with_workers(2).bind(&[taken, free][..]).await.unwrap();
        assert_ne!(alone.local_addr(), taken);
    }
}

#[tokio::test]
async fn dropped_before_it_returns_bind_leaves_nobody_listening() {
    let http = HttpServer::bind(LOCALHOST).await.unwrap();
    let addr = http.local_addr();
    http.shut_down().await;
    begin_and_drop(with_workers(16).bind(addr));
    within(async {
        while let Err(error) = HttpServer::bind(addr).await {
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Panics when it is cloned, where it is told to.
struct Fragile(Arc<AtomicBool>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(!self.0.load(Ordering::Relaxed), "as the test wants it");
        Self(self.0.clone())
    }
}

#[tokio::test]
async fn a_panic_where_a_worker_accepts_leaves_its_connections_and_the_other_workers_alone() {
    let panics = Arc::new(AtomicBool::new(false));
    let fragile = Fragile(panics.clone());
    let service = ServiceFn(move |_| {
        let Fragile(_) = &fragile;
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let site = site(with_workers(2).service(service)).await;
    let mut connections = some_on_each_worker(&site, 2).await;

    panics.store(true, Ordering::Relaxed);
    let mut client = site.client().await;
    // In order or by a reset, as it is closed before or after it was taken.
    let _ = within(client.stream.read(&mut [0])).await;
    panics.store(false, Ordering::Relaxed);

    each_is_on_its_worker(&mut connections).await;
    is_served(&site.http).await;
    within(site.http.shut_down()).await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn workers_serve_tls() {
    let certificates = certificates::Certificates::of_localhost();
    let site = site(with_workers(2).tls(certificates.server())).await;
    let client = wharf::Client::new(ClientConfig::default().tls(certificates.client())).unwrap();
    let url = format!("wss://localhost:{}/", site.http.local_addr().port());
    let accepting = async { site.request().await.accept_with(Accept::new(), ThreadName).unwrap() };
    let (connected, accepted) = within(async { tokio::join!(client.connect(url), accepting) }).await;
    let connected = connected.unwrap();
    within(site.http.shut_down()).await;
    connected.send("where?").await.unwrap();
    let Some(Message::Text(worker)) = within(connected.recv()).await else { panic!("no text") };
    assert!(worker.starts_with("wharf-worker-"), "{worker}");
    connected.close(CloseCode::NORMAL, None).unwrap();
    within(accepted.closed()).await;
}
