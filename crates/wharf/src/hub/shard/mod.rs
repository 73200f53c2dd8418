//! The part of a hub that lives on one worker: the subscriptions of its connections, and a task that delivers to them.
//!
//! Nothing is locked to find who gets a message: a shard's tables are its task's own, and what other threads want of it comes
//! as a [`Job`], in order.

mod catching_up;
mod classes;
mod job;
mod patterns;
mod table;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::runtime::{Handle, Id, RuntimeFlavor};
use tokio::sync::{Notify, mpsc};

use self::catching_up::CatchingUp;
use self::classes::Classes;
pub(super) use self::job::{Job, Recovered, Start, Subscription};
use self::table::{Added, Place, Table, Way};
use super::counters::{Counters, add};
use super::delivery::Delivery;
use super::issue::Issue;
use super::link::{Beginning, Wanted};
use super::subscribe::Answer;
use super::{Inner, PresenceChange, Publication, Recovery, SubscribeError, Subscribed, TopicPattern};
use crate::class::Class;
use crate::outbox::Delivered;
use crate::shared::Shared;

/// Where a shard's jobs are sent to.
#[derive(Debug)]
pub(super) struct ShardHandle {
    jobs: mpsc::UnboundedSender<Job>,
    state: Arc<State>,
    /// Its runtime, if that has one thread: no other task of it runs while the shard's does.
    runtime_of_one_thread: Option<Id>,
}

/// What a shard shares with those who send it jobs.
#[derive(Debug, Default)]
struct State {
    /// How many subscriptions there are, and are to be made. Without any, nothing that is published is sent here.
    subscriptions: AtomicUsize,
    /// Bytes of messages that are on their way here.
    undelivered: AtomicUsize,
    /// Told when there are fewer.
    room: Notify,
}

/// What each message on its way to a shard counts for, in bytes, beside its payload.
const PLACE: usize = 64;

/// After so many messages, or bytes of them, the connections get their turn to write them.
const MESSAGES_A_TURN: usize = 128;
const BYTES_A_TURN: usize = 256 * 1024;

/// How many messages go to each connection at once, at the most, and how many bytes, unless it is one message.
const MESSAGES_TOGETHER: usize = 64;
const BYTES_TOGETHER: usize = 64 * 1024;

/// To so many connections messages are written at once, at the most: what else there is for the thread waits meanwhile.
const WRITTEN_AT_ONCE: usize = 1024;

impl ShardHandle {
    /// A shard on the runtime that this is called on.
    pub(super) fn start(hub: &Weak<Inner>, counters: &Arc<Counters>) -> Self {
        let (jobs, received) = mpsc::unbounded_channel();
        let runtime = Handle::current();
        let has_one_thread = runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
        let state = Arc::<State>::default();
        let shard = Shard {
            hub: hub.clone(),
            counters: counters.clone(),
            state: state.clone(),
            table: Table::default(),
            last: 0,
            classes: Classes::default(),
            catching_up: HashMap::new(),
            members: HashMap::new(),
            deliveries: Vec::new(),
            borrows_sockets: has_one_thread,
        };
        tokio::spawn(shard.run(received));
        Self { jobs, state, runtime_of_one_thread: has_one_thread.then(|| runtime.id()) }
    }

    /// Whether its runtime has ended.
    pub(super) fn is_over(&self) -> bool {
        self.jobs.is_closed()
    }

    /// Whether it is on the runtime that this is called on, and that has one thread.
    pub(super) fn is_on_this_thread_alone(&self) -> bool {
        self.runtime_of_one_thread == Some(Handle::current().id())
    }

    #[inline]
    pub(super) fn has_subscriptions(&self) -> bool {
        self.state.subscriptions.load(Ordering::Acquire) > 0
    }

    /// Bytes of messages that are on their way here.
    #[inline]
    pub(super) fn undelivered(&self) -> usize {
        self.state.undelivered.load(Ordering::Relaxed)
    }

