//! Who has subscribed to what, of the connections of one shard.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use slab::Slab;
use tokio::net::TcpStream;

use super::patterns::Patterns;
use crate::hub::{Delivery, TopicPattern};
use crate::outbox::Delivered;
use crate::shared::Shared;

/// Where a topic, a subscriber or a class lies.
pub(super) type Place = u32;

/// The subscriptions of the connections of one shard.
///
/// A subscription takes 8 bytes at its topic and 8 at its subscriber, each of which says where the other is, so that
/// whichever of them goes finds it.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Topics, and patterns, that anybody has subscribed to.
    topics: Slab<TopicEntry>,
    by_name: HashMap<TopicPattern, Place>,
    patterns: Patterns,
    subscribers: Slab<Subscriber>,
    by_connection: HashMap<u64, Place>,
    /// What matched last.
    found: Vec<Place>,
    /// Counts the looks at several topics at once.
    stamp: u64,
}

#[derive(Debug)]
struct TopicEntry {
    name: TopicPattern,
    subscribers: Vec<There>,
    /// How many of them have not caught up with what is published.
    catching_up: u32,
}

#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) connection: Arc<Shared>,
    pub(super) class: Place,
    /// Its socket, if that may be written to from here. The driver's end is the end of it all the same.
    pub(super) socket: Option<Weak<TcpStream>>,
    /// The last look at several topics at once that it was found in.
    seen: u64,
    topics: Vec<There>,
}

/// How messages get to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From here, where nothing is before them.
    AtOnce,
    /// The driver writes them, together with what else there is.
    ByDriver,
}

/// Where the other end of a subscription is: which it is, and the how manieth there.
#[derive(Clone, Copy, Debug)]
struct There {
    of: Place,
    at: Place,
}

/// What a subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) topic: Place,
    /// It is the first one of its topic.
    pub(super) is_first: bool,
}

/// What a subscription was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Removed {
    /// It was the last one of its topic.
    pub(super) was_last: bool,
    pub(super) topic: Place,
    pub(super) subscriber: Place,
}

impl Subscriber {
    /// Sends messages of a topic, or queues them.
    #[inline]
    pub(super) fn deliver(&self, delivery: &Arc<Delivery>, recovers: bool, way: Way) -> Delivered {
        let socket = self.socket.as_ref().filter(|_| way == Way::AtOnce);
        self.connection.deliver(delivery, recovers, socket)
    }
}

impl Table {
    /// Takes in a connection that [is not](Self::find_subscriber) there.
    pub(super) fn add(&mut self, connection: &Arc<Shared>, class: Place) -> Place {
        let subscriber =
            Subscriber { connection: connection.clone(), class, socket: None, seen: 0, topics: Vec::new() };
        let place = place(self.subscribers.insert(subscriber));
        self.by_connection.insert(key_of(connection), place);
        place
    }

    /// All who have subscribed.
    pub(super) fn connections(&self) -> Vec<Arc<Shared>> {
        self.subscribers.iter().map(|(_, subscriber)| subscriber.connection.clone()).collect()
    }

    pub(super) fn find_subscriber(&self, connection: &Arc<Shared>) -> Option<Place> {
        self.by_connection.get(&key_of(connection)).copied()
    }

    pub(super) fn subscriber(&self, at: Place) -> &Subscriber {
        &self.subscribers[at as usize]
    }

    /// The socket of a subscriber may be written to.
    pub(super) fn set_socket(&mut self, subscriber: Place, socket: Weak<TcpStream>) {
        self.subscribers[subscriber as usize].socket = Some(socket);
    }

    pub(super) fn subscription_count(&self, subscriber: Place) -> usize {
        self.subscribers[subscriber as usize].topics.len()
    }

    pub(super) fn is_subscribed(&self, subscriber: Place, name: &str) -> bool {
        self.topic(name).is_some_and(|topic| self.find(subscriber, topic).is_some())
    }

    /// Subscribes one that [is not](Self::is_subscribed).
    pub(super) fn subscribe(&mut self, subscriber: Place, name: &TopicPattern) -> Added {
        let topic = self.topic(name).unwrap_or_else(|| self.begin(name));
        let topics = &mut self.subscribers[subscriber as usize].topics;
        let subscribers = &mut self.topics[topic as usize].subscribers;
        let there = There { of: topic, at: place(subscribers.len()) };
        subscribers.push(There { of: subscriber, at: place(topics.len()) });
        topics.push(there);
        Added { topic, is_first: subscribers.len() == 1 }
    }

    /// Ends a subscription, if there is one.
    pub(super) fn unsubscribe(&mut self, subscriber: Place, name: &str) -> Option<Removed> {
        let topic = *self.by_name.get(name)?;
        let at = self.find(subscriber, topic)?;
        Some(self.remove(subscriber, at))
    }

    /// Ends one of its subscriptions, if it has any.
    pub(super) fn unsubscribe_last(&mut self, subscriber: Place) -> Option<(TopicPattern, Removed)> {
        let topics = &self.subscribers[subscriber as usize].topics;
        let (at, there) = topics.iter().enumerate().next_back()?;
        let name = self.topics[there.of as usize].name.clone();
        Some((name, self.remove(subscriber, at)))
    }

