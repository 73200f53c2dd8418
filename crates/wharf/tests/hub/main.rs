//! Topics: subscribing and publishing, those who are too slow, history, presence, brokers, workers.

#[path = "../support/mod.rs"]
mod support;

mod broker;
#[cfg(feature = "deflate")]
mod compression;
mod history;
mod memory_broker;
mod presence;
mod reply;
mod slow_consumers;
mod sockets;
mod topics;
mod workers;

use support::{ClientOf, Site, within};
use tokio::io::{DuplexStream, duplex};
use wharf::hub::{
    Hub, HubBuilder, PresenceChange, PresenceEvent, Presentation, Publication, Topic, TopicPattern,
};
use wharf::hub::{Position, Subscribe, Subscribed};
use wharf::{Connection, HttpServer, Message, OpenStream, Server, ServerConfig};

impl support::roads::Peer for DuplexStream {
    fn reset(self) {}
}

/// A site whose topics are in this hub.
async fn site_of(hub: HubBuilder) -> Site {
    site_with(hub.build().expect("it is allowed")).await
}

async fn site_with(hub: Hub) -> Site {
    let http = HttpServer::bind("127.0.0.1:0").await.expect("it is allowed");
    let server = Server::with_hub(ServerConfig::default().keepalive(false), hub);
    server.mount([&http]).expect("it is allowed");
    Site::of(http, server)
}

/// A connection whose peer takes no more than a few bytes before it reads.
async fn narrow(site: &Site) -> (ClientOf<DuplexStream>, Connection) {
    let (client, server) = duplex(16);
    let connection = site.server.adopt(OpenStream::new(server)).expect("it is allowed");
    assert_eq!(site.connected().await, connection);
    (ClientOf::on(client), connection)
}

/// Ends a connection from its peer's side.
async fn leave<P: support::roads::Peer>(site: &Site, client: ClientOf<P>) {
    drop(client);
    site.closed().await;
}

async fn subscribe(connection: &Connection, pattern: &str) -> Subscribed {
    within(connection.subscribe(pattern).expect("it is allowed")).await.expect("it can be done")
}

async fn subscribe_since(connection: &Connection, pattern: &str, since: Position) -> Subscribed {
    let subscribe = Subscribe::new(pattern).expect("it is allowed").since(since);
    within(connection.subscribe_with(subscribe).expect("it is allowed")).await.expect("it can be done")
}

fn topic(name: &str) -> Topic {
    Topic::new(name).expect("it is allowed")
}

async fn subscribers(site: &Site, pattern: &str) -> usize {
    within(site.server.hub().subscriber_count(&TopicPattern::new(pattern).expect("it is allowed"))).await
}

/// Waits until all that was published before has been delivered, or queued.
async fn all_published(site: &Site) {
    subscribers(site, "all.that.was.published").await;
}

/// What a test can read of it.
struct Told;

impl Presentation for Told {
    fn message(&self, publication: &Publication) -> Message {
        let Publication { message, position, .. } = publication;
        let offset = position.map_or(String::new(), |position| format!("{}:", position.offset));
        match message {
            Message::Text(text) => format!("{offset}{text}").into(),
            Message::Binary(_) => message.clone(),
        }
    }

    fn missed(&self, topic: &Topic, count: u64) -> Option<Message> {
        Some(format!("{topic} missed {count}").into())
    }

    fn presence(&self, event: &PresenceEvent) -> Option<Message> {
        let change = match event.change {
            PresenceChange::Joined => "joined",
            PresenceChange::Left => "left",
        };
        Some(format!("{} {change} {}", event.member, event.topic).into())
    }

    fn placed(&self, topic: &Topic, position: Position) -> Option<Message> {
        Some(format!("{topic} placed {}", position.offset).into())
    }
}
