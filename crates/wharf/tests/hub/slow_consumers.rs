//! What becomes of messages that a subscriber does not take as fast as they come.

use wharf::hub::{Hub, HubBuilder, HubCounters, Publish, SlowConsumer, SlowConsumerPolicy, TopicOptions};
use wharf::{CloseCode, Connection};

use crate::support::{Site, close, ping, text};
use crate::{Told, all_published, leave, narrow, site_of, subscribe};

fn bounded(policy: SlowConsumerPolicy) -> SlowConsumer {
    SlowConsumer::new(policy).max_messages(3)
}

fn hub(policy: SlowConsumerPolicy) -> HubBuilder {
    Hub::builder().presentation(Told).slow_consumer(bounded(policy))
}

/// The connection's socket is full from here on, with one message that its peer will get.
async fn stall(site: &Site, connection: &Connection) {
    subscribe(connection, "a").await;
    subscribe(connection, "b").await;
    site.server.publish("a", "longer than its socket is wide").expect("it is allowed");
    all_published(site).await;
    // Until the driver has come to it.
    crate::support::until(|| connection.buffered_amount() < 32).await;
}

const FIRST: &str = "longer than its socket is wide";

async fn publish(site: &Site, messages: &[(&str, &str)]) {
    for (topic, message) in messages {
        site.server.publish(*topic, *message).expect("it is allowed");
    }
    all_published(site).await;
}

fn counters(site: &Site) -> HubCounters {
    site.server.hub().counters()
}

/// All that was to be delivered is accounted for: what was not dropped was delivered.
fn assert_accounted(site: &Site, waiting: u64) -> HubCounters {
    let counters = counters(site);
    let HubCounters {
        to_deliver,
        delivered,
        dropped_oldest,
        dropped_newest,
        conflated,
        dropped_by_close,
        discarded,
        ..
    } = counters;
    let sum =
        delivered + dropped_oldest + dropped_newest + conflated + dropped_by_close + discarded + waiting;
    assert_eq!(to_deliver, sum, "{counters:?}");
    counters
}

