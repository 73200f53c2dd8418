//! Messages: whole ones, and those whose fragments are still coming (RFC 6455 §5.4, §5.6).

use bytes::Bytes;

use crate::deflate::deferred::Deferred;
use crate::deflate::inflate::{self, Sink};
use crate::deflate::window::Window;
use crate::error::ProtocolError;
use crate::frame::Opcode;
use crate::limits::Limits;
use crate::utf8::SplitCharacter;

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl MessageKind {
    /// The opcode of its first frame.
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// A message that is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    #[doc(alias = "utf8Data")]
    Text(String),
    /// Any bytes.
    #[doc(alias = "binaryData")]
    Binary(Bytes),
}

impl Message {
    /// The message, lent.
    pub fn as_ref(&self) -> MessageRef<'_> {
        match self {
            Self::Text(text) => MessageRef::Text(text),
            Self::Binary(bytes) => MessageRef::Binary(bytes),
        }
    }

    /// The content, of either kind.
    pub fn as_bytes(&self) -> &[u8] {
        self.as_ref().as_bytes()
    }

    /// The content, of either kind, without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The content's length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty message is a message, not the lack of one")]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl From<MessageRef<'_>> for Message {
    fn from(message: MessageRef<'_>) -> Self {
        match message {
            MessageRef::Text(text) => text.into(),
            MessageRef::Binary(bytes) => bytes.into(),
        }
    }
}

/// A message that is lent: what a handler sees of a message where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageRef<'a> {
    /// UTF-8.
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
}

impl<'a> MessageRef<'a> {
    /// The content, of either kind.
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Whether it is text or binary.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// The opcode of its first frame (RFC 6455 §6.1).
    pub const fn opcode(&self) -> Opcode {
        self.kind().opcode()
    }
}

impl<'a> From<&'a str> for MessageRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for MessageRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Message> for MessageRef<'a> {
    fn from(message: &'a Message) -> Self {
        message.as_ref()
    }
}

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
        match &self.content {
            Content::Text { .. } | Content::Binary(_) => {
                inflate::check(self.inflated, self.max_inflated)?;
            }
            Content::FramesOfText { frame, .. } | Content::FramesOfBinary { frame } => {
                let (length, limit) = ((frame.len() + piece.len()) as u64, limits.max_frame_size);
                if length > limit {
                    return Err(ProtocolError::FrameTooLarge { length, limit });
                }
            }
            Content::Discarded => {}
        }
        self.content.append(piece)
    }

    /// The payload of the frame that has ended, where frames are handed on.
    pub(crate) fn take_frame(&mut self) -> Option<Vec<u8>> {
        match &mut self.content {
            Content::FramesOfText { frame, .. } | Content::FramesOfBinary { frame } => {
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
            Content::Text { text, .. } => Ok(Some(Message::Text(text))),
            Content::Binary(bytes) => Ok(Some(Message::Binary(bytes.into()))),
            Content::FramesOfText { .. } | Content::FramesOfBinary { .. } | Content::Discarded => Ok(None),
        }
    }
}

impl Content {
    fn append(&mut self, chunk: &[u8]) -> Result<(), ProtocolError> {
        match self {
            Self::Text { text, split } => split.check(chunk, |complete| text.push_str(complete))?,
            Self::Binary(bytes) => bytes.extend_from_slice(chunk),
            Self::FramesOfText { frame, split } => {
                split.check(chunk, |_| ())?;
                frame.extend_from_slice(chunk);
            }
            Self::FramesOfBinary { frame } => frame.extend_from_slice(chunk),
            Self::Discarded => {}
        }
        Ok(())
    }
}

impl From<crate::utf8::InvalidUtf8> for ProtocolError {
    fn from(_: crate::utf8::InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

/// A message from the peer: lent where its one frame lies in the input, or owned where it came in pieces.
#[derive(Debug, PartialEq, Eq)]
pub enum MessageCow<'a> {
    /// Lies in the input.
    Borrowed(MessageRef<'a>),
    /// Was assembled; whoever takes it takes its memory, without a copy.
    Owned(Message),
}

impl MessageCow<'_> {
    /// The message, lent.
    pub fn as_ref(&self) -> MessageRef<'_> {
        match self {
            Self::Borrowed(message) => *message,
            Self::Owned(message) => message.as_ref(),
        }
    }

    /// The message, owned; copied only where it lies in the input.
    pub fn into_owned(self) -> Message {
        match self {
            Self::Borrowed(message) => message.into(),
            Self::Owned(message) => message,
        }
    }
}