    /// Waits until fewer bytes than these are on their way here, or none is delivered any more.
    pub(super) async fn has_room(&self, limit: usize) {
        while !self.is_over() && self.undelivered() >= limit {
            let room = self.state.room.notified();
            if self.undelivered() < limit {
                return;
            }
            tokio::select! {
                () = room => {}
                () = self.jobs.closed() => {}
            }
        }
    }

    #[inline]
    pub(super) fn publish(&self, issue: Arc<Issue>) {
        let weight = issue.message.len() + PLACE;
        self.state.undelivered.fetch_add(weight, Ordering::Relaxed);
        if self.jobs.send(Job::Publish(issue)).is_err() {
            self.state.undelivered.fetch_sub(weight, Ordering::Relaxed);
        }
    }

    /// Takes in a subscription: from now on, what is published is sent here.
    pub(super) fn subscribe(&self, subscription: Subscription) {
        self.state.subscriptions.fetch_add(1, Ordering::AcqRel);
        self.send(Job::Subscribe(Box::new(subscription)));
    }

    pub(super) fn send(&self, job: Job) {
        // Fails only where the runtime has ended, and all its connections with it: nobody is left to do it for.
        let _ = self.jobs.send(job);
    }
}

/// The runtime has ended, and its connections with it: who subscribed has left.
impl Drop for Shard {
    fn drop(&mut self) {
        for connection in self.table.connections() {
            self.leave(&connection);
        }
    }
}

/// The task of a shard.
struct Shard {
    hub: Weak<Inner>,
    counters: Arc<Counters>,
    state: Arc<State>,
    table: Table,
    /// How many subscriptions there were.
    last: u64,
    classes: Classes,
    /// Subscriptions that have not caught up with what is published, by subscriber and topic.
    catching_up: HashMap<(Place, Place), CatchingUp>,
    /// The names of subscribers, by subscriber and topic.
    members: HashMap<(Place, Place), Arc<str>>,
    /// Of what is being delivered, for each class.
    deliveries: Vec<Option<Arc<Delivery>>>,
    /// Drivers of its connections are on its thread, and never in a turn while it runs.
    borrows_sockets: bool,
}

