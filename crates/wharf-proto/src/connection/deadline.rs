//! What a connection waits for, and until when. The driver asks for the nearest deadline, sleeps, and says that it
//! has passed; it need not hurry, nor tell us of deadlines that have moved on meanwhile.

use std::time::Instant;

use super::state::{Cause, State};
use super::{Connection, config};

/// What the keepalive is waiting for (RFC 6455 §5.5.2 lets either side ping at any time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keepalive {
    Off,
    /// Since bytes came; an interval of silence later a ping goes out.
    Listening,
    /// A ping waits behind other output. The peer cannot answer what has not left, so no grace runs yet.
    PingWaiting,
    /// Since the ping left; the grace runs.
    AwaitingLife,
}

/// Why the driver is to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// The peer has been silent for the keepalive interval: a ping is due.
    Ping,
    /// The ping was not answered by any bytes within the grace.
    PeerSilent,
    /// Output has waited for the write timeout and not moved.
    OutputStalled,
    /// The compressor that is kept for the connection has been unused for too long.
    CompressorIdle,
    /// The peer has not answered our Close.
    CloseUnanswered,
    /// The connection has ended, and TCP must be gone.
    Disconnect,
}

impl Connection {
    /// The nearest deadline, and what it is for.
    pub fn next_deadline(&self) -> Option<(Instant, Deadline)> {
        // Nearly all: open, and nothing waits.
        if self.aside.is_none() {
            return self.keepalive_deadline();
        }
        let other = match self.state() {
            State::Open => self.keepalive_deadline(),
            State::SendingClose { until, .. } | State::AwaitingClose { until, .. } => {
                Some((*until, Deadline::CloseUnanswered))
            }
            State::Ended { until, .. } => return Some((*until, Deadline::Disconnect)),
        };
        let stalled = self.output_waiting_since().map(|since| since + self.config.write_timeout);
        let stalled = stalled.map(|at| (at, Deadline::OutputStalled));
        let idle = self.compressor_idle_at().map(|at| (at, Deadline::CompressorIdle));
        [stalled, idle, other].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Whether the only deadline, if there is one, is the keepalive's ping: it moves away with each read, so that a timer
    /// that was armed for it before need not be looked at.
    pub fn awaits_only_a_silence(&self) -> bool {
        matches!(self.keepalive, Keepalive::Listening | Keepalive::Off)
            && self.aside.as_ref().is_none_or(|aside| {
                matches!(aside.state, State::Open)
                    && aside.output_waiting_since.is_none()
                    && self.compressor_idle_at().is_none()
            })
    }

    /// Acts on every deadline that has passed at `now`, if any: a ping goes into `output`, or the connection ends.
    pub fn deadline_passed(&mut self, output: &mut Vec<u8>, now: Instant) {
        let Some((_, deadline)) = self.next_deadline().filter(|(at, _)| *at <= now) else { return };
        match deadline {
            Deadline::Ping => self.keepalive_ping(output, now),
            Deadline::PeerSilent => self.aside().state.lost(Cause::PeerSilent, now),
            Deadline::OutputStalled => self.aside().state.lost(Cause::OutputStalled, now),
            Deadline::CompressorIdle => self.forget_sent(),
            Deadline::CloseUnanswered => self.aside().state.close_timed_out(now),
            Deadline::Disconnect => {}
        }
    }

    /// Output was written: what is left in `output` could not be, and `moved` tells whether anything could. When
    /// nothing is left, a pong that was held back goes into `output`.
    pub fn output_written(&mut self, moved: bool, output: &mut Vec<u8>, now: Instant) {
        self.note_compressor(now);
        if output.is_empty() {
            // What left after a wait found room that the peer made: a sign of life.
            let waited = self.aside.as_mut().and_then(|aside| aside.output_waiting_since.take());
            if waited.is_some() {
                self.output_moved(now);
            } else if self.keepalive == Keepalive::PingWaiting {
                self.keepalive = Keepalive::AwaitingLife;
                self.keepalive_since = now;
            }
            if let Some(aside) = &mut self.aside {
                aside.state.output_has_left();
                self.settle_pong(output);
                self.tidy();
            }
        } else if moved && self.output_waiting_since().is_some() {
            self.aside().output_waiting_since = Some(now);
            self.output_moved(now);
        } else {
            self.aside().output_waiting_since.get_or_insert(now);
        }
    }

    /// The application holds reading, or lets it go on. While it holds, the peer's life cannot be heard, and no
    /// grace runs.
    pub fn reading_paused(&mut self, is_paused: bool, now: Instant) {
        self.is_paused = is_paused;
        if !is_paused && self.keepalive == Keepalive::AwaitingLife {
            self.keepalive_since = now;
        }
    }

    /// Bytes came, or output moved: the interval begins anew, and the grace ends.
    #[inline]
    pub(super) fn heard(&mut self, now: Instant) {
        if self.keepalive != Keepalive::Off {
            self.listen(now);
        }
    }

    /// The peer made room for output: it lives, and has not had all of it yet, our Close included.
    fn output_moved(&mut self, now: Instant) {
        self.heard(now);
        let later = now + self.config.close_timeout;
        if let Some(aside) = &mut self.aside {
            aside.state.postpone(later);
        }
    }

    fn keepalive_deadline(&self) -> Option<(Instant, Deadline)> {
        let config::Keepalive { interval, grace } = self.config.keepalive?;
        match self.keepalive {
            Keepalive::Listening => Some((self.keepalive_since + interval, Deadline::Ping)),
            // While output waits, the peer's answer may wait behind our own reading; the write timeout watches then.
            Keepalive::AwaitingLife if !self.is_paused && self.output_waiting_since().is_none() => {
                grace.map(|grace| (self.keepalive_since + grace, Deadline::PeerSilent))
            }
            Keepalive::Off | Keepalive::PingWaiting | Keepalive::AwaitingLife => None,
        }
    }

    fn keepalive_ping(&mut self, output: &mut Vec<u8>, now: Instant) {
        // Cannot fail: the state is Open, and the payload is empty.
        let _ = self.ping(&[], output);
        let has_grace = self.config.keepalive.is_some_and(|keepalive| keepalive.grace.is_some());
        if has_grace && !self.is_paused {
            self.keepalive = Keepalive::PingWaiting;
        } else {
            self.listen(now);
        }
    }

    const fn listen(&mut self, now: Instant) {
        self.keepalive = Keepalive::Listening;
        self.keepalive_since = now;
    }
}
