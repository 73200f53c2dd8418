//! Who may connect, and what others than hubs see.

use futures_util::StreamExt;
use redis::cmd;
use wharf::Message;
use wharf::hub::Publish;
use wharf_cluster::redis::Redis;

use crate::server::{Server, broker, builder};
use crate::support::backend::Backend;
use crate::support::node::Node;
use crate::support::within;

#[tokio::test]
async fn the_address_names_a_user_and_a_database() {
    let server = Server::start().await;
    let mut user = cmd("ACL");
    user.arg("SETUSER").arg("hub").arg("on").arg(">secret").arg("~*").arg("&*").arg("+@all");
    server.ask::<()>(&user).await;
    let url = format!("redis://hub:secret@{}/3", server.address());
    let node = Node::start(Redis::new(&url).unwrap()).await;
    node.publish("kept.a", "x").await;
    let mut connection = server.client().get_multiplexed_async_connection().await.unwrap();
    cmd("SELECT").arg(3).query_async::<()>(&mut connection).await.unwrap();
    let exists = cmd("EXISTS").arg("wharf:{t:kept.a}:log").query_async::<usize>(&mut connection).await;
    assert_eq!(exists, Ok(1));
}

#[tokio::test]
async fn a_wrong_password_is_the_reason_why_it_is_away() {
    let server = Server::start().await;
    let node = Node::start(Redis::new(&format!("redis://hub:wrong@{}", server.address())).unwrap()).await;
    loop {
        let reason = node.away().await;
        if reason != "it was not connected yet" {
            assert!(reason.contains("WRONGPASS"), "{reason}");
            return;
        }
        within(node.hub.health_changed(&node.hub.health())).await;
    }
}

#[tokio::test]
async fn hubs_of_another_prefix_are_others() {
    let server = Server::start().await;
    let mut here = Node::start(broker(server.address())).await;
    let other = Node::start(builder(server.address()).prefix("other").build().unwrap()).await;
    let subscriber = here.subscriber("kept.a").await;
    assert_eq!(other.publish("kept.a", "x").await.unwrap().offset, 1);
    assert_eq!(here.publish("kept.a", "y").await.unwrap().offset, 1);
    assert_eq!(subscriber.next().await.text, "y");
    subscriber.has_nothing_more().await;
}

#[tokio::test]
async fn other_programs_read_the_envelope_that_is_documented() {
    let server = Server::start().await;
    let node = Node::start(broker(server.address())).await;
    node.connected().await;
    let mut listener = server.client().get_async_pubsub().await.unwrap();
    listener.psubscribe("wharf:t:*").await.unwrap();
    let mut messages = listener.into_on_message();
    let mut next = async || {
        let message = within(messages.next()).await.expect("the server is there");
        (message.get_channel_name().to_owned(), message.get_payload::<Vec<u8>>().unwrap())
    };

    let publish = Publish::new("a", "straße").unwrap().key("ü");
    within(node.hub.publish_with(publish).unwrap()).await.unwrap();
    let (channel, payload) = next().await;
    assert_eq!(channel, "wharf:t:a");
    let text = String::from_utf8(payload).unwrap();
    assert!(text.starts_with("\0wharf1 - "), "{text:?}");
    assert!(text.ends_with(" 1 t 2\nüstraße"), "{text:?}");

    let position = node.publish("kept.a", Message::Binary(b"\0\xff"[..].into())).await.unwrap();
    let (channel, payload) = next().await;
    assert_eq!(channel, "wharf:t:kept.a");
    assert!(payload.starts_with(format!("\0wharf1 {position} ").as_bytes()), "{payload:?}");
    assert!(payload.ends_with(b" 2 b -\n\0\xff"), "{payload:?}");
}

#[tokio::test]
async fn envelopes_that_other_programs_have_made_wrong_are_no_messages() {
    let server = Server::start().await;
    let mut node = Node::start(broker(server.address())).await;
    let subscriber = node.subscriber("kept.a").await;
    for wrong in [
        &b"\0wharf1 "[..],
        b"\0wharf1 ab-0 1 1 t -\nx",
        b"\0wharf9 - 1 1 t -\nx",
        b"\0wharf1 - 1 1 t -\n\xff",
    ] {
        server.publish("kept.a", wrong).await;
    }
    node.publish("kept.a", "1").await;
    server.publish("kept.a", b"2").await;
    assert_eq!(subscriber.texts(2).await, ["1", "2"]);
    subscriber.has_nothing_more().await;
}
