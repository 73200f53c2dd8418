//! What a client has subscribed to, so that what a new token does not permit can be ended.

use std::collections::HashMap;

use wharf::hub::TopicPattern;

/// The subscriptions of a client: those that are there, and those that are on their way.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_pattern: HashMap<TopicPattern, Subscription>,
    last: u64,
}

#[derive(Debug)]
struct Subscription {
    serial: Serial,
    /// How many requests for it are not answered yet.
    pending: usize,
    is_made: bool,
}

/// Tells a subscription from an earlier one to the same pattern, whose request may fail when that has ended already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Serial(u64);

impl Subscriptions {
    /// It was asked for. Once more before it has ended, it is the same.
    pub(super) fn ask(&mut self, pattern: &TopicPattern) -> Serial {
        let Self { by_pattern, last } = self;
        let subscription = by_pattern.entry(pattern.clone()).or_insert_with(|| {
            *last += 1;
            Subscription { serial: Serial(*last), pending: 0, is_made: false }
        });
        subscription.pending += 1;
        subscription.serial
    }

    /// One request for it was answered. It is forgotten when all of them have failed.
    pub(super) fn answered(&mut self, pattern: &TopicPattern, serial: Serial, is_made: bool) {
        let Some(subscription) = self.by_pattern.get_mut(pattern) else { return };
        if subscription.serial != serial {
            return;
        }
        subscription.pending -= 1;
        subscription.is_made |= is_made;
        if subscription.pending == 0 && !subscription.is_made {
            self.by_pattern.remove(pattern);
        }
    }

    /// It has ended, or is to end before it is there.
    pub(super) fn end(&mut self, pattern: &TopicPattern) {
        self.by_pattern.remove(pattern);
    }

    /// Ends those that are not permitted: their patterns.
    pub(super) fn end_all_but(&mut self, is_permitted: impl Fn(&TopicPattern) -> bool) -> Vec<TopicPattern> {
        self.by_pattern.extract_if(|pattern, _| !is_permitted(pattern)).map(|(pattern, _)| pattern).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern() -> TopicPattern {
        TopicPattern::new("a").unwrap()
    }

    fn ends_with_a_narrower_token(mut subscriptions: Subscriptions) -> bool {
        subscriptions.end_all_but(|_| false) == [pattern()]
    }

    #[test]
    fn one_that_was_never_made_is_forgotten() {
        let mut subscriptions = Subscriptions::default();
        let serial = subscriptions.ask(&pattern());
        subscriptions.answered(&pattern(), serial, false);
        assert!(!ends_with_a_narrower_token(subscriptions));
    }

    #[test]
    fn a_late_failure_of_one_that_had_ended_leaves_the_next_one_known() {
        let mut subscriptions = Subscriptions::default();
        let first = subscriptions.ask(&pattern());
        subscriptions.end(&pattern());
        let second = subscriptions.ask(&pattern());
        subscriptions.answered(&pattern(), first, false);
        subscriptions.answered(&pattern(), second, true);
        assert!(ends_with_a_narrower_token(subscriptions));
    }

    #[test]
    fn a_second_request_that_fails_leaves_the_first_one_known_in_either_order() {
        for answers in [[true, false], [false, true]] {
            let mut subscriptions = Subscriptions::default();
            let serials = [subscriptions.ask(&pattern()), subscriptions.ask(&pattern())];
            for (serial, is_made) in serials.into_iter().zip(answers) {
                subscriptions.answered(&pattern(), serial, is_made);
            }
            assert!(ends_with_a_narrower_token(subscriptions), "{answers:?}");
        }
    }

    #[test]
    fn what_is_permitted_stays() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.ask(&pattern());
        assert_eq!(subscriptions.end_all_but(|_| true), []);
        assert!(ends_with_a_narrower_token(subscriptions));
    }
}
