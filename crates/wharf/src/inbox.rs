//! What a connection received and its application has not taken: bounded, and shared by every handle.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;

use crate::proto::connection::{Event, Frame};
use crate::proto::frame::Opcode;
use crate::proto::message::{Message, MessageCow, MessageKind, MessageRef};
use crate::unread::{Queue, Unread};
use crate::waiters::{Place, Waiters};

#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// The driver stopped reading because the inbox was full, and wants to be woken. Changed only under the lock.
    is_holding: AtomicBool,
    /// How many messages, and how many bytes of them, count as full.
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    unread: Queue,
    /// The payloads of `unread` together.
    bytes: usize,
    is_ended: bool,
    /// A reader takes the frames of its message; everybody else waits until it has them all, or gives up.
    is_lent: bool,
    /// Told whenever something came that may be taken, or nothing more will. All who wait are told, so that none is
    /// missed where the one that was told has given up.
    waiters: Waiters,
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
        Self { state: Mutex::default(), is_holding: AtomicBool::new(false), max_messages, max_bytes }
    }

    /// For what one read brings, which is added under one lock.
    pub(crate) fn filling(&self) -> Filling<'_> {
        Filling { inbox: self, state: self.lock(), is_filled: false }
    }

    /// Whether the driver is to hold reading.
    pub(crate) fn is_holding(&self) -> bool {
        self.is_holding.load(Ordering::Acquire)
    }

    /// Nothing more will come.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.is_ended = true;
        announce(state);
    }

    /// The reader that the inbox was lent to needs no more of it.
    pub(crate) fn give_back(&self) {
        let mut state = self.lock();
        state.is_lent = false;
        announce(state);
    }

    /// Takes the next thing that `pick` finds. `None` when nothing more comes. Calls `wake_driver` when the driver waits
    /// for room that is there now.
    ///
    /// Cancel safe: what was not returned is still there, but for what was passed over.
    pub(crate) async fn take<T>(
        &self,
        pick: impl Fn(&mut State) -> Poll<Option<T>>,
        wake_driver: impl Fn(),
    ) -> Option<T> {
        let mut wait = Wait { inbox: self, place: None };
        poll_fn(|cx| {
            let mut state = self.lock();
            let was_lent = state.is_lent;
            let taken = pick(&mut state);
            let former = if taken.is_pending() {
                state.waiters.wait(&mut wait.place, cx.waker())
            } else {
                wait.place.take().and_then(|place| state.waiters.give_up(place))
            };
            self.settle(state, was_lent, &wake_driver);
            drop(former);
            taken
        })
        .await
    }

    /// Takes the next message, if it is one of the short ones.
    #[expect(clippy::inline_always, reason = "so that the message goes to its taker in registers")]
    #[inline(always)]
    pub(crate) fn take_short(&self, wake_driver: impl Fn()) -> Option<Message> {
        let mut state = self.lock();
        let message = state.pop_short()?;
        if self.makes_room(&state) {
            drop(state);
            wake_driver();
        }
        Some(message)
    }

    /// Takes what [`take`](Self::take) would, if it need not wait for it.
    pub(crate) fn try_take<T>(
        &self,
        pick: impl Fn(&mut State) -> Poll<Option<T>>,
        wake_driver: impl Fn(),
    ) -> Poll<Option<T>> {
        let mut state = self.lock();
        let was_lent = state.is_lent;
        let taken = pick(&mut state);
        self.settle(state, was_lent, wake_driver);
        taken
    }

    /// Tells whoever is concerned by what was taken.
    fn settle(&self, state: MutexGuard<'_, State>, was_lent: bool, wake_driver: impl Fn()) {
        let is_returned = was_lent && !state.is_lent;
        let makes_room = self.makes_room(&state);
        if is_returned {
            announce(state);
        } else {
            drop(state);
        }
        if makes_room {
            wake_driver();
        }
    }

    /// Whether the driver waits for room that is there now.
    #[inline]
    fn makes_room(&self, state: &State) -> bool {
        let makes_room = self.is_holding()
            && state.unread.len() <= self.max_messages / 2
            && state.bytes <= self.max_bytes / 2;
        if makes_room {
            self.is_holding.store(false, Ordering::Release);
        }
        makes_room
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells those who wait that something changed, once the lock is free for them.
fn announce(mut state: MutexGuard<'_, State>) {
    let told = state.waiters.take();
    drop(state);
    told.wake();
}

/// Somebody who waits, until it is dropped.
struct Wait<'a> {
    inbox: &'a Inbox,
    place: Option<Place>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let waker = self.inbox.lock().waiters.give_up(place);
            drop(waker);
        }
    }
}

