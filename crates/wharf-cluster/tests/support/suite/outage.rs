//! A broker that is away, from all nodes or from one.

use std::time::Duration;

use wharf::hub::{BrokerHealth, Hub, PublishError, Publishing, WhenAway};

use crate::support::backend::Backend;
use crate::support::node::{Node, Subscriber};
use crate::support::proxy::Proxy;
use crate::support::{until, within};

/// Publishes without waiting for the broker.
fn publish(node: &Node, topic: &str, texts: &[&str]) -> Vec<Publishing> {
    texts.iter().map(|text| node.hub.publish(topic, *text).expect("it is published here")).collect()
}

async fn assert_taken(publishing: Vec<Publishing>) {
    for publishing in publishing {
        within(publishing).await.expect("the broker takes it");
    }
}

pub async fn a_node_that_starts_before_its_broker_connects_when_it_comes<B: Backend>() {
    let mut backend = B::start().await;
    backend.kill();
    let mut node = Node::start(B::broker(backend.address())).await;
    node.away().await;
    let subscriber = node.subscriber("rooms.lobby").await;
    let queued = node.hub.publish("rooms.kitchen", "early").expect("it is published here");
    backend.restart().await;
    node.connected().await;
    assert_taken(vec![queued]).await;
    until(async || backend.subscriptions("rooms.lobby").await == 1).await;
    backend.publish("rooms.lobby", b"late").await;
    assert_eq!(subscriber.texts(1).await, ["late"]);
}

pub async fn while_the_broker_is_away_delivery_goes_on_here_and_what_is_queued_arrives_later_once<
    B: Backend,
>() {
    let mut backend = B::start().await;
    let proxy = Proxy::to(backend.address()).await;
    let mut here = Node::start(B::broker(proxy.address())).await;
    let mut there = Node::start(B::broker(backend.address())).await;
    here.connected().await;
    there.connected().await;
    let live = (here.subscriber("live").await, there.subscriber("live").await);
    let kept = (here.subscriber("kept.a").await, there.subscriber("kept.a").await);
    here.publish("kept.a", "before").await;
    for subscriber in [&kept.0, &kept.1] {
        assert_eq!(subscriber.texts(1).await, ["before"]);
    }

    backend.kill();
    proxy.cut();
    here.away().await;
    there.away().await;
    let texts = ["1", "2", "3"];
    let queued = [publish(&here, "live", &texts), publish(&here, "kept.a", &texts)].concat_all();
    for subscriber in [&live.0, &kept.0] {
        assert_eq!(subscriber.texts(3).await, texts, "nobody waits for the broker here");
    }

    backend.restart().await;
    there.connected().await;
    proxy.heal();
    here.connected().await;
    assert_taken(queued).await;
    for subscriber in [&live.1, &kept.1] {
        assert_eq!(subscriber.texts(3).await, texts);
    }
    for offset in 2..=4 {
        let got = kept.0.next().await;
        assert_eq!(
            (got.text.as_str(), got.position.map(|position| position.offset)),
            ("placed", Some(offset))
        );
    }
    for subscriber in [&live.0, &live.1, &kept.0, &kept.1] {
        subscriber.has_nothing_more().await;
    }
}

/// All of several lists, one behind the other.
trait ConcatAll {
    fn concat_all(self) -> Vec<Publishing>;
}

impl<const N: usize> ConcatAll for [Vec<Publishing>; N] {
    fn concat_all(self) -> Vec<Publishing> {
        self.into_iter().flatten().collect()
    }
}

async fn away_with<B: Backend>(when_away: WhenAway) -> (B, Node) {
    let mut backend = B::start().await;
    let node = Node::with(B::broker(backend.address()), move |builder| builder.when_away(when_away)).await;
    node.connected().await;
    backend.kill();
    node.away().await;
    (backend, node)
}

