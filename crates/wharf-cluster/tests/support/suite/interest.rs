//! What a node asks of the broker.

use crate::support::backend::Backend;
use crate::support::node::{LINGER, Node};
use crate::support::until;

pub async fn a_node_asks_the_broker_only_for_what_somebody_wants<B: Backend>() {
    let backend = B::start().await;
    let mut node = Node::start(B::broker(backend.address())).await;
    node.connected().await;
    for pattern in ["rooms.lobby", "kept.lobby", "rooms.*"] {
        assert_eq!(backend.subscriptions(pattern).await, 0, "{pattern}");
        let first = node.subscriber(pattern).await;
        assert_eq!(backend.subscriptions(pattern).await, 1, "{pattern}");
        let second = node.subscriber(pattern).await;
        first.server.unsubscribe(pattern).expect("a pattern");
        // One who leaves without a word counts as much.
        drop(first);
        tokio::time::sleep(2 * LINGER).await;
        assert_eq!(backend.subscriptions(pattern).await, 1, "somebody wants {pattern}");
        second.client.close(wharf::CloseCode::NORMAL, None).expect("the connection is open");
        until(async || backend.subscriptions(pattern).await == 0).await;
    }
    assert_eq!(backend.subscriptions("never.wanted").await, 0);
}

pub async fn who_comes_and_goes_within_the_linger_does_not_make_the_broker_work<B: Backend>() {
    let backend = B::start().await;
    let mut nodes = [
        Node::start(B::broker(backend.address())).await,
        Node::with(B::broker(backend.address()), |builder| {
            builder.linger(std::time::Duration::from_secs(60))
        })
        .await,
    ];
    for node in &nodes {
        node.connected().await;
    }
    let subscriber = nodes[1].subscriber("rooms.lobby").await;
    subscriber.server.unsubscribe("rooms.lobby").expect("a pattern");
    nodes[0].publish("rooms.lobby", "while nobody is there").await;
    assert_eq!(backend.subscriptions("rooms.lobby").await, 1);
    subscriber.subscribe("rooms.lobby").await;
    assert_eq!(backend.subscriptions("rooms.lobby").await, 1);
    nodes[0].publish("rooms.lobby", "again").await;
    assert_eq!(subscriber.texts(1).await, ["again"]);
}
