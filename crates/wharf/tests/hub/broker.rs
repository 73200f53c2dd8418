//! Hubs that share their topics through a broker.

use std::time::Duration;

use wharf::Connection;
use wharf::hub::{
    BrokerError, BrokerHealth, HistoryOptions, Hub, HubBuilder, Position, PublishError, Recovery,
    SlowConsumer, Subscribe, SubscribeError, TopicOptions, WhenAway,
};

use crate::memory_broker::Bus;
use crate::support::{Client, Site, text, until, within};
use crate::{Told, all_published, leave, site_of, subscribe, subscribe_since};

/// A hub of a cluster, and the number of its node.
struct Node {
    site: Site,
    number: usize,
    bus: Bus,
}

fn hub() -> HubBuilder {
    let kept = TopicOptions::default().history(HistoryOptions::default());
    Hub::builder().presentation(Told).linger(Duration::ZERO).topics("kept.>", kept).expect("it is allowed")
}

impl Node {
    async fn open(bus: &Bus) -> Self {
        Self::of(bus, hub(), false).await
    }

    async fn of(bus: &Bus, hub: HubBuilder, is_cut: bool) -> Self {
        let (number, broker) = bus.node(is_cut);
        let site = site_of(hub.broker(broker)).await;
        let node = Self { site, number, bus: bus.clone() };
        if !is_cut {
            node.is_connected(true).await;
        }
        node
    }

    async fn is_connected(&self, is_connected: bool) {
        let hub = self.site.server.hub();
        while (hub.health() == BrokerHealth::Connected) != is_connected {
            within(hub.health_changed(&hub.health())).await;
        }
        if is_connected {
            // Behind what the link does first.
            let (client, connection) = self.site.pair().await;
            within(connection.subscribe("probe").expect("it is allowed")).await.expect("it can be done");
            leave(&self.site, client).await;
        }
    }

    async fn cut(&self) {
        self.bus.cut(self.number);
        self.is_connected(false).await;
    }

    async fn heal(&self) {
        self.bus.heal(self.number);
        self.is_connected(true).await;
    }

    async fn subscriber(&self, pattern: &str) -> (Client, Connection) {
        let (client, connection) = self.site.pair().await;
        subscribe(&connection, pattern).await;
        (client, connection)
    }

    async fn publish(&self, topic: &str, message: &str) -> Option<Position> {
        let publishing = self.site.server.publish(topic, message).expect("it is allowed");
        within(publishing).await.expect("it is allowed").position
    }
}

#[tokio::test]
async fn what_one_node_publishes_comes_to_the_subscribers_of_all_once() {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let mut clients = Vec::new();
    for node in [&one, &other] {
        let (client, connection) = node.subscriber("a.b").await;
        subscribe(&connection, "a.*").await;
        subscribe(&connection, "*.b").await;
        clients.push(client);
    }
    for number in 0..50 {
        one.publish("a.b", &format!("one {number}")).await;
        other.publish("a.b", &format!("other {number}")).await;
    }
    bus.publish("a.b", "nobody's");
    for client in &mut clients {
        let mut came: Vec<_> = Vec::new();
        for _ in 0..101 {
            came.push(String::from_utf8(client.frame().await.payload).unwrap());
        }
        for of in ["one", "other"] {
            let numbers: Vec<_> = came.iter().filter(|text| text.starts_with(&format!("{of} "))).collect();
            let expected: Vec<_> = (0..50).map(|number| format!("{of} {number}")).collect();
            assert!(numbers.into_iter().eq(&expected), "{came:?}");
        }
        assert!(came.contains(&"nobody's".to_owned()));
    }
}

