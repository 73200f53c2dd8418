//! When messages are to be sent, and how many.

use std::time::Duration;

use crate::Until;

/// How much may still be sent.
#[derive(Debug)]
pub(crate) struct Budget {
    /// On the worker's clock, in nanoseconds.
    ends_at: u64,
    remaining: u64,
}

impl Budget {
    pub(crate) fn new(until: Until, now: u64) -> Self {
        match until {
            Until::Elapsed(time) => Self { ends_at: now.saturating_add(nanos(time)), remaining: u64::MAX },
            Until::Messages(messages) => Self { ends_at: u64::MAX, remaining: messages },
        }
    }

    /// Up to `wanted` messages to be sent now.
    pub(crate) fn take(&mut self, wanted: u32, now: u64) -> u32 {
        if now >= self.ends_at {
            return 0;
        }
        let taken = u64::from(wanted).min(self.remaining);
        self.remaining -= taken;
        u32::try_from(taken).unwrap_or(wanted)
    }

    /// Nothing more is to be sent.
    pub(crate) const fn end(&mut self) {
        self.remaining = 0;
    }

    pub(crate) const fn is_spent(&self, now: u64) -> bool {
        now >= self.ends_at || self.remaining == 0
    }

    /// When it is spent, whatever is sent.
    pub(crate) const fn ends_at(&self) -> u64 {
        self.ends_at
    }
}

/// Messages that are due at even distances, whatever becomes of those before.
#[derive(Debug)]
pub(crate) struct Schedule {
    began: u64,
    /// In nanoseconds.
    distance: f64,
    given: u64,
}

impl Schedule {
    /// `rate` messages a second.
    pub(crate) fn new(rate: f64, now: u64) -> Self {
        Self { began: now, distance: 1e9 / rate, given: 0 }
    }

    /// When the next message is due.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "nanoseconds of a run, which a float holds"
    )]
    pub(crate) fn next(&self) -> u64 {
        self.began + (self.given as f64 * self.distance) as u64
    }

    /// When the next message was due, if that is not later than `now`; then the one after it is next.
    pub(crate) fn due(&mut self, now: u64) -> Option<u64> {
        let at = self.next();
        if at > now {
            return None;
        }
        self.given += 1;
        Some(at)
    }
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_due_at_even_distances_when_none_could_be_sent() {
        let mut schedule = Schedule::new(1000.0, 5);
        assert_eq!(schedule.due(5), Some(5));
        assert_eq!(schedule.due(5), None);
        let late: Vec<_> = std::iter::from_fn(|| schedule.due(3_000_005)).collect();
        assert_eq!(late, [1_000_005, 2_000_005, 3_000_005]);
    }

    #[test]
    fn a_budget_ends_with_its_time_or_its_messages() {
        let mut counted = Budget::new(Until::Messages(3), 0);
        assert_eq!((counted.take(2, 9), counted.take(2, 9), counted.take(1, 9)), (2, 1, 0));
        assert!(counted.is_spent(9));
        let mut timed = Budget::new(Until::Elapsed(Duration::from_nanos(10)), 5);
        assert_eq!((timed.take(2, 14), timed.take(2, 15)), (2, 0));
    }
}
