//! What became of deliveries.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of messages for subscribers, each counted once for each subscriber that it was for, since the hub was made.
///
/// What is in none of the counts but the first waits: `to_deliver` is the sum of the others and of all that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubCounters {
    /// Messages that there were for open connections: the publications, each times its subscribers.
    pub to_deliver: u64,
    /// Handed to the connection, to be written at once.
    pub delivered: u64,
    /// Dropped for a newer one ([`DropOldest`](super::SlowConsumerPolicy::DropOldest)).
    pub dropped_oldest: u64,
    /// Dropped for the older ones ([`DropNewest`](super::SlowConsumerPolicy::DropNewest)).
    pub dropped_newest: u64,
    /// Replaced by a newer one of the same key ([`Conflate`](super::SlowConsumerPolicy::Conflate)).
    pub conflated: u64,
    /// Thrown away because their connection was closed as too slow ([`Close`](super::SlowConsumerPolicy::Close)).
    pub dropped_by_close: u64,
    /// Thrown away because their connection ended, or began to close, before they could be written.
    pub discarded: u64,
    /// Connections that were closed as too slow.
    pub connections_closed: u64,
}

/// See [`HubCounters`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) to_deliver: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) dropped_oldest: AtomicU64,
    pub(super) dropped_newest: AtomicU64,
    pub(super) conflated: AtomicU64,
    pub(super) dropped_by_close: AtomicU64,
    pub(super) discarded: AtomicU64,
    pub(super) connections_closed: AtomicU64,
}

pub(super) fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Counters {
    pub(super) fn read(&self) -> HubCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // The sum last, so that what is counted meanwhile does not make it less than its parts.
        let parts = HubCounters {
            to_deliver: 0,
            delivered: read(&self.delivered),
            dropped_oldest: read(&self.dropped_oldest),
            dropped_newest: read(&self.dropped_newest),
            conflated: read(&self.conflated),
            dropped_by_close: read(&self.dropped_by_close),
            discarded: read(&self.discarded),
            connections_closed: read(&self.connections_closed),
        };
        HubCounters { to_deliver: read(&self.to_deliver), ..parts }
    }
}