#[tokio::test]
async fn the_broker_is_asked_only_for_what_somebody_wants_and_once() {
    let bus = Bus::default();
    let node = Node::open(&bus).await;
    let asked = || {
        let asked = bus.asked(node.number);
        asked.into_iter().filter(|what| what.ends_with(" a")).collect::<Vec<_>>()
    };
    let (first, _connection) = node.subscriber("a").await;
    let (second, connection) = node.subscriber("a").await;
    assert_eq!(asked(), ["subscribe a"]);
    leave(&node.site, first).await;
    all_published(&node.site).await;
    let (third, _connection) = node.subscriber("other").await;
    assert_eq!(asked(), ["subscribe a"]);
    connection.unsubscribe("a").unwrap();
    until(|| asked() == ["subscribe a", "unsubscribe a"]).await;
    let (_fourth, _connection) = node.subscriber("a").await;
    assert_eq!(asked(), ["subscribe a", "unsubscribe a", "subscribe a"]);
    drop((second, third));
}

#[tokio::test]
async fn while_the_broker_is_away_what_is_published_is_delivered_here_and_later_elsewhere() {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let (mut here, _here) = one.subscriber("a").await;
    let (mut there, _there) = other.subscriber("a").await;
    one.cut().await;
    let mut publishing = Vec::new();
    for number in 0..10 {
        publishing.push(one.site.server.publish("a", number.to_string()).unwrap());
    }
    for number in 0..10 {
        assert_eq!(here.frame().await, text(number.to_string()));
    }
    other.publish("a", "meanwhile").await;
    assert_eq!(there.frame().await, text("meanwhile"));
    one.heal().await;
    for publishing in publishing {
        within(publishing).await.unwrap();
    }
    for number in 0..10 {
        assert_eq!(there.frame().await, text(number.to_string()));
    }
    one.publish("a", "then").await;
    assert_eq!(here.frame().await, text("then"), "and nothing twice");
    assert_eq!(there.frame().await, text("then"));
}

#[tokio::test]
async fn no_more_wait_for_the_broker_than_may() {
    let bus = Bus::default();
    let node = Node::of(&bus, hub().when_away(WhenAway::Queue { max_messages: 2 }), true).await;
    let (mut client, _connection) = node.subscriber("a").await;
    let publish = |message: &str| node.site.server.publish("a", message).unwrap();
    let (first, second) = (publish("1"), publish("2"));
    assert_eq!(within(publish("3")).await, Err(PublishError::QueueFull { limit: 2 }));
    for expected in ["1", "2", "3"] {
        assert_eq!(client.frame().await, text(expected));
    }
    node.heal().await;
    within(first).await.unwrap();
    within(second).await.unwrap();
    within(publish("4")).await.unwrap();
}

#[tokio::test]
async fn none_waits_where_none_is_to() {
    let bus = Bus::default();
    let node = Node::of(&bus, hub().when_away(WhenAway::Fail), true).await;
    let publish = || node.site.server.publish("a", "x").unwrap();
    assert_eq!(within(publish()).await, Err(PublishError::BrokerAway));
    node.heal().await;
    within(publish()).await.unwrap();
}

#[tokio::test]
async fn a_history_is_that_of_all_nodes_and_its_order_is_the_same_everywhere() {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let (mut here, connection) = one.subscriber("kept.a").await;
    let (mut there, _there) = other.subscriber("kept.a").await;
    for number in 0..10 {
        one.publish("kept.a", &number.to_string()).await;
        other.publish("kept.a", &number.to_string()).await;
    }
    for offset in 1..=20 {
        let number = (offset - 1) / 2;
        for client in [&mut here, &mut there] {
            assert_eq!(client.frame().await, text(format!("{offset}:{number}")));
        }
    }
    let publishing = connection.publish("kept.a", "to the others").unwrap();
    assert_eq!(within(publishing).await.unwrap().position.map(|at| at.offset), Some(21));
    assert_eq!(there.frame().await, text("21:to the others"));
    one.publish("kept.a", "to all").await;
    assert_eq!(here.frame().await, text("22:to all"));
}

