//! A message whose fragments are still coming (RFC 6455 §5.4, §5.6).

use crate::copy;
use crate::deflate::deferred::Deferred;
use crate::deflate::growth::to_reserve;
use crate::deflate::inflate::{self, Sink};
use crate::deflate::window::Window;
use crate::error::ProtocolError;
use crate::frame::Opcode;
use crate::limits::Limits;
use crate::message::Message;
use crate::spare;
use crate::utf8::SplitCharacter;

/// A message whose end has not come. Its memory follows the bytes that came, never those that were announced,
/// and never the number of fragments.
#[derive(Debug)]
pub(crate) struct PartialMessage {
    content: Content,
    /// What the headers so far announce together, in bytes.
    announced: u64,
    fragments: u32,
    /// Of a compressed message: what inflates it, and how many bytes came of that.
    inflating: Option<Deferred>,
    inflated: u64,
    /// How many they may be.
    max_inflated: u64,
}

/// What a message is inflated with, piece by piece.
pub(crate) struct Inflation<'a> {
    /// What it may refer back to beyond itself.
    pub(crate) window: Option<&'a mut Window>,
    /// Memory that is used meanwhile, and grows to a piece at most.
    pub(crate) scratch: &'a mut Vec<u8>,
    pub(crate) limits: &'a Limits,
}

/// Takes what is inflated of a message.
struct Pieces<'a> {
    message: &'a mut PartialMessage,
    piece: &'a mut [u8],
    limits: &'a Limits,
}

impl Sink for Pieces<'_> {
    fn room(&mut self) -> Result<&mut [u8], ProtocolError> {
        Ok(self.piece)
    }

    fn made(&mut self, len: usize) -> Result<(), ProtocolError> {
        self.message.append_inflated(&self.piece[..len], self.limits)
    }
}

fn piece_of(scratch: &mut Vec<u8>) -> &mut [u8] {
    if scratch.len() < inflate::PIECE {
        scratch.resize(inflate::PIECE, 0);
    }
    &mut scratch[..inflate::PIECE]
}

/// What is kept of a message until it ends.
#[derive(Debug)]
enum Content {
    Text {
        text: String,
        split: SplitCharacter,
    },
    Binary(Vec<u8>),
    /// Frames are handed on one by one: only the current one is kept, and of a text the character that it cut.
    FramesOfText {
        frame: Vec<u8>,
        split: SplitCharacter,
    },
    FramesOfBinary {
        frame: Vec<u8>,
    },
    /// Nobody will read it: we have said Close (RFC 6455 §5.5.1).
    Discarded,
}

impl PartialMessage {
    /// A message of the type that its first frame names (RFC 6455 §6.2), to be assembled, or to be handed on frame by
    /// frame.
    pub(crate) fn begin(opcode: Opcode, assemble: bool) -> Self {
        let content = match (opcode, assemble) {
            (Opcode::Text, true) => Content::Text { text: String::new(), split: SplitCharacter::default() },
            (Opcode::Text, false) => {
                Content::FramesOfText { frame: Vec::new(), split: SplitCharacter::default() }
            }
            (_, true) => Content::Binary(Vec::new()),
            (_, false) => Content::FramesOfBinary { frame: Vec::new() },
        };
        Self { content, ..Self::begin_discarded() }
    }

    /// Says that what comes is compressed.
    pub(crate) fn begin_inflating(&mut self) {
        self.inflating = Some(Deferred::default());
    }

    /// A message of which only the order of its frames matters.
    pub(crate) const fn begin_discarded() -> Self {
        Self {
            content: Content::Discarded,
            announced: 0,
            fragments: 0,
            inflating: None,
            inflated: 0,
            max_inflated: 0,
        }
    }

    /// Forgets what has come and what will.
    pub(crate) fn discard(&mut self) {
        self.content = Content::Discarded;
        self.inflating = None;
    }

