//! What topics keep, for those who come back.

use std::time::Duration;

use tokio::time::advance;
use wharf::hub::{
    HistoryOptions, Hub, HubBuilder, Position, Recovery, Subscribe, SubscribeError, TopicOptions,
    TopicPattern,
};

use crate::support::{Site, text, within};
use crate::{Told, all_published, leave, narrow, site_of, subscribe, subscribe_since};

fn hub(history: HistoryOptions) -> HubBuilder {
    let options = TopicOptions::default().history(history);
    Hub::builder().presentation(Told).topics("kept.>", options).expect("it is allowed")
}

async fn publish(site: &Site, messages: impl IntoIterator<Item = usize>) -> Position {
    let mut last = None;
    for message in messages {
        let published =
            within(site.server.publish("kept.a", message.to_string()).expect("it is allowed")).await;
        last = published.expect("it is allowed").position;
    }
    last.expect("the topic has a history")
}

#[tokio::test]
async fn messages_have_offsets_and_who_comes_back_gets_what_it_missed_before_what_comes_live() {
    let site = site_of(hub(HistoryOptions::default())).await;
    let (mut client, connection) = site.pair().await;
    let subscribed = subscribe(&connection, "kept.a").await;
    assert_eq!((subscribed.position.map(|at| at.offset), subscribed.recovery), (Some(0), None));
    let seen = publish(&site, 1..=2).await;
    assert_eq!(client.frame().await, text("1:1"));
    assert_eq!(client.frame().await, text("2:2"));
    leave(&site, client).await;

    publish(&site, 3..=5).await;
    let (mut client, connection) = site.pair().await;
    let since = Subscribe::new("kept.a").unwrap().since(seen);
    let subscribing = connection.subscribe_with(since).unwrap();
    site.server.publish("kept.a", "6").unwrap();
    let subscribed = within(subscribing).await.unwrap();
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 3 }));
    assert_eq!(subscribed.position, Some(Position { offset: 5, ..seen }));
    for number in 3..=6 {
        assert_eq!(client.frame().await, text(format!("{number}:{number}")));
    }
}

#[tokio::test]
async fn who_missed_nothing_gets_nothing_twice() {
    let site = site_of(hub(HistoryOptions::default())).await;
    let seen = publish(&site, 1..=3).await;
    let (mut client, connection) = site.pair().await;
    let subscribed = subscribe_since(&connection, "kept.a", seen).await;
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 0 }));
    publish(&site, [4]).await;
    assert_eq!(client.frame().await, text("4:4"));
    // A second time it is subscribed already.
    let subscribed = subscribe_since(&connection, "kept.a", seen).await;
    assert_eq!(subscribed.recovery, None);
    publish(&site, [5]).await;
    assert_eq!(client.frame().await, text("5:5"));
}

#[tokio::test]
async fn who_has_got_nothing_yet_gets_all_that_is_kept() {
    let site = site_of(hub(HistoryOptions::default().max_messages(2))).await;
    let join = async |expected: usize| {
        let (client, connection) = site.pair().await;
        let subscribe = Subscribe::new("kept.a").unwrap().since_oldest();
        let subscribed = within(connection.subscribe_with(subscribe).unwrap()).await.unwrap();
        assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: expected }));
        client
    };
    leave(&site, join(0).await).await;
    publish(&site, 1..=3).await;
    let mut client = join(2).await;
    publish(&site, [4]).await;
    for number in 2..=4 {
        assert_eq!(client.frame().await, text(format!("{number}:{number}")));
    }
}

#[tokio::test]
async fn a_position_behind_which_some_are_kept_no_longer_is_too_old() {
    let site = site_of(hub(HistoryOptions::default().max_messages(3))).await;
    let last = publish(&site, 1..=5).await;
    for (offset, recovery) in [
        (0, Recovery::TooOld),
        (1, Recovery::TooOld),
        (2, Recovery::Recovered { messages: 3 }),
        (5, Recovery::Recovered { messages: 0 }),
        (6, Recovery::TooOld),
        (u64::MAX, Recovery::TooOld),
    ] {
        let (client, connection) = narrow(&site).await;
        let subscribed = subscribe_since(&connection, "kept.a", Position { offset, ..last }).await;
        leave(&site, client).await;
        assert_eq!(subscribed.recovery, Some(recovery), "since {offset}");
        assert_eq!(subscribed.position, Some(last));
    }
    let (_client, connection) = narrow(&site).await;
    let other = Position { epoch: !last.epoch, offset: 5 };
    assert_eq!(subscribe_since(&connection, "kept.a", other).await.recovery, Some(Recovery::TooOld));
}

