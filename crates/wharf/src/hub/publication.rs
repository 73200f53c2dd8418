//! What is published, and what became of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::broker::BrokerError;
use super::{Position, Topic, TopicError};
use crate::connection::Connection;
use crate::proto::Message;

/// A message that was published on a topic, as it is presented to subscribers and passed among nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Publication {
    /// Where it was published.
    pub topic: Topic,
    /// What was published.
    pub message: Message,
    /// What it is about, for those of whom only the newest of each key waits.
    pub key: Option<Arc<str>>,
    /// Its place in the history, if the topic has one.
    pub position: Option<Position>,
}

impl Publication {
    /// A message without key and position.
    pub fn new(topic: Topic, message: impl Into<Message>) -> Self {
        Self { topic, message: message.into(), key: None, position: None }
    }
}

/// What is to be published, and how: for [`Hub::publish_with`](super::Hub::publish_with).
///
/// ```
/// use wharf::hub::{Hub, Publish};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::new();
/// hub.publish_with(Publish::new("prices.eur", "1.08")?.key("eur"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it says what is to be published, and publishes nothing"]
pub struct Publish {
    pub(super) topic: Topic,
    pub(super) message: Message,
    pub(super) key: Option<Arc<str>>,
    pub(super) except: Option<Connection>,
}

impl Publish {
    /// A message for everybody who has subscribed to the topic.
    ///
    /// # Errors
    /// [`TopicError`]: it is not the name of a topic.
    pub fn new<T: TryInto<Topic>>(topic: T, message: impl Into<Message>) -> Result<Self, TopicError>
    where
        TopicError: From<T::Error>,
    {
        Ok(Self { topic: topic.try_into()?, message: message.into(), key: None, except: None })
    }

    /// What it is about: for slow consumers of whom only the newest of each key waits
    /// ([`Conflate`](super::SlowConsumerPolicy::Conflate)). Default: its topic.
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Not for this connection.
    pub fn except(mut self, connection: &Connection) -> Self {
        self.except = Some(connection.clone());
        self
    }
}

/// A message that was published, on its way: it goes whether or not this is awaited. Awaited, it tells when it is
/// acknowledged.
#[derive(Debug)]
pub struct Publishing(pub(super) Outcome);

/// How far a message has come.
#[derive(Debug)]
pub(super) enum Outcome {
    Known(Option<Result<Published, PublishError>>),
    /// The broker is to say.
    Awaited(oneshot::Receiver<Result<Published, PublishError>>),
}

/// A message that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Its place in the history, if the topic has one: then it is kept there.
    pub position: Option<Position>,
}

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It is not the name of a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The topic is the hub's own.
    #[error("the topic {0:?} is the hub's own: its name begins with $")]
    Reserved(Topic),
    /// The connection is a client's, which has no hub.
    #[error("a client's connection has no hub")]
    NoHub,
    /// Messages come faster than they can be delivered here. Nobody gets it.
    #[error("{limit} bytes wait to be delivered, as many as max_undelivered_bytes allows")]
    Busy {
        /// [`HubBuilder::max_undelivered_bytes`](super::HubBuilder::max_undelivered_bytes).
        limit: usize,
    },
    /// The broker is away, or too slow, and as much waits for it as is allowed. Subscribers of this node get the message,
    /// if the topic has no history; those of others never do.
    #[error("the broker is away or too slow, and {limit} messages wait for it, as many as when_away allows")]
    QueueFull {
        /// [`WhenAway`](super::WhenAway)'s.
        limit: usize,
    },
    /// The broker is away, and nothing is to wait for it. Who gets it is as for [`QueueFull`](Self::QueueFull).
    #[error("the broker is away")]
    BrokerAway,
    /// The broker refused it, or was lost before it acknowledged it. Who gets it is as for
    /// [`QueueFull`](Self::QueueFull).
    #[error("the broker did not take the message: {0}")]
    Broker(#[from] BrokerError),
}

impl Publishing {
    pub(super) const fn known(result: Result<Published, PublishError>) -> Self {
        Self(Outcome::Known(Some(result)))
    }
}

/// Cancel safe: dropped, the message goes all the same.
impl Future for Publishing {
    type Output = Result<Published, PublishError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Outcome::Known(result) => Poll::Ready(result.take().unwrap_or(Err(PublishError::BrokerAway))),
            Outcome::Awaited(answer) => {
                Pin::new(answer).poll(cx).map(|answer| answer.unwrap_or(Err(PublishError::BrokerAway)))
            }
        }
    }
}