/// An inbox while the driver adds to it. Nobody can take from it meanwhile; those who wait are told at the end.
pub(crate) struct Filling<'a> {
    inbox: &'a Inbox,
    state: MutexGuard<'a, State>,
    is_filled: bool,
}

impl Filling<'_> {
    /// Adds a message that lies in what was read, of which `unparsed` bytes are still to be taken: whether there is room for
    /// more. If not, the driver holds reading until woken.
    #[inline]
    pub(crate) fn push_lent(&mut self, message: MessageRef<'_>, unparsed: usize) -> bool {
        self.state.bytes += message.as_bytes().len();
        self.state.unread.push_lent(message, unparsed.min(self.inbox.max_bytes));
        self.added()
    }

    /// Adds a message: whether there is room for more, as for one that is lent.
    pub(crate) fn push_message(&mut self, message: MessageCow<'_>) -> bool {
        match message {
            MessageCow::Borrowed(message) => self.push_lent(message, 0),
            MessageCow::Owned(message) => {
                self.state.bytes += message.len();
                self.state.unread.push(Unread::Message(message));
                self.added()
            }
        }
    }

    /// Adds a frame: whether there is room for more, as for a message.
    pub(crate) fn push_frame(&mut self, frame: Frame<'static>) -> bool {
        self.state.bytes += frame.payload.len();
        self.state.unread.push(Unread::Frame(Box::new(frame)));
        self.added()
    }

    #[inline]
    fn added(&mut self) -> bool {
        let Self { inbox, state, is_filled } = self;
        *is_filled = true;
        let is_full = state.unread.len() >= inbox.max_messages || state.bytes >= inbox.max_bytes;
        if is_full {
            inbox.is_holding.store(true, Ordering::Release);
        }
        !is_full
    }

    /// Adds nothing more.
    pub(crate) fn end(self) {
        if self.is_filled {
            announce(self.state);
        }
    }
}

/// What can be picked. Whatever stands before it is passed over.
impl State {
    pub(crate) fn message(&mut self) -> Poll<Option<Message>> {
        if let Some(message) = self.pop_short() {
            return Poll::Ready(Some(message));
        }
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
            Some(*frame)
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
                Some(Beginning { kind, payload: payload_of(*frame), is_whole: !state.is_lent })
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
                return Poll::Ready(Some((payload_of(*frame), is_last)));
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

    /// The first, if it is a short message. No frame is with it, so that nobody has the inbox lent.
    #[expect(clippy::inline_always, reason = "so that the message goes to its taker in registers")]
    #[inline(always)]
    fn pop_short(&mut self) -> Option<Message> {
        let message = self.unread.pop_short()?;
        debug_assert!(!self.is_lent);
        self.bytes -= message.len();
        Some(message)
    }

    fn pop(&mut self) -> Option<Unread> {
        let unread = self.unread.pop()?;
        self.bytes -= unread.len();
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

    fn message(len: usize) -> MessageCow<'static> {
        MessageCow::Owned("x".repeat(len).into())
    }

    #[test]
    fn unread_messages_are_bounded_by_their_number_and_by_their_bytes() {
        let by_number = Inbox::new(2, 1000);
        assert!(by_number.filling().push_message(message(1)));
        assert!(!by_number.filling().push_message(message(1)));
        let by_bytes = Inbox::new(1000, 100);
        assert!(by_bytes.filling().push_message(message(99)));
        assert!(!by_bytes.filling().push_message(message(1)));
        assert!(by_bytes.is_holding());
        let wakes = std::cell::Cell::new(0);
        let taken = by_bytes.take(State::message, || wakes.set(wakes.get() + 1)).now_or_never();
        assert!(taken.is_some_and(|unread| unread.is_some()));
        assert_eq!((wakes.get(), by_bytes.is_holding()), (1, false));
    }
}
