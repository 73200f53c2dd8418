//! What can go wrong for the user of the library, one enum a stage.

use crate::proto::connection::{Ending, Frame};
use crate::proto::frame::MAX_CONTROL_PAYLOAD;
use crate::proto::{Message, ProtocolError};

/// A message could not be queued now; it is handed back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError {
    /// As much waits to be sent as [`ServerConfig::max_buffered_amount`](crate::ServerConfig::max_buffered_amount)
    /// allows: the peer takes it more slowly than it is sent. Or another message is being sent in parts, and no other
    /// may come between them.
    #[error(
        "the peer is slow: as many bytes wait to be sent as max_buffered_amount allows, or a message is unfinished"
    )]
    Full(Message),
    /// The closing handshake has begun, or the connection is gone.
    #[error("the connection is closing or closed")]
    Closed(Message),
}

impl TrySendError {
    /// The message that was not sent.
    pub fn into_message(self) -> Message {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

/// A message can no longer be sent: the closing handshake has begun, or the connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closing or closed")]
pub struct SendError(
    /// The message that was not sent.
    pub Message,
);

/// A frame could not be queued; nothing of it was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendFrameError<F = Frame<'static>> {
    /// As [`TrySendError::Full`]; only from those that do not wait. The frame is handed back.
    #[error(
        "the peer is slow: as many bytes wait to be sent as max_buffered_amount allows, or a message is unfinished"
    )]
    Full(F),
    /// The closing handshake has begun, or the connection is gone. The frame is handed back.
    #[error("the connection is closing or closed")]
    Closed(F),
    /// The frame breaks a rule, and the peer would end the connection for it. Never of a raw frame.
    #[error("the frame would break the protocol: {0}")]
    Invalid(ProtocolError),
}

impl From<ProtocolError> for SendFrameError {
    fn from(error: ProtocolError) -> Self {
        Self::Invalid(error)
    }
}

/// A ping or pong could not be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// More than a control frame holds (RFC 6455 §5.5).
    #[error("a payload of {length} bytes does not fit a control frame: at most {MAX_CONTROL_PAYLOAD}")]
    PayloadTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// As much waits to be sent as `max_buffered_amount` allows.
    #[error("the peer is slow: as many bytes wait to be sent as max_buffered_amount allows")]
    Full,
    /// The closing handshake has begun, or the connection is gone.
    #[error("the connection is closing or closed")]
    Closed,
}

/// The connection ended within a message that was being read: what a [`MessageReader`](crate::MessageReader)'s
/// [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection ended within a message: {} ({})", .ending.description(), .ending.code())]
pub struct UnfinishedMessage {
    /// How it ended.
    pub ending: Ending,
}

/// A request could not be accepted; the client got a complete HTTP refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// It was decided before: by `close_all_connections`, or because it waited too long.
    #[error("WebSocketRequest may only be accepted or rejected one time.")]
    AlreadyDecided,
    /// The answer breaks a rule, such as a subprotocol that the client did not offer. The client got 500.
    #[error(transparent)]
    Answer(#[from] crate::proto::handshake::AnswerError),
    /// A cookie breaks a rule. The client got 500.
    #[error(transparent)]
    Cookie(#[from] crate::cookie::CookieError),
}

/// A request could not be rejected as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectError {
    /// It was decided before: by `close_all_connections`, or because it waited too long.
    #[error("WebSocketRequest may only be accepted or rejected one time.")]
    AlreadyDecided,
    /// The status, reason or a header breaks a rule. The client got 500.
    #[error(transparent)]
    Answer(#[from] crate::proto::handshake::AnswerError),
}

/// A server could not be mounted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// There is no HTTP server to mount on.
    #[error("httpServer: you must specify an HTTP server on which to mount the WebSocket server")]
    NoHttpServer,
    /// An HTTP server has one WebSocket server at a time, and this one has one.
    #[error("httpServer: a WebSocket server is mounted on {0} already")]
    AlreadyMounted(
        /// The first of its addresses.
        crate::http::LocalAddress,
    ),
    /// An option has a value without meaning.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
}
