//! Topics over several threads.

use std::collections::HashMap;

use wharf::hub::{HistoryOptions, Hub, TopicOptions};
use wharf::{Client, ClientConfig, Connection, Event, HttpServer, Message, Server, ServerConfig};

use crate::support::within;

/// A server on three workers, and clients of it.
struct Workers {
    server: Server,
    clients: Vec<Connection>,
    connections: Vec<Connection>,
    _http: HttpServer,
}

impl Workers {
    async fn open(hub: Hub, count: usize) -> Self {
        let http = HttpServer::builder().workers(3).bind("127.0.0.1:0").await.expect("it is allowed");
        let server = Server::with_hub(ServerConfig::default().auto_accept_connections(true), hub);
        server.mount([&http]).expect("it is allowed");
        let dialer = Client::new(ClientConfig::default()).expect("it is allowed");
        let (mut clients, mut connections) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let url = format!("ws://{}/", http.local_addr());
            clients.push(within(dialer.connect(url)).await.expect("it is allowed"));
            let Some(Event::Connect(connection)) = within(server.next_event()).await else {
                panic!("a connection comes")
            };
            connections.push(connection);
        }
        Self { server, clients, connections, _http: http }
    }
}

async fn text_of(client: &Connection) -> String {
    match within(client.recv()).await.expect("the connection lives") {
        Message::Text(text) => text,
        Message::Binary(_) => panic!("text was published"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_subscriber_gets_every_message_once_and_in_the_order_of_its_publisher() {
    const MESSAGES: usize = 2000;
    let workers = Workers::open(Hub::new(), 12).await;
    for connection in &workers.connections {
        within(connection.subscribe("a.*").unwrap()).await.unwrap();
        within(connection.subscribe("a.1").unwrap()).await.unwrap();
    }
    let publishers: Vec<_> = (0..3)
        .map(|publisher| {
            let server = workers.server.clone();
            tokio::spawn(async move {
                for number in 0..MESSAGES {
                    let topic = format!("a.{}", number % 3);
                    server.publish(topic, format!("{publisher} {number}")).unwrap();
                    if number % 100 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    let readers: Vec<_> = workers
        .clients
        .iter()
        .cloned()
        .map(|client| {
            tokio::spawn(async move {
                let mut next = HashMap::new();
                for _ in 0..3 * MESSAGES {
                    let text = text_of(&client).await;
                    let (publisher, number) = text.split_once(' ').unwrap();
                    let next: &mut usize = next.entry(publisher.to_owned()).or_default();
                    assert_eq!(number.parse(), Ok(*next), "of publisher {publisher}");
                    *next += 1;
                }
            })
        })
        .collect();
    for task in publishers.into_iter().chain(readers) {
        within(task).await.unwrap();
    }
    let counters = workers.server.hub().counters();
    assert_eq!(counters.to_deliver, 12 * 3 * MESSAGES as u64);
    assert_eq!(counters.delivered, counters.to_deliver);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn offsets_come_in_order_on_every_worker_however_many_publish() {
    const MESSAGES: u64 = 1000;
    let options = TopicOptions::default().history(HistoryOptions::default());
    let hub = Hub::builder().presentation(crate::Told).topics("a", options).unwrap().build().unwrap();
    let workers = Workers::open(hub, 6).await;
    for connection in &workers.connections {
        within(connection.subscribe("a").unwrap()).await.unwrap();
    }
    let publishers: Vec<_> = (0..3)
        .map(|_| {
            let server = workers.server.clone();
            tokio::spawn(async move {
                for _ in 0..MESSAGES {
                    server.publish("a", "x").unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for client in &workers.clients {
        for offset in 1..=3 * MESSAGES {
            assert_eq!(text_of(client).await, format!("{offset}:x"));
        }
    }
    for publisher in publishers {
        within(publisher).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_while_others_publish_gets_whole_runs_of_messages() {
    let workers = Workers::open(Hub::new(), 6).await;
    let server = workers.server.clone();
    let publisher = tokio::spawn(async move {
        for number in 0_u64.. {
            if server.publish("a", number.to_string()).is_err() || server.connection_count() == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    for (client, connection) in workers.clients.iter().zip(&workers.connections) {
        for _ in 0..5 {
            within(connection.subscribe("a").unwrap()).await.unwrap();
            let first: u64 = text_of(client).await.parse().unwrap();
            for number in first + 1..first + 50 {
                assert_eq!(text_of(client).await, number.to_string());
            }
            connection.unsubscribe("a").unwrap();
            let a = "a".try_into().unwrap();
            let count = workers.server.hub().subscriber_count(&a);
            assert_eq!(within(count).await, 0);
            within(connection.drained()).await;
            connection.send("end").await.unwrap();
            while text_of(client).await != "end" {}
        }
        connection.close(wharf::CloseCode::NORMAL, None).unwrap();
        within(connection.closed()).await;
    }
    within(publisher).await.unwrap();
}

#[test]
fn a_runtime_that_has_ended_with_its_connections_holds_nobody_else_up() {
    let options = TopicOptions::default().presence(true);
    let hub = Hub::builder().max_undelivered_bytes(1000).topics("a", options).unwrap().build().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime();
    let server = Server::with_hub(ServerConfig::default(), hub.clone());
    let (_client, stream) = tokio::io::duplex(1024);
    ended.block_on(async {
        let connection = server.adopt(wharf::OpenStream::new(stream)).unwrap();
        let subscribe = wharf::hub::Subscribe::new("a").unwrap().member("ann");
        within(connection.subscribe_with(subscribe).unwrap()).await.unwrap();
    });
    assert_eq!(hub.presence(&crate::topic("a")).connections, 1);
    drop(ended);
    assert_eq!(hub.presence(&crate::topic("a")).connections, 0);
    for _ in 0..100 {
        hub.publish("a", "so long that a few of them are as many bytes as may wait").unwrap();
    }
}
