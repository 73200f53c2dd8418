//! What this node has for others, in order: handed over while the broker is there, and kept until it is acknowledged.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tokio::task::unconstrained;

use super::ToPublish;
use crate::hub::broker::{Broker, BrokerError, Outgoing, PublicationId};
use crate::hub::{Position, Publication, PublishError, Published, Topic};

/// Messages that the broker has not acknowledged.
pub(super) struct Queue {
    node: u64,
    /// How many messages of this node there were.
    last: u64,
    /// Those that are to be handed over, in order.
    queued: VecDeque<Waiting>,
    /// Those that were, and may not have arrived: to be queued again, before all others.
    lost: BTreeMap<u64, Waiting>,
    /// Those that were.
    handed_over: FuturesUnordered<BoxFuture<'static, Acknowledged>>,
    /// How many there are of all of these, for those who publish.
    waiting: Arc<AtomicUsize>,
    /// How many of each topic with a history were delivered here before they have a place in it.
    early: HashMap<Topic, usize>,
}

/// A message, and who waits for it.
struct Waiting {
    outgoing: Outgoing,
    is_early: bool,
    answer: oneshot::Sender<Result<Published, PublishError>>,
}

/// What the broker said of a message.
pub(super) struct Acknowledged {
    waiting: Waiting,
    result: Result<Option<Position>, BrokerError>,
}

/// How many messages may be handed over and not acknowledged.
const HANDED_OVER: usize = 1024;

impl Queue {
    pub(super) fn new(node: u64, waiting: Arc<AtomicUsize>) -> Self {
        let (queued, lost, handed_over) = (VecDeque::new(), BTreeMap::new(), FuturesUnordered::new());
        Self { node, last: 0, queued, lost, handed_over, waiting, early: HashMap::new() }
    }

    /// Takes in a message, behind all others: its number.
    pub(super) fn push(&mut self, to_publish: ToPublish) -> u64 {
        self.last += 1;
        let ToPublish { publication, rule, is_delivered_here, answer, .. } = to_publish;
        let is_early = is_delivered_here && rule.history.is_some();
        if is_early {
            *self.early.entry(publication.topic.clone()).or_default() += 1;
        }
        let id = PublicationId { node: self.node, number: self.last };
        let outgoing = Outgoing { publication, id, history: rule.history };
        self.queued.push_back(Waiting { outgoing, is_early, answer });
        self.last
    }

    /// Takes in what this node says to others, of which nobody waits to hear.
    pub(super) fn push_said(&mut self, publication: Publication) {
        self.last += 1;
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let id = PublicationId { node: self.node, number: self.last };
        let outgoing = Outgoing { publication, id, history: None };
        self.queued.push_back(Waiting { outgoing, is_early: false, answer: oneshot::channel().0 });
    }

    /// Whether so much waits that what others will ask for again need not.
    pub(super) fn is_busy(&self) -> bool {
        self.queued.len() >= HANDED_OVER
    }

    /// Whether there is a message to hand over. What may be lost goes first, when it is known of all what became of them.
    pub(super) fn has_next(&self) -> bool {
        if self.lost.is_empty() {
            !self.queued.is_empty() && self.handed_over.len() < HANDED_OVER
        } else {
            self.handed_over.is_empty()
        }
    }

    /// Hands over the next message: whether the broker took it, or refused it for good.
    pub(super) async fn hand_over_next(&mut self, broker: &dyn Broker) -> bool {
        // What was lost goes before all others, also where it was not looked at before the broker came back.
        let mut nothing_lost = true;
        while let Some(Some(acknowledged)) = unconstrained(self.handed_over.next()).now_or_never() {
            nothing_lost &= self.acknowledged(acknowledged);
        }
        if !nothing_lost || !self.has_next() {
            return nothing_lost;
        }
        while let Some((_, waiting)) = self.lost.pop_last() {
            self.queued.push_front(waiting);
        }
        let Some(waiting) = self.queued.pop_front() else { return true };
        match broker.publish(&waiting.outgoing).await {
            Ok(acknowledgement) => {
                self.handed_over.push(Box::pin(async move {
                    let result = acknowledgement.await;
                    Acknowledged { waiting, result }
                }));
                true
            }
            Err(error) if error.may_pass() => {
                self.lost.insert(waiting.outgoing.id.number, waiting);
                false
            }
            Err(error) => {
                self.settle(waiting, Err(error.into()));
                true
            }
        }
    }

    /// What the broker says next of a message that was handed over; never, where none was.
    pub(super) async fn next_acknowledged(&mut self) -> Acknowledged {
        match self.handed_over.next().await {
            Some(acknowledged) => acknowledged,
            None => std::future::pending().await,
        }
    }

