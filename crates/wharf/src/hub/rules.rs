//! Which options a topic has.

use std::sync::Arc;

use super::{HistoryOptions, SlowConsumer, Topic, TopicOptions, TopicPattern};

/// What holds for topics that match one pattern, or none.
#[derive(Debug, Default)]
pub(super) struct Rule {
    pub(super) slow_consumer: Option<SlowConsumer>,
    pub(super) history: Option<HistoryOptions>,
    pub(super) presence: bool,
}

/// The options of all topics.
#[derive(Debug, Default)]
pub(super) struct Rules {
    by_pattern: Vec<(TopicPattern, Arc<Rule>)>,
    /// Of topics that nothing was said of.
    other: Arc<Rule>,
}

impl Rules {
    pub(super) fn new(options: Vec<(TopicPattern, TopicOptions)>) -> Self {
        let rule = |TopicOptions { slow_consumer, history, presence }| {
            Arc::new(Rule { slow_consumer, history, presence })
        };
        let by_pattern = options.into_iter().map(|(pattern, options)| (pattern, rule(options))).collect();
        Self { by_pattern, other: Arc::default() }
    }

    /// Whether it is kept of any topic who has subscribed.
    pub(super) fn keep_presence(&self) -> bool {
        self.by_pattern.iter().any(|(_, rule)| rule.presence)
    }

    /// What holds for this topic: the first pattern that matches it says.
    pub(super) fn of(&self, topic: &Topic) -> &Arc<Rule> {
        let matching = self.by_pattern.iter().find(|(pattern, _)| pattern.matches(topic));
        matching.map_or(&self.other, |(_, rule)| rule)
    }
}
