//! The broker on NATS, with a real nats-server.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use support::backend::Backend;
use support::nats::NatsServer;
use support::node::Node;
use support::process::Directory;
use support::{until, within};
use wharf::hub::{Broker, BrokerError, BrokerHealth, Publish, PublishError};
use wharf_cluster::nats::{NatsBuilder, NatsNotice};

suite!(NatsServer);

async fn node(broker: impl Broker) -> Node {
    let node = Node::start(broker).await;
    node.connected().await;
    node
}

fn built(builder: NatsBuilder) -> impl Broker {
    builder.build().expect("the options are valid")
}

/// Waits until the reason why the broker is away has these words.
async fn away_because(node: &Node, words: &str) {
    let mut reason = node.away().await;
    while !reason.contains(words) {
        let seen = BrokerHealth::Away { reason: reason.into() };
        within(node.hub.health_changed(&seen)).await;
        reason = node.away().await;
    }
}

/// Why a message is not taken.
async fn refused(node: &Node, publish: Publish) -> PublishError {
    within(node.hub.publish_with(publish).expect("it is published here")).await.expect_err("it is not taken")
}

fn text(topic: &str) -> Publish {
    Publish::new(topic, "text").expect("a topic")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_a_hub_reads_what_hubs_publish() {
    let server = NatsServer::start().await;
    let node = node(NatsServer::broker(server.address())).await;
    let client = server.client().await;
    let mut messages = within(client.subscribe("wharf.t.>")).await.unwrap();
    // The server, which answers that nobody is there, has the subscription by then.
    within(client.request("nobody", "".into())).await.unwrap_err();
    within(node.hub.publish_with(text("prices.eur").key("a key")).unwrap()).await.unwrap();
    node.publish("prices.eur", vec![0]).await;
    let position = node.publish("kept.prices", "kept").await.unwrap();

    let message = within(messages.next()).await.unwrap();
    assert_eq!((message.subject.as_str(), &message.payload[..]), ("wharf.t.prices.eur", &b"text"[..]));
    let headers = message.headers.unwrap();
    assert_eq!(headers.get("Wharf-Key").unwrap().as_str(), "a%20key");
    assert!(headers.get("Wharf-Kind").is_none());
    let message = within(messages.next()).await.unwrap();
    assert_eq!(message.headers.unwrap().get("Wharf-Kind").unwrap().as_str(), "binary");
    let message = within(messages.next()).await.unwrap();
    assert_eq!((message.subject.as_str(), &message.payload[..]), ("wharf.t.kept.prices", &b"kept"[..]));
    let offset = position.offset.to_string();
    assert_eq!(message.headers.unwrap().get("Nats-Sequence").unwrap().as_str(), offset);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_a_hub_publishes_into_a_history() {
    let server = NatsServer::start().await;
    let mut node = node(NatsServer::broker(server.address())).await;
    let subscriber = node.subscriber("kept.prices").await;
    // A hub has made the stream.
    let first = node.publish("kept.prices", "the first").await.unwrap();
    assert_eq!(subscriber.texts(1).await, ["the first"]);
    let client = server.client().await;
    within(client.publish("wharf.h.kept.prices", "plain".into())).await.unwrap();
    let got = subscriber.next().await;
    assert_eq!((got.text.as_str(), got.position.map(|at| at.offset)), ("plain", Some(first.offset + 1)));
    let next = node.publish("kept.prices", "of the hub").await.unwrap();
    assert_eq!(got.position.unwrap().offset + 1, next.offset);
    let back = node.client().await;
    back.recover("kept.prices", first).await.unwrap();
    assert_eq!(back.texts(2).await, ["plain", "of the hub"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs_of_another_prefix_have_other_topics() {
    let server = NatsServer::start().await;
    let mut one = node(NatsServer::broker(server.address())).await;
    let mut other = node(built(NatsServer::builder(server.address()).prefix("my.wharf"))).await;
    for topic in ["rooms.lobby", "kept.lobby"] {
        let subscribers = [one.subscriber(topic).await, other.subscriber(topic).await];
        one.publish(topic, "one").await;
        other.publish(topic, "other").await;
        assert_eq!(subscribers[0].texts(1).await, ["one"]);
        assert_eq!(subscribers[1].texts(1).await, ["other"]);
        for subscriber in &subscribers {
            subscriber.has_nothing_more().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream_topics_without_history_are_shared_all_the_same() {
    let server = NatsServer::with(&[]).await;
    let mut node = node(NatsServer::broker(server.address())).await;
    let subscriber = node.subscriber("kept.a").await;
    assert_eq!(refused(&node, text("kept.a")).await, PublishError::Broker(BrokerError::NoHistory));
    node.publish("rooms.lobby", "text").await;
    subscriber.has_nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_would_not_take_is_refused_and_the_rest_goes_on() {
    let server = NatsServer::start().await;
    let node = node(NatsServer::broker(server.address())).await;
    let long = format!("kept.{}", "ü".repeat(100));
    let error = refused(&node, text(&long)).await.to_string();
    assert!(error.contains("is too long for a history"), "{error}");
    for topic in ["rooms.lobby", "kept.lobby"] {
        let large = Publish::new(topic, vec![0; 2 * 1024 * 1024]).unwrap();
        let error = refused(&node, large).await;
        assert!(matches!(error, PublishError::Broker(BrokerError::Refused(_))), "{error:?}");
        node.publish(topic, "text").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_who_it_is_is_told() {
    let password = NatsServer::with(&["--user", "user", "--pass", "p@ss"]).await;
    let token = NatsServer::with(&["--auth", "a-token"]).await;
    let builder = NatsServer::builder;
    node(built(builder(password.address()).user_and_password("user", "p@ss"))).await;
    node(built(builder(token.address()).token("a-token"))).await;
    let url = format!("nats://user:p%40ss@{}", password.address());
    node(wharf_cluster::nats::Nats::new(&url).unwrap()).await;
    let nobody = Node::start(NatsServer::broker(password.address())).await;
    away_because(&nobody, "uthorization").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_is_believed_where_its_authority_is() {
    let directory = Directory::create();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let server = NatsServer::with(&["--tls", "--tlscert", &certificate, "--tlskey", &key]).await;
    for url in ["nats", "tls"].map(|scheme| format!("{scheme}://{}", server.address())) {
        node(built(wharf_cluster::nats::Nats::builder(&url).root_certificates(&certificate))).await;
    }
    let unbelieving = Node::start(NatsServer::broker(server.address())).await;
    away_because(&unbelieving, "invalid peer certificate").await;
    let plain = NatsServer::start().await;
    let insisting = Node::start(built(NatsServer::builder(plain.address()).require_tls(true))).await;
    away_because(&insisting, "cannot be reached").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_taken_where_one_is_gone() {
    let mut servers = [NatsServer::start().await, NatsServer::start().await];
    let urls = servers.each_ref().map(|server| format!("nats://{}", server.address())).join(",");
    let broker = wharf_cluster::nats::Nats::builder(&urls).build().unwrap();
    servers[0].kill();
    let node = node(broker).await;
    node.publish("rooms.lobby", "text").await;
    servers[1].kill();
    node.away().await;
    servers[0].restart().await;
    node.connected().await;
    node.publish("rooms.lobby", "text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_because_a_node_does_not_keep_up_is_told_and_read_from_the_history() {
    let server = NatsServer::start().await;
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = dropped.clone();
    let slow = NatsServer::builder(server.address()).max_pending_messages(1).notices(move |notice| {
        count.fetch_add(usize::from(notice == NatsNotice::Dropped), Ordering::Relaxed);
    });
    let mut slow = node(built(slow)).await;
    let publisher = node(NatsServer::broker(server.address())).await;
    let subscriber = slow.subscriber("kept.a").await;
    let mut publishing = Vec::new();
    for number in 0..2000 {
        publishing.push(publisher.hub.publish("kept.a", number.to_string()).unwrap());
    }
    for publishing in publishing {
        within(publishing).await.unwrap();
    }
    let expected: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    assert_eq!(subscriber.texts(2000).await, expected);
    subscriber.has_nothing_more().await;
    until(async || dropped.load(Ordering::Relaxed) > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_its_hub_is_gone_so_is_its_connection() {
    let server = NatsServer::start().await;
    let hub = wharf::hub::Hub::builder().broker(NatsServer::broker(server.address())).build().unwrap();
    until(async || server.connections().await == 1).await;
    drop(hub);
    until(async || server.connections().await == 0).await;
}
