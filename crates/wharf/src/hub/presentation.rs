//! What subscribers are sent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::presence::PresenceEvent;
use super::{Position, Publication, Topic};
use crate::proto::Message;

/// How what a hub has to say is put into messages: the protocol that an application speaks with its clients. By default
/// subscribers are sent what was published, and nothing else.
///
/// What it makes is made once for all subscribers, by whoever publishes or by the thread that delivers: it must not block, and
/// not publish or subscribe.
///
/// ```
/// use wharf::Message;
/// use wharf::hub::{Hub, Presentation, Publication, Topic};
///
/// struct WithTopic;
///
/// impl Presentation for WithTopic {
///     fn message(&self, publication: &Publication) -> Message {
///         let text = String::from_utf8_lossy(publication.message.as_bytes()).into_owned();
///         format!("{}: {text}", publication.topic).into()
///     }
///
///     fn missed(&self, topic: &Topic, count: u64) -> Option<Message> {
///         Some(format!("{topic}: you missed {count} messages").into())
///     }
/// }
///
/// # fn main() -> Result<(), wharf::hub::HubError> {
/// let hub = Hub::builder().presentation(WithTopic).build()?;
/// # Ok(())
/// # }
/// ```
pub trait Presentation: Send + Sync + 'static {
    /// What the subscribers of a topic are sent for a message that was published on it.
    fn message(&self, publication: &Publication) -> Message {
        publication.message.clone()
    }

    /// What a subscriber is sent in place of so many messages that were dropped, because it was too slow for them. `None`:
    /// it is told nothing.
    fn missed(&self, topic: &Topic, count: u64) -> Option<Message> {
        let _ = (topic, count);
        None
    }

    /// What the subscribers of `$presence.TOPIC` are sent when somebody has joined or left the topic. `None`: nothing.
    fn presence(&self, event: &PresenceEvent) -> Option<Message> {
        let _ = event;
        None
    }

    /// What the subscribers of a topic are sent when a message that they had already got a place in its history: one that
    /// was delivered while the broker was away. `None`: nothing.
    fn placed(&self, topic: &Topic, position: Position) -> Option<Message> {
        let _ = (topic, position);
        None
    }
}

/// What code of the user's makes, unless it panics: then the task that calls it, which serves all, goes on without.
pub(super) fn without_panic<T>(make: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(make)).ok()
}

/// What was published, and nothing else.
pub(super) struct AsPublished;

impl Presentation for AsPublished {}
