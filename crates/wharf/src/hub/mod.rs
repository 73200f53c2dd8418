//! Topics: what is published on one goes to all connections that have subscribed to it, on one machine or on many.
//!
//! ```
//! use wharf::{Connection, Server};
//!
//! async fn join(server: &Server, connection: &Connection) -> Result<(), Box<dyn std::error::Error>> {
//!     connection.subscribe("rooms.lobby")?.await?;
//!     server.publish("rooms.lobby", "somebody has come")?;
//!     Ok(())
//! }
//! ```
//!
//! A [`Server`](crate::Server) has a [`Hub`] of its own, or one that it is [given](crate::Server::with_hub), such as one that
//! several servers share. Names of topics are tokens between dots, and a subscription can be to a [pattern](TopicPattern) of
//! them, as in NATS. A connection with several subscriptions that match gets a message once.
//!
//! # How it delivers
//! Each worker has a table of its own of what its connections have subscribed to; a message reaches it through a channel, and
//! is framed once, and compressed once for all connections that have agreed on the same without takeover. It goes out with
//! whatever else its connections send. Where nothing else waits for a connection on plain TCP, it costs least on a runtime of one
//! thread, as each of [`HttpServerBuilder::workers`](crate::HttpServerBuilder::workers) has: there it goes to the socket at once.
//! What one thread publishes arrives in its order; a connection's own messages and those of topics are sent in no order between
//! them.
//!
//! # Those who do not keep up
//! What a socket does not take waits, up to the bounds of [`SlowConsumer`], for all topics of a connection and, by
//! [`TopicOptions`], for one. At the bounds its policy says what is dropped, or closes the connection. Others do not notice:
//! nothing waits for a slow one. [`Hub::counters`] accounts for every message.
//!
//! # History
//! A topic can [keep](HistoryOptions) what was published. Its messages have [`Position`]s, and a client that comes back with
//! the last one that it got [gets what it missed](Subscribe::since), or is told that it is too old.
//!
//! # Many nodes
//! A [`Broker`] shares the topics of several hubs. There is one for NATS and one for Redis in the crate `wharf-cluster`. While it
//! is away, what is published is delivered here at once. What comes late of a topic with a history is delivered to those who
//! have subscribed to the very topic; by a pattern with wildcards, what was missed meanwhile stays missed.

mod backlog;
mod broker;
mod builder;
mod counters;
mod delivery;
mod history;
mod issue;
mod link;
mod position;
mod presence;
mod presences;
mod presentation;
mod publication;
mod rules;
mod shard;
mod shards;
mod slow_consumer;
mod subscribe;
mod topic;
mod topic_options;

use std::fmt;
use std::sync::{Arc, Weak};

pub use broker::{
    Acknowledgement, Arrived, BoxFuture, Broker, BrokerError, BrokerHealth, HistoryRequest, Incoming,
    Interest, Outgoing, PublicationId,
};
pub use builder::{HubBuilder, HubError, WhenAway};
pub use counters::HubCounters;
pub use history::HistoryRead;
pub use position::{Position, PositionError};
pub use presence::{Member, Presence, PresenceChange, PresenceEvent};
pub use presentation::Presentation;
pub use publication::{Publication, Publish, PublishError, Published, Publishing};
pub use slow_consumer::{SlowConsumer, SlowConsumerPolicy};
pub use subscribe::{Recovery, Subscribe, SubscribeError, Subscribed, Subscribing};
pub use topic::{LONGEST_TOPIC, MOST_TOKENS, Topic, TopicError, TopicPattern};
pub use topic_options::{HistoryOptions, TopicOptions};

use tokio::net::TcpStream;

pub(crate) use backlog::{Backlog, Taken};
#[cfg(test)]
pub(crate) use delivery::delivery;
pub(crate) use delivery::{Delivery, Part};
pub(crate) use shards::Home;

