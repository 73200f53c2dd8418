//! What a subscriber is sent when its subscription is made, and when.

use std::future::{pending, ready};
use std::sync::Arc;

use crate::site_of;
use crate::support::{Client, text, within};
use tokio::sync::Notify;
use wharf::Connection;
use wharf::hub::{
    Acknowledgement, BoxFuture, Broker, BrokerError, BrokerHealth, HistoryOptions, HistoryRead,
    HistoryRequest, Hub, HubBuilder, Incoming, Interest, Outgoing, Position, Recovery, Subscribe, Subscribed,
    TopicOptions, TopicPattern,
};

fn with_history() -> HubBuilder {
    Hub::builder()
        .topics("kept.>", TopicOptions::default().history(HistoryOptions::default()))
        .expect("it is allowed")
}

/// Says what became of the subscription.
fn reply(subscribe: Subscribe) -> Subscribe {
    subscribe.reply(|subscribed| match subscribed.recovery {
        None => "subscribed".into(),
        Some(Recovery::Recovered { messages }) => format!("recovered {messages}").into(),
        Some(Recovery::TooOld) => "too old".into(),
    })
}

async fn subscribe(connection: &Connection, subscribe: Subscribe) -> Subscribed {
    within(connection.subscribe_with(reply(subscribe)).expect("it is allowed")).await.expect("it is allowed")
}

async fn receives(client: &mut Client, expected: &[&str]) {
    for expected in expected {
        assert_eq!(client.frame().await, text(expected));
    }
}

#[tokio::test]
async fn it_comes_before_what_is_published_behind_it() {
    let site = site_of(Hub::builder()).await;
    let (mut client, connection) = site.pair().await;
    for pattern in ["a", "b.*"] {
        drop(connection.subscribe_with(reply(Subscribe::new(pattern).unwrap())).unwrap());
    }
    for (topic, message) in [("a", "1"), ("b.c", "2"), ("a", "3")] {
        site.server.publish(topic, message).unwrap();
    }
    receives(&mut client, &["subscribed", "subscribed", "1", "2", "3"]).await;
    subscribe(&connection, Subscribe::new("a").unwrap()).await;
    receives(&mut client, &["subscribed"]).await;
}

#[tokio::test]
async fn it_comes_before_what_was_missed() {
    let site = site_of(with_history()).await;
    let (mut client, connection) = site.pair().await;
    let first = site.server.publish("kept.a", "1").unwrap().await.unwrap().position.unwrap();
    site.server.publish("kept.a", "2").unwrap();
    let subscribed = subscribe(&connection, Subscribe::new("kept.a").unwrap().since(first)).await;
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 1 }));
    site.server.publish("kept.a", "3").unwrap();
    receives(&mut client, &["recovered 1", "2", "3"]).await;
    connection.unsubscribe("kept.a").unwrap();
    let other = Position { epoch: first.epoch.wrapping_add(1), offset: 1 };
    subscribe(&connection, Subscribe::new("kept.a").unwrap().since(other)).await;
    receives(&mut client, &["too old"]).await;
}

#[tokio::test]
async fn a_subscription_that_is_not_made_has_none() {
    let site = site_of(Hub::builder().max_subscriptions(1)).await;
    let (mut client, connection) = site.pair().await;
    subscribe(&connection, Subscribe::new("a").unwrap()).await;
    within(connection.subscribe_with(reply(Subscribe::new("b").unwrap())).unwrap()).await.unwrap_err();
    site.server.publish("a", "1").unwrap();
    receives(&mut client, &["subscribed", "1"]).await;
}

/// Takes everything, and a subscription only when it is told to.
#[derive(Clone, Default)]
struct Hesitant {
    is_asked: Arc<Notify>,
    may_take: Arc<Notify>,
}

impl Broker for Hesitant {
    fn start(&self, incoming: Incoming) {
        incoming.health(BrokerHealth::Connected);
    }

    fn publish<'a>(&'a self, _: &'a Outgoing) -> BoxFuture<'a, Result<Acknowledgement, BrokerError>> {
        Box::pin(ready(Ok(Box::pin(pending()) as Acknowledgement)))
    }

    fn subscribe<'a>(&'a self, _: &'a Interest) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async {
            self.is_asked.notify_one();
            self.may_take.notified().await;
            Ok(())
        })
    }

    fn unsubscribe<'a>(&'a self, _: &'a TopicPattern) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(ready(Ok(())))
    }

    fn history<'a>(&'a self, _: &'a HistoryRequest) -> BoxFuture<'a, Result<HistoryRead, BrokerError>> {
        Box::pin(ready(Err(BrokerError::NoHistory)))
    }
}

#[tokio::test]
async fn with_a_broker_messages_wait_for_it_until_the_broker_has_answered() {
    let broker = Hesitant::default();
    let site = site_of(Hub::builder().broker(broker.clone())).await;
    let hub = site.server.hub().clone();
    let is_connected = tokio::spawn(async move {
        while hub.health() != BrokerHealth::Connected {
            hub.health_changed(&hub.health()).await;
        }
    });
    within(is_connected).await.unwrap();
    let (mut client, connection) = site.pair().await;
    let subscribing = connection.subscribe_with(reply(Subscribe::new("a.*").unwrap())).unwrap();
    within(broker.is_asked.notified()).await;
    site.server.publish("a.b", "1").unwrap();
    broker.may_take.notify_one();
    within(subscribing).await.unwrap();
    site.server.publish("a.b", "2").unwrap();
    receives(&mut client, &["subscribed", "1", "2"]).await;
}