#[tokio::test]
async fn who_comes_back_on_another_node_gets_what_it_missed() {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let (mut client, _connection) = one.subscriber("kept.a").await;
    let seen = one.publish("kept.a", "seen").await.unwrap();
    assert_eq!(client.frame().await, text("1:seen"));
    leave(&one.site, client).await;
    for number in 0..5 {
        one.publish("kept.a", &number.to_string()).await;
    }
    let (mut client, connection) = other.site.pair().await;
    let subscribed = subscribe_since(&connection, "kept.a", seen).await;
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 5 }));
    assert_eq!(subscribed.position, Some(Position { offset: 6, ..seen }));
    one.publish("kept.a", "live").await;
    for number in 0..5 {
        assert_eq!(client.frame().await, text(format!("{}:{number}", number + 2)));
    }
    assert_eq!(client.frame().await, text("7:live"));

    bus.trim(3);
    let (_client, connection) = other.site.pair().await;
    assert_eq!(subscribe_since(&connection, "kept.a", seen).await.recovery, Some(Recovery::TooOld));
    connection.unsubscribe("kept.a").unwrap();
    let oldest = Subscribe::new("kept.a").unwrap().since_oldest();
    let subscribed = within(connection.subscribe_with(oldest).unwrap()).await.unwrap();
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 3 }));
}

#[tokio::test]
async fn what_a_node_missed_while_it_was_cut_off_it_gets_in_order_and_once() {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let (mut client, _connection) = one.subscriber("kept.a").await;
    other.publish("kept.a", "1").await;
    assert_eq!(client.frame().await, text("1:1"));
    one.cut().await;
    for number in 2..=5 {
        other.publish("kept.a", &number.to_string()).await;
    }
    one.heal().await;
    other.publish("kept.a", "6").await;
    for number in 2..=6 {
        assert_eq!(client.frame().await, text(format!("{number}:{number}")));
    }
    // What is kept no longer is told.
    one.cut().await;
    for number in 7..=10 {
        other.publish("kept.a", &number.to_string()).await;
    }
    bus.trim(2);
    one.heal().await;
    for expected in ["kept.a missed 2", "9:9", "10:10"] {
        assert_eq!(client.frame().await, text(expected));
    }
}

#[tokio::test]
async fn more_than_a_slow_consumer_may_have_waiting_is_recovered_from_an_outage() {
    let bus = Bus::default();
    let bounded = hub().slow_consumer(SlowConsumer::default().max_messages(10));
    let (one, other) = (Node::of(&bus, bounded, false).await, Node::open(&bus).await);
    let (mut client, connection) = crate::narrow(&one.site).await;
    subscribe(&connection, "kept.a").await;
    one.cut().await;
    for number in 1..=200 {
        other.publish("kept.a", &number.to_string()).await;
    }
    one.heal().await;
    for number in 1..=200 {
        assert_eq!(client.frame().await, text(format!("{number}:{number}")));
    }
    assert!(connection.is_connected());
}

#[tokio::test]
async fn with_a_history_what_is_published_while_the_broker_is_away_gets_its_place_later_and_is_delivered_once()
 {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let (mut here, _here) = one.subscriber("kept.a").await;
    let (mut there, _there) = other.subscriber("kept.a").await;
    other.publish("kept.a", "before").await;
    assert_eq!(here.frame().await, text("1:before"));
    one.cut().await;
    let publishing = one.site.server.publish("kept.a", "away").unwrap();
    assert_eq!(here.frame().await, text("away"));
    other.publish("kept.a", "meanwhile").await;
    one.heal().await;
    assert_eq!(within(publishing).await.unwrap().position.map(|at| at.offset), Some(3));
    assert_eq!(here.frame().await, text("2:meanwhile"));
    assert_eq!(here.frame().await, text("kept.a placed 3"));
    for expected in ["1:before", "2:meanwhile", "3:away"] {
        assert_eq!(there.frame().await, text(expected));
    }
}

