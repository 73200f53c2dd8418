//! Subscribing, and what comes of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::broker::BrokerError;
use super::presentation::without_panic;
use super::{Position, TopicError, TopicPattern};
use crate::proto::Message;

/// What is to be subscribed to, and how: for [`Connection::subscribe_with`](crate::Connection::subscribe_with).
#[derive(Clone, Debug)]
#[must_use = "it says what is to be subscribed to, and subscribes to nothing"]
pub struct Subscribe {
    pub(super) pattern: TopicPattern,
    pub(super) since: Option<Since>,
    pub(super) member: Option<Arc<str>>,
    pub(super) reply: Option<Reply>,
}

/// From where on messages are wanted that were published before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Since {
    Position(Position),
    /// From the oldest that is kept.
    Oldest,
}

/// Makes what a connection is sent when its subscription is made.
#[derive(Clone)]
pub(super) struct Reply(Arc<dyn Fn(&Subscribed) -> Message + Send + Sync>);

impl Subscribe {
    /// All that is published on the topics that match, from now on.
    ///
    /// # Errors
    /// [`TopicError`]: it is not a pattern.
    pub fn new<T: TryInto<TopicPattern>>(pattern: T) -> Result<Self, TopicError>
    where
        TopicError: From<T::Error>,
    {
        Ok(Self { pattern: pattern.try_into()?, since: None, member: None, reply: None })
    }

    /// Also what was published since the message at this position, the last that the client has got; first of all. For one
    /// topic that has a history.
    pub const fn since(mut self, position: Position) -> Self {
        self.since = Some(Since::Position(position));
        self
    }

    /// Also all that is kept of what was published before, first of all: for a client that has got nothing yet. For one topic
    /// that has a history.
    pub const fn since_oldest(mut self) -> Self {
        self.since = Some(Since::Oldest);
        self
    }

    /// Who subscribes, for those who ask who is there. For one topic that keeps it.
    pub fn member(mut self, name: impl Into<Arc<str>>) -> Self {
        self.member = Some(name.into());
        self
    }

    /// What the connection is sent when the subscription is made, or was there already: before any message that comes of it,
    /// those that it missed among them. The thread that delivers makes it, and must not be blocked. Default: nothing.
    ///
    /// It is sent like a message of the topic, but never dropped and not counted against the bounds of
    /// [`SlowConsumer`](super::SlowConsumer): bounded by who subscribes. With a broker, messages of this subscription wait for
    /// it until the broker has answered.
    ///
    /// ```
    /// use wharf::Connection;
    /// use wharf::hub::{Subscribe, SubscribeError};
    ///
    /// fn join(connection: &Connection) -> Result<(), SubscribeError> {
    ///     let subscribe = Subscribe::new("rooms.lobby")?.reply(|_| "welcome to the lobby".into());
    ///     connection.subscribe_with(subscribe)?;
    ///     Ok(())
    /// }
    /// ```
    pub fn reply(mut self, reply: impl Fn(&Subscribed) -> Message + Send + Sync + 'static) -> Self {
        self.reply = Some(Reply(Arc::new(reply)));
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// A subscription on its way: it is made whether or not this is awaited. Awaited, it tells when it has been.
///
/// Cancel safe: dropped, the subscription is made all the same.
#[derive(Debug)]
pub struct Subscribing(oneshot::Receiver<Result<Subscribed, SubscribeError>>);

impl Since {
    /// The offset behind which messages are wanted.
    pub(super) const fn offset(self) -> u64 {
        match self {
            Self::Position(position) => position.offset,
            Self::Oldest => 0,
        }
    }
}

/// Where the answer to a subscription goes.
#[derive(Debug)]
pub(super) struct Answer {
    subscribing: oneshot::Sender<Result<Subscribed, SubscribeError>>,
    reply: Option<Reply>,
}

impl Answer {
    /// With what the connection is to be sent, too.
    pub(super) fn channel(reply: Option<Reply>) -> (Self, Subscribing) {
        let (subscribing, answered) = oneshot::channel();
        (Self { subscribing, reply }, Subscribing(answered))
    }

    /// Whether the connection is to be sent something, in its place among the messages.
    pub(super) const fn has_reply(&self) -> bool {
        self.reply.is_some()
    }

    /// What the connection is to be sent.
    pub(super) fn reply(&self, subscribed: &Subscribed) -> Option<Message> {
        let Reply(reply) = self.reply.as_ref()?;
        without_panic(|| reply(subscribed))
    }

    pub(super) fn tell(self, result: Result<Subscribed, SubscribeError>) {
        // Fails only where nobody waits for it.
        let _ = self.subscribing.send(result);
    }
}

/// A subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscribed {
    /// The position of the last message of the topic before the first that is delivered live; for one topic that has a
    /// history.
    pub position: Option<Position>,
    /// What became of the messages since the client's last, if it asked for them.
    pub recovery: Option<Recovery>,
}

/// What became of the messages that a client missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// All of them have been sent, so many.
    Recovered {
        /// How many.
        messages: usize,
    },
    /// Some are kept no longer, or the history is another. None was sent: the client has to find out the state of things
    /// by other means.
    TooOld,
}

/// Why a subscription was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// It is not a pattern.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The connection is a client's, which has no hub.
    #[error("a client's connection has no hub")]
    NoHub,
    /// The connection has begun to close.
    #[error("the connection is closed")]
    Closed,
    /// It was ended again before the broker had answered.
    #[error("the subscription has ended before it was there")]
    Ended,
    /// It has as many subscriptions as are allowed.
    #[error("the connection has {limit} subscriptions, as many as max_subscriptions allows")]
    TooMany {
        /// [`HubBuilder::max_subscriptions`](super::HubBuilder::max_subscriptions).
        limit: usize,
    },
    /// Messages are asked for of a topic that keeps none.
    #[error("{0:?} has no history to recover from: it is not one topic, or none is kept of it")]
    NoHistory(TopicPattern),
    /// Somebody gives a name where it is not kept who has subscribed.
    #[error("it is not kept who has subscribed to {0:?}: it is not one topic, or its options do not say so")]
    NoPresence(TopicPattern),
    /// The broker could not be asked what was missed. There is no subscription: it can be made again, also without what was
    /// missed.
    #[error("the broker did not take the subscription: {0}")]
    Broker(#[from] BrokerError),
}

impl Future for Subscribing {
    type Output = Result<Subscribed, SubscribeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Nobody answers where the connection, or the runtime it lived on, has ended.
        Pin::new(&mut self.get_mut().0).poll(cx).map(|answer| answer.unwrap_or(Err(SubscribeError::Closed)))
    }
}