use self::counters::Counters;
use self::history::Logs;
use self::issue::Issue;
use self::link::Link;
use self::presences::{Change, Presences};
use self::presentation::without_panic;
use self::rules::{Rule, Rules};
use self::shard::{Job, ShardHandle, Start, Subscription, recovery_of};
use self::shards::Shards;
use self::subscribe::Answer;
use crate::proto::Message;
use crate::shared::Shared;

/// Topics, and those who have subscribed to them. A cheap clone; all clones are the same hub.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

/// What the clones of a hub share.
struct Inner {
    own: Weak<Self>,
    presentation: Arc<dyn Presentation>,
    rules: Rules,
    slow_consumer: Arc<SlowConsumer>,
    max_subscriptions: usize,
    max_undelivered_bytes: usize,
    shards: Shards,
    logs: Logs,
    presences: Presences,
    /// To other nodes, if there are to be any.
    link: Option<Link>,
    counters: Arc<Counters>,
}

impl Hub {
    /// A hub of this process alone, with the default options: it keeps no history, and closes connections that are too slow.
    pub fn new() -> Self {
        Self::made_of(HubBuilder::new())
    }

    /// A hub with other options.
    pub fn builder() -> HubBuilder {
        HubBuilder::new()
    }

    fn made_of(builder: HubBuilder) -> Self {
        let HubBuilder {
            topics,
            slow_consumer,
            presentation,
            broker,
            when_away,
            linger,
            max_subscriptions,
            max_undelivered_bytes,
        } = builder;
        let inner = Arc::new_cyclic(|own: &Weak<Inner>| Inner {
            own: own.clone(),
            presentation,
            rules: Rules::new(topics),
            slow_consumer: Arc::new(slow_consumer),
            max_subscriptions,
            max_undelivered_bytes,
            shards: Shards::default(),
            logs: Logs::default(),
            presences: Presences::default(),
            link: broker.map(|broker| Link::start(broker, own.clone(), when_away, linger)),
            counters: Arc::default(),
        });
        Self { inner }
    }

    /// Publishes a message to everybody who has subscribed to the topic.
    ///
    /// It is on its way when this returns; awaited, the answer tells when it is acknowledged: kept, where the topic has a
    /// history, and taken by the broker, where there is one.
    ///
    /// # Errors
    /// [`PublishError`]; nobody gets it.
    pub fn publish<T: TryInto<Topic>>(
        &self,
        topic: T,
        message: impl Into<Message>,
    ) -> Result<Publishing, PublishError>
    where
        TopicError: From<T::Error>,
    {
        self.publish_with(Publish::new(topic, message)?)
    }