pub async fn a_queue_that_is_full_says_so<B: Backend>() {
    let (mut backend, mut node) = away_with::<B>(WhenAway::Queue { max_messages: 3 }).await;
    let subscriber = node.subscriber("live").await;
    let queued = publish(&node, "live", &["1", "2", "3"]);
    let full = within(node.hub.publish("live", "4").expect("it is published here")).await;
    assert_eq!(full, Err(PublishError::QueueFull { limit: 3 }));
    assert_eq!(subscriber.texts(4).await, ["1", "2", "3", "4"]);
    backend.restart().await;
    node.connected().await;
    assert_taken(queued).await;
    node.publish("live", "5").await;
}

pub async fn a_hub_that_is_not_to_wait_says_that_the_broker_is_away<B: Backend>() {
    let (mut backend, mut node) = away_with::<B>(WhenAway::Fail).await;
    let subscriber = node.subscriber("live").await;
    let failed = within(node.hub.publish("live", "1").expect("it is published here")).await;
    assert_eq!(failed, Err(PublishError::BrokerAway));
    assert_eq!(subscriber.texts(1).await, ["1"]);
    backend.restart().await;
    node.connected().await;
    node.publish("live", "2").await;
    assert_eq!(subscriber.texts(1).await, ["2"]);
}

/// Publishes numbers, some at once, until told to stop: how many there were, all of which were acknowledged.
async fn publish_until_told(
    hub: Hub,
    topic: &'static str,
    stop: tokio::sync::watch::Receiver<bool>,
) -> usize {
    let mut count = 0;
    while !*stop.borrow() {
        let some: Vec<_> = (count..count + 20)
            .map(|number| hub.publish(topic, number.to_string()).expect("it is published here"))
            .collect();
        count += some.len();
        assert_taken(some).await;
    }
    count
}

/// The numbers that come, until so many have; what only tells of them is left out.
async fn numbers(subscriber: &Subscriber, count: usize) -> Vec<usize> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let text = subscriber.next().await.text;
        assert!(!text.starts_with("missed"), "{text}");
        numbers.extend(text.parse::<usize>().ok());
    }
    numbers
}

pub async fn nothing_that_was_acknowledged_is_lost_when_the_broker_is_killed<B: Backend>() {
    let mut backend = B::start().await;
    let mut here = Node::start(B::broker(backend.address())).await;
    let mut there = Node::start(B::broker(backend.address())).await;
    here.connected().await;
    there.connected().await;
    let subscribers = [here.subscriber("kept.a").await, there.subscriber("kept.a").await];
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let publishing = tokio::spawn(publish_until_told(here.hub.clone(), "kept.a", stopped));
    for _ in 0..2 {
        // Some have come, and others are on their way.
        there.publish("kept.b", "now").await;
        backend.kill();
        here.away().await;
        there.away().await;
        backend.restart().await;
        here.connected().await;
        there.connected().await;
    }
    here.publish("kept.b", "now").await;
    stop.send_replace(true);
    let count = within(publishing).await.expect("it goes on");
    let expected: Vec<_> = (0..count).collect();
    assert_eq!(numbers(&subscribers[1], count).await, expected);
    // Here, what is published while the broker is away goes before what waits for its place in the history.
    let mut here_in_any_order = numbers(&subscribers[0], count).await;
    here_in_any_order.sort_unstable();
    assert_eq!(here_in_any_order, expected);
    subscribers[1].has_nothing_more().await;
    let client = there.client().await;
    let first = wharf::hub::Position { offset: 0, ..here.publish("kept.a", "end").await.expect("a history") };
    client.recover("kept.a", first).await.expect("it is taken");
    assert_eq!(numbers(&client, count).await, expected);
}

