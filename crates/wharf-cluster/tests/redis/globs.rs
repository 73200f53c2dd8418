//! Topics and patterns that Redis would read otherwise.

use crate::server::{Server, broker};
use crate::support::backend::Backend;
use crate::support::node::Node;

#[tokio::test]
async fn characters_that_redis_takes_for_more_than_themselves_are_themselves() {
    let server = Server::start().await;
    let (mut here, there) =
        (Node::start(broker(server.address())).await, Node::start(broker(server.address())).await);
    there.connected().await;
    let subscriber = here.client().await;
    for pattern in ["a[bc].*", "a?.>", "x\\.*", "{t}.]", "^-.>"] {
        subscriber.subscribe(pattern).await;
    }
    let matching = ["a[bc].1", "a?.1.2", "x\\.y", "{t}.]", "^-.-^"];
    for topic in
        ["ab.1", "ac.1", "a[bc].1.2", "ax.1", "a?", "x.y", "x\\y", "{t}.x", "--.x"].iter().chain(&matching)
    {
        there.publish(topic, "x").await;
    }
    for topic in matching {
        assert_eq!(subscriber.next().await.topic, topic);
    }
    subscriber.has_nothing_more().await;
}

#[tokio::test]
async fn patterns_that_differ_in_their_wildcards_alone_are_brought_apart() {
    let server = Server::start().await;
    let (mut here, there) =
        (Node::start(broker(server.address())).await, Node::start(broker(server.address())).await);
    there.connected().await;
    let one = here.subscriber("a.*").await;
    let rest = here.subscriber("a.>").await;
    let both = here.subscriber("a.*").await;
    both.subscribe("a.>").await;
    for topic in ["a.b.c", "a.b", "a.ü"] {
        there.publish(topic, "x").await;
        server.publish(topic, b"plain").await;
    }
    for topic in ["a.b.c", "a.b", "a.ü"] {
        for text in ["x", "plain"] {
            for subscriber in [&rest, &both] {
                let got = subscriber.next().await;
                assert_eq!((got.topic.as_str(), got.text.as_str()), (topic, text));
            }
            if topic != "a.b.c" {
                let got = one.next().await;
                assert_eq!((got.topic.as_str(), got.text.as_str()), (topic, text));
            }
        }
    }
    for subscriber in [one, rest, both] {
        subscriber.has_nothing_more().await;
    }
}
