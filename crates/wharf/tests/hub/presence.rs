//! Who has subscribed, and is told of.

use wharf::hub::{Hub, Presence, Subscribe, SubscribeError, TopicOptions, TopicPattern};
use wharf::{CloseCode, Connection};

use crate::support::{Site, text, within};
use crate::{Told, site_of, subscribe, topic};

async fn site() -> Site {
    let options = TopicOptions::default().presence(true);
    site_of(Hub::builder().presentation(Told).topics("rooms.*", options).expect("it is allowed")).await
}

async fn join(connection: &Connection, room: &str, name: &str) {
    let subscribe = Subscribe::new(room).expect("it is allowed").member(name);
    within(connection.subscribe_with(subscribe).expect("it is allowed")).await.expect("it can be done");
}

fn members(site: &Site, room: &str) -> (Vec<(String, usize)>, usize) {
    let Presence { members, connections, .. } = site.server.hub().presence(&topic(room));
    (members.into_iter().map(|member| (member.name.to_string(), member.connections)).collect(), connections)
}

#[tokio::test]
async fn it_is_known_who_is_there_and_with_how_many_connections() {
    let site = site().await;
    let (_clients, connections) = site.pairs(4).await;
    join(&connections[0], "rooms.a", "ann").await;
    join(&connections[1], "rooms.a", "bob").await;
    join(&connections[2], "rooms.a", "ann").await;
    subscribe(&connections[3], "rooms.a").await;
    let of = |name: &str, connections| (name.to_owned(), connections);
    assert_eq!(members(&site, "rooms.a"), (vec![of("ann", 2), of("bob", 1)], 4));
    assert_eq!(members(&site, "rooms.b"), (vec![], 0));

    connections[2].unsubscribe("rooms.a").unwrap();
    connections[1].close(CloseCode::NORMAL, None).unwrap();
    connections[1].drop_silently(CloseCode::NORMAL, None);
    within(connections[1].closed()).await;
    crate::all_published(&site).await;
    assert_eq!(members(&site, "rooms.a"), (vec![of("ann", 1)], 2));
}

#[tokio::test]
async fn the_first_connection_of_a_name_joins_and_the_last_leaves() {
    let site = site().await;
    let (mut clients, connections) = site.pairs(4).await;
    subscribe(&connections[3], "$presence.rooms.*").await;
    join(&connections[0], "rooms.a", "ann").await;
    join(&connections[1], "rooms.a", "ann").await;
    join(&connections[2], "rooms.a", "bob").await;
    connections[0].unsubscribe("rooms.a").unwrap();
    drop(clients.remove(1));
    for expected in ["ann joined rooms.a", "bob joined rooms.a", "ann left rooms.a"] {
        assert_eq!(clients[2].frame().await, text(expected));
    }
}

#[tokio::test]
async fn a_name_is_for_one_topic_that_keeps_it() {
    let site = site().await;
    let (_client, connection) = site.pair().await;
    for pattern in ["other", "rooms.>", "rooms.a.b"] {
        let subscribe = Subscribe::new(pattern).unwrap().member("ann");
        let refused = connection.subscribe_with(subscribe).unwrap_err();
        assert_eq!(refused, SubscribeError::NoPresence(TopicPattern::new(pattern).unwrap()));
    }
}