    /// [`publish`](Self::publish)es with a key, or to all but one.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub fn publish_with(&self, publish: Publish) -> Result<Publishing, PublishError> {
        self.inner.publish(publish)
    }

    /// Who has subscribed to a topic that [keeps](TopicOptions::presence) it, on all nodes that can be reached. Nobody, for
    /// any other topic.
    pub fn presence(&self, topic: &Topic) -> Presence {
        self.inner.presences.of(topic)
    }

    /// How many connections of this process have subscribed to a topic, or to a pattern, by this very name.
    ///
    /// Cancel safe.
    pub async fn subscriber_count(&self, pattern: &TopicPattern) -> usize {
        let shards = self.inner.shards.with_all(<[_]>::to_vec);
        let mut count = 0;
        for shard in shards {
            let (answer, counted) = tokio::sync::oneshot::channel();
            shard.send(Job::Count(pattern.clone(), answer));
            count += counted.await.unwrap_or(0);
        }
        count
    }

    /// How the broker stands.
    pub fn health(&self) -> BrokerHealth {
        self.inner.link.as_ref().map_or(BrokerHealth::Embedded, Link::health)
    }

    /// Waits until the broker stands otherwise than `seen`: how. For ever, where there is none.
    ///
    /// Cancel safe.
    pub async fn health_changed(&self, seen: &BrokerHealth) -> BrokerHealth {
        match &self.inner.link {
            Some(link) => link.health_changed(seen).await,
            None => std::future::pending().await,
        }
    }

    /// What became of all that was published so far.
    pub fn counters(&self) -> HubCounters {
        self.inner.counters.read()
    }

    /// The options of a topic, as [`HubBuilder::topics`] has set them.
    pub fn topic_options(&self, topic: &Topic) -> TopicOptions {
        let Rule { slow_consumer, history, presence } = self.inner.rules.of(topic).as_ref();
        TopicOptions { slow_consumer: slow_consumer.clone(), history: *history, presence: *presence }
    }

    /// The home of a connection that lives on the runtime that this is called on.
    pub(crate) fn home(&self) -> Home {
        self.inner.shards.home(&self.inner.own, &self.inner.counters)
    }

    pub(crate) fn slow_consumer(&self) -> &Arc<SlowConsumer> {
        &self.inner.slow_consumer
    }

    /// What a subscriber is told of messages that it missed.
    pub(crate) fn missed(&self, topic: &Topic, count: u64) -> Option<Message> {
        self.inner.presentation.missed(topic, count)
    }

    pub(crate) fn subscribe(
        &self,
        connection: &Arc<Shared>,
        subscribe: Subscribe,
    ) -> Result<Subscribing, SubscribeError> {
        self.inner.subscribe(connection, subscribe)
    }

    pub(crate) fn unsubscribe(&self, connection: &Arc<Shared>, pattern: TopicPattern) {
        if let Some(shard) = self.inner.shards.of(connection.home()) {
            shard.send(Job::Unsubscribe(connection.clone(), pattern));
        }
    }

    /// The part of the hub that delivers to this connection may write to what is lent, if it is alone with the driver that this
    /// is called by on a runtime.
    pub(crate) fn lend(&self, connection: &Arc<Shared>, lend: impl FnOnce() -> Option<Weak<TcpStream>>) {
        if let Some(shard) = self.inner.shards.of(connection.home())
            && shard.is_on_this_thread_alone()
            && let Some(socket) = lend()
        {
            shard.send(Job::Socket(connection.clone(), socket));
        }
    }

    /// The connection has ended.
    pub(crate) fn leave(&self, connection: &Arc<Shared>) {
        if let Some(shard) = self.inner.shards.of(connection.home()) {
            shard.send(Job::Leave(connection.clone()));
        }
    }
}

impl Inner {
    fn publish(&self, publish: Publish) -> Result<Publishing, PublishError> {
        let Publish { topic, message, key, except } = publish;
        if topic.is_reserved() {
            return Err(PublishError::Reserved(topic));
        }
        let rule = self.rules.of(&topic).clone();
        let except = except.map(|connection| connection.shared.clone());
        let mut publication = Publication { topic, message, key, position: None };
        if let Some(link) = &self.link {
            return link.publish(self, publication, rule, except);
        }
        let Some(history) = rule.history else {
            self.deliver(publication, rule, except.as_ref())?;
            return Ok(Publishing::known(Ok(Published { position: None })));
        };
        let topic = publication.topic.clone();
        // With the history locked, so that messages reach every worker in the order of their offsets.
        self.logs.with(&topic, history, |log| {
            let position = Some(log.next());
            publication.position = position;
            let issue = self.deliver(publication, rule, except.as_ref())?;
            log.push(issue, history);
            Ok(Publishing::known(Ok(Published { position })))
        })
    }

    /// What subscribers are sent of a message that came from elsewhere, even if the code that makes it fails.
    fn presented(&self, publication: &Publication) -> Message {
        without_panic(|| self.presentation.message(publication))
            .unwrap_or_else(|| publication.message.clone())
    }

    /// Delivers to the connections of this process.
    fn deliver(
        &self,
        publication: Publication,
        rule: Arc<Rule>,
        except: Option<&Arc<Shared>>,
    ) -> Result<Arc<Issue>, PublishError> {
        let message = self.presentation.message(&publication);
        let issue = Arc::new(Issue::new(publication, rule, message, except));
        self.issue(&issue)?;
        Ok(issue)
    }