    /// Tells who waits for it, or keeps it to be handed over again: whether it is done with.
    pub(super) fn acknowledged(&mut self, acknowledged: Acknowledged) -> bool {
        let Acknowledged { waiting, result } = acknowledged;
        match result {
            Ok(position) => self.settle(waiting, Ok(Published { position })),
            // A history keeps it once, however often it is handed over. Without one it might arrive twice.
            Err(error) if error.may_pass() && waiting.outgoing.history.is_some() => {
                self.lost.insert(waiting.outgoing.id.number, waiting);
                return false;
            }
            Err(error) => self.settle(waiting, Err(error.into())),
        }
        true
    }

    /// Whether messages of this topic were delivered here that have no place in its history yet.
    pub(super) fn has_early(&self, topic: &Topic) -> bool {
        self.early.contains_key(topic)
    }

    fn settle(&mut self, waiting: Waiting, result: Result<Published, PublishError>) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let topic = &waiting.outgoing.publication.topic;
        if waiting.is_early
            && let Some(early) = self.early.get_mut(topic)
        {
            *early -= 1;
            if *early == 0 {
                self.early.remove(topic);
            }
        }
        // Fails only where nobody waits for it.
        let _ = waiting.answer.send(result);
    }
}

impl BrokerError {
    /// Whether the same may succeed later.
    const fn may_pass(&self) -> bool {
        matches!(self, Self::Away(_) | Self::TimedOut(_))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::oneshot;

    use super::*;
    use crate::hub::broker::{Acknowledgement, BoxFuture, HistoryRequest, Incoming, Interest};
    use crate::hub::history::HistoryRead;
    use crate::hub::rules::Rule;
    use crate::hub::{HistoryOptions, Publication, Topic, TopicPattern};

    /// Takes messages, and acknowledges none before it is told to.
    #[derive(Default)]
    struct Slow {
        taken: Mutex<Vec<Taken>>,
    }

    struct Taken {
        number: u64,
        answer: oneshot::Sender<Result<Option<Position>, BrokerError>>,
    }

    impl Slow {
        /// Loses all that it has taken: the numbers.
        fn lose_all(&self) -> Vec<u64> {
            let lose = |Taken { number, answer }| {
                answer.send(Err(BrokerError::Away("lost".into()))).unwrap();
                number
            };
            self.taken.lock().unwrap().drain(..).map(lose).collect()
        }
    }

    impl Broker for Slow {
        fn start(&self, _: Incoming) {}

        fn publish<'a>(
            &'a self,
            outgoing: &'a Outgoing,
        ) -> BoxFuture<'a, Result<Acknowledgement, BrokerError>> {
            let (answer, answered) = oneshot::channel();
            self.taken.lock().unwrap().push(Taken { number: outgoing.id.number, answer });
            let acknowledgement: Acknowledgement = Box::pin(async { answered.await.unwrap() });
            Box::pin(async { Ok(acknowledgement) })
        }

        fn subscribe<'a>(&'a self, _: &'a Interest) -> BoxFuture<'a, Result<(), BrokerError>> {
            Box::pin(async { Ok(()) })
        }

        fn unsubscribe<'a>(&'a self, _: &'a TopicPattern) -> BoxFuture<'a, Result<(), BrokerError>> {
            Box::pin(async { Ok(()) })
        }

        fn history<'a>(&'a self, _: &'a HistoryRequest) -> BoxFuture<'a, Result<HistoryRead, BrokerError>> {
            Box::pin(async { Err(BrokerError::NoHistory) })
        }
    }

    fn to_publish() -> ToPublish {
        let rule = Rule { slow_consumer: None, history: Some(HistoryOptions::default()), presence: false };
        let publication = Publication::new(Topic::new("a").unwrap(), "x");
        let (answer, _) = oneshot::channel();
        ToPublish { publication, rule: Arc::new(rule), except: None, is_delivered_here: false, answer }
    }

    #[tokio::test]
    async fn what_was_lost_is_handed_over_again_before_what_never_was_though_nobody_has_looked() {
        let (mut queue, broker) = (Queue::new(1, Arc::default()), Slow::default());
        for _ in 0..3 {
            queue.push(to_publish());
        }
        assert!(queue.hand_over_next(&broker).await);
        assert!(queue.hand_over_next(&broker).await);
        assert_eq!(broker.lose_all(), [1, 2]);
        assert!(!queue.hand_over_next(&broker).await, "two are lost");
        for _ in 0..3 {
            assert!(queue.hand_over_next(&broker).await);
        }
        assert_eq!(broker.lose_all(), [1, 2, 3]);
    }
}
