//! The hub's side of a broker: what this node wants of others, what it has for them, and what comes.

mod arrivals;
mod interests;
mod outgoing;
mod presence;
mod sequences;
mod task;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::arrivals::Arrivals;
use self::task::Task;
use super::broker::{Arrived, Broker, BrokerHealth};
use super::issue::Issue;
use super::presences::Change;
use super::publication::Outcome;
use super::rules::Rule;
use super::subscribe::{Answer, Since};
use super::{Inner, Publication, PublishError, Published, Publishing, TopicPattern, WhenAway};
use crate::shared::Shared;

/// The way to the broker, for those who publish and subscribe. What they ask for is done by a task of its own, in order.
pub(super) struct Link {
    requests: mpsc::UnboundedSender<Request>,
    health: watch::Sender<BrokerHealth>,
    /// How many messages wait for the broker, or for its acknowledgement.
    waiting: Arc<AtomicUsize>,
    when_away: WhenAway,
}

/// What is asked of the broker.
enum Request {
    Publish(Box<ToPublish>),
    Want(Wanted, Arc<Shared>, Answer),
    WantNoLonger(TopicPattern),
    Arrived(Arrived),
    /// Messages may have been lost on their way.
    Missed,
    /// The change of this number, here.
    PresenceChanged(u64, Change),
}

/// A message for other nodes.
struct ToPublish {
    publication: Publication,
    rule: Arc<Rule>,
    except: Option<Arc<Shared>>,
    /// Subscribers of this node have got it.
    is_delivered_here: bool,
    answer: oneshot::Sender<Result<Published, PublishError>>,
}

/// What somebody has subscribed to.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) pattern: TopicPattern,
    /// Nobody of its shard had subscribed to it.
    pub(super) is_first: bool,
    /// Which subscription it is, of its shard.
    pub(super) number: u64,
    pub(super) beginning: Beginning,
}

/// What a subscriber gets first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Beginning {
    /// What comes next.
    Live,
    /// Nothing, until it is read where the history stands, and what there was since this position, if there is one.
    Held { since: Option<Since> },
}

/// How many messages with a history may be on their way to a hub that has not come to them.
const ARRIVALS: usize = 1024;

/// How many may wait for their acknowledgement where none is to wait for a broker that is away.
const UNACKNOWLEDGED: usize = 1024;

impl Link {
    /// Connects a hub that is being made to its broker.
    pub(super) fn start(
        broker: Box<dyn Broker>,
        hub: Weak<Inner>,
        when_away: WhenAway,
        linger: Duration,
    ) -> Self {
        let (requests, requested) = mpsc::unbounded_channel();
        let connecting = BrokerHealth::Away { reason: "it was not connected yet".into() };
        let health = watch::Sender::new(connecting);
        let waiting = Arc::<AtomicUsize>::default();
        let node = rand::random();
        let (lives, is_over) = watch::channel(());
        let from_broker = FromBroker {
            node,
            hub: hub.clone(),
            requests: requests.downgrade(),
            room: Arc::new(Semaphore::new(ARRIVALS)),
            health: health.clone(),
            arrivals: Arc::new(Arrivals::new(node)),
            is_over,
        };
        let task = Task::new(broker, hub, &from_broker, waiting.clone(), linger);
        tokio::spawn(async move {
            task.run(from_broker, requested).await;
            drop(lives);
        });
        Self { requests, health, waiting, when_away }
    }

    pub(super) fn publish(
        &self,
        hub: &Inner,
        publication: Publication,
        rule: Arc<Rule>,
        except: Option<Arc<Shared>>,
    ) -> Result<Publishing, PublishError> {
        let is_away = *self.health.borrow() != BrokerHealth::Connected;
        // A history gives each message its place, for which those wait that can.
        let is_delivered_here = rule.history.is_none() || is_away;
        if is_delivered_here {
            hub.deliver(publication.clone(), rule.clone(), except.as_ref())?;
        }
        let limit = match self.when_away {
            WhenAway::Fail if is_away => return Ok(Publishing::known(Err(PublishError::BrokerAway))),
            WhenAway::Fail => UNACKNOWLEDGED,
            WhenAway::Queue { max_messages } => max_messages,
        };
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= limit {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Ok(Publishing::known(Err(PublishError::QueueFull { limit })));
        }
        let (answer, answered) = oneshot::channel();
        let to_publish = ToPublish { publication, rule, except, is_delivered_here, answer };
        self.request(Request::Publish(Box::new(to_publish)));
        Ok(Publishing(Outcome::Awaited(answered)))
    }

