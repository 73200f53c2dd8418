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
    /// Takes in what comes live. `Some`: it has caught up, and these are to be delivered.
    pub(super) fn take_in(&mut self, issues: &[Arc<Issue>]) -> Option<Vec<Arc<Issue>>> {
        match self {
            Self::Held(_, held) => {
                held.extend_from_slice(issues);
                None
            }
            Self::After(read) => {
                let is_new = |issue: &&Arc<Issue>| {
                    issue.position.is_none_or(|own| own.epoch != read.epoch || own.offset > read.offset)
                };
                let new: Vec<_> = issues.iter().filter(is_new).cloned().collect();
                (!new.is_empty()).then_some(new)
            }
        }
    }
}
