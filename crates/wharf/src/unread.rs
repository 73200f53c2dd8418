//! What waits for the application, in order: short messages take little more than their bytes.

use std::collections::VecDeque;
use std::{iter, mem};

use crate::proto::connection::Frame;
use crate::proto::message::{Message, MessageRef};

/// A message, or a frame where they are not assembled.
#[derive(Debug)]
pub(crate) enum Unread {
    Message(Message),
    /// Boxed, because few connections hand frames on.
    Frame(Box<Frame<'static>>),
}

impl Unread {
    /// The payload's length in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Frame(frame) => frame.payload.len(),
        }
    }
}

/// Holds no memory while it is empty, for an idle connection holds no buffer.
#[derive(Debug)]
pub(crate) enum Queue {
    /// Nothing but short messages of one kind.
    Short(ShortMessages),
    Any(VecDeque<Unread>),
}

impl Default for Queue {
    fn default() -> Self {
        Self::Short(ShortMessages::default())
    }
}

impl Queue {
    /// Adds a message that lies in what was read, of which `unparsed` bytes are still to be taken.
    #[inline]
    pub(crate) fn push_lent(&mut self, message: MessageRef<'_>, unparsed: usize) {
        if let Self::Short(short) = self
            && short.push(message, unparsed)
        {
            return;
        }
        self.push(Unread::Message(message.into()));
    }

    pub(crate) fn push(&mut self, unread: Unread) {
        self.add(|any| any.push_back(unread));
    }

    pub(crate) fn push_front(&mut self, unread: Unread) {
        self.add(|any| any.push_front(unread));
    }