    /// One that has no subscriptions: its class.
    pub(super) fn forget(&mut self, subscriber: Place) -> Place {
        let Subscriber { connection, class, .. } = self.subscribers.remove(subscriber as usize);
        self.by_connection.remove(&key_of(&connection));
        if self.subscribers.is_empty() {
            self.subscribers = Slab::new();
            self.by_connection.shrink_to_fit();
        }
        class
    }

    /// One more subscriber of this topic has not caught up, or one less.
    pub(super) fn set_catching_up(&mut self, topic: Place, is_catching_up: bool) {
        if let Some(TopicEntry { catching_up, .. }) = self.topics.get_mut(topic as usize) {
            *catching_up = if is_catching_up { *catching_up + 1 } else { catching_up.saturating_sub(1) };
        }
    }

    /// Tells each who gets what is published on this topic, once, and its subscription, if it may not have caught up.
    #[inline]
    pub(super) fn for_each(
        &mut self,
        topic: &str,
        mut tell: impl FnMut(&Subscriber, Option<(Place, Place)>),
    ) {
        let Self { topics, by_name, patterns, subscribers, found, stamp, .. } = self;
        found.clear();
        found.extend(by_name.get(topic));
        patterns.find(topic, found);
        *stamp += 1;
        let are_several = found.len() > 1;
        for at in found.iter() {
            let TopicEntry { subscribers: theirs, catching_up, .. } = &topics[*at as usize];
            for There { of, .. } in theirs {
                let subscriber = &mut subscribers[*of as usize];
                if are_several && std::mem::replace(&mut subscriber.seen, *stamp) == *stamp {
                    continue;
                }
                let catching_up = (*catching_up > 0).then_some((*of, *at));
                tell(subscriber, catching_up);
            }
        }
    }

    /// Where the topic of this name lies, if anybody has subscribed to it.
    pub(super) fn topic(&self, name: &str) -> Option<Place> {
        self.by_name.get(name).copied()
    }

    /// How many have subscribed to it.
    pub(super) fn subscriber_count(&self, name: &str) -> usize {
        self.topic(name).map_or(0, |topic| self.topics[topic as usize].subscribers.len())
    }

    fn begin(&mut self, name: &TopicPattern) -> Place {
        let entry = TopicEntry { name: name.clone(), subscribers: Vec::new(), catching_up: 0 };
        let topic = place(self.topics.insert(entry));
        self.by_name.insert(name.clone(), topic);
        if name.has_wildcards() {
            // Patterns are found by their tokens alone: a topic cannot have the name of one.
            self.patterns.insert(name, topic);
        }
        topic
    }

    /// Where many topics were, and few are.
    fn give_memory_back(&mut self) {
        if self.topics.is_empty() {
            self.topics = Slab::new();
        }
        if self.by_name.len() < self.by_name.capacity() / 8 {
            self.by_name.shrink_to(self.by_name.len() * 2);
        }
    }

    /// Which of its subscriptions is to this topic: looked for where there are fewer.
    fn find(&self, subscriber: Place, topic: Place) -> Option<usize> {
        let topics = &self.subscribers[subscriber as usize].topics;
        let subscribers = &self.topics[topic as usize].subscribers;
        if topics.len() <= subscribers.len() {
            topics.iter().position(|there| there.of == topic)
        } else {
            let there = subscribers.iter().find(|there| there.of == subscriber)?;
            Some(there.at as usize)
        }
    }

    /// Ends a subscriber's subscription at this place. Those that were the last take the places.
    fn remove(&mut self, subscriber: Place, at: usize) -> Removed {
        let topics = &mut self.subscribers[subscriber as usize].topics;
        let There { of: topic, at: back } = topics.swap_remove(at);
        if let Some(moved) = topics.get(at) {
            self.topics[moved.of as usize].subscribers[moved.at as usize].at = place(at);
        }
        shrink(&mut self.subscribers[subscriber as usize].topics);
        let subscribers = &mut self.topics[topic as usize].subscribers;
        subscribers.swap_remove(back as usize);
        if let Some(moved) = subscribers.get(back as usize) {
            self.subscribers[moved.of as usize].topics[moved.at as usize].at = back;
        }
        shrink(&mut self.topics[topic as usize].subscribers);
        let was_last = self.topics[topic as usize].subscribers.is_empty();
        if was_last {
            let TopicEntry { name, .. } = self.topics.remove(topic as usize);
            self.by_name.remove(name.as_str());
            if name.has_wildcards() {
                self.patterns.remove(&name);
            }
            self.give_memory_back();
        }
        Removed { was_last, topic, subscriber }
    }
}

/// Gives memory back when three quarters of it are unused.
fn shrink(list: &mut Vec<There>) {
    if list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}

/// By what a connection is found: it lives as long as it is listed.
fn key_of(connection: &Arc<Shared>) -> u64 {
    Arc::as_ptr(connection).addr() as u64
}

/// There are never so many: each takes more than a byte.
pub(super) fn place(at: usize) -> Place {
    Place::try_from(at).expect("fewer than 4 billion of anything fit into memory")
}
