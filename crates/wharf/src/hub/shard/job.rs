//! What a shard is asked to do.

use std::sync::{Arc, Weak};

use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::hub::issue::Issue;
use crate::hub::subscribe::{Answer, Since};
use crate::hub::{SubscribeError, Subscribed, TopicPattern};
use crate::shared::Shared;

/// What a shard is to do.
#[derive(Debug)]
pub(in crate::hub) enum Job {
    Publish(Arc<Issue>),
    Subscribe(Box<Subscription>),
    /// What a subscriber missed was read, and it is to get that, and then what was held meanwhile.
    Recover(Box<Recovered>),
    Unsubscribe(Arc<Shared>, TopicPattern),
    /// Where nothing waits, what the connection is sent goes to its socket from here.
    Socket(Arc<Shared>, Weak<TcpStream>),
    /// The connection has ended.
    Leave(Arc<Shared>),
    /// How many have subscribed is asked for.
    Count(TopicPattern, oneshot::Sender<usize>),
}

/// A subscription that is to be made.
#[derive(Debug)]
pub(in crate::hub) struct Subscription {
    pub(in crate::hub) connection: Arc<Shared>,
    pub(in crate::hub) pattern: TopicPattern,
    pub(in crate::hub) member: Option<Arc<str>>,
    pub(in crate::hub) start: Start,
    pub(in crate::hub) answer: Answer,
}

/// What a subscriber gets first.
#[derive(Debug)]
pub(in crate::hub) enum Start {
    /// What comes next.
    Live,
    /// What it has missed.
    Here { subscribed: Subscribed, missed: Vec<Arc<Issue>> },
    /// What the broker is asked for. Until it has come, what else comes is held.
    AtBroker { since: Option<Since> },
}

/// What was read for a subscriber.
#[derive(Debug)]
pub(in crate::hub) struct Recovered {
    pub(in crate::hub) connection: Arc<Shared>,
    pub(in crate::hub) pattern: TopicPattern,
    /// Which of its subscriptions to that it is for.
    pub(in crate::hub) number: u64,
    pub(in crate::hub) missed: Vec<Arc<Issue>>,
    /// What was read may come again, live.
    pub(in crate::hub) repeats: bool,
    /// With the position up to which it was read. Where it failed, the subscription ends.
    pub(in crate::hub) result: Result<Subscribed, SubscribeError>,
    pub(in crate::hub) answer: Answer,
}
