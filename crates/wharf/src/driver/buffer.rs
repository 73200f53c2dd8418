//! The buffers that a worker thread shares among its connections, so that an idle connection holds none.

use std::cell::Cell;

/// What one turn of a connection reads into and collects its answers in.
pub(super) struct Buffers {
    pub(super) read: Box<[u8]>,
    /// What compressed messages are inflated into.
    pub(super) inflated: Vec<u8>,
    pub(super) output: Vec<u8>,
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
            Box::new(Self { read, inflated: Vec::new(), output: Vec::new() })
        });
        let result = turn(&mut buffers);
        if buffers.inflated.capacity() > KEPT_INFLATED {
            buffers.inflated = Vec::new();
        }
        SHARED.set(Some(buffers));
        result
    }

    /// Takes an empty output's memory for the next connection.
    pub(super) fn give_back(&mut self, output: Vec<u8>) {
        if (self.output.capacity()..=KEPT_OUTPUT).contains(&output.capacity()) {
            self.output = output;
        }
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
