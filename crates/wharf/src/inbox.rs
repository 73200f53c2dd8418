//! What a connection received and its application has not taken: bounded, and shared by every handle.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::proto::Message;
use crate::proto::connection::Frame;

/// What waits for the application.
#[derive(Debug)]
pub(crate) enum Unread {
    Message(Message),
    Frame(Frame<'static>),
}

impl Unread {
    /// The payload's length in bytes.
    fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Frame(frame) => frame.payload.len(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Told whenever something came, or nothing more will.
    arrived: Notify,
    /// How many messages, and how many bytes of them, count as full.
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    unread: VecDeque<Unread>,
    /// The payloads of `unread` together.
    bytes: usize,
    is_ended: bool,
    /// The driver stopped reading because the inbox was full, and wants to be woken.
    is_holding: bool,
}

impl Inbox {
    pub(crate) fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), max_messages, max_bytes }
    }

    /// Adds what was received: whether there is room for more. If not, the driver holds reading until woken.
    pub(crate) fn push(&self, unread: Unread) -> bool {
        let mut state = self.lock();
        state.bytes += unread.len();
        state.unread.push_back(unread);
        state.is_holding = state.unread.len() >= self.max_messages || state.bytes >= self.max_bytes;
        !state.is_holding
    }

    /// Whether the driver is to hold reading.
    pub(crate) fn is_holding(&self) -> bool {
        self.lock().is_holding
    }

    /// Tells those who wait that something came.
    pub(crate) fn announce(&self) {
        self.arrived.notify_waiters();
    }

    /// Nothing more will come.
    pub(crate) fn end(&self) {
        self.lock().is_ended = true;
        self.announce();
    }

    /// Takes the next thing that `wanted` is true of; others before it are passed over. `None` when nothing more
    /// comes. Calls `wake_driver` when the driver waits for room that is there now.
    ///
    /// Cancel safe: what was not returned is still there, but for what was passed over.
    pub(crate) async fn take(
        &self,
        wanted: impl Fn(&Unread) -> bool,
        wake_driver: impl Fn(),
    ) -> Option<Unread> {
        loop {
            // Created before the look, so that what comes between look and wait is not missed.
            let arrived = self.arrived.notified();
            let (found, has_ended, makes_room) = {
                let mut state = self.lock();
                let found = state.take(&wanted);
                let makes_room = state.is_holding
                    && state.unread.len() <= self.max_messages / 2
                    && state.bytes <= self.max_bytes / 2;
                state.is_holding &= !makes_room;
                (found, state.is_ended, makes_room)
            };
            if makes_room {
                wake_driver();
            }
            if found.is_some() || has_ended {
                return found;
            }
            arrived.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, wanted: impl Fn(&Unread) -> bool) -> Option<Unread> {
        let mut found = None;
        while let Some(unread) = self.unread.pop_front() {
            self.bytes -= unread.len();
            if wanted(&unread) {
                found = Some(unread);
                break;
            }
        }
        if self.unread.is_empty() {
            // An idle connection holds no buffer.
            self.unread = VecDeque::new();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn message(len: usize) -> Unread {
        Unread::Message("x".repeat(len).into())
    }

    #[test]
    fn unread_messages_are_bounded_by_their_number_and_by_their_bytes() {
        let by_number = Inbox::new(2, 1000);
        assert!(by_number.push(message(1)));
        assert!(!by_number.push(message(1)));
        let by_bytes = Inbox::new(1000, 100);
        assert!(by_bytes.push(message(99)));
        assert!(!by_bytes.push(message(1)));
        assert!(by_bytes.is_holding());
        let wakes = std::cell::Cell::new(0);
        let taken = by_bytes.take(|_| true, || wakes.set(wakes.get() + 1)).now_or_never();
        assert!(taken.is_some_and(|unread| unread.is_some()));
        assert_eq!((wakes.get(), by_bytes.is_holding()), (1, false));
    }
}
