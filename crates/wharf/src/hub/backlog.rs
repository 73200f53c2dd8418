//! What waits for a connection whose socket takes no more: bounded, and what happens at the bounds.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;

use super::counters::add;
use super::delivery::{Delivery, Part};
use super::issue::Issue;
use super::rules::Rule;
use super::{SlowConsumer, SlowConsumerPolicy, Topic};
use crate::proto::Close;

/// The messages of topics that wait for one connection, in order.
#[derive(Debug)]
pub(crate) struct Backlog {
    limits: Arc<SlowConsumer>,
    /// Those that were dropped from among the others are empty, until they come to the front.
    entries: VecDeque<Option<Entry>>,
    /// How many of them are empty.
    empty: usize,
    /// How many have left at the front, of all that ever were.
    left: u64,
    /// How much waits, but for what recovers a client.
    waiting: Amount,
    /// How much waits of each topic that has bounds of its own.
    by_topic: HashMap<Topic, Amount>,
    /// The newest of each key, as it is counted from the first that ever was. Of connections and topics that conflate.
    newest: HashMap<(Topic, Option<Arc<str>>), u64>,
    /// How many were dropped behind all that waits, of which topic.
    missed: Vec<(Topic, u64)>,
}

#[derive(Debug)]
struct Entry {
    delivery: Arc<Delivery>,
    index: u32,
    /// How many messages of its topic were dropped before it, since the last that was sent.
    missed: u32,
    /// It recovers a client: it is neither counted nor dropped.
    recovers: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    messages: usize,
    bytes: usize,
}

/// What a connection is to send.
#[derive(Debug)]
pub(crate) struct Taken {
    items: Vec<Item>,
    pub(crate) weight: usize,
}

#[derive(Debug)]
enum Item {
    Message(Arc<Delivery>, u32),
    /// So many were dropped.
    Missed(Topic, u64),
}

/// How much is taken at a time, in bytes on the wire: no more than a socket that has room takes at once, because what was taken
/// cannot be dropped any more.
const TAKEN_AT_ONCE: usize = 64 * 1024;

