//! The memory of all contexts together, bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The memory that all connections of a server, or of a client, may use for contexts that they take over from message to
/// message.
#[derive(Debug)]
pub struct ContextMemory {
    limit: usize,
    used: AtomicUsize,
}

impl ContextMemory {
    /// At most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// Takes `bytes`, until the reservation is dropped; `None` where that would pass the limit.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let total = used.checked_add(bytes).filter(|total| *total <= self.limit)?;
            match self.used.compare_exchange_weak(used, total, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(Reservation { memory: self.clone(), bytes }),
                Err(now) => used = now,
            }
        }
    }

    /// Whether `bytes` could be taken now.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.used().checked_add(bytes).is_some_and(|total| total <= self.limit)
    }

    /// The most that can be taken, in bytes.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// How much is taken, in bytes.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// A part of a [`ContextMemory`], given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    memory: Arc<ContextMemory>,
    bytes: usize,
}

impl Reservation {
    /// What it is a part of.
    pub const fn memory(&self) -> &Arc<ContextMemory> {
        &self.memory
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a compressor of zlib-rs takes, in bytes: its window and the chains in it, a hash table that has the same size
/// whatever the parameters, and the symbols of a block. Measured in `bench/deflate-libraries`.
pub(crate) const fn compressor_size(window_bits: u8, memory_level: u8) -> usize {
    (1 << (window_bits + 2)) + 128 * 1024 + 7 * (1 << (memory_level + 6)) + 4096
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_never_passes_the_limit_and_comes_back() {
        let memory = Arc::new(ContextMemory::new(100));
        let first = memory.reserve(60).unwrap();
        assert!(memory.reserve(41).is_none());
        assert!(memory.reserve(usize::MAX).is_none());
        let second = memory.reserve(40).unwrap();
        assert_eq!((memory.used(), memory.has_room(1)), (100, false));
        drop(first);
        assert_eq!((memory.used(), memory.has_room(60)), (40, true));
        drop(second);
        assert_eq!(memory.used(), 0);
    }
}
