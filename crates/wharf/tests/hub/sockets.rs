//! What is published reaches connections over TCP, whatever their sockets take at once.

use tokio::runtime::Builder;
use wharf::hub::Hub;
use wharf::{CloseCode, Message};

use crate::support::{Site, close, text, until};
use crate::{site_of, subscribe};

/// Longer than any socket takes at once.
fn long(letter: &str) -> String {
    letter.repeat(16 * 1024 * 1024)
}

/// On a runtime of one thread, where the hub writes to sockets, and on one of several, where drivers do.
fn on_each_runtime(test: impl AsyncFn()) {
    for mut runtime in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        runtime.enable_all().build().expect("there are threads").block_on(test());
    }
}

/// Publishes a message, and waits until some of it has left, or waits to be written.
async fn publish(site: &Site, message: &str) {
    let before = site.server.hub().counters().to_deliver;
    site.server.publish("a", message).expect("it is allowed");
    until(|| site.server.hub().counters().to_deliver > before).await;
}

#[test]
fn what_a_socket_does_not_take_at_once_comes_before_all_that_follows() {
    on_each_runtime(async || {
        let site = site_of(Hub::builder()).await;
        let (mut client, connection) = site.pair().await;
        subscribe(&connection, "a").await;
        for round in ["x", "y"] {
            publish(&site, &long(round)).await;
            assert!(connection.buffered_amount() > 0, "its socket took all of it");
            publish(&site, "behind it").await;
            assert!(client.message().await == Message::Text(long(round)));
            assert_eq!(client.frame().await, text("behind it"));
            publish(&site, "alone").await;
            assert_eq!(client.frame().await, text("alone"));
        }
        let counters = site.server.hub().counters();
        assert_eq!((counters.to_deliver, counters.delivered), (6, 6));
    });
}

#[test]
fn who_closes_within_a_long_message_lets_it_go_first() {
    on_each_runtime(async || {
        let site = site_of(Hub::builder()).await;
        let (mut client, connection) = site.pair().await;
        subscribe(&connection, "a").await;
        publish(&site, &long("x")).await;
        connection.close(CloseCode::NORMAL, None).expect("it is allowed");
        assert!(client.message().await == Message::Text(long("x")));
        assert_eq!(client.frame().await, close(1000, "Normal connection closure"));
    });
}

#[test]
fn a_peer_that_resets_within_a_long_message_ends_the_connection_and_no_other() {
    on_each_runtime(async || {
        let site = site_of(Hub::builder()).await;
        let (client, connection) = site.pair().await;
        let (mut other, its_connection) = site.pair().await;
        subscribe(&connection, "a").await;
        subscribe(&its_connection, "a").await;
        publish(&site, &long("x")).await;
        client.reset();
        assert_eq!(site.closed().await.0, connection);
        assert!(other.message().await == Message::Text(long("x")));
        publish(&site, "alone").await;
        assert_eq!(other.frame().await, text("alone"));
    });
}

#[test]
fn all_that_is_published_reaches_all_in_its_order() {
    on_each_runtime(async || {
        let site = site_of(Hub::builder()).await;
        let (mut clients, connections) = site.pairs(20).await;
        for connection in &connections {
            subscribe(connection, "a").await;
            subscribe(connection, "b").await;
        }
        for (round, connection) in connections.iter().enumerate() {
            // By itself, with others of its topic, and with those of another.
            let topics = ["a", "b", "b", "a", "a"].into_iter().take(1 + round % 5);
            let published: Vec<_> =
                topics.enumerate().map(|(at, topic)| (topic, format!("{at} of {round}"))).collect();
            for (topic, message) in &published {
                site.server.publish(*topic, message.as_str()).expect("it is allowed");
            }
            connection.send("its own").await.expect("it is open");
            for (place, client) in clients.iter_mut().enumerate() {
                let mut received = Vec::new();
                for _ in 0..published.len() + usize::from(place == round) {
                    received.push(client.frame().await);
                }
                received.retain(|frame| *frame != text("its own"));
                let expected: Vec<_> = published.iter().map(|(_, message)| text(message)).collect();
                assert_eq!(received, expected);
            }
        }
    });
}