    /// Counts a fragment by its header (RFC 6455 §10.4). The limits on the sum are for what is assembled: frames that
    /// are handed on are held back by whoever takes them.
    pub(crate) fn announce(
        &mut self,
        payload_len: u64,
        is_whole: bool,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        self.announced = self.announced.saturating_add(payload_len);
        self.fragments = self.fragments.saturating_add(1);
        self.max_inflated = limits.max_inflated_size(is_whole);
        if matches!(self.content, Content::Discarded) {
            return Ok(());
        }
        if self.fragments == 1 && self.inflating.is_none() {
            self.content.begin_in(payload_len);
        }
        let is_assembled = matches!(self.content, Content::Text { .. } | Content::Binary(_));
        if is_assembled && self.fragments > limits.max_fragments {
            return Err(ProtocolError::TooManyFragments { limit: limits.max_fragments });
        }
        // What it is inflated to has a limit of its own. Data that cannot be compressed is a little longer in blocks.
        let surplus = if self.inflating.is_some() { limits.max_message_size / 8 + 1024 } else { 0 };
        if is_assembled && !is_whole && self.announced > limits.max_message_size.saturating_add(surplus) {
            return Err(ProtocolError::MessageTooLarge {
                length: self.announced,
                limit: limits.max_message_size,
            });
        }
        Ok(())
    }

    /// Takes the next bytes, unmasked, of a fragment's payload, wherever frames and reads were cut (RFC 6455 §5.4). Where
    /// they are compressed they are inflated by way of `scratch`; what comes of it is bounded while it does.
    pub(crate) fn append(&mut self, chunk: &[u8], inflation: Inflation<'_>) -> Result<(), ProtocolError> {
        let Some(mut inflating) = self.inflating.take() else { return self.content.append(chunk) };
        let Inflation { window, scratch, limits } = inflation;
        inflating.take(chunk, window, &mut Pieces { message: self, piece: piece_of(scratch), limits })?;
        self.inflating = Some(inflating);
        Ok(())
    }

    /// The last byte of a frame has come, but not of the message.
    pub(crate) fn finish_frame(&mut self, inflation: Inflation<'_>) -> Result<(), ProtocolError> {
        let is_handed_on =
            matches!(self.content, Content::FramesOfText { .. } | Content::FramesOfBinary { .. });
        let Some(mut inflating) = self.inflating.take_if(|_| is_handed_on) else { return Ok(()) };
        let Inflation { window, scratch, limits } = inflation;
        inflating.settle(window, &mut Pieces { message: self, piece: piece_of(scratch), limits })?;
        self.inflating = Some(inflating);
        Ok(())
    }

    /// The last byte of the message has come.
    pub(crate) fn finish(&mut self, inflation: Inflation<'_>) -> Result<(), ProtocolError> {
        let Some(inflating) = self.inflating.take() else { return Ok(()) };
        let Inflation { window, scratch, limits } = inflation;
        inflating.finish(window, &mut Pieces { message: self, piece: piece_of(scratch), limits })
    }

    /// Takes what was inflated, as far as it is allowed: a message has one limit, in however many frames it came; frames
    /// that are handed on have theirs.
    fn append_inflated(&mut self, piece: &[u8], limits: &Limits) -> Result<(), ProtocolError> {
        self.inflated += piece.len() as u64;
        let limit = match &self.content {
            Content::Text { .. } | Content::Binary(_) => {
                inflate::check(self.inflated, self.max_inflated)?;
                self.max_inflated
            }
            Content::FramesOfText { frame, .. } | Content::FramesOfBinary { frame } => {
                let (length, limit) = ((frame.len() + piece.len()) as u64, limits.max_frame_size);
                if length > limit {
                    return Err(ProtocolError::FrameTooLarge { length, limit });
                }
                limit
            }
            Content::Discarded => return Ok(()),
        };
        self.content.reserve_inflated(piece.len(), usize::try_from(limit).unwrap_or(usize::MAX));
        self.content.append(piece)
    }

    /// The payload of the frame that has ended, where frames are handed on.
    pub(crate) fn take_frame(&mut self) -> Option<Vec<u8>> {
        match &mut self.content {
            Content::FramesOfText { frame, .. } | Content::FramesOfBinary { frame } => {
                give_spare_back(frame);
                Some(std::mem::take(frame))
            }
            Content::Text { .. } | Content::Binary(_) | Content::Discarded => None,
        }
    }

    /// The message, now that its last fragment has come; `None` where its frames were handed on or discarded. A text may not
    /// end within a character (RFC 6455 §5.6).
    pub(crate) fn end(self) -> Result<Option<Message>, ProtocolError> {
        match self.content {
            Content::Text { split, .. } | Content::FramesOfText { split, .. } if !split.is_none() => {
                Err(ProtocolError::InvalidUtf8)
            }
            Content::Text { mut text, .. } => {
                if has_spare(text.len(), text.capacity()) {
                    text.shrink_to_fit();
                }
                Ok(Some(Message::Text(text)))
            }
            Content::Binary(mut bytes) => {
                give_spare_back(&mut bytes);
                Ok(Some(Message::Binary(bytes.into())))
            }
            Content::FramesOfText { .. } | Content::FramesOfBinary { .. } | Content::Discarded => Ok(None),
        }
    }
}