#[tokio::test]
async fn who_recovers_before_what_was_published_meanwhile_has_its_place_gets_that_too() {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let seen = other.publish("kept.a", "seen").await.unwrap();
    one.cut().await;
    let publishing: Vec<_> =
        (0..5).map(|number| one.site.server.publish("kept.a", number.to_string()).unwrap()).collect();
    bus.heal_but_lose_acknowledgements(one.number);
    let (mut client, connection) = one.site.pair().await;
    until(|| one.site.server.hub().health() == BrokerHealth::Connected).await;
    let subscribing = connection.subscribe_with(Subscribe::new("kept.a").unwrap().since(seen)).unwrap();
    bus.heal(one.number);
    assert_eq!(within(subscribing).await.unwrap().recovery, Some(Recovery::Recovered { messages: 5 }));
    for publishing in publishing {
        within(publishing).await.unwrap();
    }
    for number in 0..5 {
        assert_eq!(client.frame().await, text(format!("{}:{number}", number + 2)));
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_is_published_again_and_kept_once() {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let (mut client, _connection) = other.subscriber("kept.a").await;
    bus.lose_acknowledgements(one.number);
    let first = one.site.server.publish("kept.a", "1").unwrap();
    let second = one.site.server.publish("kept.a", "2").unwrap();
    assert_eq!(client.frame().await, text("1:1"));
    bus.heal(one.number);
    assert_eq!(within(first).await.unwrap().position.map(|at| at.offset), Some(1));
    assert_eq!(within(second).await.unwrap().position.map(|at| at.offset), Some(2));
    assert_eq!(client.frame().await, text("2:2"));
    // Without a history it could come twice: whoever publishes is told that it may not have come at all.
    bus.lose_acknowledgements(one.number);
    let lost = within(one.site.server.publish("a", "x").unwrap()).await;
    assert_eq!(lost, Err(PublishError::Broker(BrokerError::Away("it was cut".into()))));
}

#[tokio::test]
async fn a_broker_that_lost_its_history_begins_another_and_nothing_of_it_is_missed() {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let (mut client, _connection) = one.subscriber("kept.a").await;
    let mut seen = None;
    for number in 1..=3 {
        seen = other.publish("kept.a", &number.to_string()).await;
        assert_eq!(client.frame().await, text(format!("{number}:{number}")));
    }
    one.cut().await;
    other.publish("kept.b", "of another topic").await;
    bus.lose_histories();
    other.publish("kept.b", "again").await;
    other.publish("kept.a", "4").await;
    one.heal().await;
    other.publish("kept.a", "5").await;
    assert_eq!(client.frame().await, text("1:4"));
    assert_eq!(client.frame().await, text("2:5"));
    let (_client, connection) = other.site.pair().await;
    let recovery = subscribe_since(&connection, "kept.a", seen.unwrap()).await.recovery;
    assert_eq!(recovery, Some(Recovery::TooOld));
}

#[tokio::test]
async fn who_would_recover_while_the_broker_is_away_is_told_and_may_try_again() {
    let bus = Bus::default();
    let (one, other) = (Node::open(&bus).await, Node::open(&bus).await);
    let seen = other.publish("kept.a", "1").await.unwrap();
    other.publish("kept.a", "2").await;
    one.cut().await;
    let (mut client, connection) = one.site.pair().await;
    let since = || Subscribe::new("kept.a").unwrap().since(seen);
    let refused = within(connection.subscribe_with(since()).unwrap()).await;
    assert_eq!(refused, Err(SubscribeError::Broker(BrokerError::Away("it was cut".into()))));
    one.heal().await;
    let subscribed = within(connection.subscribe_with(since()).unwrap()).await.unwrap();
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 1 }));
    assert_eq!(client.frame().await, text("2:2"));
}

