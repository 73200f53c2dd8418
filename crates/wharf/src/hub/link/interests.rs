//! What this node wants of others.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::hub::TopicPattern;

/// The topics and patterns that somebody of this node has subscribed to, or had until a moment ago.
#[derive(Debug)]
pub(super) struct Interests {
    by_pattern: HashMap<TopicPattern, Interested>,
    /// Those that nobody wants any more, and until when the broker still brings them.
    lingering: VecDeque<(Instant, TopicPattern)>,
    linger: Duration,
}

#[derive(Debug, Default)]
struct Interested {
    /// How many shards want it.
    shards: usize,
    /// The broker brings it.
    is_subscribed: bool,
    /// Until when it is brought, since nobody wants it any more.
    until: Option<Instant>,
}

impl Interests {
    pub(super) fn new(linger: Duration) -> Self {
        Self { by_pattern: HashMap::new(), lingering: VecDeque::new(), linger }
    }

    /// Somebody wants it: whether the broker brings it.
    pub(super) fn want(&mut self, pattern: &TopicPattern, is_first_of_shard: bool) -> bool {
        let interested = self.by_pattern.entry(pattern.clone()).or_default();
        interested.shards += usize::from(is_first_of_shard);
        interested.until = None;
        interested.is_subscribed
    }

    /// A shard wants it no longer.
    pub(super) fn want_no_longer(&mut self, pattern: TopicPattern, now: Instant) {
        let Some(interested) = self.by_pattern.get_mut(&pattern) else { return };
        interested.shards = interested.shards.saturating_sub(1);
        if interested.shards == 0 {
            let until = now + self.linger;
            interested.until = Some(until);
            self.lingering.push_back((until, pattern));
        }
    }

    /// The broker brings it, or does not.
    pub(super) fn set_subscribed(&mut self, pattern: &TopicPattern, is_subscribed: bool) {
        if let Some(interested) = self.by_pattern.get_mut(pattern) {
            interested.is_subscribed = is_subscribed;
        }
    }

    /// What somebody wants and the broker does not bring.
    pub(super) fn missing(&self) -> Vec<TopicPattern> {
        let is_missing = |interested: &Interested| interested.shards > 0 && !interested.is_subscribed;
        let missing = self.by_pattern.iter().filter(|(_, interested)| is_missing(interested));
        missing.map(|(pattern, _)| pattern.clone()).collect()
    }

    /// When something is due to be given up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.lingering.front().map(|(at, _)| *at)
    }

    /// Gives up what nobody has wanted for long enough, and whether the broker is to be told to bring it no longer: what it
    /// brings stays until it is connected.
    pub(super) fn give_up(&mut self, now: Instant, is_connected: bool) -> Vec<(TopicPattern, bool)> {
        let mut given_up = Vec::new();
        while self.next().is_some_and(|at| at <= now)
            && let Some((at, pattern)) = self.lingering.pop_front()
        {
            // Otherwise it was wanted again meanwhile, and may be given up at a later time.
            let Some(interested) = self.by_pattern.get_mut(&pattern).filter(|own| own.until == Some(at))
            else {
                continue;
            };
            let is_subscribed = interested.is_subscribed;
            if is_subscribed && !is_connected {
                let later = now + LATER;
                interested.until = Some(later);
                self.lingering.push_back((later, pattern));
            } else {
                self.by_pattern.remove(&pattern);
                given_up.push((pattern, is_subscribed));
            }
        }
        given_up
    }
}

/// After how long it is looked again whether the broker is connected.
const LATER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// What the broker is to bring no longer.
    fn given_up(interests: &mut Interests, now: Instant) -> Vec<TopicPattern> {
        interests
            .give_up(now, true)
            .into_iter()
            .filter(|(_, told)| *told)
            .map(|(pattern, _)| pattern)
            .collect()
    }

    fn pattern(text: &str) -> TopicPattern {
        TopicPattern::new(text).unwrap()
    }

    #[test]
    fn what_the_last_shard_wants_no_longer_is_given_up_after_a_while_unless_it_is_wanted_again() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut interests = Interests::new(5 * second);
        let a = pattern("a");
        assert!(!interests.want(&a, true));
        assert!(!interests.want(&a, true), "of another shard");
        interests.set_subscribed(&a, true);
        assert!(interests.want(&a, false), "the second of a shard");
        interests.want_no_longer(a.clone(), now);
        assert_eq!(interests.next(), None);
        interests.want_no_longer(a.clone(), now);
        assert_eq!(interests.next(), Some(now + 5 * second));
        assert!(given_up(&mut interests, now + 4 * second).is_empty());
        assert!(interests.want(&a, true), "again");
        assert!(given_up(&mut interests, now + 6 * second).is_empty());
        interests.want_no_longer(a.clone(), now + 7 * second);
        assert_eq!(given_up(&mut interests, now + 12 * second), std::slice::from_ref(&a));
        assert!(!interests.want(&a, true), "anew");
    }

    #[test]
    fn who_comes_and_goes_often_prolongs_the_time() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut interests = Interests::new(5 * second);
        let a = pattern("a");
        interests.want(&a, true);
        interests.set_subscribed(&a, true);
        interests.want_no_longer(a.clone(), now);
        interests.want(&a, true);
        interests.want_no_longer(a.clone(), now + 4 * second);
        assert!(given_up(&mut interests, now + 5 * second).is_empty());
        assert_eq!(given_up(&mut interests, now + 9 * second), [a]);
    }

    #[test]
    fn what_the_broker_did_not_take_is_missing_while_somebody_wants_it() {
        let mut interests = Interests::new(Duration::ZERO);
        let (a, b) = (pattern("a"), pattern("b"));
        interests.want(&a, true);
        interests.want(&b, true);
        interests.set_subscribed(&b, true);
        assert_eq!(interests.missing(), std::slice::from_ref(&a));
        interests.want_no_longer(a, Instant::now());
        assert!(interests.missing().is_empty());
    }

    #[test]
    fn while_the_broker_is_away_what_it_brings_stays_and_what_it_does_not_goes() {
        let now = Instant::now();
        let mut interests = Interests::new(Duration::ZERO);
        let (brought, not_brought) = (pattern("a"), pattern("b"));
        for pattern in [&brought, &not_brought] {
            interests.want(pattern, true);
        }
        interests.set_subscribed(&brought, true);
        for pattern in [&brought, &not_brought] {
            interests.want_no_longer(pattern.clone(), now);
        }
        assert_eq!(interests.give_up(now, false), [(not_brought, false)]);
        assert_eq!(interests.give_up(now + LATER, true), [(brought, true)]);
    }
}
