//! One run of a worker: what is left to do, and when.

use std::collections::VecDeque;

use crate::outcome::Outcome;
use crate::pace::{Budget, Schedule};

/// What is left to do in a run, and how it is going.
pub(crate) struct Run {
    pub(crate) budget: Budget,
    pub(crate) pace: Pace,
    pub(crate) outcome: Outcome,
    /// Messages on their way, or rounds under way.
    pub(crate) outstanding: u64,
}

pub(crate) enum Pace {
    /// One comes back, another goes.
    Echo,
    Even {
        schedule: Schedule,
        /// Since when messages are due that could not be sent.
        overdue: VecDeque<u64>,
        /// The connections that may send, once for each message.
        free: VecDeque<usize>,
    },
    /// When all have all of a burst, another goes to all.
    Bursts,
    /// Bursts go to all at even distances.
    EvenBursts(Schedule),
    /// When each connection's round began.
    Connect(Vec<u64>),
}

impl Run {
    pub(crate) fn is_done(&self) -> bool {
        let is_owed = matches!(&self.pace, Pace::Even { overdue, .. } if !overdue.is_empty());
        self.outstanding == 0 && !is_owed
    }

    /// When there is something to do though nothing comes.
    pub(crate) fn next_look(&self, now: u64) -> u64 {
        let ends_at = if self.budget.is_spent(now) { u64::MAX } else { self.budget.ends_at() };
        match &self.pace {
            Pace::Even { schedule, .. } | Pace::EvenBursts(schedule) if !self.budget.is_spent(now) => {
                schedule.next().min(ends_at)
            }
            _ => ends_at,
        }
    }
}
