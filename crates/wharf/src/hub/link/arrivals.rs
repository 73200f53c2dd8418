//! Messages that come from the broker twice, because two of the patterns that this node wants match their topic.

use std::collections::{HashMap, HashSet, VecDeque};
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
    /// The topics that the broker is asked for, and the how manieth each was.
    topics: HashMap<TopicPattern, u64>,
    /// The patterns with wildcards, of which there are few.
    wild: Vec<(TopicPattern, u64)>,
    asked: u64,
    /// How many pairs of them have topics in common.
    overlaps: usize,
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
        state.add(pattern);
        self.may_repeat.store(state.overlaps > 0, Ordering::Release);
    }

    /// The broker has been told that it need not be.
    pub(super) fn remove(&self, pattern: &TopicPattern) {
        let mut state = self.lock();
        state.remove(pattern);
        if state.overlaps == 0 {
            self.may_repeat.store(false, Ordering::Release);
            (state.seen, state.order) = Default::default();
        }
    }

    /// Whether a message is to be delivered: another node's, or nobody's, for the first time.
    pub(super) fn is_new(&self, arrived: &Arrived) -> bool {
        arrived.id.is_none_or(|id| id.node != self.node) && self.is_first(arrived)
    }

    /// Whether a pattern with wildcards brings the messages of this topic.
    pub(super) fn brings_by_pattern(&self, topic: &Topic) -> bool {
        self.lock().wild.iter().any(|(pattern, _)| pattern.matches(topic))
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
    fn add(&mut self, pattern: &TopicPattern) {
        let has_wildcards = pattern.has_wildcards();
        if self.topics.contains_key(pattern) || self.wild.iter().any(|(own, _)| own == pattern) {
            return;
        }
        self.overlaps += self.overlaps_of(pattern, has_wildcards);
        self.asked += 1;
        if has_wildcards {
            self.wild.push((pattern.clone(), self.asked));
        } else {
            self.topics.insert(pattern.clone(), self.asked);
        }
    }

    fn remove(&mut self, pattern: &TopicPattern) {
        let has_wildcards = pattern.has_wildcards();
        let was_there = if has_wildcards {
            let at = self.wild.iter().position(|(own, _)| own == pattern);
            at.map(|at| self.wild.remove(at)).is_some()
        } else {
            self.topics.remove(pattern).is_some()
        };
        if was_there {
            self.overlaps -= self.overlaps_of(pattern, has_wildcards);
        }
    }

    /// With how many of the others it has topics in common. Two topics never have, so that only one with wildcards has to be
    /// held against all.
    fn overlaps_of(&self, pattern: &TopicPattern, has_wildcards: bool) -> usize {
        let overlaps = |other: &&TopicPattern| have_topics_in_common(pattern, other);
        let with_wild = self.wild.iter().map(|(other, _)| other).filter(overlaps).count();
        let with_topics = if has_wildcards { self.topics.keys().filter(overlaps).count() } else { 0 };
        with_wild + with_topics
    }

    fn oldest_of(&self, topic: &Topic) -> Option<&TopicPattern> {
        let same = self.topics.get_key_value(topic.as_str());
        let matching = self.wild.iter().filter(|(pattern, _)| pattern.matches(topic));
        let all = same.into_iter().chain(matching.map(|(pattern, asked)| (pattern, asked)));
        all.min_by_key(|(_, asked)| **asked).map(|(pattern, _)| pattern)
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
    fn nothing_is_remembered_while_no_two_patterns_have_topics_in_common() {
        let arrivals = Arrivals::new(1);
        let may_repeat = || arrivals.may_repeat.load(Ordering::Acquire);
        for apart in ["a.b", "a.c", "a.b", "b.*"] {
            arrivals.add(&pattern(apart));
            assert!(!may_repeat(), "{apart}");
        }
        for overlapping in ["a.*", "b.x", "*.*"] {
            arrivals.add(&pattern(overlapping));
            arrivals.add(&pattern(overlapping));
            assert!(may_repeat(), "{overlapping}");
            arrivals.remove(&pattern(overlapping));
            arrivals.remove(&pattern(overlapping));
            assert!(!may_repeat(), "{overlapping}");
        }
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
