//! The buffers that a worker thread shares among its connections, so that an idle connection holds none.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use tokio::sync::oneshot;

use crate::flush::Flushes;

/// What one turn of a connection reads into and collects its answers in.
pub(super) struct Buffers {
    pub(super) read: Box<[u8]>,
    /// What compressed messages are inflated into.
    pub(super) inflated: Vec<u8>,
    pub(super) output: Output,
}

/// How much one read can bring, in bytes.
const READ_SIZE: usize = 256 * 1024;

/// The largest output buffer that is kept for the next connection, in bytes.
const KEPT_OUTPUT: usize = 4 * 1024 * 1024;

/// How much of the memory that messages were inflated into is kept for the next turn, in bytes.
const KEPT_INFLATED: usize = 256 * 1024;

thread_local! {
    static SHARED: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

impl Buffers {
    /// The thread's buffers, for the length of a turn; fresh ones where they are in use.
    pub(super) fn borrow<T>(turn: impl FnOnce(&mut Self) -> T) -> T {
        let mut buffers = SHARED.take().unwrap_or_else(|| {
            let read = vec![0; READ_SIZE].into_boxed_slice();
            Box::new(Self { read, inflated: Vec::new(), output: Output::default() })
        });
        let result = turn(&mut buffers);
        if buffers.inflated.capacity() > KEPT_INFLATED {
            buffers.inflated = Vec::new();
        }
        SHARED.set(Some(buffers));
        result
    }

    /// Takes an empty output's memory for the next connection.
    pub(super) fn give_back(&mut self, mut output: Output) {
        if (self.output.capacity()..=KEPT_OUTPUT).contains(&output.capacity()) {
            output.set_told(0);
            self.output = output;
        }
    }
}

/// Frames for the socket, behind a thin pointer, because an idle connection has none.
#[derive(Debug, Default)]
pub(super) struct Output(Option<Box<Frames>>);

#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    /// How many at the front have been written. They are moved out of the way when they are most of all, so that none is
    /// moved more than once, however little a socket takes at a time.
    written: usize,
    /// How many unsent ones the connection's outbox was told of last.
    told: usize,
    /// Boxed, because few connections have any.
    flushes: Option<Box<Flushes>>,
}

static NO_BYTES: Vec<u8> = Vec::new();

impl Output {
    /// How many bytes at the front have been written.
    pub(super) fn written(&self) -> usize {
        self.0.as_ref().map_or(0, |frames| frames.written)
    }

    /// How many bytes the socket has not taken.
    pub(super) fn unsent(&self) -> usize {
        self.len() - self.written()
    }

    pub(super) fn told(&self) -> usize {
        self.0.as_ref().map_or(0, |frames| frames.told)
    }

    pub(super) fn set_told(&mut self, told: usize) {
        if told != self.told() {
            self.0.get_or_insert_default().told = told;
        }
    }

    /// Sees to it that `left` is told when all that is there now has left.
    pub(super) fn flush(&mut self, left: oneshot::Sender<()>) {
        let Frames { bytes, written, flushes, .. } = self.0.get_or_insert_default().as_mut();
        if bytes.is_empty() {
            // Fails only where nobody waits.
            let _ = left.send(());
        } else {
            flushes.get_or_insert_default().push(bytes.len() - *written, left);
        }
    }

    /// So many more bytes have left.
    pub(super) fn leave(&mut self, len: usize) {
        let Some(Frames { bytes, written, flushes, .. }) = self.0.as_deref_mut() else { return };
        *written += len;
        if *written == bytes.len() {
            bytes.clear();
            *written = 0;
        } else if *written > bytes.len() / 4 * 3 {
            bytes.drain(..*written);
            *written = 0;
        }
        if let Some(waiting) = flushes.take() {
            *flushes = waiting.written(len);
        }
    }

    /// Nothing of it will leave, and nobody waits for it any more.
    pub(super) fn lose(&mut self) {
        if let Some(Frames { bytes, written, flushes, .. }) = self.0.as_deref_mut() {
            bytes.clear();
            *written = 0;
            *flushes = None;
        }
    }
}

impl Deref for Output {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        self.0.as_ref().map_or(&NO_BYTES, |frames| &frames.bytes)
    }
}

impl DerefMut for Output {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0.get_or_insert_default().bytes
    }
}

/// Bytes that were read and wait to be handled, because the application holds reading between two messages.
#[derive(Debug)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    start: usize,
}

impl Backlog {
    /// Nothing where there are no bytes.
    pub(super) fn of(bytes: Vec<u8>) -> Option<Box<Self>> {
        (!bytes.is_empty()).then(|| Box::new(Self { bytes, start: 0 }))
    }

    pub(super) fn rest(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// All but the last `len` bytes have been handled.
    pub(super) fn keep_last(mut self: Box<Self>, len: usize) -> Option<Box<Self>> {
        self.start = self.bytes.len() - len;
        (len > 0).then_some(self)
    }
}
