//! Talks to the broker: one request after the other, while it is there.

mod others;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::arrivals::Arrivals;
use super::interests::Interests;
use super::outgoing::Queue;
use super::presence::{self, Others, Said};
use super::sequences::{Filled, Next, Sequences};
use super::{Beginning, FromBroker, Request, ToPublish, Wanted, issue_when_there_is_room};
use crate::hub::broker::{
    Arrived, Broker, BrokerError, BrokerHealth, HistoryRequest, Incoming, Interest, PublicationId,
};
use crate::hub::history::HistoryRead;
use crate::hub::issue::Issue;
use crate::hub::presentation::without_panic;
use crate::hub::shard::{Job, Recovered, recovery_of};
use crate::hub::subscribe::{Answer, Since};
use crate::hub::{HistoryOptions, Inner, Publication, SubscribeError, Subscribed, Topic, TopicPattern};
use crate::shared::Shared;

/// The task that talks to the broker.
pub(super) struct Task {
    broker: Arc<dyn Broker>,
    hub: Weak<Inner>,
    health: watch::Receiver<BrokerHealth>,
    is_connected: bool,
    interests: Interests,
    queue: Queue,
    /// A subscription was not made, or a history not read: when it is tried again, if the broker is there.
    try_again: Option<Instant>,
    /// The broker did not take a message, though it said that it was there: until when it is let alone.
    pause: Option<Instant>,
    sequences: Sequences,
    arrivals: Arc<Arrivals>,
    /// How many more messages with a history may come.
    room: Arc<Semaphore>,
    /// Messages of this node that are to be known when they come back.
    own: BTreeMap<u64, Own>,
    reading: FuturesUnordered<BoxFuture<'static, Reading>>,
    /// What is known of who has subscribed at other nodes.
    others: Others,
    /// When this node says next that it is there, where it is kept who has subscribed.
    heartbeat: Option<Instant>,
    node: u64,
}

/// What is to be remembered of a message of this node until it comes back with its position.
struct Own {
    except: Option<Arc<Shared>>,
    is_delivered_here: bool,
}

/// What was read of a history, and for whom.
struct Reading {
    topic: Topic,
    result: Result<HistoryRead, BrokerError>,
    purpose: Purpose,
}

enum Purpose {
    /// What is missing behind this offset, before what came.
    FillGap {
        after: u64,
    },
    Recover(Recovering),
    /// Nothing was read: it was too early for it.
    Wait(Recovering),
}

/// A subscriber that waits for what it has missed.
struct Recovering {
    connection: Arc<Shared>,
    /// Which subscription it is, of its shard.
    number: u64,
    since: Option<Since>,
    answer: Answer,
}

/// How many messages of this node are remembered until they come back.
const REMEMBERED: usize = 64 * 1024;

/// After how long what the broker did not do is asked for again.
const PATIENCE: Duration = Duration::from_secs(1);

/// For how long a broker that does not take what it said it would is let alone.
const PAUSE: Duration = Duration::from_millis(100);

impl Task {
    pub(super) fn new(
        broker: Box<dyn Broker>,
        hub: Weak<Inner>,
        from_broker: &FromBroker,
        waiting: Arc<AtomicUsize>,
        linger: Duration,
    ) -> Self {
        let FromBroker { node, room, arrivals, health, .. } = from_broker;
        Self {
            broker: broker.into(),
            hub,
            health: health.subscribe(),
            is_connected: false,
            interests: Interests::new(linger),
            queue: Queue::new(*node, waiting),
            try_again: None,
            pause: None,
            sequences: Sequences::default(),
            arrivals: arrivals.clone(),
            room: room.clone(),
            own: BTreeMap::new(),
            reading: FuturesUnordered::new(),
            others: Others::default(),
            heartbeat: None,
            node: *node,
        }
    }