impl Backlog {
    pub(crate) fn new(limits: Arc<SlowConsumer>) -> Self {
        Self {
            limits,
            entries: VecDeque::new(),
            empty: 0,
            left: 0,
            waiting: Amount::default(),
            by_topic: HashMap::new(),
            newest: HashMap::new(),
            missed: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.missed.is_empty()
    }

    /// Whether what recovers a client of this topic waits.
    pub(crate) fn is_recovering(&self, topic: &Topic) -> bool {
        let recovers = |entry: &&Entry| entry.recovers && entry.issue().topic == *topic;
        self.entries.iter().flatten().any(|entry| recovers(&entry))
    }

    /// Adds messages, and drops what is to be dropped for them.
    ///
    /// # Errors
    /// With what the connection is to be closed, if that is what its bounds, or the topic's, ask for.
    pub(crate) fn push(&mut self, delivery: &Arc<Delivery>, recovers: bool) -> Result<(), Close> {
        for index in 0..delivery.len() {
            if recovers {
                self.append(delivery, index, true);
            } else if let Err(close) = self.push_one(delivery, index) {
                add(&delivery.counters.dropped_by_close, delivery.len() - index);
                return Err(close);
            }
        }
        Ok(())
    }

    fn push_one(&mut self, delivery: &Arc<Delivery>, index: usize) -> Result<(), Close> {
        let issue = &delivery.issues[index];
        let limits = self.limits.clone();
        let key = conflates(&limits, issue);
        if let Some(key) = &key {
            self.conflate(key);
        }
        let weight = delivery.weight_of(index);
        if let Some(limits) = &issue.rule.slow_consumer {
            let topic = Some(&issue.topic);
            while self.by_topic.get(&issue.topic).is_some_and(|amount| amount.is_full(weight, limits)) {
                if !self.make_room(limits, topic, delivery, index)? {
                    return Ok(());
                }
            }
        }
        while self.waiting.is_full(weight, &limits) {
            if !self.make_room(&limits, None, delivery, index)? {
                return Ok(());
            }
        }
        if let Some(key) = key {
            self.newest.insert(key, self.left + self.entries.len() as u64);
        }
        self.append(delivery, index, false);
        Ok(())
    }

    /// Makes room for a message, if there is to be any: whether there is.
    fn make_room(
        &mut self,
        limits: &SlowConsumer,
        topic: Option<&Topic>,
        delivery: &Arc<Delivery>,
        index: usize,
    ) -> Result<bool, Close> {
        match &limits.policy {
            SlowConsumerPolicy::DropOldest | SlowConsumerPolicy::Conflate => {
                self.drop_oldest(topic);
                Ok(true)
            }
            SlowConsumerPolicy::DropNewest => {
                add(&delivery.counters.dropped_newest, 1);
                self.miss(&delivery.issues[index].topic, 1);
                Ok(false)
            }
            SlowConsumerPolicy::Close(close) => Err(close.clone()),
        }
    }

    /// Puts a message behind all others.
    fn append(&mut self, delivery: &Arc<Delivery>, index: usize, recovers: bool) {
        let issue = &delivery.issues[index];
        let missed = self.missed.iter().position(|(topic, _)| *topic == issue.topic);
        let missed = missed.map_or(0, |at| self.missed.swap_remove(at).1);
        if !recovers {
            let weight = delivery.weight_of(index);
            self.waiting.add(weight);
            if issue.rule.slow_consumer.is_some() {
                self.by_topic.entry(issue.topic.clone()).or_default().add(weight);
            }
        }
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.entries.push_back(Some(Entry { delivery: delivery.clone(), index, missed, recovers }));
    }

    /// Drops the one that waits with this key, if any does.
    fn conflate(&mut self, key: &(Topic, Option<Arc<str>>)) {
        let Some(older) = self.newest.remove(key) else { return };
        // What has left is waited for no longer.
        let Some(at) = older.checked_sub(self.left).and_then(|at| usize::try_from(at).ok()) else { return };
        let Some(entry) = self.entries.get_mut(at).and_then(Option::take) else { return };
        add(&entry.delivery.counters.conflated, 1);
        self.dropped(at, &entry);
    }

    /// Drops the oldest, of this topic if one is given.
    fn drop_oldest(&mut self, topic: Option<&Topic>) {
        let is_it = |entry: &Option<Entry>| {
            entry.as_ref().is_some_and(|entry| {
                !entry.recovers && topic.is_none_or(|topic| entry.issue().topic == *topic)
            })
        };
        let Some(at) = self.entries.iter().position(is_it) else { return };
        let Some(entry) = self.entries[at].take() else { return };
        add(&entry.delivery.counters.dropped_oldest, 1);
        self.dropped(at, &entry);
    }

    /// The message at this place was dropped: what waits of its topic behind it tells of it.
    fn dropped(&mut self, at: usize, entry: &Entry) {
        self.forget(entry);
        let topic = &entry.issue().topic;
        let missed = entry.missed.saturating_add(1);
        let mut behind = self.entries.iter_mut().skip(at + 1).flatten();
        match behind.find(|behind| behind.issue().topic == *topic) {
            Some(next) => next.missed = next.missed.saturating_add(missed),
            None => self.miss(topic, missed.into()),
        }
        self.empty += 1;
        self.tidy();
    }

    fn miss(&mut self, topic: &Topic, count: u64) {
        match self.missed.iter_mut().find(|(of, _)| of == topic) {
            Some((_, missed)) => *missed += count,
            None => self.missed.push((topic.clone(), count)),
        }
    }

    /// It waits no longer.
    fn forget(&mut self, entry: &Entry) {
        if entry.recovers {
            return;
        }
        let weight = entry.weight();
        self.waiting.subtract(weight);
        let issue = entry.issue();
        if issue.rule.slow_consumer.is_some()
            && let Some(amount) = self.by_topic.get_mut(&issue.topic)
        {
            amount.subtract(weight);
            if amount.messages == 0 {
                self.by_topic.remove(&issue.topic);
            }
        }
    }

    /// Leaves no empty places at the front, and not more of them than others.
    fn tidy(&mut self) {
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.left += 1;
            self.empty -= 1;
        }
        if self.empty > 64 && self.empty > self.entries.len() / 2 {
            self.compact();
        }
    }

