//! What holds for the topics that match a pattern.

use std::time::Duration;

use super::SlowConsumer;

/// What holds for topics, by the first pattern that matches them
/// ([`HubBuilder::topics`](super::HubBuilder::topics)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicOptions {
    /// How much of one such topic may wait for one connection. Default: what holds for all that waits for it
    /// ([`HubBuilder::slow_consumer`](super::HubBuilder::slow_consumer)), and nothing more.
    pub slow_consumer: Option<SlowConsumer>,
    /// How much is kept, for those who come back. Default: nothing, and messages have no positions.
    pub history: Option<HistoryOptions>,
    /// Whether it is known who has subscribed. Default false.
    pub presence: bool,
}

/// How much of a topic is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryOptions {
    /// How many messages, at least 1. Default 1000.
    pub max_messages: usize,
    /// For how long a message is kept, at least a millisecond and at most [`LONGEST_TIME`](crate::LONGEST_TIME). Default
    /// 5 minutes.
    pub max_age: Duration,
}

impl TopicOptions {
    /// Sets [`slow_consumer`](Self::slow_consumer).
    #[must_use]
    pub fn slow_consumer(mut self, slow_consumer: impl Into<Option<SlowConsumer>>) -> Self {
        self.slow_consumer = slow_consumer.into();
        self
    }

    /// Sets [`history`](Self::history).
    #[must_use]
    pub fn history(mut self, history: impl Into<Option<HistoryOptions>>) -> Self {
        self.history = history.into();
        self
    }

    /// Sets [`presence`](Self::presence).
    #[must_use]
    pub const fn presence(mut self, presence: bool) -> Self {
        self.presence = presence;
        self
    }
}

impl HistoryOptions {
    /// Sets [`max_messages`](Self::max_messages).
    #[must_use]
    pub const fn max_messages(mut self, messages: usize) -> Self {
        self.max_messages = messages;
        self
    }

    /// Sets [`max_age`](Self::max_age).
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self { max_messages: 1000, max_age: Duration::from_secs(300) }
    }
}
