//! What becomes of messages that a subscriber does not take as fast as they come.

use crate::proto::{Close, CloseCode, CloseError};

/// How much may wait for one connection, of one topic or of all, and what happens when more comes.
///
/// Messages wait here only while the socket takes no more; what a connection sends beside its topics has a bound of its own,
/// [`max_buffered_amount`](crate::ServerConfig::max_buffered_amount), and control frames are dropped by neither.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowConsumer {
    /// How many messages may wait. Default 1024.
    pub max_messages: usize,
    /// How many bytes of payload may wait. One message may pass it, so that a message larger than it can be delivered at
    /// all. Default 1 MiB.
    pub max_bytes: usize,
    /// What happens when more comes. Default: closed with 1013.
    pub policy: SlowConsumerPolicy,
}

/// What happens to a connection for which as much waits as may.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowConsumerPolicy {
    /// The oldest messages that wait are dropped for the new one.
    DropOldest,
    /// The new message is dropped.
    DropNewest,
    /// Of messages with the same [key](super::Publish::key) only the newest waits, from the first that has to wait on and
    /// whether or not the bounds are reached; a message without a key has its topic for one. Where that is not enough, the
    /// oldest are dropped.
    Conflate,
    /// The connection is closed with this. What waits is not sent.
    Close(Close),
}

impl SlowConsumer {
    /// The defaults, with this policy.
    pub fn new(policy: SlowConsumerPolicy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Sets [`max_messages`](Self::max_messages).
    #[must_use]
    pub const fn max_messages(mut self, messages: usize) -> Self {
        self.max_messages = messages;
        self
    }

    /// Sets [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

impl SlowConsumerPolicy {
    /// Closes with this code, mostly 1008 or 1013, and this description.
    ///
    /// # Errors
    /// [`CloseError`] for a code that cannot be sent, or a description of more than 123 bytes.
    pub fn close(code: CloseCode, description: &str) -> Result<Self, CloseError> {
        Close::new(code, description.to_owned()).map(Self::Close)
    }
}

impl Default for SlowConsumer {
    fn default() -> Self {
        let close = Close::new(CloseCode::TRY_AGAIN_LATER, "too slow for its topics".to_owned());
        Self {
            max_messages: 1024,
            max_bytes: 1024 * 1024,
            policy: SlowConsumerPolicy::Close(close.expect("1013 can be sent")),
        }
    }
}
