//! Compressed messages to what they were (RFC 7692 §7.2.2), bounded while they are inflated.

use super::growth::to_reserve;
use super::library::{Corrupt, Inflate, Inflated, Inflater};
use super::thread;
use super::window::Window;
use crate::error::ProtocolError;

impl From<Corrupt> for ProtocolError {
    fn from(_: Corrupt) -> Self {
        Self::CorruptCompression
    }
}

/// Where inflated bytes go: an error ends the message.
pub(crate) trait Sink {
    /// Where the next bytes can be put; never empty.
    fn room(&mut self) -> Result<&mut [u8], ProtocolError>;

    /// So many bytes were put there.
    fn made(&mut self, len: usize) -> Result<(), ProtocolError>;
}

/// A compressed message that is being inflated.
#[derive(Debug)]
pub(crate) struct Inflating {
    inflater: Inflater,
    at: At,
}

/// Where the data so far ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nothing has come. A message of nothing is taken for an empty one, though the sender should have sent a byte
    /// (RFC 7692 §7.2.3.6).
    Beginning,
    Within,
    /// Behind a final block (BFINAL). It ended its stream (RFC 1951 §3.2.3): what follows, if anything does, begins another
    /// (RFC 7692 §7.2.3.4), which refers to nothing before it.
    FinalBlock,
}

/// What the sender took off the end of the message (RFC 7692 §7.2.2), and an empty final block, which is found as such only
/// where the message ends with its last block: one that was cut is not taken for a whole one.
const TAIL: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

impl Inflating {
    /// Begins a message, which refers to nothing before it but the `window`.
    pub(crate) fn begin(window: Option<&Window>) -> Result<Self, ProtocolError> {
        let mut inflater = thread::take_inflater().ok_or(Corrupt)?;
        if let Some(window) = window {
            window.load(&mut inflater)?;
        }
        Ok(Self { inflater, at: At::Beginning })
    }

    /// Inflates what came of the message, wherever it was cut.
    pub(crate) fn inflate(
        &mut self,
        mut input: &[u8],
        mut window: Option<&mut Window>,
        sink: &mut impl Sink,
    ) -> Result<(), ProtocolError> {
        while !input.is_empty() || self.at == At::Within {
            if self.at == At::FinalBlock {
                self.inflater.reset();
                window.as_deref_mut().map(Window::clear);
            }
            let room = sink.room()?;
            let Inflated { taken, made, is_final } = self.inflater.inflate(input, room)?;
            if let Some(window) = window.as_deref_mut() {
                window.push(&room[..made]);
            }
            let is_full = made == room.len();
            sink.made(made)?;
            self.at = if is_final { At::FinalBlock } else { At::Within };
            input = &input[taken..];
            if input.is_empty() && !is_full {
                break;
            }
            if taken == 0 && made == 0 {
                return Err(ProtocolError::CorruptCompression);
            }
        }
        Ok(())
    }

    /// Ends the message.
    pub(crate) fn finish(
        mut self,
        window: Option<&mut Window>,
        sink: &mut impl Sink,
    ) -> Result<(), ProtocolError> {
        match self.at {
            At::Beginning => {}
            At::FinalBlock => {
                window.map(Window::clear);
            }
            At::Within => {
                self.inflate(&TAIL, window, sink)?;
                if self.at == At::Within {
                    return Err(ProtocolError::CorruptCompression);
                }
            }
        }
        thread::keep_inflater(self.inflater);
        Ok(())
    }
}

/// Inflates a message that lies there whole to the front of `scratch` (RFC 7692 §6.2): how many bytes. `scratch` grows by what
/// comes, to the limit at most.
pub(crate) fn inflate_whole(
    payload: &[u8],
    mut window: Option<&mut Window>,
    scratch: &mut Vec<u8>,
    limit: u64,
) -> Result<usize, ProtocolError> {
    let mut inflating = Inflating::begin(window.as_deref())?;
    let mut front = Front { bytes: scratch, len: 0, limit };
    inflating.inflate(payload, window.as_deref_mut(), &mut front)?;
    inflating.finish(window, &mut front)?;
    Ok(front.len)
}

/// The front of a buffer.
struct Front<'a> {
    bytes: &'a mut Vec<u8>,
    len: usize,
    limit: u64,
}

impl Sink for Front<'_> {
    fn room(&mut self) -> Result<&mut [u8], ProtocolError> {
        // One byte more than is allowed tells that there is one.
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_add(1);
        if self.len == self.bytes.len() {
            let len = (self.len * 2).max(PIECE).min(most).max(self.len);
            let more = to_reserve(self.len, self.bytes.capacity(), len - self.len, most);
            // Where so much is not to be had, the next line takes what it needs.
            let _ = self.bytes.try_reserve_exact(more);
            self.bytes.resize(len, 0);
        }
        let end = self.bytes.len().min(most);
        Ok(&mut self.bytes[self.len..end])
    }

    fn made(&mut self, len: usize) -> Result<(), ProtocolError> {
        self.len += len;
        check(self.len as u64, self.limit)
    }
}

/// How much is inflated at once of a message that comes in parts, in bytes.
pub(crate) const PIECE: usize = 16 * 1024;

pub(crate) const fn check(length: u64, limit: u64) -> Result<(), ProtocolError> {
    if length > limit { Err(ProtocolError::MessageTooLarge { length, limit }) } else { Ok(()) }
}
