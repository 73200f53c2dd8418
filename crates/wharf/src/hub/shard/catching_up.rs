//! Subscriptions that begin with what their subscribers have missed.

use std::sync::Arc;

use crate::hub::Position;
use crate::hub::issue::Issue;

/// How a subscription that began with what was missed goes on.
#[derive(Debug)]
pub(super) enum CatchingUp {
    /// What was missed is being read for the subscription of this number, and what comes meanwhile waits for it.
    Held(u64, Vec<Arc<Issue>>),
    /// All up to this position was sent, and may come again.
    After(Position),
}

impl CatchingUp {
    /// Takes in what comes live: what is to be delivered, and whether it has caught up.
    pub(super) fn take_in(&mut self, issues: &[Arc<Issue>]) -> (Vec<Arc<Issue>>, bool) {
        match self {
            Self::Held(_, held) => {
                held.extend_from_slice(issues);
                (Vec::new(), false)
            }
            Self::After(read) => {
                // What has no place in the history says nothing of how far it has come.
                let is_behind = |own: Position| own.epoch != read.epoch || own.offset > read.offset;
                let is_new = |issue: &&Arc<Issue>| issue.position.is_none_or(is_behind);
                let has_caught_up = issues.iter().any(|issue| issue.position.is_some_and(is_behind));
                (issues.iter().filter(is_new).cloned().collect(), has_caught_up)
            }
        }
    }
}
