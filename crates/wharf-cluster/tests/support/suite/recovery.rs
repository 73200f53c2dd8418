//! Clients that come back with the last position that they know.

use std::time::Duration;

use wharf::hub::{Position, Recovery};

use crate::support::backend::Backend;
use crate::support::node::Node;
use crate::support::within;

async fn node<B: Backend>(backend: &B) -> Node {
    let node = Node::start(B::broker(backend.address())).await;
    node.connected().await;
    node
}

/// Publishes the numbers of a range: the position of the first.
async fn publish(node: &Node, topic: &str, numbers: std::ops::Range<usize>) -> Position {
    let first = node.publish(topic, numbers.start.to_string()).await.expect("it has a history");
    let rest = numbers.skip(1).map(|number| node.hub.publish(topic, number.to_string()));
    for publishing in rest.collect::<Vec<_>>() {
        within(publishing.expect("it is published here")).await.expect("the broker takes it");
    }
    first
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

pub async fn a_client_of_a_node_that_was_killed_gets_what_it_missed_from_another<B: Backend>() {
    let backend = B::start().await;
    let (publisher, mut first) = (node(&backend).await, node(&backend).await);
    let client = first.subscriber("kept.a").await;
    publish(&publisher, "kept.a", 0..50).await;
    let mut last = None;
    for number in 0..50 {
        let got = client.next().await;
        assert_eq!(got.text, number.to_string());
        last = got.position;
    }
    drop(first);
    publish(&publisher, "kept.a", 50..150).await;
    let mut second = node(&backend).await;
    let client = second.client().await;
    let subscribed = client.recover("kept.a", last.expect("it has a history")).await.expect("it is taken");
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 100 }));
    publish(&publisher, "kept.a", 150..200).await;
    assert_eq!(client.texts(150).await, numbers(50..200));
    client.has_nothing_more().await;
}

pub async fn a_position_that_is_too_old_by_size_says_so<B: Backend>() {
    let backend = B::start().await;
    let mut node = node(&backend).await;
    let first = publish(&node, "few.a", 0..20).await;
    let client = node.client().await;
    let subscribed = client.recover("few.a", first).await.expect("it is taken");
    assert_eq!(subscribed.recovery, Some(Recovery::TooOld));
    assert_eq!(subscribed.position, Some(Position { offset: first.offset + 19, ..first }));
    client.has_nothing_more().await;
    // The tenth before the last is the last that is not kept.
    let client = node.client().await;
    let since = Position { offset: first.offset + 9, ..first };
    let subscribed = client.recover("few.a", since).await.expect("it is taken");
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 10 }));
    assert_eq!(client.texts(10).await, numbers(10..20));
}

pub async fn a_position_that_is_too_old_by_age_says_so<B: Backend>() {
    let backend = B::start().await;
    let mut node = node(&backend).await;
    let first = publish(&node, "short.a", 0..3).await;
    // Longer than half a second, and what a broker takes to look.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let client = node.client().await;
    let subscribed = client.recover("short.a", first).await.expect("it is taken");
    assert_eq!(subscribed.recovery, Some(Recovery::TooOld));
    let last = subscribed.position.expect("it has a history");
    assert_eq!(last, Position { offset: first.offset + 2, ..first });
    let client = node.client().await;
    let subscribed = client.recover("short.a", last).await.expect("it is taken");
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 0 }), "nothing came since");
}

pub async fn a_position_of_another_history_says_so<B: Backend>() {
    let backend = B::start().await;
    let mut node = node(&backend).await;
    let first = publish(&node, "kept.a", 0..10).await;
    backend.delete_history("kept.a").await;
    let client = node.client().await;
    let subscribed = client.recover("kept.a", first).await.expect("it is taken");
    assert_eq!(subscribed.recovery, Some(Recovery::TooOld));
    let second = publish(&node, "kept.a", 10..20).await;
    assert_ne!(second.epoch, first.epoch);
    assert_eq!(second.offset, 1);
    assert_eq!(client.texts(10).await, numbers(10..20));
    client.has_nothing_more().await;
}

pub async fn those_who_stay_go_on_with_the_next_history<B: Backend>() {
    let backend = B::start().await;
    let (publisher, mut node) = (node(&backend).await, node(&backend).await);
    let exact = node.subscriber("kept.a").await;
    let wild = node.subscriber("kept.*").await;
    let first = publish(&publisher, "kept.a", 0..10).await;
    for subscriber in [&exact, &wild] {
        assert_eq!(subscriber.texts(10).await, numbers(0..10));
    }
    backend.delete_history("kept.a").await;
    let second = publish(&publisher, "kept.a", 10..20).await;
    assert_ne!(second.epoch, first.epoch);
    for subscriber in [&exact, &wild] {
        for number in 10..20 {
            let got = subscriber.next().await;
            let offset = number - 9;
            assert_eq!((got.text, got.position), (number.to_string(), Some(Position { offset, ..second })));
        }
        subscriber.has_nothing_more().await;
    }
}

pub async fn ten_thousand_missed_messages_come_in_order<B: Backend>() {
    let backend = B::start().await;
    let mut node = node(&backend).await;
    let first = publish(&node, "kept.a", 0..10_000).await;
    let client = node.client().await;
    let subscribed = client.recover("kept.a", first).await.expect("it is taken");
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 9_999 }));
    assert_eq!(client.texts(9_999).await, numbers(1..10_000));
    client.has_nothing_more().await;
}