impl Content {
    /// Takes memory that the thread keeps anyway, where it has some for a first fragment of so many bytes: none that was only
    /// announced is taken from the system.
    fn begin_in(&mut self, announced: u64) {
        let memory = || spare::take(usize::try_from(announced).unwrap_or(usize::MAX));
        match self {
            // Empty memory is a valid text.
            Self::Text { text, .. } => *text = String::from_utf8(memory()).unwrap_or_default(),
            Self::Binary(bytes) => *bytes = memory(),
            Self::FramesOfText { .. } | Self::FramesOfBinary { .. } | Self::Discarded => {}
        }
    }

    fn append(&mut self, chunk: &[u8]) -> Result<(), ProtocolError> {
        match self {
            Self::Text { text, split } => {
                split.check(chunk, |complete| copy::append_text(text, complete))?;
            }
            Self::Binary(bytes) => copy::append(bytes, chunk),
            Self::FramesOfText { frame, split } => {
                split.check(chunk, |_| ())?;
                copy::append(frame, chunk);
            }
            Self::FramesOfBinary { frame } => copy::append(frame, chunk),
            Self::Discarded => {}
        }
        Ok(())
    }

    /// Sees to room for `more` bytes that were inflated, of at most `limit` in all.
    fn reserve_inflated(&mut self, more: usize, limit: usize) {
        // Where so much is not to be had, appending takes what it needs.
        let _ = match self {
            Self::Text { text, .. } => {
                text.try_reserve_exact(to_reserve(text.len(), text.capacity(), more, limit))
            }
            Self::Binary(bytes)
            | Self::FramesOfText { frame: bytes, .. }
            | Self::FramesOfBinary { frame: bytes } => {
                bytes.try_reserve_exact(to_reserve(bytes.len(), bytes.capacity(), more, limit))
            }
            Self::Discarded => Ok(()),
        };
    }
}

/// Whoever keeps what was received keeps no more than twice its length.
const fn has_spare(len: usize, capacity: usize) -> bool {
    len < capacity / 2
}

fn give_spare_back(bytes: &mut Vec<u8>) {
    if has_spare(bytes.len(), bytes.capacity()) {
        bytes.shrink_to_fit();
    }
}

impl From<crate::utf8::InvalidUtf8> for ProtocolError {
    fn from(_: crate::utf8::InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

#[cfg(all(test, feature = "deflate"))]
mod tests {
    use super::*;
    use crate::deflate::{Config, PartsCompressor};

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn the_memory_of_a_message_that_grows_stays_where_it_is_from_fragment_to_fragment() {
        let mut compressor = PartsCompressor::new(&Config::default(), 15).unwrap();
        let limits = Limits { max_message_size: MIB, ..Limits::default() };
        let mut scratch = Vec::new();
        let mut message = PartialMessage::begin(Opcode::Binary, true);
        message.begin_inflating();
        let mut capacities = Vec::new();
        for number in 0..100_u32 {
            let part: Vec<u8> =
                (0..1000).flat_map(|n: u32| ((number * 1_000_003) ^ (n * 7919)).to_be_bytes()).collect();
            let fragment = compressor.compress(&part, false).unwrap();
            message.announce(fragment.len() as u64, false, &limits).unwrap();
            message
                .append(&fragment, Inflation { window: None, scratch: &mut scratch, limits: &limits })
                .unwrap();
            message.finish_frame(Inflation { window: None, scratch: &mut scratch, limits: &limits }).unwrap();
            assert_eq!(message.take_frame(), None);
            let Content::Binary(bytes) = &message.content else { panic!("{message:?}") };
            if capacities.last() != Some(&bytes.capacity()) {
                capacities.push(bytes.capacity());
            }
        }
        assert_eq!(capacities.last(), Some(&(1024 * 1024)));
        assert!(capacities.is_sorted(), "{capacities:?}");
        let Some(Message::Binary(bytes)) = message.end().unwrap() else { panic!("no message") };
        assert!(bytes.len() > 300_000);
    }
}
