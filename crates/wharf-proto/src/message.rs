//! Messages: owned, and lent where they lie (RFC 6455 §5.6).

use bytes::Bytes;

use crate::copy;
use crate::frame::Opcode;

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
        let mut owned = String::with_capacity(text.len());
        copy::append_text(&mut owned, text);
        Self::Text(owned)
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
        let mut owned = Vec::with_capacity(bytes.len());
        copy::append(&mut owned, bytes);
        Self::Binary(owned.into())
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
