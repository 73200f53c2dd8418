//! What a hub asks of the machinery between nodes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::history::HistoryRead;
use super::link::FromBroker;
use super::{HistoryOptions, Position, Publication, Topic, TopicPattern};

/// A future that is boxed, so that a hub can hold any broker.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries messages between the hubs of several nodes. Without one a hub has the topics of its process.
///
/// A hub calls it from one task, in order: [`publish`](Self::publish), [`subscribe`](Self::subscribe) and
/// [`unsubscribe`](Self::unsubscribe) are awaited one at a time, and only while the broker says that it is
/// [connected](BrokerHealth::Connected). [`history`](Self::history) is called at any time, and beside them. What was
/// subscribed to when a connection was lost the broker subscribes to again by itself, before it says that it is connected
/// again.
///
/// The messages of one node arrive in the order in which they were published, or not at all. What a node has published itself
/// may come back to it or not, unless the topic has a history: then it must, with its position.
pub trait Broker: Send + Sync + 'static {
    /// Begins to connect, and to tell `incoming` what comes and how it stands. Called once, on the runtime that it is to run
    /// on; it goes on until the last [`Incoming`] reports nothing any more, or the broker is dropped.
    fn start(&self, incoming: Incoming);

    /// Hands a message over, to be sent behind those before it; the answer's [`Acknowledgement`] resolves when the broker
    /// has acknowledged it.
    ///
    /// A message of a topic with history that was not acknowledged is published again, with the same [`id`](Outgoing::id),
    /// behind which the broker keeps it once.
    ///
    /// # Errors
    /// [`BrokerError`]: it was not handed over.
    fn publish<'a>(&'a self, outgoing: &'a Outgoing) -> BoxFuture<'a, Result<Acknowledgement, BrokerError>>;

    /// From now on, what other nodes publish on the topics that match comes in. Several patterns may match a topic; a message
    /// may come in once for each.
    ///
    /// # Errors
    /// [`BrokerError`]; nothing more comes in than before.
    fn subscribe<'a>(&'a self, interest: &'a Interest) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Ends a subscription.
    ///
    /// # Errors
    /// [`BrokerError`]; what comes in is thrown away.
    fn unsubscribe<'a>(&'a self, pattern: &'a TopicPattern) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Reads what the history has of a topic behind an offset, the oldest first.
    ///
    /// # Errors
    /// [`BrokerError`], where the broker is away or keeps no history.
    fn history<'a>(&'a self, request: &'a HistoryRequest) -> BoxFuture<'a, Result<HistoryRead, BrokerError>>;
}

/// Resolves when the broker has a message: with its position, where the topic has a history.
pub type Acknowledgement = BoxFuture<'static, Result<Option<Position>, BrokerError>>;

/// A message on its way to other nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outgoing {
    /// What is published. It has no position yet.
    pub publication: Publication,
    /// Which node published it, and the how manieth of that node.
    pub id: PublicationId,
    /// How much of its topic is kept, if it is.
    pub history: Option<HistoryOptions>,
}

impl Outgoing {
    /// A message on its way.
    pub const fn new(publication: Publication, id: PublicationId, history: Option<HistoryOptions>) -> Self {
        Self { publication, id, history }
    }
}

/// Tells a message from all others, on all nodes: a node, and a number that grows with each message of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicationId {
    /// The node that published it: a number drawn at random when its hub was made.
    pub node: u64,
    /// The how manieth of this node, from 1.
    pub number: u64,
}

/// What a node wants to get.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interest {
    /// The topics that match.
    pub pattern: TopicPattern,
    /// How much is kept of it, if it is one topic with a history.
    pub history: Option<HistoryOptions>,
}

impl Interest {
    /// A node wants what matches this.
    pub const fn new(pattern: TopicPattern, history: Option<HistoryOptions>) -> Self {
        Self { pattern, history }
    }
}

/// What is to be read of a topic's history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryRequest {
    /// Which topic.
    pub topic: Topic,
    /// How much is kept of it.
    pub history: HistoryOptions,
    /// Messages with greater offsets are asked for. `None`: none is, only where the history stands.
    pub after: Option<u64>,
}

impl HistoryRequest {
    /// What this topic's history has behind this offset.
    pub const fn new(topic: Topic, history: HistoryOptions, after: Option<u64>) -> Self {
        Self { topic, history, after }
    }
}

/// A message that came from the broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Arrived {
    /// What was published, with its position where the topic has a history.
    pub publication: Publication,
    /// Who published it. `None`: somebody who is not a hub.
    pub id: Option<PublicationId>,
    /// Which of the patterns that were subscribed to has brought it, where several that match each bring it. `None`: it comes
    /// once, or was read from the history.
    pub via: Option<TopicPattern>,
}

impl Arrived {
    /// A message that came.
    pub const fn new(publication: Publication, id: Option<PublicationId>, via: Option<TopicPattern>) -> Self {
        Self { publication, id, via }
    }
}

/// How a broker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerHealth {
    /// There is none: topics are this process's.
    Embedded,
    /// It takes and brings messages.
    Connected,
    /// It is away, and connects again by itself.
    Away {
        /// Why, for people.
        reason: Arc<str>,
    },
}

/// Where a broker tells the hub what comes and how it stands. A cheap clone.
#[derive(Clone)]
pub struct Incoming(pub(super) FromBroker);

impl Incoming {
    /// The number of this node, which is in the [`PublicationId`] of all that it publishes.
    pub fn node(&self) -> u64 {
        self.0.node()
    }

    /// A message has come. Waits while the hub has more than it can deliver.
    ///
    /// Not cancel safe: dropped before it returns, the message may be lost.
    pub async fn arrived(&self, arrived: Arrived) {
        self.0.arrived(arrived).await;
    }

    /// Messages may have been lost on their way here, though the broker is there: of topics that have a history they are read
    /// from it.
    pub fn missed(&self) {
        self.0.missed();
    }

    /// The broker stands so now. After [`Away`](BrokerHealth::Away), [`Connected`](BrokerHealth::Connected) means that all
    /// that was subscribed to is so again.
    pub fn health(&self, health: BrokerHealth) {
        self.0.health(health);
    }

    /// Waits until the hub is gone, and nothing more is to be told.
    pub async fn gone(&self) {
        self.0.gone().await;
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("node", &self.node()).finish_non_exhaustive()
    }
}

/// A broker did not do what was asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// It is away.
    #[error("it is away: {0}")]
    Away(Arc<str>),
    /// It said no.
    #[error("it refused: {0}")]
    Refused(Arc<str>),
    /// It did not answer in time.
    #[error("it did not answer within {0:?}")]
    TimedOut(std::time::Duration),
    /// It keeps no history.
    #[error("it keeps no history")]
    NoHistory,
}