pub async fn a_node_that_was_cut_off_catches_up_and_hands_over_what_it_has<B: Backend>() {
    let backend = B::start().await;
    let proxy = Proxy::to(backend.address()).await;
    let mut here = Node::start(B::broker(backend.address())).await;
    let mut cut_off = Node::start(B::broker(proxy.address())).await;
    here.connected().await;
    cut_off.connected().await;
    let kept = (here.subscriber("kept.a").await, cut_off.subscriber("kept.a").await);
    let live = here.subscriber("live").await;
    here.publish("kept.a", "before").await;
    assert_eq!(kept.1.texts(1).await, ["before"]);

    proxy.cut();
    let reason = cut_off.away().await;
    assert!(!reason.is_empty());
    let texts = ["1", "2", "3", "4", "5"];
    assert_taken(publish(&here, "kept.a", &texts)).await;
    let queued = [publish(&cut_off, "kept.b", &texts), publish(&cut_off, "live", &texts)].concat_all();
    assert_eq!(here.hub.health(), BrokerHealth::Connected);

    proxy.heal();
    cut_off.connected().await;
    assert_taken(queued).await;
    assert_eq!(kept.1.texts(5).await, texts);
    assert_eq!(live.texts(5).await, texts);
    here.publish("kept.a", "behind").await;
    assert_eq!(kept.1.texts(1).await, ["behind"]);
    kept.1.has_nothing_more().await;
    live.has_nothing_more().await;
    let of_cut_off = here.client().await;
    let last = here.publish("kept.b", "end").await.expect("it has a history");
    of_cut_off.recover("kept.b", wharf::hub::Position { offset: 0, ..last }).await.expect("it is taken");
    assert_eq!(of_cut_off.texts(6).await, ["1", "2", "3", "4", "5", "end"]);
}

pub async fn a_node_that_has_got_nothing_yet_catches_up<B: Backend>() {
    let backend = B::start().await;
    let proxy = Proxy::to(backend.address()).await;
    let here = Node::start(B::broker(backend.address())).await;
    let mut cut_off = Node::start(B::broker(proxy.address())).await;
    here.connected().await;
    cut_off.connected().await;
    let first = here.publish("kept.a", "before").await.expect("it has a history");
    let new = cut_off.subscriber("kept.a").await;
    let back = cut_off.client().await;
    back.recover("kept.a", first).await.expect("it is taken");
    proxy.cut();
    cut_off.away().await;
    assert_taken(publish(&here, "kept.a", &["1", "2"])).await;
    proxy.heal();
    for subscriber in [&new, &back] {
        assert_eq!(subscriber.texts(2).await, ["1", "2"]);
        subscriber.has_nothing_more().await;
    }
}

pub async fn a_node_that_was_cut_off_gets_the_next_history_from_its_beginning<B: Backend>() {
    let backend = B::start().await;
    let proxy = Proxy::to(backend.address()).await;
    let here = Node::start(B::broker(backend.address())).await;
    let mut cut_off = Node::start(B::broker(proxy.address())).await;
    here.connected().await;
    cut_off.connected().await;
    let subscriber = cut_off.subscriber("kept.a").await;
    let texts = ["1", "2", "3", "4", "5"];
    assert_taken(publish(&here, "kept.a", &texts)).await;
    assert_eq!(subscriber.texts(5).await, texts);
    proxy.cut();
    cut_off.away().await;
    backend.delete_history("kept.a").await;
    assert_taken(publish(&here, "kept.a", &["6", "7", "8"])).await;
    proxy.heal();
    assert_eq!(subscriber.texts(3).await, ["6", "7", "8"]);
    subscriber.has_nothing_more().await;
}

pub async fn a_broker_that_has_fallen_silent_is_away<B: Backend>() {
    let backend = B::start().await;
    let proxy = Proxy::to(backend.address()).await;
    let mut here = Node::start(B::broker(backend.address())).await;
    let mut cut_off = Node::start(B::broker(proxy.address())).await;
    here.connected().await;
    cut_off.connected().await;
    let subscriber = cut_off.subscriber("kept.a").await;
    let other = here.subscriber("kept.a").await;
    proxy.silence();
    let on_its_way = publish(&cut_off, "kept.a", &["1", "2"]);
    tokio::time::timeout(Duration::from_secs(10), cut_off.away()).await.expect("it is noticed");
    let queued = publish(&cut_off, "kept.a", &["3"]);
    proxy.heal();
    cut_off.connected().await;
    assert_taken([on_its_way, queued].concat_all()).await;
    assert_eq!(other.texts(3).await, ["1", "2", "3"]);
    other.has_nothing_more().await;
    let mut texts = subscriber.texts(4).await;
    // The last was delivered before it had its place.
    texts.sort();
    assert_eq!(texts, ["1", "2", "3", "placed"]);
    subscriber.has_nothing_more().await;
}
