//! Topics over Redis: publish/subscribe, and streams for topics with a history. Redis 6.2 or later, or what speaks like it.
//!
//! ```no_run
//! use wharf::hub::Hub;
//! use wharf_cluster::redis::Redis;
//!
//! # async fn cluster() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::builder().broker(Redis::new("redis://127.0.0.1:6379")?).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Channels
//! What is published on a topic is published on the channel `wharf:t:TOPIC`, where `wharf` is the
//! [prefix](RedisBuilder::prefix), so that other programs can listen, and publish: what they publish on such a channel is
//! delivered to the topic's subscribers, as text where it is UTF-8, else as binary. It has no place in a history, even if the
//! topic has one.
//!
//! Hubs put an envelope around their messages, which begins with a zero byte:
//!
//! ```text
//! \0wharf1 POSITION NODE NUMBER KIND KEY_LENGTH\n KEY PAYLOAD
//! \0wharf1 18c5e7f2a-42 9f86d081884c7d65 17 t 3\neur1.08
//! ```
//!
//! The position is an [epoch and an offset](wharf::hub::Position), or `-` without a history; the node is in hexadecimal; the
//! number counts the node's messages; the kind is `t` for text and `b` for binary; the length of the key is in bytes, or `-`
//! without a key, which is between the line feed and the payload, with nothing around it. Other digits than 1 are other
//! versions, which are not read.
//!
//! # Histories
//! A topic's history is a hash, `wharf:{t:TOPIC}:state`, and a stream, `wharf:{t:TOPIC}:log`, in which a message of offset 42
//! has the identifier `42-0`. A script gives each message its offset, keeps it and publishes it in one step. The stream
//! expires when its last message is too old, the hash an hour later, and with it the epoch. While it is there, a message that
//! a node publishes again, because it lost its connection before it was acknowledged, is kept once. Redis may forget all of
//! it, if it has no persistence or evicts keys: then another epoch begins, and clients that come back are told that their
//! position is too old.
//!
//! On a cluster the two keys of a topic are on one node, but this does not follow redirections: it takes what stands before
//! the nodes of a cluster and speaks as one.
//!
//! # When it is away
//! Two connections are kept, one for subscriptions and one for all else, each asked for a sign of life when it is silent.
//! When one of them fails both are replaced, after a delay that grows with each attempt to
//! [`max_reconnect_delay`](RedisBuilder::max_reconnect_delay), for as long as there is a hub. Messages on topics without a
//! history that were published meanwhile by other nodes are missed; those of topics with one are read from there. A node that
//! cannot keep up with what comes is disconnected by Redis when more waits for it than `client-output-buffer-limit` allows,
//! which is the same.
//!
//! `SCRIPT FLUSH` is taken for such a failure, too, when next a script is called.

mod builder;
mod commands;
mod connection;
mod envelope;
mod inbox;
mod names;
mod progress;
mod scripts;
mod session;
mod subscriptions;

use std::sync::Arc;

use redis::cmd;
use tokio::sync::oneshot;
use wharf::hub::{
    Acknowledgement, BoxFuture, Broker, BrokerError, HistoryRead, HistoryRequest, Incoming, Interest,
    Outgoing, TopicPattern,
};

pub use self::builder::{RedisBuilder, RedisError};

use self::builder::Options;
use self::connection::lost;
use self::inbox::Inbox;
use self::scripts::Scripts;
use self::session::{Link, Session};
use self::subscriptions::{Change, Kind};

/// Shares topics with the hubs of other nodes by Redis: publish/subscribe, and streams for those with a history.
///
/// It connects when a hub is made with it, and again, without end, when a connection is lost.
#[derive(Debug)]
pub struct Redis {
    session: Arc<Session>,
}

impl Redis {
    /// A broker on the server with this URL, `redis://127.0.0.1:6379`; `redis://user:password@host:port/database` in full.
    ///
    /// # Errors
    /// [`RedisError`]: it is not the URL of a Redis server.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        Self::builder(url).build()
    }

    /// A broker with other options.
    pub fn builder(url: &str) -> RedisBuilder {
        RedisBuilder::new(url)
    }

    fn with(options: Options) -> Self {
        Self { session: Arc::new(Session::new(options)) }
    }

    async fn change(
        &self,
        what: Kind,
        pattern: &TopicPattern,
    ) -> Result<oneshot::Receiver<Result<(), BrokerError>>, BrokerError> {
        let Link { changes, .. } = self.session.link()?;
        let (done, confirmed) = oneshot::channel();
        let change = Change { what, pattern: pattern.clone(), done };
        changes.send(change).await.map_err(|_| lost())?;
        Ok(confirmed)
    }

    async fn subscribe_to(&self, pattern: &TopicPattern) -> Result<(), BrokerError> {
        let confirmed = self.change(Kind::Subscribe, pattern).await?;
        confirmed.await.map_err(|_| lost())?
    }

    async fn publish_one(&self, outgoing: &Outgoing) -> Result<Acknowledgement, BrokerError> {
        let Link { commands, scripts, .. } = self.session.link()?;
        let names = &self.session.options.names;
        if let Some(history) = outgoing.history {
            let answer = commands.hand_over(&scripts.publish(names, outgoing, history)).await?;
            return Ok(Box::pin(async { Scripts::published(answer.await?) }));
        }
        let mut publish = cmd("PUBLISH");
        publish.arg(names.channel(&outgoing.publication.topic)).arg(envelope::without_position(outgoing));
        let answer = commands.hand_over(&publish).await?;
        Ok(Box::pin(async { answer.await.map(|_| None) }))
    }

    async fn read(&self, request: &HistoryRequest) -> Result<HistoryRead, BrokerError> {
        let Link { commands, scripts, .. } = self.session.link()?;
        scripts.read(&commands, &self.session.options.names, request).await
    }
}

impl Broker for Redis {
    fn start(&self, incoming: Incoming) {
        let session = self.session.clone();
        let (inbox, deliver) = Inbox::new(incoming.clone());
        tokio::spawn(deliver);
        tokio::spawn(async move { session.keep(incoming, inbox).await });
    }

    fn publish<'a>(&'a self, outgoing: &'a Outgoing) -> BoxFuture<'a, Result<Acknowledgement, BrokerError>> {
        Box::pin(self.publish_one(outgoing))
    }

    fn subscribe<'a>(&'a self, interest: &'a Interest) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async {
            // Before it is asked for, so that a connection that is lost meanwhile is replaced by one that has it.
            self.session.want(&interest.pattern);
            let subscribed = self.subscribe_to(&interest.pattern).await;
            if subscribed.is_err() {
                self.session.want_no_longer(&interest.pattern);
            }
            subscribed
        })
    }

    fn unsubscribe<'a>(&'a self, pattern: &'a TopicPattern) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async {
            self.session.want_no_longer(pattern);
            // Its confirmation tells nothing that anybody waits for.
            self.change(Kind::Unsubscribe, pattern).await.map(|_| ())
        })
    }

    fn history<'a>(&'a self, request: &'a HistoryRequest) -> BoxFuture<'a, Result<HistoryRead, BrokerError>> {
        Box::pin(self.read(request))
    }
}
