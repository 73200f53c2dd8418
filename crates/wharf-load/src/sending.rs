//! What one connection sends: whole frames out of the [`Messages`], and now and then a control frame between them.

use std::io::{self, ErrorKind, Write};
use std::num::NonZeroU32;

use crate::messages::Messages;

#[derive(Debug, Default)]
pub(crate) struct Sending {
    /// Which of the [`Messages`] is under way or goes next.
    at: usize,
    /// How much of its frame has left.
    written: usize,
    /// How many messages are to leave, the one under way among them.
    unsent: u32,
    /// Control frames, and the opening handshake before all.
    pub(crate) control: Vec<u8>,
}

impl Sending {
    /// `bytes` go before all messages.
    pub(crate) fn beginning_with(bytes: Vec<u8>) -> Self {
        Self { control: bytes, ..Self::default() }
    }

    pub(crate) const fn add(&mut self, messages: u32) {
        self.unsent += messages;
    }

    pub(crate) const fn has_nothing(&self) -> bool {
        self.unsent == 0 && self.control.is_empty()
    }

    /// Writes what the stream takes; how many bytes.
    pub(crate) fn write(&mut self, stream: &mut impl Write, messages: &Messages) -> io::Result<u64> {
        let mut total = 0;
        loop {
            if self.written == 0 && !self.control.is_empty() {
                let Some(written) = taken(stream.write(&self.control))? else { return Ok(total) };
                self.control.drain(..written);
                total += written as u64;
            } else if let Some(unsent) = NonZeroU32::new(self.unsent) {
                // Behind the frame that is under way, control frames do not wait for those that could follow.
                let count = if self.control.is_empty() { unsent } else { NonZeroU32::MIN };
                let bytes = &messages.frames(self.at, count)[self.written..];
                let Some(written) = taken(stream.write(bytes))? else { return Ok(total) };
                self.pass(written, messages);
                total += written as u64;
            } else {
                return match stream.flush() {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
                    _ => Ok(total),
                };
            }
        }
    }

    fn pass(&mut self, written: usize, messages: &Messages) {
        self.written += written;
        while self.unsent > 0 && self.written >= messages.frame(self.at).len() {
            self.written -= messages.frame(self.at).len();
            self.at = (self.at + 1) % messages.number();
            self.unsent -= 1;
        }
    }
}

/// `None`: the stream takes no more now.
fn taken(written: io::Result<usize>) -> io::Result<Option<usize>> {
    match written {
        Ok(0) => Err(ErrorKind::WriteZero.into()),
        Ok(written) => Ok(Some(written)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