#[tokio::test]
async fn who_unsubscribes_and_subscribes_again_before_the_broker_answers_has_the_second_subscription() {
    let bus = Bus::default();
    let node = Node::open(&bus).await;
    let (mut client, connection) = node.site.pair().await;
    let first = connection.subscribe("kept.a").unwrap();
    connection.unsubscribe("kept.a").unwrap();
    let second = connection.subscribe("kept.a").unwrap();
    assert_eq!(within(first).await, Err(SubscribeError::Ended));
    assert!(within(second).await.is_ok());
    node.publish("kept.a", "x").await;
    assert_eq!(client.frame().await, text("1:x"));
}

#[tokio::test]
async fn what_was_subscribed_to_while_the_broker_was_away_comes_when_it_is_back() {
    let bus = Bus::default();
    let (one, other) = (Node::of(&bus, hub(), true).await, Node::open(&bus).await);
    let (mut client, _connection) = one.subscriber("a").await;
    let (mut kept, _connection) = one.subscriber("kept.a").await;
    one.heal().await;
    other.publish("a", "x").await;
    other.publish("kept.a", "y").await;
    assert_eq!(client.frame().await, text("x"));
    assert_eq!(kept.frame().await, text("1:y"));
}

fn names(node: &Node) -> Vec<String> {
    let presence = node.site.server.hub().presence(&crate::topic("rooms.a"));
    presence.members.iter().map(|member| format!("{} {}", member.name, member.connections)).collect()
}

fn hub_with_presence() -> HubBuilder {
    hub().topics("rooms.*", TopicOptions::default().presence(true)).expect("it is allowed")
}

async fn join(node: &Node, name: &str) -> (Client, Connection) {
    let (client, connection) = node.site.pair().await;
    let subscribe = Subscribe::new("rooms.a").expect("it is allowed").member(name);
    within(connection.subscribe_with(subscribe).expect("it is allowed")).await.expect("it can be done");
    (client, connection)
}

#[tokio::test]
async fn it_is_known_on_every_node_who_has_subscribed_on_any() {
    let bus = Bus::default();
    let one = Node::of(&bus, hub_with_presence(), false).await;
    let (_ann, ann) = join(&one, "ann").await;
    // One that comes later asks, and is told.
    let other = Node::of(&bus, hub_with_presence(), false).await;
    until(|| names(&other) == ["ann 1"]).await;
    let (mut watcher, _watcher) = other.subscriber("$presence.rooms.a").await;
    let (bob_client, _bob) = join(&one, "bob").await;
    assert_eq!(watcher.frame().await, text("bob joined rooms.a"));
    let (_ann_there, _connection) = join(&other, "ann").await;
    ann.unsubscribe("rooms.a").unwrap();
    leave(&one.site, bob_client).await;
    assert_eq!(watcher.frame().await, text("bob left rooms.a"), "ann is still at the other node");
    for node in [&one, &other] {
        until(|| names(node) == ["ann 1"]).await;
    }
}

#[tokio::test]
async fn who_came_and_went_while_a_node_was_cut_off_is_known_when_it_is_back() {
    let bus = Bus::default();
    let one = Node::of(&bus, hub_with_presence(), false).await;
    let other = Node::of(&bus, hub_with_presence(), false).await;
    let (_ann, ann) = join(&one, "ann").await;
    until(|| names(&other) == ["ann 1"]).await;
    one.cut().await;
    let (_bob, _connection) = join(&one, "bob").await;
    ann.unsubscribe("rooms.a").unwrap();
    let (_carl, _connection) = join(&other, "carl").await;
    one.heal().await;
    for node in [&one, &other] {
        until(|| names(node) == ["bob 1", "carl 1"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn those_of_a_node_that_is_silent_have_left() {
    let bus = Bus::default();
    let one = Node::of(&bus, hub_with_presence(), false).await;
    let other = Node::of(&bus, hub_with_presence(), false).await;
    let (_ann, _connection) = join(&one, "ann").await;
    until(|| names(&other) == ["ann 1"]).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(names(&other), ["ann 1"], "its node says that it is there");
    one.cut().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(names(&other), Vec::<String>::new());
    assert_eq!(names(&one), ["ann 1"]);
}
