//! The end of connections of HTTP/2 on which nothing happens.

use tokio::time::Instant;

use super::super::limits::Limits;
use super::streams::Counts;

/// When a connection without a stream is told to go, and when it is dropped.
pub(super) struct IdleWatch {
    limits: Limits,
    pub(super) is_idle: bool,
    pub(super) until: Instant,
    /// It was told to go, when so many bytes had been sent.
    told: Option<u64>,
    /// How often that was looked at.
    looks: u32,
}

impl IdleWatch {
    /// A connection that has no stream yet.
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            is_idle: true,
            until: Instant::now() + limits.handshake_timeout,
            told: None,
            looks: 0,
        }
    }

    pub(super) fn counted(&mut self, counts: Counts) {
        let was_idle = std::mem::replace(&mut self.is_idle, counts.requests == 0 && counts.upgraded == 0);
        if self.is_idle && !was_idle {
            self.until = Instant::now() + self.limits.handshake_timeout;
        }
    }

    /// Its time is over: whether it is to be dropped, and not only told to go. What was sent last may still be on its way.
    pub(super) fn has_ended(&mut self, moved: u64) -> bool {
        // An answer to a PING is sent, too.
        let has_ended = self.told == Some(moved) || self.looks == MOST_LOOKS;
        self.told = Some(moved);
        self.looks += 1;
        self.until = Instant::now() + self.limits.write_timeout;
        has_ended
    }
}

/// So many times the write timeout has a connection without a stream at most, from when it is told to go.
const MOST_LOOKS: u32 = 20;