    pub(super) fn want(&self, wanted: Wanted, connection: Arc<Shared>, answer: Answer) {
        self.request(Request::Want(wanted, connection, answer));
    }

    /// The last one of a shard has unsubscribed.
    pub(super) fn want_no_longer(&self, pattern: TopicPattern) {
        self.request(Request::WantNoLonger(pattern));
    }

    pub(super) fn presence_changed(&self, number: u64, change: Change) {
        self.request(Request::PresenceChanged(number, change));
    }

    pub(super) fn health(&self) -> BrokerHealth {
        self.health.borrow().clone()
    }

    pub(super) async fn health_changed(&self, seen: &BrokerHealth) -> BrokerHealth {
        let mut health = self.health.subscribe();
        // Cloned at once, so that the lock is not held where the future waits, and it can go to another thread.
        let changed = health.wait_for(|health| health != seen).await.map(|health| health.clone());
        match changed {
            Ok(health) => health,
            // The sender is here.
            Err(_) => std::future::pending().await,
        }
    }

    fn request(&self, request: Request) {
        // Fails only where the runtime of the broker has ended: then there are no other nodes any more.
        let _ = self.requests.send(request);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("health", &self.health()).finish_non_exhaustive()
    }
}

/// The way from the broker to the hub.
#[derive(Clone)]
pub(super) struct FromBroker {
    node: u64,
    hub: Weak<Inner>,
    requests: mpsc::WeakUnboundedSender<Request>,
    /// How many more messages with a history may come.
    room: Arc<Semaphore>,
    health: watch::Sender<BrokerHealth>,
    arrivals: Arc<Arrivals>,
    /// Its sender is dropped when the hub is gone.
    is_over: watch::Receiver<()>,
}

impl FromBroker {
    pub(super) const fn node(&self) -> u64 {
        self.node
    }

    pub(super) async fn arrived(&self, arrived: Arrived) {
        let Some(hub) = self.hub.upgrade() else { return };
        // What is put in order, or what nodes say to each other.
        if arrived.publication.position.is_some() || arrived.publication.topic.as_str() == presence::TOPIC {
            drop(hub);
            // The task puts them in order, and gives the room back.
            if let Ok(room) = self.room.acquire().await {
                room.forget();
            }
            if let Some(requests) = self.requests.upgrade() {
                let _ = requests.send(Request::Arrived(arrived));
            }
            return;
        }
        if self.arrivals.is_new(&arrived) {
            deliver(&hub, arrived.publication).await;
        }
    }

    pub(super) fn missed(&self) {
        if let Some(requests) = self.requests.upgrade() {
            let _ = requests.send(Request::Missed);
        }
    }

    pub(super) fn health(&self, health: BrokerHealth) {
        self.health.send_if_modified(|now| {
            let changes = *now != health;
            *now = health;
            changes
        });
    }

    pub(super) async fn gone(&self) {
        // Never changed, only dropped.
        let _ = self.is_over.clone().changed().await;
    }
}

/// Delivers what came from another node, and waits where the workers are behind.
async fn deliver(hub: &Inner, publication: Publication) {
    let rule = hub.rules.of(&publication.topic).clone();
    let message = hub.presented(&publication);
    issue_when_there_is_room(hub, Issue::new(publication, rule, message, None)).await;
}

async fn issue_when_there_is_room(hub: &Inner, issue: Issue) {
    let issue = Arc::new(issue);
    while hub.issue(&issue).is_err() {
        for shard in hub.shards.with_all(<[_]>::to_vec) {
            shard.has_room(hub.max_undelivered_bytes).await;
        }
    }
}
