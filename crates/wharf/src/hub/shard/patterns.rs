//! Which patterns match a topic.

use std::collections::HashMap;

use super::table::Place;
use crate::hub::topic::{ONE, RESERVED, REST, tokens};

/// The patterns with wildcards, by their tokens.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    root: Node,
    count: usize,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Self>,
    /// Behind `*`.
    one: Option<Box<Self>>,
    /// The pattern that ends with `>` here.
    rest: Option<Place>,
    /// The pattern that ends here.
    here: Option<Place>,
}

impl Patterns {
    pub(super) fn insert(&mut self, pattern: &str, place: Place) {
        let mut node = &mut self.root;
        self.count += 1;
        for token in tokens(pattern) {
            node = match token {
                REST => {
                    node.rest = Some(place);
                    return;
                }
                ONE => node.one.get_or_insert_default(),
                token => node.children.entry(token.into()).or_default(),
            };
        }
        node.here = Some(place);
    }

    pub(super) fn remove(&mut self, pattern: &str) {
        self.root.remove(&mut tokens(pattern));
        self.count -= 1;
    }

    /// Adds the patterns that match this topic.
    #[inline]
    pub(super) fn find(&self, topic: &str, found: &mut Vec<Place>) {
        if self.count > 0 {
            let mut tokens = tokens(topic);
            if topic.starts_with(RESERVED) {
                // At the front, no wildcard matches it.
                let first = tokens.next().and_then(|token| self.root.children.get(token));
                if let Some(node) = first {
                    node.find(tokens, found);
                }
            } else {
                self.root.find(tokens, found);
            }
        }
    }
}

impl Node {
    fn find(&self, mut rest: std::str::Split<'_, char>, found: &mut Vec<Place>) {
        let Some(token) = rest.next() else {
            found.extend(self.here);
            return;
        };
        found.extend(self.rest);
        if let Some(one) = &self.one {
            one.find(rest.clone(), found);
        }
        if let Some(child) = self.children.get(token) {
            child.find(rest, found);
        }
    }

    fn remove(&mut self, rest: &mut std::str::Split<'_, char>) {
        match rest.next() {
            None => self.here = None,
            Some(REST) => self.rest = None,
            Some(ONE) => {
                if let Some(one) = &mut self.one {
                    one.remove(rest);
                }
                self.one.take_if(|one| one.is_empty());
            }
            Some(token) => {
                if let Some(child) = self.children.get_mut(token) {
                    child.remove(rest);
                    if child.is_empty() {
                        self.children.remove(token);
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.one.is_none() && self.rest.is_none() && self.here.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Topic, TopicPattern};

    const PATTERNS: [&str; 10] =
        ["*", ">", "a.*", "a.>", "*.b", "a.*.c", "a.b.>", "*.*", "$presence.*", "$presence.>"];

    fn found(patterns: &Patterns, topic: &str) -> Vec<Place> {
        let mut found = Vec::new();
        patterns.find(topic, &mut found);
        found.sort_unstable();
        found
    }

    #[test]
    fn those_are_found_that_match_and_no_others_whatever_was_removed_meanwhile() {
        let mut patterns = Patterns::default();
        for (place, pattern) in (0..).zip(PATTERNS) {
            patterns.insert(pattern, place);
        }
        for removed in 0..=PATTERNS.len() {
            for topic in
                ["a", "b", "a.b", "a.c", "c.b", "a.b.c", "a.x.c", "a.b.c.d", "$presence.a", "$presence.a.b"]
            {
                let name = Topic::new(topic).unwrap();
                let matching: Vec<Place> = (0..)
                    .zip(PATTERNS)
                    .skip(removed)
                    .filter(|(_, pattern)| TopicPattern::new(pattern).unwrap().matches(&name))
                    .map(|(place, _)| place)
                    .collect();
                assert_eq!(found(&patterns, topic), matching, "{topic} without the first {removed}");
            }
            if let Some(pattern) = PATTERNS.get(removed) {
                patterns.remove(pattern);
            }
        }
        assert!(patterns.root.is_empty(), "{patterns:?}");
    }
}
