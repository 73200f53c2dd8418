//! Who gets what, in which order, while all is well.

use wharf::Message;
use wharf::hub::{Hub, Publish};

use crate::support::backend::Backend;
use crate::support::node::{Node, Subscriber};
use crate::support::within;

async fn nodes<B: Backend>(backend: &B, count: usize) -> Vec<Node> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        let node = Node::start(B::broker(backend.address())).await;
        node.connected().await;
        nodes.push(node);
    }
    nodes
}

async fn subscribers(nodes: &mut [Node], pattern: &str) -> Vec<Subscriber> {
    let mut subscribers = Vec::new();
    for node in nodes {
        subscribers.push(node.subscriber(pattern).await);
    }
    subscribers
}

pub async fn what_each_node_publishes_reaches_the_subscribers_of_all_nodes_once<B: Backend>() {
    let backend = B::start().await;
    let mut nodes = nodes(&backend, 3).await;
    for topic in ["rooms.lobby", "kept.lobby"] {
        let subscribers = subscribers(&mut nodes, topic).await;
        for (index, node) in nodes.iter().enumerate() {
            node.publish(topic, format!("of node {index}")).await;
        }
        for subscriber in &subscribers {
            let mut texts = subscriber.texts(3).await;
            texts.sort();
            assert_eq!(texts, ["of node 0", "of node 1", "of node 2"], "{topic}");
        }
        // What nobody is to get again would have come before this.
        for node in &nodes {
            node.publish(topic, "the last").await;
        }
        for subscriber in &subscribers {
            assert_eq!(subscriber.texts(3).await, ["the last"; 3], "{topic}");
            subscriber.has_nothing_more().await;
        }
    }
}

/// How many messages each publisher has.
const EACH: usize = 1000;

/// Two publishers at each node, who publish at once. All is acknowledged when this returns.
async fn publish_from_all(nodes: &[Node], topic: &'static str) {
    let mut publishers = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        for publisher in ["a", "b"] {
            let hub = node.hub.clone();
            publishers.push(tokio::spawn(publish_each(hub, topic, format!("{index}{publisher}"))));
        }
    }
    for publisher in publishers {
        within(publisher).await.expect("it goes on");
    }
}

async fn publish_each(hub: Hub, topic: &'static str, publisher: String) {
    let publishing: Vec<_> = (0..EACH)
        .map(|number| hub.publish(topic, format!("{publisher} {number}")).expect("it is published here"))
        .collect();
    for publishing in publishing {
        within(publishing).await.expect("the broker takes it");
    }
}

/// Checks that what came has each publisher's messages, all of them, in order.
fn assert_in_order(texts: &[String]) {
    for publisher in ["0a", "0b", "1a", "1b"] {
        let of_publisher = texts.iter().filter_map(|text| text.strip_prefix(publisher)?.strip_prefix(' '));
        let numbers: Vec<usize> = of_publisher.map(|number| number.parse().expect("a number")).collect();
        assert_eq!(numbers, (0..EACH).collect::<Vec<_>>(), "{publisher}");
    }
}

pub async fn the_messages_of_each_publisher_stay_in_order<B: Backend>() {
    let backend = B::start().await;
    let mut nodes = nodes(&backend, 2).await;
    let subscribers = subscribers(&mut nodes, "many").await;
    publish_from_all(&nodes, "many").await;
    for subscriber in &subscribers {
        assert_in_order(&subscriber.texts(4 * EACH).await);
        subscriber.has_nothing_more().await;
    }
}

pub async fn the_messages_of_a_history_are_in_one_order_for_all<B: Backend>() {
    let backend = B::start().await;
    let mut nodes = nodes(&backend, 2).await;
    let subscribers = subscribers(&mut nodes, "kept.many").await;
    publish_from_all(&nodes, "kept.many").await;
    let first = subscribers[0].texts(4 * EACH).await;
    assert_in_order(&first);
    let mut second = Vec::new();
    for offset in 1..=4 * EACH as u64 {
        let got = subscribers[1].next().await;
        assert_eq!(got.position.map(|position| position.offset), Some(offset));
        second.push(got.text);
    }
    assert_eq!(first, second);
    for subscriber in &subscribers {
        subscriber.has_nothing_more().await;
    }
}

pub async fn who_has_subscribed_to_a_topic_and_to_patterns_gets_a_message_once<B: Backend>() {
    let backend = B::start().await;
    let mut nodes = nodes(&backend, 2).await;
    let numbers: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for topic in ["rooms.lobby", "kept.lobby"] {
        let (first, _) = topic.split_once('.').expect("two tokens");
        let patterns = [topic.to_owned(), format!("{first}.*"), format!("{first}.>"), "*.lobby".to_owned()];
        let all = nodes[1].client().await;
        for pattern in &patterns {
            all.subscribe(pattern).await;
        }
        let mut one_each = Vec::new();
        for pattern in &patterns {
            one_each.push(nodes[1].subscriber(pattern).await);
        }
        for number in 0..100 {
            for (index, node) in nodes.iter().enumerate() {
                node.publish(topic, format!("{index} {number}")).await;
            }
        }
        for subscriber in one_each.iter().chain([&all]) {
            let texts = subscriber.texts(200).await;
            for publisher in ["0 ", "1 "] {
                let of_publisher: Vec<_> =
                    texts.iter().filter_map(|text| text.strip_prefix(publisher)).collect();
                assert_eq!(of_publisher, numbers, "{topic}");
            }
            subscriber.has_nothing_more().await;
        }
    }
}

pub async fn keys_and_bytes_travel<B: Backend>() {
    let backend = B::start().await;
    let mut nodes = nodes(&backend, 2).await;
    for topic in ["prices", "kept.prices"] {
        let subscriber = nodes[1].subscriber(topic).await;
        let publish = Publish::new(topic, "1.08").expect("a topic").key("größe: eur/usd % ");
        within(nodes[0].hub.publish_with(publish).expect("it is published here")).await.expect("it is taken");
        let got = subscriber.next().await;
        assert_eq!((got.key.as_deref(), got.text.as_str()), (Some("größe: eur/usd % "), "1.08"));
        for bytes in [&b"could be a text"[..], &[0, 255, 13, 10], &[]] {
            nodes[0].publish(topic, bytes.to_vec()).await;
            assert_eq!(subscriber.message().await, Message::from(bytes));
        }
    }
}

pub async fn a_connection_does_not_get_what_it_publishes_itself<B: Backend>() {
    let backend = B::start().await;
    let mut nodes = nodes(&backend, 2).await;
    for topic in ["rooms.lobby", "kept.lobby"] {
        let publisher = nodes[0].subscriber(topic).await;
        let beside = nodes[0].subscriber(topic).await;
        let elsewhere = nodes[1].subscriber(topic).await;
        within(publisher.server.publish(topic, "mine").expect("it is published here"))
            .await
            .expect("it is taken");
        // Between the messages of two nodes there is no order, unless one follows the other.
        for subscriber in [&beside, &elsewhere] {
            assert_eq!(subscriber.texts(1).await, ["mine"], "{topic}");
        }
        nodes[1].publish(topic, "another's").await;
        for subscriber in [&beside, &elsewhere] {
            assert_eq!(subscriber.texts(1).await, ["another's"], "{topic}");
        }
        assert_eq!(publisher.texts(1).await, ["another's"], "{topic}");
        publisher.has_nothing_more().await;
    }
}
