//! Who gets what is published, in which order, and when no longer.

use wharf::CloseCode;
use wharf::hub::{Hub, Publish, PublishError, SubscribeError, Topic, TopicError};

use crate::support::{Site, binary, close, text, within};
use crate::{site_of, site_with, subscribe, subscribers};

#[tokio::test]
async fn what_is_published_goes_to_all_who_have_subscribed_and_to_nobody_else() {
    let site = Site::open().await;
    let (mut clients, connections) = site.pairs(3).await;
    subscribe(&connections[0], "rooms.lobby").await;
    subscribe(&connections[1], "rooms.lobby").await;
    subscribe(&connections[2], "rooms.kitchen").await;
    site.server.publish("rooms.lobby", "hello").unwrap();
    site.server.publish("rooms.lobby", b"bytes".to_vec()).unwrap();
    site.server.publish("rooms.kitchen", "smoke").unwrap();
    for client in &mut clients[..2] {
        assert_eq!(client.frame().await, text("hello"));
        assert_eq!(client.frame().await, binary("bytes"));
    }
    assert_eq!(clients[2].frame().await, text("smoke"));
}

#[tokio::test]
async fn a_subscription_holds_for_what_its_own_thread_publishes_behind_it() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    site.server.publish("a", "before").unwrap();
    drop(connection.subscribe("a").unwrap());
    site.server.publish("a", "behind").unwrap();
    assert_eq!(client.frame().await, text("behind"));
}

#[tokio::test]
async fn what_a_connection_publishes_goes_to_all_but_itself() {
    let site = Site::open().await;
    let (mut clients, connections) = site.pairs(2).await;
    for connection in &connections {
        subscribe(connection, "a").await;
    }
    connections[0].publish("a", "from the first").unwrap();
    connections[1].publish("a", "from the second").unwrap();
    assert_eq!(clients[1].frame().await, text("from the first"));
    assert_eq!(clients[0].frame().await, text("from the second"));
    site.server.publish("a", "to both").unwrap();
    for client in &mut clients {
        assert_eq!(client.frame().await, text("to both"));
    }
}

#[tokio::test]
async fn who_has_subscribed_to_a_topic_in_several_ways_gets_a_message_once() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    for pattern in ["a.b", "a.*", "*.b", "a.>", ">", "a.b"] {
        subscribe(&connection, pattern).await;
    }
    site.server.publish("a.b", "1").unwrap();
    site.server.publish("a.c", "2").unwrap();
    site.server.publish("c", "3").unwrap();
    for message in ["1", "2", "3"] {
        assert_eq!(client.frame().await, text(message));
    }
    for pattern in ["a.b", "a.>", ">"] {
        connection.unsubscribe(pattern).unwrap();
    }
    site.server.publish("c", "to nobody").unwrap();
    site.server.publish("a.b", "4").unwrap();
    assert_eq!(client.frame().await, text("4"));
}

#[tokio::test]
async fn nothing_comes_after_unsubscribing_and_an_ended_connection_has_left() {
    let site = Site::open().await;
    let (mut clients, connections) = site.pairs(3).await;
    for connection in &connections {
        subscribe(connection, "a").await;
        subscribe(connection, "b").await;
    }
    assert_eq!(subscribers(&site, "a").await, 3);
    connections[0].unsubscribe("a").unwrap();
    connections[0].unsubscribe("a").unwrap();
    connections[0].unsubscribe("never").unwrap();
    site.server.publish("a", "1").unwrap();
    site.server.publish("b", "2").unwrap();
    assert_eq!(clients[0].frame().await, text("2"));
    assert_eq!(subscribers(&site, "a").await, 2);
    drop(clients.remove(2));
    let _ = within(connections[2].closed()).await;
    assert_eq!((subscribers(&site, "a").await, subscribers(&site, "b").await), (1, 2));
    let closed = connections[2].subscribe("c").unwrap_err();
    assert_eq!(closed, SubscribeError::Closed);
}

#[tokio::test]
async fn messages_of_one_thread_arrive_in_its_order_over_all_topics() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    subscribe(&connection, "a").await;
    subscribe(&connection, "b.*").await;
    for number in 0..300 {
        let topic = ["a", "b.1", "b.2", "a"][number % 4];
        site.server.publish(topic, number.to_string()).unwrap();
    }
    for number in 0..300 {
        assert_eq!(client.frame().await, text(number.to_string()));
    }
}

#[tokio::test]
async fn what_was_published_before_a_close_goes_out_before_it() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    subscribe(&connection, "a").await;
    subscribe(&connection, "b").await;
    site.server.publish("a", "1").unwrap();
    site.server.publish("b", "2").unwrap();
    // Its answer comes behind what was published.
    assert_eq!(subscribers(&site, "a").await, 1);
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(client.frame().await, text("1"));
    assert_eq!(client.frame().await, text("2"));
    assert_eq!(client.frame().await, close(1000, ""));
}

#[tokio::test]
async fn a_hub_can_be_that_of_several_servers_and_of_none() {
    let hub = Hub::new();
    let mut sites = Vec::new();
    for _ in 0..2 {
        sites.push(site_with(hub.clone()).await);
    }
    let (mut first, first_connection) = sites[0].pair().await;
    let (mut second, second_connection) = sites[1].pair().await;
    subscribe(&first_connection, "a").await;
    subscribe(&second_connection, "a").await;
    hub.publish_with(Publish::new("a", "to all").unwrap()).unwrap();
    assert_eq!(first.frame().await, text("to all"));
    assert_eq!(second.frame().await, text("to all"));
}

#[tokio::test]
async fn what_is_no_topic_is_said_and_those_of_the_hub_are_not_published_on() {
    let site = Site::open().await;
    let (_client, connection) = site.pair().await;
    let wildcard = TopicError::Character { topic: "a.*".to_owned(), character: '*' };
    assert_eq!(site.server.publish("a.*", "x").unwrap_err(), PublishError::Topic(wildcard));
    assert_eq!(connection.subscribe("").unwrap_err(), SubscribeError::Topic(TopicError::Empty));
    let reserved = Topic::new("$presence.a").unwrap();
    assert_eq!(connection.publish(&reserved, "x").unwrap_err(), PublishError::Reserved(reserved));
}

#[tokio::test]
async fn a_connection_has_no_more_subscriptions_than_are_allowed() {
    let site = site_of(Hub::builder().max_subscriptions(2)).await;
    let (_client, connection) = site.pair().await;
    subscribe(&connection, "a").await;
    subscribe(&connection, "b").await;
    subscribe(&connection, "a").await;
    let refused = within(connection.subscribe("c").unwrap()).await;
    assert_eq!(refused, Err(SubscribeError::TooMany { limit: 2 }));
    connection.unsubscribe("a").unwrap();
    subscribe(&connection, "c").await;
}
