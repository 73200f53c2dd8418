//! How the handshakes of a server ended, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// How the upgrade requests that came to a server ended, counted since it was made.
///
/// Each counts in `handshakes`, and once it is decided in one of the others. The counts are read one after the other:
/// while requests come, they are of slightly different moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Upgrade requests that came while the server was mounted.
    pub handshakes: u64,
    /// Those that were no valid opening handshake, refused with 400 or 426.
    pub invalid: u64,
    /// Those that were accepted, automatically too.
    pub accepted: u64,
    /// Those that the application rejected or dropped undecided, and those whose acceptance failed.
    pub rejected: u64,
    /// Those that nobody decided within [`handshake_timeout`](crate::ServerConfig::handshake_timeout), refused with 503.
    pub undecided: u64,
    /// Those that the server refused by itself: over a limit or while closing all connections with 503, with nobody
    /// there to decide with 404, of an origin that is not among the
    /// [`allowed_origins`](crate::ServerConfig::allowed_origins) with 403.
    pub refused: u64,
}

/// The counts of a server, as they are counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) handshakes: Count,
    pub(crate) invalid: Count,
    pub(crate) accepted: Count,
    pub(crate) rejected: Count,
    pub(crate) undecided: Count,
    pub(crate) refused: Count,
}

/// Only ever goes up, by one.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    pub(crate) fn read(&self) -> Counters {
        Counters {
            handshakes: self.handshakes.get(),
            invalid: self.invalid.get(),
            accepted: self.accepted.get(),
            rejected: self.rejected.get(),
            undecided: self.undecided.get(),
            refused: self.refused.get(),
        }
    }
}
