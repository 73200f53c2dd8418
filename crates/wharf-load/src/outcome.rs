//! What became of a load.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::error::Failure;

/// What became of one run.
#[derive(Debug)]
pub struct Outcome {
    /// The messages that came back right, deliveries of a broadcast, or rounds of [`Shape::Connect`](crate::Shape::Connect).
    pub messages: u64,
    /// The bytes that were sent, frames and handshakes, before TLS.
    pub bytes_sent: u64,
    /// The bytes that came.
    pub bytes_received: u64,
    /// From the first message sent to the last that came.
    pub elapsed: Duration,
    /// How long each message was on its way, in nanoseconds, up to a minute.
    pub latency: Histogram<u64>,
    /// Messages that had not come back when the time for it was over.
    pub missing: u64,
    /// Connections that failed; they take no further part.
    pub lost: u64,
    /// Why the first of them did, at most ten.
    pub failures: Vec<Failure>,
}

/// Longer ways count as this long, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;
const KEPT_FAILURES: usize = 10;

impl Outcome {
    pub(crate) fn new() -> Self {
        // From 100 ns on, to three digits. The bounds are constants that the crate takes.
        let latency = Histogram::new_with_bounds(100, LONGEST, 3).expect("bounds in order");
        Self {
            messages: 0,
            bytes_sent: 0,
            bytes_received: 0,
            elapsed: Duration::ZERO,
            latency,
            missing: 0,
            lost: 0,
            failures: Vec::new(),
        }
    }

    pub(crate) fn record(&mut self, nanos: u64, count: u32) {
        self.messages += u64::from(count);
        self.latency.saturating_record_n(nanos, u64::from(count));
    }

    pub(crate) fn lost(&mut self, failure: Failure) {
        self.lost += 1;
        if self.failures.len() < KEPT_FAILURES {
            self.failures.push(failure);
        }
    }

    /// Adds what another thread did meanwhile.
    pub(crate) fn merge(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.missing += other.missing;
        self.lost += other.lost;
        self.failures.extend(other.failures);
        self.failures.truncate(KEPT_FAILURES);
        // Fails only where the bounds differ.
        let _ = self.latency.add(other.latency);
    }

    /// Messages a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// How far a run has come, to be looked at meanwhile.
#[derive(Debug, Default)]
pub struct Progress {
    messages: AtomicU64,
}

impl Progress {
    /// The messages that came back so far.
    pub fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    pub(crate) fn add(&self, messages: u64) {
        self.messages.fetch_add(messages, Relaxed);
    }
}