impl Shard {
    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let mut together = Vec::new();
        while let Some(first) = jobs.recv().await {
            let mut next = Some(first);
            let (mut messages, mut bytes) = (0, 0);
            while let Some(job) = next {
                match job {
                    Job::Publish(issue) => {
                        messages += 1;
                        bytes += issue.message.len();
                        self.collect(&mut together, issue);
                    }
                    other => {
                        self.deliver(&mut together, Way::ByDriver);
                        self.act(other);
                    }
                }
                let is_turn_over = messages >= MESSAGES_A_TURN || bytes >= BYTES_A_TURN;
                next = if is_turn_over { None } else { jobs.try_recv().ok() };
            }
            // Where more comes at once, drivers write it together with this.
            let way = if jobs.is_empty() { Way::AtOnce } else { Way::ByDriver };
            self.deliver(&mut together, way);
            // Behind the connections that were woken: on a thread of their own, all of them write before more comes.
            tokio::task::yield_now().await;
        }
    }

    /// Adds a message to those that go out together, or begins with it, where it does not go to the same.
    fn collect(&mut self, together: &mut Vec<Arc<Issue>>, issue: Arc<Issue>) {
        let bytes = |issues: &[Arc<Issue>]| issues.iter().map(|issue| issue.message.len()).sum::<usize>();
        if together.first().is_some_and(|first| !first.goes_where(&issue))
            || together.len() >= MESSAGES_TOGETHER
            || bytes(together) + issue.message.len() > BYTES_TOGETHER
        {
            self.deliver(together, Way::ByDriver);
        }
        together.push(issue);
    }

    /// Delivers messages of one topic to all who have subscribed to it.
    fn deliver(&mut self, issues: &mut Vec<Arc<Issue>>, way: Way) {
        let Some(first) = issues.first().cloned() else { return };
        let Self { counters, table, classes, catching_up, deliveries, .. } = self;
        let mut count = Count::default();
        let mut catching = Vec::new();
        let mut at_once = if way == Way::AtOnce { WRITTEN_AT_ONCE } else { 0 };
        table.for_each(&first.topic, |subscriber, subscription| {
            if !first.is_for(&subscriber.connection) {
                return;
            }
            if let Some(subscription) = subscription
                && let Some(state) = catching_up.get_mut(&subscription)
            {
                let (new, has_caught_up) = state.take_in(issues);
                if has_caught_up || !new.is_empty() {
                    catching.push((subscription, new, has_caught_up));
                }
                return;
            }
            let class = subscriber.class as usize;
            if deliveries.len() <= class {
                deliveries.resize(class + 1, None);
            }
            let delivery = deliveries[class]
                .get_or_insert_with(|| Arc::new(Delivery::new(issues, classes.get(class), counters)));
            let way = if at_once > 0 { Way::AtOnce } else { Way::ByDriver };
            at_once = at_once.saturating_sub(1);
            count.add(subscriber.deliver(delivery, first.recovers, way), delivery.len());
        });
        deliveries.clear();
        count.settle(counters);
        for (subscription, new, has_caught_up) in catching {
            if has_caught_up {
                self.catches_up_no_longer(subscription);
            }
            self.send(subscription.0, &new, false);
        }
        let bytes: usize = issues.drain(..).map(|issue| issue.message.len() + PLACE).sum();
        self.state.undelivered.fetch_sub(bytes, Ordering::Relaxed);
        self.state.room.notify_waiters();
    }

    /// Delivers messages to one subscriber: what it had missed, if they `recover` it.
    fn send(&self, subscriber: Place, issues: &[Arc<Issue>], recovers: bool) {
        let subscriber = self.table.subscriber(subscriber);
        let class = self.classes.get(subscriber.class as usize);
        let mut count = Count::default();
        let mut rest = issues;
        while !rest.is_empty() {
            let mut bytes = 0;
            let together = rest.iter().take(MESSAGES_TOGETHER).take_while(|issue| {
                bytes += issue.message.len();
                bytes <= BYTES_TOGETHER
            });
            let (now, later) = rest.split_at(together.count().max(1));
            let delivery = Arc::new(Delivery::new(now, class, &self.counters));
            count.add(subscriber.deliver(&delivery, recovers, Way::ByDriver), delivery.len());
            rest = later;
        }
        count.settle(&self.counters);
    }

    fn act(&mut self, job: Job) {
        match job {
            Job::Publish(issue) => self.deliver(&mut vec![issue], Way::ByDriver),
            Job::Subscribe(subscription) => self.subscribe(*subscription),
            Job::Recover(recovered) => self.recovered(*recovered),
            Job::Unsubscribe(connection, pattern) => self.unsubscribe(&connection, &pattern),
            Job::Socket(connection, socket) => {
                if let Some(subscriber) = self.table.find_subscriber(&connection) {
                    self.table.set_socket(subscriber, socket);
                }
            }
            Job::Leave(connection) => self.leave(&connection),
            Job::Count(pattern, answer) => {
                let _ = answer.send(self.table.subscriber_count(&pattern));
            }
        }
    }

    fn subscribe(&mut self, subscription: Subscription) {
        let Subscription { connection, pattern, member, start, answer } = subscription;
        let Some(hub) = self.hub.upgrade() else { return };
        let subscriber = self.subscriber(&connection);
        if self.table.is_subscribed(subscriber, &pattern) {
            self.not_subscribed();
            return self.tell(subscriber, &pattern, answer, start.subscribed_before());
        }
        if self.table.subscription_count(subscriber) >= hub.max_subscriptions {
            self.not_subscribed();
            return answer.tell(Err(SubscribeError::TooMany { limit: hub.max_subscriptions }));
        }
        let Added { topic, is_first } = self.table.subscribe(subscriber, &pattern);
        if hub.keeps_presence(&pattern) {
            self.members.extend(member.clone().map(|member| ((subscriber, topic), member)));
            hub.present(&pattern, member, PresenceChange::Joined);
        }
        self.last += 1;
        let number = self.last;
        let wanted = |beginning| Wanted { pattern: pattern.clone(), is_first, number, beginning };
        match start {
            Start::Live => match &hub.link {
                Some(link) => {
                    if answer.has_reply() {
                        self.hold((subscriber, topic), number);
                    }
                    link.want(wanted(Beginning::Live), connection, answer);
                }
                None => {
                    self.tell(subscriber, &pattern, answer, Subscribed { position: None, recovery: None });
                }
            },
            Start::Here { mut subscribed, mut missed } => {
                self.recover_once(subscriber, &mut subscribed, &mut missed);
                // The answer first: who awaits it can be ready for what follows.
                self.tell(subscriber, &pattern, answer, subscribed);
                self.send(subscriber, &missed, true);
            }
            Start::AtBroker { since } => {
                self.hold((subscriber, topic), number);
                if let Some(link) = &hub.link {
                    link.want(wanted(Beginning::Held { since }), connection, answer);
                }
            }
        }
    }

    /// What comes of a subscription waits until it is [recovered](Self::recovered).
    fn hold(&mut self, subscription: (Place, Place), number: u64) {
        self.catching_up.insert(subscription, CatchingUp::Held(number, Vec::new()));
        self.table.set_catching_up(subscription.1, true);
    }

    /// A subscription is there: the connection is told, in its place among the messages, and so is who awaits it.
    fn tell(&self, to: Place, pattern: &TopicPattern, answer: Answer, subscribed: Subscribed) {
        if let Some(message) = answer.reply(&subscribed) {
            let publication = Publication::new(pattern.as_if_topic(), message.clone());
            let issue = Issue::new(publication, Arc::default(), message, None);
            self.send(to, &[Arc::new(issue)], true);
        }
        answer.tell(Ok(subscribed));
    }

    /// One that was counted was not made.
    fn not_subscribed(&self) {
        self.state.subscriptions.fetch_sub(1, Ordering::AcqRel);
    }

    fn recovered(&mut self, recovered: Recovered) {
        let Recovered { connection, pattern, number, mut missed, repeats, result, answer } = recovered;
        let place = self.table.find_subscriber(&connection).zip(self.table.topic(&pattern));
        // It may have left, and come again, meanwhile: then another is on its way.
        let Some(subscription) = place else { return answer.tell(Err(SubscribeError::Ended)) };
        let held = match self.catching_up.get_mut(&subscription) {
            Some(CatchingUp::Held(own, held)) if *own == number => std::mem::take(held),
            _ => return answer.tell(Err(SubscribeError::Ended)),
        };
        self.catching_up.remove(&subscription);
        self.table.set_catching_up(subscription.1, false);
        let mut subscribed = match result {
            Ok(subscribed) => subscribed,
            Err(error) => {
                answer.tell(Err(error));
                return self.unsubscribe(&connection, &pattern);
            }
        };
        self.recover_once(subscription.0, &mut subscribed, &mut missed);
        self.tell(subscription.0, &pattern, answer, subscribed);
        self.send(subscription.0, &missed, true);
        let Some(read) = subscribed.position else { return self.send(subscription.0, &held, true) };
        let mut after = CatchingUp::After(read);
        let (new, has_caught_up) = after.take_in(&held);
        self.send(subscription.0, &new, true);
        if repeats && !has_caught_up {
            self.catching_up.insert(subscription, after);
            self.table.set_catching_up(subscription.1, true);
        }
    }

    /// Recovers nobody from a topic while it has not got what recovered it from that before: a client that does not read could
    /// have any number of histories wait for it.
    fn recover_once(&self, to: Place, outcome: &mut Subscribed, missed: &mut Vec<Arc<Issue>>) {
        let connection = &self.table.subscriber(to).connection;
        if missed.first().is_some_and(|first| connection.outbox.is_recovering(&first.topic)) {
            missed.clear();
            outcome.recovery = Some(Recovery::TooOld);
        }
    }

    fn catches_up_no_longer(&mut self, subscription: (Place, Place)) {
        if self.catching_up.remove(&subscription).is_some() {
            self.table.set_catching_up(subscription.1, false);
        }
    }

    /// The place of a connection, which is given one.
    fn subscriber(&mut self, connection: &Arc<Shared>) -> Place {
        if let Some(place) = self.table.find_subscriber(connection) {
            return place;
        }
        if self.borrows_sockets {
            connection.lend_socket();
        }
        let class = self.classes.add(Class::of(connection));
        self.table.add(connection, class)
    }

    fn unsubscribe(&mut self, connection: &Arc<Shared>, pattern: &TopicPattern) {
        let Some(subscriber) = self.table.find_subscriber(connection) else { return };
        if let Some(removed) = self.table.unsubscribe(subscriber, pattern) {
            self.unsubscribed(pattern, removed);
        }
        if self.table.subscription_count(subscriber) == 0 {
            self.forget(subscriber);
        }
    }

    fn leave(&mut self, connection: &Arc<Shared>) {
        let Some(subscriber) = self.table.find_subscriber(connection) else { return };
        while let Some((pattern, removed)) = self.table.unsubscribe_last(subscriber) {
            self.unsubscribed(&pattern, removed);
        }
        self.forget(subscriber);
    }

    /// One that has no subscriptions.
    fn forget(&mut self, subscriber: Place) {
        let class = self.table.forget(subscriber);
        self.classes.remove(class as usize);
    }

    fn unsubscribed(&mut self, pattern: &TopicPattern, removed: table::Removed) {
        self.not_subscribed();
        let table::Removed { was_last, topic, subscriber } = removed;
        self.catches_up_no_longer((subscriber, topic));
        let member = self.members.remove(&(subscriber, topic));
        let Some(hub) = self.hub.upgrade() else { return };
        if hub.keeps_presence(pattern) {
            hub.present(pattern, member, PresenceChange::Left);
        }
        if was_last && let Some(link) = &hub.link {
            link.want_no_longer(pattern.clone());
        }
    }
}