    /// The first, if it is one of the short messages.
    #[expect(clippy::inline_always, reason = "so that the message goes to its taker in registers")]
    #[inline(always)]
    pub(crate) fn pop_short(&mut self) -> Option<Message> {
        match self {
            Self::Short(short) => short.pop(),
            Self::Any(_) => None,
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Unread> {
        match self {
            Self::Short(short) => short.pop().map(Unread::Message),
            Self::Any(any) if any.len() > 1 => any.pop_front(),
            Self::Any(any) => {
                let last = any.pop_front();
                *self = Self::default();
                last
            }
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Short(short) => short.len(),
            Self::Any(any) => any.len(),
        }
    }

    /// Adds what is not short, or not alike: then each has a place of its own, until the queue is empty.
    fn add(&mut self, add: impl FnOnce(&mut VecDeque<Unread>)) {
        match self {
            Self::Any(any) => add(any),
            Self::Short(short) => {
                let mut any = VecDeque::with_capacity(short.len() + 1);
                any.extend(iter::from_fn(|| short.pop()).map(Unread::Message));
                add(&mut any);
                *self = Self::Any(any);
            }
        }
    }
}

/// Short messages of one kind, one behind the other in one piece of memory. A message is given memory of its own only when it
/// is taken: then it is in the cache for whoever takes it, and where that is given back at once, the next message gets the
/// same again.
#[derive(Debug, Default)]
pub(crate) struct ShortMessages {
    payloads: Payloads,
    /// How many bytes at the front have been taken.
    taken: usize,
    /// How many have not been taken.
    len: usize,
}

/// Each payload stands behind its length, in one byte, which is a character, so that texts stay a text.
#[derive(Debug)]
enum Payloads {
    Text(String),
    Binary(Vec<u8>),
}

impl Default for Payloads {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// The longest payload whose length is a character of one byte.
const LONGEST: u8 = 0x7f;

/// How much memory the first of them takes, in bytes: room for any, and for those that may come behind it in the same read, none
/// of which is longer here than it was there. Memory that grew step by step would be copied at each.
fn first_room(unparsed: usize) -> usize {
    const FIRST: usize = 1 + LONGEST as usize;
    const MOST: usize = 16 * 1024;
    FIRST + unparsed.min(MOST)
}

impl ShortMessages {
    /// Whether it was added: it is short, and of the same kind as the others. `unparsed`: how many bytes of the same read may
    /// hold more of them.
    #[inline]
    fn push(&mut self, message: MessageRef<'_>, unparsed: usize) -> bool {
        let Some(len) = u8::try_from(message.as_bytes().len()).ok().filter(|len| *len <= LONGEST) else {
            return false;
        };
        match (&mut self.payloads, message) {
            (Payloads::Text(texts), MessageRef::Text(text)) => {
                // Then few have to be moved, and none more than once for each that goes.
                let is_mostly_taken = self.taken > texts.len() / 2;
                if is_mostly_taken {
                    texts.drain(..mem::take(&mut self.taken));
                }
                if texts.capacity() == 0 {
                    *texts = String::with_capacity(first_room(unparsed));
                }
                texts.push(char::from(len));
                texts.push_str(text);
            }
            (Payloads::Binary(payloads), MessageRef::Binary(payload)) => {
                let is_mostly_taken = self.taken > payloads.len() / 2;
                if is_mostly_taken {
                    payloads.drain(..mem::take(&mut self.taken));
                }
                if payloads.capacity() == 0 {
                    *payloads = Vec::with_capacity(first_room(unparsed));
                }
                payloads.push(len);
                payloads.extend_from_slice(payload);
            }
            (Payloads::Text(texts), MessageRef::Binary(_)) if texts.is_empty() => {
                self.payloads = Payloads::Binary(Vec::new());
                return self.push(message, unparsed);
            }
            _ => return false,
        }
        self.len += 1;
        true
    }

    #[expect(clippy::inline_always, reason = "so that the message goes to its taker in registers")]
    #[inline(always)]
    fn pop(&mut self) -> Option<Message> {
        let start = self.taken + 1;
        let end = |len: u8| start + usize::from(len);
        let (message, end, is_last) = match &self.payloads {
            Payloads::Text(texts) => {
                let end = end(*texts.as_bytes().get(self.taken)?);
                (Message::Text(texts[start..end].to_owned()), end, end == texts.len())
            }
            Payloads::Binary(payloads) => {
                let end = end(*payloads.get(self.taken)?);
                (payloads[start..end].into(), end, end == payloads.len())
            }
        };
        self.taken = end;
        self.len -= 1;
        if is_last {
            *self = Self::default();
        }
        Some(message)
    }

    const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(is_text: bool, len: usize) -> Message {
        if is_text { "é".repeat(len / 2).into() } else { vec![0xff; len].into() }
    }

    proptest! {
        #[test]
        fn messages_of_any_kind_and_length_come_out_as_they_were_in_order(
            steps in prop::collection::vec(prop::option::weighted(0.6, (prop::bool::weighted(0.9), 0..140_usize)), 0..200),
        ) {
            let (mut queue, mut model) = (Queue::default(), VecDeque::new());
            for step in steps {
                if let Some((is_text, len)) = step {
                    let message = message(is_text, len);
                    queue.push_lent(message.as_ref(), len);
                    model.push_back(message);
                } else {
                    let popped = queue.pop_short().or_else(|| queue.pop().and_then(|unread| match unread {
                        Unread::Message(message) => Some(message),
                        Unread::Frame(_) => None,
                    }));
                    prop_assert_eq!(popped, model.pop_front());
                }
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }

    #[test]
    fn memory_is_given_back_when_the_last_is_taken_and_used_again_before() {
        for is_text in [true, false] {
            let mut queue = Queue::default();
            let short = message(is_text, 100);
            queue.push_lent(short.as_ref(), 0);
            for _ in 0..1000 {
                queue.push_lent(short.as_ref(), 0);
                assert_eq!(queue.pop_short().as_ref(), Some(&short));
                let Queue::Short(messages) = &queue else { panic!("all are short") };
                assert!(messages.payloads.capacity() < 1000);
            }
            queue.pop();
            let Queue::Short(messages) = &queue else { panic!("all are short") };
            assert_eq!(messages.payloads.capacity(), 0);
        }
    }

    impl Payloads {
        fn capacity(&self) -> usize {
            match self {
                Self::Text(texts) => texts.capacity(),
                Self::Binary(payloads) => payloads.capacity(),
            }
        }
    }
}
