//! Programs that have no hub.

use wharf::Message;

use crate::support::backend::Backend;
use crate::support::node::Node;

pub async fn what_is_published_by_a_program_without_a_hub_arrives<B: Backend>() {
    let backend = B::start().await;
    let mut node = Node::start(B::broker(backend.address())).await;
    node.connected().await;
    let both = node.subscriber("rooms.lobby").await;
    both.subscribe("rooms.*").await;
    backend.publish("rooms.lobby", "größe".as_bytes()).await;
    assert_eq!(both.texts(1).await, ["größe"]);
    backend.publish("rooms.lobby", &[0xff, 0]).await;
    assert_eq!(both.message().await, Message::from(vec![0xff, 0]));
    both.has_nothing_more().await;
}