#[tokio::test(start_paused = true)]
async fn messages_are_kept_for_their_time_and_a_topic_that_keeps_none_begins_anew() {
    let site = site_of(hub(HistoryOptions::default().max_age(Duration::from_secs(10)))).await;
    let first = publish(&site, [1]).await;
    advance(Duration::from_secs(6)).await;
    let second = publish(&site, [2]).await;
    advance(Duration::from_secs(6)).await;
    for (since, recovery) in [
        (Position { offset: 0, ..first }, Recovery::TooOld),
        (first, Recovery::Recovered { messages: 1 }),
        (second, Recovery::Recovered { messages: 0 }),
    ] {
        let (client, connection) = narrow(&site).await;
        assert_eq!(subscribe_since(&connection, "kept.a", since).await.recovery, Some(recovery));
        leave(&site, client).await;
    }
    advance(Duration::from_secs(60)).await;
    // Whatever is published on any such topic makes room.
    site.server.publish("kept.b", "x").unwrap();
    let anew = publish(&site, [3]).await;
    assert_ne!(anew.epoch, first.epoch);
    let (_client, connection) = narrow(&site).await;
    assert_eq!(subscribe_since(&connection, "kept.a", second).await.recovery, Some(Recovery::TooOld));
}

#[tokio::test]
async fn what_recovers_a_client_is_not_bounded_and_not_dropped() {
    let site = site_of(hub(HistoryOptions::default().max_messages(5000))).await;
    let first = publish(&site, [1]).await;
    publish(&site, 2..=5000).await;
    let (mut client, connection) = narrow(&site).await;
    let subscribed = subscribe_since(&connection, "kept.a", first).await;
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 4999 }));
    publish(&site, [5001]).await;
    for number in 2..=5001 {
        assert_eq!(client.frame().await, text(format!("{number}:{number}")));
    }
    assert!(connection.is_connected());
}

#[tokio::test]
async fn what_has_no_history_cannot_be_recovered_from() {
    let site = site_of(hub(HistoryOptions::default())).await;
    let (_client, connection) = site.pair().await;
    let since = Position { epoch: 1, offset: 1 };
    for pattern in ["other", "kept.*", ">"] {
        let refused = connection.subscribe_with(Subscribe::new(pattern).unwrap().since(since)).unwrap_err();
        assert_eq!(refused, SubscribeError::NoHistory(TopicPattern::new(pattern).unwrap()));
    }
    let subscribed = subscribe(&connection, "kept.*").await;
    assert_eq!(subscribed.position, None);
}

#[tokio::test]
async fn whoever_only_subscribes_begins_no_history_and_misses_nothing_of_the_first() {
    let site = site_of(hub(HistoryOptions::default())).await;
    let (client, connection) = site.pair().await;
    let nothing = subscribe(&connection, "kept.a").await.position.unwrap();
    assert_eq!(nothing.offset, 0);
    leave(&site, client).await;
    let (client, connection) = site.pair().await;
    assert_eq!(
        subscribe_since(&connection, "kept.a", nothing).await.recovery,
        Some(Recovery::Recovered { messages: 0 })
    );
    leave(&site, client).await;
    publish(&site, 1..=2).await;
    let (mut client, connection) = site.pair().await;
    let subscribed = subscribe_since(&connection, "kept.a", nothing).await;
    assert_eq!(subscribed.recovery, Some(Recovery::Recovered { messages: 2 }));
    for number in 1..=2 {
        assert_eq!(client.frame().await, text(format!("{number}:{number}")));
    }
}

#[tokio::test]
async fn who_does_not_read_has_no_history_wait_for_it_twice() {
    let site = site_of(hub(HistoryOptions::default())).await;
    let first = publish(&site, [1]).await;
    publish(&site, 2..=100).await;
    let (mut client, connection) = narrow(&site).await;
    // The first goes to the socket, as far as it takes it, and the second waits.
    for recovery in [
        Recovery::Recovered { messages: 99 },
        Recovery::Recovered { messages: 99 },
        Recovery::TooOld,
        Recovery::TooOld,
    ] {
        assert_eq!(subscribe_since(&connection, "kept.a", first).await.recovery, Some(recovery));
        connection.unsubscribe("kept.a").unwrap();
        all_published(&site).await;
    }
    for number in (2..=100).chain(2..=100) {
        assert_eq!(client.frame().await, text(format!("{number}:{number}")));
    }
    let recovered = subscribe_since(&connection, "kept.a", first).await.recovery;
    assert_eq!(recovered, Some(Recovery::Recovered { messages: 99 }));
}