impl Start {
    /// What a second subscription is told: it changes nothing.
    const fn subscribed_before(&self) -> Subscribed {
        match self {
            Self::Here { subscribed, .. } => Subscribed { recovery: None, ..*subscribed },
            Self::Live | Self::AtBroker { .. } => Subscribed { position: None, recovery: None },
        }
    }
}

/// What became of deliveries, counted together.
#[derive(Debug, Default)]
struct Count {
    to_deliver: usize,
    delivered: usize,
    connections_closed: usize,
}

impl Count {
    #[inline]
    fn add(&mut self, delivered: Delivered, messages: usize) {
        match delivered {
            Delivered::Now { .. } => self.delivered += messages,
            Delivered::Waits => {}
            Delivered::TooSlow => self.connections_closed += 1,
            Delivered::Closed => return,
        }
        self.to_deliver += messages;
    }

    fn settle(&self, counters: &Counters) {
        add(&counters.to_deliver, self.to_deliver);
        add(&counters.delivered, self.delivered);
        add(&counters.connections_closed, self.connections_closed);
    }
}

/// What a client that comes back is told of what it asked for.
pub(super) const fn recovery_of(missed: Option<usize>) -> Recovery {
    match missed {
        Some(messages) => Recovery::Recovered { messages },
        None => Recovery::TooOld,
    }
}
