//! What a peer can do wrong, and what can be refused to a sender.

use crate::close::{Close, CloseCode};
use crate::frame::MAX_CONTROL_PAYLOAD;

/// A rule of the protocol, or a limit, that the peer broke. The connection ends with [`close_code`] and this
/// error's text as the reason.
///
/// [`close_code`]: ProtocolError::close_code
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit without an extension that gives it a meaning (RFC 6455 §5.2).
    #[error("Unsupported usage of rsv bits without negotiated extension.")]
    ReservedBits {
        /// The three bits, RSV1 as the highest.
        bits: u8,
    },
    /// An opcode without a meaning (RFC 6455 §5.2).
    #[error("Unrecognized Opcode: {opcode:#x}")]
    ReservedOpcode {
        /// 3–7 or 11–15.
        opcode: u8,
    },
    /// A control frame of more than 125 bytes (RFC 6455 §5.5).
    #[error("Illegal control frame longer than 125 bytes.")]
    ControlFrameTooLong,
    /// A control frame without FIN (RFC 6455 §5.5).
    #[error("Control frames must not be fragmented.")]
    FragmentedControlFrame,
    /// A continuation, but no message is begun (RFC 6455 §5.4).
    #[error("Unexpected Continuation Frame")]
    UnexpectedContinuation,
    /// A new message before the last fragment of the one before (RFC 6455 §5.4).
    #[error("Illegal frame opcode {opcode:#x} received in middle of fragmented message.")]
    MessageAmidFragments {
        /// 1–7.
        opcode: u8,
    },
    /// A frame from a client that is not masked (RFC 6455 §5.1).
    #[error("Frames from a client must be masked.")]
    UnmaskedFrame,
    /// A frame from a server that is masked (RFC 6455 §5.1).
    #[error("Frames from a server must not be masked.")]
    MaskedFrame,
    /// A length that is not in its shortest form (RFC 6455 §5.2).
    #[error("Frame length {length} is not in its shortest form.")]
    LengthNotMinimal {
        /// What it says.
        length: u64,
    },
    /// A 64-bit length whose top bit is not 0 (RFC 6455 §5.2).
    #[error("Unsupported 64-bit length frame received")]
    LengthTopBitSet {
        /// What it says.
        length: u64,
    },
    /// A frame over [`Limits::max_frame_size`](crate::limits::Limits::max_frame_size).
    #[error("Frame size of {length} bytes exceeds maximum accepted frame size")]
    FrameTooLarge {
        /// What its header announces, in bytes.
        length: u64,
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// Fragments over [`Limits::max_message_size`](crate::limits::Limits::max_message_size).
    #[error("Maximum message size exceeded.")]
    MessageTooLarge {
        /// What the fragments so far announce, in bytes.
        length: u64,
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// More fragments than [`Limits::max_fragments`](crate::limits::Limits::max_fragments).
    #[error("Message of more than {limit} fragments.")]
    TooManyFragments {
        /// What is allowed.
        limit: u32,
    },
    /// A compressed message that is no stream of deflate blocks, or ends within one (RFC 7692 §7.2.2).
    #[error("Invalid compressed data.")]
    CorruptCompression,
    /// Text, or a close reason, that is not UTF-8 (RFC 6455 §8.1).
    #[error("Invalid UTF-8 Data Received")]
    InvalidUtf8,
    /// A Close frame whose payload is too short for a code (RFC 6455 §5.5.1).
    #[error("Close frame with a payload of one byte.")]
    CloseOfOneByte,
    /// A Close frame with a code that may not stand in one (RFC 6455 §7.4).
    #[error("Close frame with the invalid code {code}.")]
    InvalidCloseCode {
        /// What it says.
        code: CloseCode,
    },
}

impl ProtocolError {
    /// The code that the connection ends with (RFC 6455 §7.4.1).
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::CorruptCompression => CloseCode::INVALID_DATA,
            Self::TooManyFragments { .. } => CloseCode::POLICY_VIOLATION,
            Self::FrameTooLarge { .. } | Self::MessageTooLarge { .. } => CloseCode::MESSAGE_TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The Close frame that tells the peer.
    pub(crate) fn close(&self) -> Close {
        Close::new(self.close_code(), self.to_string()).unwrap_or(Close::EMPTY)
    }
}

/// What a sender asked for could not be done; nothing of it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The closing handshake has begun, or the connection is gone: no frame may follow (RFC 6455 §5.5.1).
    #[error("the connection is closing or closed")]
    Closed,
    /// A ping or pong with more than a control frame holds (RFC 6455 §5.5).
    #[error("a payload of {length} bytes does not fit a control frame: at most {MAX_CONTROL_PAYLOAD}")]
    ControlPayloadTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A message is sent frame by frame and has not ended: no other may begin (RFC 6455 §5.4).
    #[error("a message is being sent frame by frame, and no other may begin before its end")]
    MessageUnfinished,
    /// A message was compressed once for many, in a way that this connection has not agreed on.
    #[error("the message is compressed in a way that was not agreed on for this connection")]
    NotAgreed,
    /// A frame composed by hand that the peer would refuse.
    #[error("the frame would break the protocol: {0}")]
    InvalidFrame(#[from] ProtocolError),
}