    /// Gives up all empty places, which moves those behind them.
    fn compact(&mut self) {
        let moved: HashMap<u64, u64> = (self.left..)
            .zip(&self.entries)
            .filter(|(_, entry)| entry.is_some())
            .map(|(place, _)| place)
            .zip(self.left..)
            .collect();
        self.newest.retain(|_, place| {
            moved.get(place).is_some_and(|to| {
                *place = *to;
                true
            })
        });
        self.entries.retain(Option::is_some);
        self.empty = 0;
    }

    /// Takes as much as is to be written at once, the oldest first.
    pub(crate) fn take(&mut self) -> Taken {
        let mut taken = Taken { items: Vec::new(), weight: 0 };
        while taken.weight < TAKEN_AT_ONCE {
            let Some(entry) = self.entries.pop_front() else { break };
            self.left += 1;
            let Some(entry) = entry else {
                self.empty -= 1;
                continue;
            };
            self.forget(&entry);
            let Entry { delivery, index, missed, .. } = entry;
            if missed > 0 {
                let topic = delivery.issues[index as usize].topic.clone();
                taken.items.push(Item::Missed(topic, missed.into()));
            }
            taken.weight += delivery.weight_of(index as usize);
            add(&delivery.counters.delivered, 1);
            taken.items.push(Item::Message(delivery, index));
        }
        if self.entries.is_empty() {
            let missed = mem::take(&mut self.missed);
            taken.items.extend(missed.into_iter().map(|(topic, count)| Item::Missed(topic, count)));
            *self = Self::new(self.limits.clone());
        }
        taken
    }

    /// Throws everything away: how many messages, and where they are counted.
    pub(crate) fn clear(&mut self, was_too_slow: bool) {
        for entry in self.entries.drain(..).flatten() {
            let counters = &entry.delivery.counters;
            add(if was_too_slow { &counters.dropped_by_close } else { &counters.discarded }, 1);
        }
        *self = Self::new(self.limits.clone());
    }
}

impl Entry {
    fn issue(&self) -> &Issue {
        &self.delivery.issues[self.index as usize]
    }

    fn weight(&self) -> usize {
        self.delivery.weight_of(self.index as usize)
    }
}

impl Amount {
    const fn is_full(self, more: usize, limits: &SlowConsumer) -> bool {
        self.messages >= limits.max_messages || self.messages > 0 && self.bytes + more > limits.max_bytes
    }

    const fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
    }

    const fn subtract(&mut self, bytes: usize) {
        self.messages -= 1;
        self.bytes -= bytes;
    }
}

impl Taken {
    /// The connection that it was taken for can send no more.
    pub(crate) fn discard(&self) {
        for item in &self.items {
            if let Item::Message(delivery, _) = item {
                delivery.discard_some(1);
            }
        }
    }

    /// What is to be sent, in order. What `missed` makes of messages that were dropped is a message of its own.
    pub(crate) fn send(
        &self,
        missed: impl Fn(&Topic, u64) -> Option<crate::proto::Message>,
        mut send: impl FnMut(Part<'_>),
    ) {
        for item in &self.items {
            match item {
                Item::Message(delivery, index) => send(delivery.part(*index as usize)),
                Item::Missed(topic, count) => {
                    if let Some(message) = missed(topic, *count) {
                        send(Part::Message(&message));
                    }
                }
            }
        }
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        debug_assert!(self.entries.is_empty(), "what is thrown away is counted");
    }
}

/// The key under which only the newest waits, if the connection or the topic is to have no more.
fn conflates(limits: &SlowConsumer, issue: &Issue) -> Option<(Topic, Option<Arc<str>>)> {
    let Rule { slow_consumer, .. } = issue.rule.as_ref();
    let conflates = conflates_topic(slow_consumer.as_ref().unwrap_or(limits));
    conflates.then(|| (issue.topic.clone(), issue.key.clone()))
}

fn conflates_topic(limits: &SlowConsumer) -> bool {
    limits.policy == SlowConsumerPolicy::Conflate
}
