//! Redis goes, and comes back.

use std::collections::HashMap;

use redis::cmd;
use wharf::hub::Hub;

use crate::server::{Server, broker};
use crate::support::backend::Backend;
use crate::support::node::Node;
use crate::support::proxy::Proxy;
use crate::support::{until, within};

#[tokio::test]
async fn a_subscriber_that_has_got_nothing_yet_gets_what_was_published_while_its_node_was_cut_off() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let (mut here, there) =
        (Node::start(broker(proxy.address())).await, Node::start(broker(server.address())).await);
    here.connected().await;
    there.publish("kept.a", "before").await;
    let subscriber = here.subscriber("kept.a").await;
    let at = subscriber.server.subscribe("kept.b").unwrap().await.unwrap().position.unwrap();
    assert_eq!(at.offset, 0);
    for sever in [Proxy::cut, Proxy::silence] {
        sever(&proxy);
        here.away().await;
        there.publish("kept.a", "a").await;
        there.publish("kept.b", "b").await;
        proxy.heal();
        here.connected().await;
        let mut texts = subscriber.texts(2).await;
        texts.sort();
        assert_eq!(texts, ["a", "b"]);
    }
    subscriber.has_nothing_more().await;
}

#[tokio::test]
async fn a_hub_that_is_made_before_its_redis_connects_when_it_is_there() {
    let mut server = Server::without_persistence().await;
    server.kill();
    let mut node = Node::start(broker(server.address())).await;
    let subscriber = node.subscriber("a").await;
    let waiting = node.hub.publish("a", "early").unwrap();
    assert_eq!(subscriber.next().await.text, "early");
    server.restart().await;
    node.connected().await;
    waiting.await.unwrap();
    server.publish("a", b"plain").await;
    assert_eq!(subscriber.next().await.text, "plain");
    subscriber.has_nothing_more().await;
}

#[tokio::test]
async fn many_subscriptions_are_made_again_before_it_says_that_it_is_connected() {
    const TOPICS: usize = 5000;
    let mut server = Server::without_persistence().await;
    let mut node = Node::start(broker(server.address())).await;
    let subscriber = node.client().await;
    let subscribing: Vec<_> =
        (0..TOPICS).map(|number| subscriber.server.subscribe(format!("t.{number}")).unwrap()).collect();
    for subscribing in subscribing {
        subscribing.await.unwrap();
    }
    server.kill();
    node.away().await;
    server.restart().await;
    node.connected().await;
    let mut ask = cmd("PUBSUB");
    ask.arg("NUMSUB");
    for number in 0..TOPICS {
        ask.arg(format!("wharf:t:t.{number}"));
    }
    let counts: HashMap<String, usize> = server.ask(&ask).await;
    assert_eq!(counts.len(), TOPICS);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[tokio::test]
async fn connections_to_redis_end_with_the_hub() {
    let server = Server::start().await;
    let hub = Hub::builder().broker(broker(server.address())).build().unwrap();
    within(hub.publish("a", "first").unwrap()).await.unwrap();
    let clients = async || {
        let list: String = server.ask(cmd("CLIENT").arg("LIST")).await;
        list.lines().count()
    };
    assert_eq!(clients().await, 3, "two of the hub, and who asks");
    drop(hub);
    until(async || clients().await == 1).await;
}
