//! Messages that come from the broker twice, because two of the patterns that this node wants match their topic.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::hub::broker::{Arrived, PublicationId};
use crate::hub::topic::{ONE, REST, tokens};
use crate::hub::{Topic, TopicPattern};

/// Which messages have come before.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// This node's number: what it has published itself was delivered then.
    node: u64,
    /// Whether any two patterns have topics in common. Without, nothing comes twice.
    may_repeat: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Those that the broker is asked for, the oldest first.
    patterns: Vec<TopicPattern>,
    seen: HashSet<PublicationId>,
    /// In the order in which they came.
    order: VecDeque<PublicationId>,
}

/// How many messages are remembered: as many as may come by one subscription before the same come by another.
const REMEMBERED: usize = 16 * 1024;

impl Arrivals {
    pub(super) fn new(node: u64) -> Self {
        Self { node, may_repeat: AtomicBool::new(false), state: Mutex::default() }
    }

    /// The broker is to be asked for what matches.
    pub(super) fn add(&self, pattern: &TopicPattern) {
        let mut state = self.lock();
        if !state.patterns.contains(pattern) {
            state.patterns.push(pattern.clone());
        }
        self.may_repeat.store(state.may_repeat(), Ordering::Release);
    }

    /// The broker has been told that it need not be.
    pub(super) fn remove(&self, pattern: &TopicPattern) {
        let mut state = self.lock();
        state.patterns.retain(|own| own != pattern);
        if !state.may_repeat() {
            self.may_repeat.store(false, Ordering::Release);
            (state.seen, state.order) = Default::default();
        }
    }

    /// Whether a message is to be delivered: another node's, or nobody's, for the first time.
    pub(super) fn is_new(&self, arrived: &Arrived) -> bool {
        arrived.id.is_none_or(|id| id.node != self.node) && self.is_first(arrived)
    }

    /// Whether it comes for the first time.
    pub(super) fn is_first(&self, arrived: &Arrived) -> bool {
        if !self.may_repeat.load(Ordering::Acquire) {
            return true;
        }
        let mut state = self.lock();
        match (arrived.id, &arrived.via) {
            (Some(id), _) => state.see(id),
            // Without a number it counts as it comes by the oldest of the patterns that match.
            (None, Some(via)) => {
                state.oldest_of(&arrived.publication.topic).is_none_or(|oldest| oldest == via)
            }
            (None, None) => true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_repeat(&self) -> bool {
        let is_wild = |pattern: &&TopicPattern| pattern.has_wildcards();
        let overlap = |wild: &TopicPattern| {
            self.patterns.iter().any(|other| other != wild && have_topics_in_common(wild, other))
        };
        self.patterns.iter().filter(is_wild).any(overlap)
    }

    fn oldest_of(&self, topic: &Topic) -> Option<&TopicPattern> {
        self.patterns.iter().find(|pattern| pattern.matches(topic))
    }

    /// Whether it was not seen before.
    fn see(&mut self, id: PublicationId) -> bool {
        if !self.seen.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }
}

/// Whether there are topics that both match.
fn have_topics_in_common(one: &str, other: &str) -> bool {
    let (mut ours, mut others) = (tokens(one), tokens(other));
    loop {
        match (ours.next(), others.next()) {
            (None, None) | (Some(REST), Some(_)) | (Some(_), Some(REST)) => return true,
            (Some(own), Some(other)) if own == other || own == ONE || other == ONE => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Publication;

    fn pattern(text: &str) -> TopicPattern {
        TopicPattern::new(text).unwrap()
    }

    fn arrived(id: Option<(u64, u64)>, via: &str) -> Arrived {
        let publication = Publication::new(Topic::new("a.b").unwrap(), "x");
        let id = id.map(|(node, number)| PublicationId { node, number });
        Arrived::new(publication, id, Some(pattern(via)))
    }

    #[test]
    fn a_message_that_two_patterns_bring_counts_once() {
        let arrivals = Arrivals::new(1);
        arrivals.add(&pattern("a.b"));
        arrivals.add(&pattern("a.*"));
        assert!(arrivals.is_new(&arrived(Some((2, 1)), "a.*")));
        assert!(!arrivals.is_new(&arrived(Some((2, 1)), "a.b")));
        assert!(arrivals.is_new(&arrived(Some((2, 2)), "a.b")));
        assert!(arrivals.is_new(&arrived(Some((3, 1)), "a.b")));
        assert!(!arrivals.is_new(&arrived(Some((1, 9)), "a.b")), "its own");
        assert!(arrivals.is_new(&arrived(None, "a.b")));
        assert!(!arrivals.is_new(&arrived(None, "a.*")));
        arrivals.remove(&pattern("a.b"));
        assert!(arrivals.is_new(&arrived(None, "a.*")));
    }

    #[test]
    fn patterns_overlap_where_a_topic_matches_both() {
        for (one, other) in [("a.*", "*.b"), (">", "a"), ("a.>", "a.*.c"), ("a.*", "a.b"), ("*.b.>", "a.*.c")]
        {
            assert!(have_topics_in_common(one, other) && have_topics_in_common(other, one), "{one} {other}");
        }
        for (one, other) in [("a.*", "b.*"), ("a.>", "a"), ("a.*", "a.*.c"), ("a", "b")] {
            assert!(
                !have_topics_in_common(one, other) && !have_topics_in_common(other, one),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn no_more_are_remembered_than_are_said() {
        let arrivals = Arrivals::new(1);
        arrivals.add(&pattern("a.*"));
        arrivals.add(&pattern("*.b"));
        for number in 0..2 * REMEMBERED as u64 {
            assert!(arrivals.is_first(&arrived(Some((2, number)), "a.*")));
        }
        assert_eq!(arrivals.lock().seen.len(), REMEMBERED);
        assert_eq!(arrivals.lock().order.len(), REMEMBERED);
    }
}
