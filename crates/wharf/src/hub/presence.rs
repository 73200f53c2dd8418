//! Who has subscribed.

use std::sync::Arc;

use super::Topic;

/// Who has subscribed to a topic that [keeps](super::TopicOptions::presence) it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presence {
    /// Those who gave a name ([`Subscribe::member`](super::Subscribe::member)), in its order.
    pub members: Vec<Member>,
    /// How many connections there are, with those that gave no name.
    pub connections: usize,
}

/// One who has subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its name.
    pub name: Arc<str>,
    /// How many of its connections have subscribed.
    pub connections: usize,
}

/// Somebody's first connection has subscribed, or the last has left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceEvent {
    /// Which topic.
    pub topic: Topic,
    /// Who.
    pub member: Arc<str>,
    /// Whether it has come or gone.
    pub change: PresenceChange,
}

/// Whether somebody has come or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceChange {
    /// The first connection of this name has subscribed.
    Joined,
    /// The last connection of this name has unsubscribed, or ended.
    Left,
}