    /// To all shards, or to none.
    fn issue(&self, issue: &Arc<Issue>) -> Result<(), PublishError> {
        self.shards.with_all(|shards| {
            let limit = self.max_undelivered_bytes;
            let is_interested = |shard: &&Arc<ShardHandle>| shard.has_subscriptions() && !shard.is_over();
            let interested = || shards.iter().filter(is_interested);
            if interested().any(|shard| shard.undelivered() >= limit) {
                return Err(PublishError::Busy { limit });
            }
            interested().for_each(|shard| shard.publish(issue.clone()));
            Ok(())
        })
    }

    fn subscribe(
        &self,
        connection: &Arc<Shared>,
        subscribe: Subscribe,
    ) -> Result<Subscribing, SubscribeError> {
        let Subscribe { pattern, since, member, reply } = subscribe;
        let topic = pattern.topic();
        let rule = topic.as_ref().map(|topic| self.rules.of(topic));
        let history = rule.and_then(|rule| rule.history);
        if since.is_some() && history.is_none() {
            return Err(SubscribeError::NoHistory(pattern));
        }
        if member.is_some() && !rule.is_some_and(|rule| rule.presence) {
            return Err(SubscribeError::NoPresence(pattern));
        }
        let shard = self.shards.of(connection.home()).ok_or(SubscribeError::Closed)?;
        let (answer, subscribing) = Answer::channel(reply);
        let begin = |start| {
            let (connection, pattern) = (connection.clone(), pattern);
            let subscription =
                Subscription { connection: connection.clone(), pattern, member, start, answer };
            connection.outbox.subscribes(|| shard.subscribe(subscription)).ok_or(SubscribeError::Closed)
        };
        match topic.zip(history) {
            None => begin(Start::Live)?,
            Some(_) if self.link.is_some() => begin(Start::AtBroker { since })?,
            // With the history locked, so that nothing is published between what is read here and what comes live.
            Some((topic, history)) => self.logs.read(&topic, history, |log| {
                let missed = since.map(|since| log.since(since));
                let recovery = missed.as_ref().map(|missed| recovery_of(missed.as_ref().map(Vec::len)));
                let subscribed = Subscribed { position: Some(log.position()), recovery };
                begin(Start::Here { subscribed, missed: missed.flatten().unwrap_or_default() })
            })?,
        }
        Ok(subscribing)
    }

    /// Whether it is kept who has subscribed to it.
    fn keeps_presence(&self, pattern: &TopicPattern) -> bool {
        pattern.topic().is_some_and(|topic| self.rules.of(&topic).presence)
    }

    /// A connection has come or gone, of this name, if it has one; of a topic that keeps it.
    fn present(&self, pattern: &TopicPattern, member: Option<Arc<str>>, kind: PresenceChange) {
        let Some(topic) = pattern.topic() else { return };
        let change = Change { topic, member, kind };
        let pass_on = |number| {
            if let Some(link) = &self.link {
                link.presence_changed(number, change.clone());
            }
        };
        if let Some(event) = self.presences.changed_here(&change, pass_on) {
            self.tell_presence(event);
        }
    }

    fn tell_presences(&self, events: impl IntoIterator<Item = PresenceEvent>) {
        for event in events {
            self.tell_presence(event);
        }
    }

    fn tell_presence(&self, event: PresenceEvent) {
        let Some(message) = without_panic(|| self.presentation.presence(&event)).flatten() else { return };
        // Longer than a name may be: nobody can have subscribed to it.
        let Ok(topic) = Topic::new(format!("$presence.{}", event.topic)) else { return };
        let rule = self.rules.of(&topic).clone();
        let publication =
            Publication { topic, message: message.clone(), key: Some(event.member), position: None };
        // Where it cannot be delivered, those who ask who is there find out.
        let _ = self.issue(&Arc::new(Issue::new(publication, rule, message, None)));
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("health", &self.health())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