#[tokio::test]
async fn the_oldest_are_dropped_and_who_missed_them_is_told_where_they_were() {
    let site = site_of(hub(SlowConsumerPolicy::DropOldest)).await;
    let (mut client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    publish(&site, &[("a", "1"), ("b", "2"), ("a", "3"), ("a", "4"), ("a", "5")]).await;
    assert_eq!(assert_accounted(&site, 3).dropped_oldest, 2);
    for expected in [FIRST, "a missed 1", "3", "4", "5", "b missed 1"] {
        assert_eq!(client.frame().await, text(expected));
    }
    publish(&site, &[("b", "again")]).await;
    assert_eq!(client.frame().await, text("again"));
    assert_eq!(assert_accounted(&site, 0).delivered, 5);
}

#[tokio::test]
async fn the_newest_are_dropped_and_who_missed_them_is_told_behind_the_others() {
    let site = site_of(hub(SlowConsumerPolicy::DropNewest)).await;
    let (mut client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    publish(&site, &[("a", "1"), ("b", "2"), ("a", "3"), ("a", "4"), ("a", "5")]).await;
    assert_eq!(assert_accounted(&site, 3).dropped_newest, 2);
    for expected in [FIRST, "1", "2", "3", "a missed 2"] {
        assert_eq!(client.frame().await, text(expected));
    }
    publish(&site, &[("a", "again")]).await;
    assert_eq!(client.frame().await, text("again"));
    assert_accounted(&site, 0);
}

#[tokio::test]
async fn of_each_key_only_the_newest_waits_and_order_is_kept() {
    let site = site_of(hub(SlowConsumerPolicy::Conflate)).await;
    let (mut client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    let hub = site.server.hub();
    for (key, message) in [("eur", "1"), ("usd", "2"), ("eur", "3"), ("eur", "4"), ("usd", "5")] {
        hub.publish_with(Publish::new("a", message).unwrap().key(key)).unwrap();
    }
    publish(&site, &[("b", "6"), ("b", "7")]).await;
    assert_eq!(assert_accounted(&site, 3).conflated, 4);
    for expected in [FIRST, "a missed 3", "4", "5", "b missed 1", "7"] {
        assert_eq!(client.frame().await, text(expected));
    }
    assert_accounted(&site, 0);
}

#[tokio::test]
async fn more_keys_than_may_wait_drop_the_oldest() {
    let site = site_of(hub(SlowConsumerPolicy::Conflate)).await;
    let (mut client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    for round in 0..200 {
        for key in ["1", "2", "3", "4"] {
            let message = format!("{key} of {round}");
            site.server.hub().publish_with(Publish::new("a", message).unwrap().key(key)).unwrap();
        }
    }
    all_published(&site).await;
    let counters = assert_accounted(&site, 3);
    assert_eq!(counters.conflated + counters.dropped_oldest, 797);
    assert_eq!(client.frame().await, text(FIRST));
    for expected in ["a missed 797", "2 of 199", "3 of 199", "4 of 199"] {
        assert_eq!(client.frame().await, text(expected));
    }
}

#[tokio::test]
async fn who_is_too_slow_is_closed_with_the_code_and_description_that_were_asked_for() {
    let policy = SlowConsumerPolicy::close(CloseCode::POLICY_VIOLATION, "you are slow").unwrap();
    let site = site_of(hub(policy)).await;
    let (mut client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    publish(&site, &[("a", "1"), ("a", "2"), ("a", "3")]).await;
    assert!(connection.is_connected());
    publish(&site, &[("a", "4"), ("a", "5")]).await;
    assert!(!connection.is_connected());
    let counters = assert_accounted(&site, 0);
    assert_eq!((counters.dropped_by_close, counters.connections_closed), (5, 1));
    assert_eq!(client.frame().await, text(FIRST));
    assert_eq!(client.frame().await, close(1008, "you are slow"));
}

#[tokio::test]
async fn bytes_are_bounded_too_but_for_a_message_by_itself() {
    let slow_consumer = SlowConsumer::new(SlowConsumerPolicy::DropOldest).max_bytes(100);
    let site = site_of(Hub::builder().presentation(Told).slow_consumer(slow_consumer)).await;
    let (mut client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    let long = "x".repeat(1000);
    publish(&site, &[("a", "1"), ("a", &long)]).await;
    assert_eq!(assert_accounted(&site, 1).dropped_oldest, 1);
    for expected in [FIRST, "a missed 1", &long] {
        assert_eq!(client.frame().await, text(expected));
    }
}

#[tokio::test]
async fn a_topic_can_have_bounds_of_its_own() {
    let own = TopicOptions::default().slow_consumer(bounded(SlowConsumerPolicy::DropOldest).max_messages(1));
    let hub = hub(SlowConsumerPolicy::DropNewest).topics("a", own).unwrap();
    let site = site_of(hub).await;
    let (mut client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    publish(&site, &[("a", "1"), ("a", "2"), ("b", "3"), ("a", "4"), ("b", "5"), ("b", "6")]).await;
    let counters = assert_accounted(&site, 3);
    assert_eq!((counters.dropped_oldest, counters.dropped_newest), (2, 1));
    for expected in [FIRST, "3", "a missed 2", "4", "5", "b missed 1"] {
        assert_eq!(client.frame().await, text(expected));
    }
}

#[tokio::test]
async fn control_frames_and_the_connections_own_messages_are_not_dropped() {
    let site = site_of(hub(SlowConsumerPolicy::DropOldest)).await;
    let (mut client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    publish(&site, &[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]).await;
    connection.ping("p").unwrap();
    connection.try_send("its own").unwrap();
    for expected in [text(FIRST), ping("p"), text("its own")] {
        assert_eq!(client.frame().await, expected);
    }
    for expected in ["a missed 1", "2", "3", "4"] {
        assert_eq!(client.frame().await, text(expected));
    }
}

#[tokio::test]
async fn quick_subscribers_do_not_notice_slow_ones() {
    let site = site_of(hub(SlowConsumerPolicy::DropOldest)).await;
    let (mut slow, slow_connection) = narrow(&site).await;
    let (mut quick, quick_connection) = site.pair().await;
    stall(&site, &slow_connection).await;
    subscribe(&quick_connection, "a").await;
    for number in 0..100 {
        site.server.publish("a", number.to_string()).unwrap();
        assert_eq!(quick.frame().await, text(number.to_string()));
    }
    for expected in [FIRST, "a missed 97", "97", "98", "99"] {
        assert_eq!(slow.frame().await, text(expected));
    }
    assert_accounted(&site, 0);
}

#[tokio::test]
async fn a_burst_is_no_slowness_whatever_the_bounds() {
    let site = site_of(hub(SlowConsumerPolicy::DropOldest)).await;
    let (mut client, connection) = site.pair().await;
    subscribe(&connection, "a").await;
    for number in 0..1000 {
        site.server.publish("a", number.to_string()).unwrap();
    }
    for number in 0..1000 {
        assert_eq!(client.frame().await, text(number.to_string()));
    }
    assert_eq!(assert_accounted(&site, 0).delivered, 1000);
}

#[tokio::test]
async fn what_waits_when_the_connection_ends_is_accounted_for() {
    let site = site_of(hub(SlowConsumerPolicy::DropOldest)).await;
    let (client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    publish(&site, &[("a", "1"), ("b", "2"), ("a", "3")]).await;
    assert_accounted(&site, 3);
    leave(&site, client).await;
    assert_eq!(assert_accounted(&site, 0).discarded, 3);
}

#[tokio::test]
async fn who_closes_a_stalled_connection_lets_what_waits_go_first() {
    let site = site_of(hub(SlowConsumerPolicy::DropOldest)).await;
    let (mut client, connection) = narrow(&site).await;
    stall(&site, &connection).await;
    publish(&site, &[("a", "1"), ("a", "2")]).await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    for expected in [text(FIRST), text("1"), text("2"), close(1000, "")] {
        assert_eq!(client.frame().await, expected);
    }
}
