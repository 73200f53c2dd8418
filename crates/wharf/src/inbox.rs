//! What a connection received and its application has not taken: bounded, and shared by every handle.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::proto::connection::{Event, Frame};
use crate::proto::frame::Opcode;
use crate::proto::message::{Message, MessageKind};

/// What waits for the application: messages, or frames where they are not assembled.
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
    /// Told whenever something came that may be taken, or nothing more will. All who wait are told, so that none is
    /// missed where the one that was told has given up.
    arrived: Notify,
    /// How many messages, and how many bytes of them, count as full.
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    unread: VecDeque<Unread>,
    /// The payloads of `unread` together.
    bytes: usize,
    is_ended: bool,
    /// The driver stopped reading because the inbox was full, and wants to be woken.
    is_holding: bool,
    /// A reader takes the frames of its message; everybody else waits until it has them all, or gives up.
    is_lent: bool,
}

/// What a reader begins with.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) kind: MessageKind,
    pub(crate) payload: Bytes,
    /// If not, the inbox is lent to the reader.
    pub(crate) is_whole: bool,
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

    /// The reader that the inbox was lent to needs no more of it.
    pub(crate) fn give_back(&self) {
        self.lock().is_lent = false;
        self.announce();
    }

    /// Takes the next thing that `pick` finds. `None` when nothing more comes. Calls `wake_driver` when the driver waits
    /// for room that is there now.
    ///
    /// Cancel safe: what was not returned is still there, but for what was passed over.
    pub(crate) async fn take<T>(
        &self,
        pick: fn(&mut State) -> Poll<Option<T>>,
        wake_driver: impl Fn(),
    ) -> Option<T> {
        loop {
            // Created before the look, so that what comes between look and wait is not missed.
            let arrived = self.arrived.notified();
            if let Poll::Ready(taken) = self.try_take(pick, &wake_driver) {
                return taken;
            }
            arrived.await;
        }
    }

    /// Takes what [`take`](Self::take) would, if it need not wait for it.
    pub(crate) fn try_take<T>(
        &self,
        pick: fn(&mut State) -> Poll<Option<T>>,
        wake_driver: impl Fn(),
    ) -> Poll<Option<T>> {
        let mut state = self.lock();
        let was_lent = state.is_lent;
        let taken = pick(&mut state);
        let is_returned = was_lent && !state.is_lent;
        let makes_room = state.is_holding
            && state.unread.len() <= self.max_messages / 2
            && state.bytes <= self.max_bytes / 2;
        state.is_holding &= !makes_room;
        drop(state);
        if makes_room {
            wake_driver();
        }
        if is_returned {
            self.announce();
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be picked. Whatever stands before it is passed over.
impl State {
    pub(crate) fn message(&mut self) -> Poll<Option<Message>> {
        self.find(|unread, _| match unread {
            Unread::Message(message) => Some(message),
            Unread::Frame(frame) => frame.into_message(),
        })
    }

    /// A frame. The message that it is by itself stays behind it.
    pub(crate) fn frame(&mut self) -> Poll<Option<Frame<'static>>> {
        self.find(|unread, state| {
            let Unread::Frame(frame) = unread else { return None };
            if let Some(Event::Message(message)) = frame.meaning() {
                let message = message.into_owned();
                state.bytes += message.len();
                state.unread.push_front(Unread::Message(message));
            }
            Some(frame)
        })
    }

    /// A message, or the first frame of one; then the inbox is lent.
    pub(crate) fn beginning(&mut self) -> Poll<Option<Beginning>> {
        self.find(|unread, state| match unread {
            Unread::Message(message) => {
                let kind = message.as_ref().kind();
                Some(Beginning { kind, payload: message.into_bytes(), is_whole: true })
            }
            Unread::Frame(frame) => {
                let kind = match frame.header.opcode {
                    Opcode::Text => MessageKind::Text,
                    Opcode::Binary => MessageKind::Binary,
                    _ => return None,
                };
                state.is_lent = !frame.header.fin;
                Some(Beginning { kind, payload: payload_of(frame), is_whole: !state.is_lent })
            }
        })
    }

    /// The next fragment of the message that the inbox is lent for, and whether it is the last.
    pub(crate) fn fragment(&mut self) -> Poll<Option<(Bytes, bool)>> {
        while let Some(unread) = self.pop() {
            let Unread::Frame(frame) = unread else { continue };
            if frame.header.opcode == Opcode::Continuation {
                let is_last = frame.header.fin;
                self.is_lent = !is_last;
                return Poll::Ready(Some((payload_of(frame), is_last)));
            }
        }
        self.end()
    }

    fn find<T>(&mut self, pick: impl Fn(Unread, &mut Self) -> Option<T>) -> Poll<Option<T>> {
        if self.is_lent {
            return Poll::Pending;
        }
        while let Some(unread) = self.pop() {
            if let Some(found) = pick(unread, self) {
                return Poll::Ready(Some(found));
            }
        }
        self.end()
    }

    fn end<T>(&self) -> Poll<Option<T>> {
        if self.is_ended { Poll::Ready(None) } else { Poll::Pending }
    }

    fn pop(&mut self) -> Option<Unread> {
        let unread = self.unread.pop_front()?;
        self.bytes -= unread.len();
        if self.unread.is_empty() {
            // An idle connection holds no buffer.
            self.unread = VecDeque::new();
        }
        Some(unread)
    }
}

fn payload_of(frame: Frame<'static>) -> Bytes {
    frame.payload.into_owned().into()
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
        let taken = by_bytes.take(State::message, || wakes.set(wakes.get() + 1)).now_or_never();
        assert!(taken.is_some_and(|unread| unread.is_some()));
        assert_eq!((wakes.get(), by_bytes.is_holding()), (1, false));
    }
}