    pub(super) async fn run(
        mut self,
        from_broker: FromBroker,
        mut requests: mpsc::UnboundedReceiver<Request>,
    ) {
        self.broker.start(Incoming(from_broker));
        loop {
            let may_hand_over = self.is_connected && self.pause.is_none() && self.queue.has_next();
            let (pause, heartbeat) = (self.pause, self.heartbeat);
            let try_again = self.try_again.filter(|_| self.is_connected);
            let linger = self.interests.next();
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.act(request).await,
                    None => return,
                },
                acknowledged = self.queue.next_acknowledged() => {
                    if !self.queue.acknowledged(acknowledged) {
                        self.pause = Some(Instant::now() + PAUSE);
                    }
                }
                Some(reading) = self.reading.next() => self.read(reading).await,
                changed = self.health.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.health_changed().await;
                }
                () = std::future::ready(()), if may_hand_over => {
                    if !self.queue.hand_over_next(self.broker.as_ref()).await {
                        self.pause = Some(Instant::now() + PAUSE);
                    }
                }
                () = until(pause) => self.pause = None,
                () = until(try_again) => self.catch_up().await,
                () = until(linger) => self.give_up().await,
                () = until(heartbeat) => self.beat(),
            }
        }
    }

    async fn act(&mut self, request: Request) {
        match request {
            Request::Publish(to_publish) => self.publish(*to_publish),
            Request::Want(wanted, connection, answer) => self.want(wanted, connection, answer).await,
            Request::WantNoLonger(pattern) => self.interests.want_no_longer(pattern, Instant::now()),
            Request::Arrived(arrived) => {
                self.room.add_permits(1);
                if arrived.publication.topic.as_str() == presence::TOPIC {
                    self.heard(&arrived);
                } else {
                    self.arrived(arrived).await;
                }
            }
            Request::Missed => self.fill_all(),
            Request::PresenceChanged(number, change) => self.say(&Said::Changed(number, change)),
        }
    }

    fn publish(&mut self, to_publish: ToPublish) {
        let ToPublish { is_delivered_here, rule, .. } = &to_publish;
        let own = Own { except: to_publish.except.clone(), is_delivered_here: *is_delivered_here };
        let is_remembered = rule.history.is_some() && (own.except.is_some() || own.is_delivered_here);
        let number = self.queue.push(to_publish);
        if is_remembered {
            self.own.insert(number, own);
            if self.own.len() > REMEMBERED {
                self.own.pop_first();
            }
        }
    }

    async fn want(&mut self, wanted: Wanted, connection: Arc<Shared>, answer: Answer) {
        let Wanted { pattern, is_first, number, beginning } = wanted;
        let topic = pattern.topic();
        let history = topic.as_ref().and_then(|topic| self.history_of(topic));
        if let Some(topic) = topic.as_ref().filter(|_| history.is_some()) {
            self.sequences.add(topic);
        }
        if !self.interests.want(&pattern, is_first) && self.is_connected {
            // What other nodes have comes late where it fails now: it is asked for again when the broker is back.
            let _ = self.subscribe(&pattern).await;
        }
        let Beginning::Held { since } = beginning else {
            return self.begun(connection, pattern, number, answer);
        };
        let Some((topic, history)) = topic.zip(history) else { return };
        self.begin_to_recover(topic, history, Recovering { connection, number, since, answer });
    }

    /// Reads what a subscriber has missed: when all that was delivered here has its place, for it has not got that either.
    fn begin_to_recover(&self, topic: Topic, history: HistoryOptions, recovering: Recovering) {
        if self.is_connected && self.queue.has_early(&topic) {
            self.reading.push(Box::pin(async move {
                sleep_until(Instant::now() + PAUSE).await;
                Reading { topic, result: Err(BrokerError::NoHistory), purpose: Purpose::Wait(recovering) }
            }));
            return;
        }
        let after = recovering.since.map(Since::offset);
        self.read_history(topic, history, after, Purpose::Recover(recovering));
    }

    /// A subscription without a history is there.
    fn begun(&self, connection: Arc<Shared>, pattern: TopicPattern, number: u64, answer: Answer) {
        let result = Ok(Subscribed { position: None, recovery: None });
        if !answer.has_reply() {
            return answer.tell(result);
        }
        // Its messages are held until the reply is sent.
        let missed = Vec::new();
        self.recovered(Recovered { connection, pattern, number, missed, repeats: false, result, answer });
    }

    async fn subscribe(&mut self, pattern: &TopicPattern) -> Result<(), BrokerError> {
        let history = pattern.topic().and_then(|topic| self.history_of(&topic));
        // Before anything comes of it.
        self.arrivals.add(pattern);
        let subscribed = self.broker.subscribe(&Interest { pattern: pattern.clone(), history }).await;
        self.interests.set_subscribed(pattern, subscribed.is_ok());
        if subscribed.is_err() {
            self.try_again = Some(Instant::now() + PATIENCE);
        }
        subscribed
    }

    /// Ends what nobody has wanted for long enough.
    async fn give_up(&mut self) {
        for (pattern, is_subscribed) in self.interests.give_up(Instant::now(), self.is_connected) {
            self.sequences.remove(&pattern);
            if is_subscribed {
                // Where it fails, what comes is thrown away.
                let _ = self.broker.unsubscribe(&pattern).await;
            }
            self.arrivals.remove(&pattern);
        }
    }

    async fn health_changed(&mut self) {
        self.is_connected = *self.health.borrow_and_update() == BrokerHealth::Connected;
        self.pause = None;
        if !self.is_connected {
            return;
        }
        self.catch_up().await;
        self.meet().await;
    }

    /// Asks for what is wanted and not brought, and for what was missed.
    async fn catch_up(&mut self) {
        self.try_again = None;
        for pattern in self.interests.missing() {
            // What fails is tried again.
            let _ = self.subscribe(&pattern).await;
        }
        self.fill_all();
    }

    fn fill_all(&mut self) {
        for (topic, after) in self.sequences.begin_to_fill() {
            self.fill_gap(topic, after);
        }
    }

    /// A message of a topic with a history has come.
    async fn arrived(&mut self, arrived: Arrived) {
        let topic = arrived.publication.topic.clone();
        if !self.sequences.has(&topic) && !self.arrivals.is_first(&arrived) {
            return;
        }
        match self.sequences.arrived(arrived) {
            Next::Deliver(arrived) => self.deliver(*arrived, false).await,
            Next::Nothing => {}
            Next::Read { after } => self.fill_gap(topic, after),
        }
    }

    /// Delivers a message that has its place, and may have been missed before.
    async fn deliver(&mut self, arrived: Arrived, was_missed: bool) {
        let Some(hub) = self.hub.upgrade() else { return };
        let Arrived { publication, id, .. } = arrived;
        let rule = hub.rules.of(&publication.topic).clone();
        let own = id.and_then(|id| self.take_own(id));
        let except = match own {
            Some(Own { is_delivered_here: true, .. }) => {
                let Publication { topic, position: Some(position), .. } = publication else { return };
                if let Some(message) = without_panic(|| hub.presentation.placed(&topic, position)).flatten() {
                    let placed =
                        Publication { position: Some(position), ..Publication::new(topic, message.clone()) };
                    issue_when_there_is_room(&hub, Issue::new(placed, rule, message, None)).await;
                }
                return;
            }
            Some(Own { except, .. }) => except,
            None => None,
        };
        let message = hub.presented(&publication);
        let issue = Issue::new(publication, rule, message, except.as_ref());
        issue_when_there_is_room(&hub, if was_missed { issue.recovering() } else { issue }).await;
    }

    fn take_own(&mut self, id: PublicationId) -> Option<Own> {
        if id.node == self.node { self.own.remove(&id.number) } else { None }
    }

    fn history_of(&self, topic: &Topic) -> Option<HistoryOptions> {
        self.hub.upgrade().and_then(|hub| hub.rules.of(topic).history)
    }

    fn fill_gap(&mut self, topic: Topic, after: u64) {
        match self.history_of(&topic) {
            Some(history) => self.read_history(topic, history, Some(after), Purpose::FillGap { after }),
            None => self.not_filled(topic),
        }
    }

    fn not_filled(&mut self, topic: Topic) {
        match self.sequences.not_filled(&topic) {
            Some(after) => self.fill_gap(topic, after),
            None => self.try_again = Some(Instant::now() + PATIENCE),
        }
    }

    fn read_history(&self, topic: Topic, history: HistoryOptions, after: Option<u64>, purpose: Purpose) {
        let broker = self.broker.clone();
        self.reading.push(Box::pin(async move {
            let result = broker.history(&HistoryRequest::new(topic.clone(), history, after)).await;
            Reading { topic, result, purpose }
        }));
    }

    async fn read(&mut self, reading: Reading) {
        let Reading { topic, result, purpose } = reading;
        match (purpose, result) {
            (Purpose::FillGap { after }, Ok(read))
                if after > 0 && self.sequences.is_another(&topic, &read) =>
            {
                self.fill_gap(topic, 0);
            }
            (Purpose::FillGap { .. }, Ok(read)) => self.fill(topic, read).await,
            (Purpose::FillGap { .. }, Err(_)) => self.not_filled(topic),
            (Purpose::Recover(recovering), result) => self.recover(&topic, recovering, result),
            (Purpose::Wait(recovering), _) => {
                if let Some(history) = self.history_of(&topic) {
                    self.begin_to_recover(topic, history, recovering);
                }
            }
        }
    }

    /// What was missing has been read.
    async fn fill(&mut self, topic: Topic, read: HistoryRead) {
        let Some(Filled { messages, missed, arrived, read_again }) = self.sequences.fill(&topic, read) else {
            return;
        };
        if missed > 0
            && let Some(hub) = self.hub.upgrade()
            && let Some(message) = without_panic(|| hub.presentation.missed(&topic, missed)).flatten()
        {
            let rule = hub.rules.of(&topic).clone();
            let publication = Publication::new(topic.clone(), message.clone());
            issue_when_there_is_room(&hub, Issue::new(publication, rule, message, None).recovering()).await;
        }
        for message in messages {
            self.deliver(message, true).await;
        }
        for arrived in arrived {
            Box::pin(self.arrived(arrived)).await;
        }
        if let Some(after) = read_again {
            self.fill_gap(topic, after);
        }
    }

    /// What a subscriber missed has been read, or was not.
    fn recover(&mut self, topic: &Topic, recovering: Recovering, result: Result<HistoryRead, BrokerError>) {
        let Recovering { connection, number, since, answer } = recovering;
        let Some(hub) = self.hub.upgrade() else { return };
        if let Ok(read) = &result
            && !self.sequences.begins(topic, read.position(), self.arrivals.brings_by_pattern(topic))
            && let Some(history) = hub.rules.of(topic).history
        {
            let after = since.map(Since::offset);
            let purpose = Purpose::Recover(Recovering { connection, number, since, answer });
            return self.read_history(topic.clone(), history, after, purpose);
        }
        let (missed, repeats, result) = match result {
            Ok(read) => {
                let position = read.position();
                let repeats = self.sequences.is_behind(topic, position);
                let is_recovered = since.is_some_and(|since| match since {
                    Since::Position(position) => read.reaches_back_to(position),
                    Since::Oldest => true,
                });
                let issue = |Arrived { publication, .. }: Arrived| {
                    let rule = hub.rules.of(&publication.topic).clone();
                    let message = hub.presented(&publication);
                    Arc::new(Issue::new(publication, rule, message, None))
                };
                let missed: Vec<_> = read.messages.into_iter().filter(|_| is_recovered).map(issue).collect();
                let recovery = since.map(|_| recovery_of(is_recovered.then_some(missed.len())));
                (missed, repeats, Ok(Subscribed { position: Some(position), recovery }))
            }
            // Without a position it can go on all the same.
            Err(_) if since.is_none() => {
                (Vec::new(), false, Ok(Subscribed { position: None, recovery: None }))
            }
            Err(error) => (Vec::new(), false, Err(SubscribeError::Broker(error))),
        };
        let pattern = TopicPattern::from(topic.clone());
        self.recovered(Recovered { connection, pattern, number, missed, repeats, result, answer });
    }

    /// A subscriber that waits is to go on.
    fn recovered(&self, recovered: Recovered) {
        let Some(hub) = self.hub.upgrade() else { return };
        if let Some(shard) = hub.shards.of(recovered.connection.home()) {
            shard.send(Job::Recover(Box::new(recovered)));
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
