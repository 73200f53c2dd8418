//! What a hub is told when it is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::presentation::AsPublished;
use super::{Broker, Hub, Presentation, SlowConsumer, TopicError, TopicOptions, TopicPattern};
use crate::config::LONGEST_TIME;

/// Makes a [`Hub`].
pub struct HubBuilder {
    pub(super) topics: Vec<(TopicPattern, TopicOptions)>,
    pub(super) slow_consumer: SlowConsumer,
    pub(super) presentation: Arc<dyn Presentation>,
    pub(super) broker: Option<Box<dyn Broker>>,
    pub(super) when_away: WhenAway,
    pub(super) linger: Duration,
    pub(super) max_subscriptions: usize,
    pub(super) max_undelivered_bytes: usize,
}

/// What becomes of messages for other nodes while the broker is away, or too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAway {
    /// So many wait for it, with all that it has not acknowledged yet; what is more fails with
    /// [`QueueFull`](super::PublishError::QueueFull).
    Queue {
        /// At least 1.
        max_messages: usize,
    },
    /// None waits: publishing fails with [`BrokerAway`](super::PublishError::BrokerAway). What was handed over before may
    /// wait for its acknowledgement, 1024 messages.
    Fail,
}

/// A hub cannot be made so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A pattern of [`HubBuilder::topics`].
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// An option whose value has no meaning.
    #[error("{option} is {value}, and has to be at least {least}")]
    TooSmall {
        /// Its name.
        option: &'static str,
        /// What it was set to.
        value: String,
        /// What it could be.
        least: &'static str,
    },
    /// A time that cannot be counted with.
    #[error("{option} is {value:?}, and has to be at most {LONGEST_TIME:?}")]
    TooLong {
        /// Its name.
        option: &'static str,
        /// What it was set to.
        value: Duration,
    },
    /// A hub with a broker is made on a tokio runtime, on which it talks to it.
    #[error("a hub with a broker has to be made on a tokio runtime")]
    NoRuntime,
}

impl HubBuilder {
    pub(super) fn new() -> Self {
        Self {
            topics: Vec::new(),
            slow_consumer: SlowConsumer::default(),
            presentation: Arc::new(AsPublished),
            broker: None,
            when_away: WhenAway::Queue { max_messages: 65_536 },
            linger: Duration::from_secs(5),
            max_subscriptions: 100_000,
            max_undelivered_bytes: 64 * 1024 * 1024,
        }
    }

    /// Says what holds for the topics that match a pattern, and that none said before matches.
    ///
    /// # Errors
    /// [`HubError::Topic`]: it is not a pattern.
    pub fn topics(mut self, pattern: &str, options: TopicOptions) -> Result<Self, HubError> {
        self.topics.push((TopicPattern::new(pattern)?, options));
        Ok(self)
    }

    /// How much of all its topics may wait for a connection, and what happens when more comes. Default
    /// [`SlowConsumer::default`]: closed with 1013 when 1024 messages or 1 MiB wait.
    #[must_use]
    pub fn slow_consumer(mut self, slow_consumer: SlowConsumer) -> Self {
        self.slow_consumer = slow_consumer;
        self
    }

    /// What subscribers are sent. Default: what was published, and nothing else.
    #[must_use]
    pub fn presentation(mut self, presentation: impl Presentation) -> Self {
        self.presentation = Arc::new(presentation);
        self
    }

    /// Through what the hub shares its topics with others. Default: with nobody.
    #[must_use]
    pub fn broker(mut self, broker: impl Broker) -> Self {
        self.broker = Some(Box::new(broker));
        self
    }

    /// What becomes of messages for other nodes while the broker is away. Default: 65,536 wait.
    #[must_use]
    pub const fn when_away(mut self, when_away: WhenAway) -> Self {
        self.when_away = when_away;
        self
    }

    /// For how long the broker still brings the messages of a topic after its last subscriber has left, so that one who
    /// comes and goes does not make it work. Default 5 seconds.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How many subscriptions a connection may have. Default 100,000. More fail with
    /// [`TooMany`](super::SubscribeError::TooMany).
    #[must_use]
    pub const fn max_subscriptions(mut self, subscriptions: usize) -> Self {
        self.max_subscriptions = subscriptions;
        self
    }

    /// How many bytes of messages may wait to be delivered by one worker, each counted with 64 bytes more. Default 64 MiB.
    /// More fail with [`Busy`](super::PublishError::Busy), or wait where they come from the broker.
    #[must_use]
    pub const fn max_undelivered_bytes(mut self, bytes: usize) -> Self {
        self.max_undelivered_bytes = bytes;
        self
    }

    /// Makes the hub, and begins to connect to its broker, if it has one: then this is to be called on the tokio runtime that
    /// is to talk to it.
    ///
    /// # Errors
    /// [`HubError`]: an option without meaning, or no runtime.
    pub fn build(self) -> Result<Hub, HubError> {
        self.validate()?;
        Ok(Hub::made_of(self))
    }

    fn validate(&self) -> Result<(), HubError> {
        let too_small = |option, value: String, least| Err(HubError::TooSmall { option, value, least });
        let too_long = |option, value| Err(HubError::TooLong { option, value });
        if self.linger > LONGEST_TIME {
            return too_long("linger", self.linger);
        }
        let slow_consumers = self.topics.iter().filter_map(|(_, options)| options.slow_consumer.as_ref());
        for slow_consumer in slow_consumers.chain([&self.slow_consumer]) {
            if slow_consumer.max_messages == 0 {
                return too_small("slow_consumer.max_messages", "0".to_owned(), "1");
            }
            if slow_consumer.max_bytes == 0 {
                return too_small("slow_consumer.max_bytes", "0".to_owned(), "1");
            }
        }
        for history in self.topics.iter().filter_map(|(_, options)| options.history) {
            if history.max_messages == 0 {
                return too_small("history.max_messages", "0".to_owned(), "1");
            }
            if history.max_age < Duration::from_millis(1) {
                return too_small("history.max_age", format!("{:?}", history.max_age), "1 ms");
            }
            if history.max_age > LONGEST_TIME {
                return too_long("history.max_age", history.max_age);
            }
        }
        if self.when_away == (WhenAway::Queue { max_messages: 0 }) {
            return too_small("when_away.max_messages", "0".to_owned(), "1");
        }
        if self.max_subscriptions == 0 {
            return too_small("max_subscriptions", "0".to_owned(), "1");
        }
        if self.max_undelivered_bytes == 0 {
            return too_small("max_undelivered_bytes", "0".to_owned(), "1");
        }
        if self.broker.is_some() && Handle::try_current().is_err() {
            return Err(HubError::NoRuntime);
        }
        Ok(())
    }
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder")
            .field("topics", &self.topics)
            .field("slow_consumer", &self.slow_consumer)
            .field("has_broker", &self.broker.is_some())
            .field("when_away", &self.when_away)
            .finish_non_exhaustive()
    }
}
