//! The states of a connection and every transition between them; nothing else moves the state.
//!
//! ```text
//!          we say Close               it has left               the peer's Close
//!    Open ─────────────▶ SendingClose ───────────▶ AwaitingClose ───────────────▶ Ended
//!     │                        │                         │                          ▲
//!     │                        └─ the peer's Close, its end of TCP, or the timeout ─┤
//!     └── the peer's Close (answered), a broken rule, a drop, a lost peer ──────────┘
//! ```

use std::time::Instant;

use crate::close::{Close, CloseCode};
use crate::error::ProtocolError;

/// Where the closing handshake stands (RFC 6455 §7.1).
#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    Open,
    /// We said Close first, and the frame waits in the output. A peer that takes what stands before it has more time.
    SendingClose { sent: Close, until: Instant },
    /// Our Close has gone to the socket. Data may still come until the peer's Close does (RFC 6455 §5.5.1). No output
    /// that moves gives the peer more time: it could ask for pongs without end.
    AwaitingClose { sent: Close, until: Instant },
    /// No frame is read or written any more; what is left is to end TCP, by `until`.
    Ended { ending: Ending, until: Instant },
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This one.
    Ours,
    /// The other.
    Peers,
}

/// How a connection ended, and through whom. Not an error: receiving ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Both sides said Close (RFC 6455 §7.1.4); `close` is what the first one said.
    Clean {
        /// The code and reason of the side that closed.
        close: Close,
        /// Who said it.
        first: Side,
    },
    /// The peer broke a rule of the protocol or passed a limit; a Close frame told it so.
    Failed(ProtocolError),
    /// We said Close, and the peer did not answer it in time or in order.
    Unanswered {
        /// What we said.
        sent: Close,
    },
    /// We gave the connection up without waiting for an answer.
    Dropped {
        /// What the peer was told, or would have been.
        close: Close,
    },
    /// TCP ended, or the peer went silent, without a Close.
    Lost(Cause),
}

/// What was lost, where there was no Close frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The peer ended its half of TCP.
    #[error("Connection dropped by remote peer.")]
    PeerEnded,
    /// The transport failed; the text is the system's.
    #[error("Socket Error: {0}")]
    Transport(Box<str>),
    /// Nothing came within the grace after our ping.
    #[error("Peer not responding.")]
    PeerSilent,
    /// Output waited for the whole write timeout and not a byte of it moved.
    #[error("Peer not reading.")]
    OutputStalled,
    /// TCP was gone before the opening handshake was answered.
    #[error("TCP connection lost before handshake completed.")]
    BeforeHandshake,
}

/// How TCP is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teardown {
    /// Send what waits, end our half, and read until the peer has ended its own or the deadline passes. A socket
    /// that is closed with unread input is reset, and a reset can overtake our last frames.
    Orderly,
    /// Send what goes out at once, and be gone.
    Prompt,
}

impl Ending {
    /// The code that the application is told (RFC 6455 §7.1.5).
    #[doc(alias = "closeReasonCode")]
    pub const fn code(&self) -> CloseCode {
        match self {
            Self::Clean { close, .. } | Self::Unanswered { sent: close } | Self::Dropped { close } => {
                close.code()
            }
            Self::Failed(error) => error.close_code(),
            Self::Lost(_) => CloseCode::ABNORMAL,
        }
    }

    /// The reason, or what was lost. Where the peer closed without a reason, its code's default; where we closed, what
    /// we said, and an empty text where that was nothing.
    #[doc(alias = "closeDescription")]
    pub fn description(&self) -> String {
        match self {
            Self::Clean { close, first: Side::Peers } => close.description().to_owned(),
            Self::Clean { close, first: Side::Ours }
            | Self::Unanswered { sent: close }
            | Self::Dropped { close } => close.reason().to_owned(),
            Self::Failed(error) => error.to_string(),
            Self::Lost(cause) => cause.to_string(),
        }
    }

    /// Whether both sides said Close.
    pub const fn is_clean(&self) -> bool {
        matches!(self, Self::Clean { .. })
    }

    /// How TCP is to be ended after it.
    pub const fn teardown(&self) -> Teardown {
        match self {
            Self::Clean { .. } | Self::Failed(_) | Self::Lost(Cause::PeerEnded) => Teardown::Orderly,
            Self::Unanswered { .. } | Self::Dropped { .. } | Self::Lost(_) => Teardown::Prompt,
        }
    }
}

impl State {
    /// We say Close: whether the frame is to be sent. A second one is not; the first stands.
    pub(super) fn close(&mut self, close: &Close, until: Instant) -> bool {
        let is_first = matches!(self, Self::Open);
        if is_first {
            *self = Self::SendingClose { sent: close.clone(), until };
        }
        is_first
    }

    /// The peer said Close: what answers it, if it was first. Its code is repeated (RFC 6455 §5.5.1), and its reason,
    /// which is what a browser then shows its page.
    pub(super) fn peer_closed(&mut self, close: Close, until: Instant) -> Option<Close> {
        match std::mem::replace(self, Self::Open) {
            Self::Open => {
                let answer = close.clone();
                *self = Self::Ended { ending: Ending::Clean { close, first: Side::Peers }, until };
                Some(answer)
            }
            Self::SendingClose { sent, .. } | Self::AwaitingClose { sent, .. } => {
                *self = Self::Ended { ending: Ending::Clean { close: sent, first: Side::Ours }, until };
                None
            }
            ended @ Self::Ended { .. } => {
                *self = ended;
                None
            }
        }
    }

    /// The peer broke a rule: the Close frame that tells it, unless we have said Close before.
    pub(super) fn fail(&mut self, error: ProtocolError, until: Instant) -> Option<Close> {
        let is_told = matches!(self, Self::Open);
        self.end(Ending::Failed(error), until);
        is_told.then(|| error.close())
    }

    /// We give up: whether a Close frame may still be sent. After our own Close the code of the drop counts.
    pub(super) fn dropped(&mut self, close: Close, until: Instant) -> bool {
        let is_open = matches!(self, Self::Open);
        if !matches!(self, Self::Ended { .. }) {
            *self = Self::Ended { ending: Ending::Dropped { close }, until };
        }
        is_open
    }

    /// TCP ended or nothing comes any more.
    pub(super) fn lost(&mut self, cause: Cause, until: Instant) {
        self.end(Ending::Lost(cause), until);
    }

    /// The peer is still taking what was sent before: its time to answer, or to end TCP, begins anew.
    pub(super) fn postpone(&mut self, later: Instant) {
        match self {
            Self::SendingClose { until, .. } => *until = later,
            Self::Ended { ending, until } if ending.teardown() == Teardown::Orderly => *until = later,
            Self::Open | Self::AwaitingClose { .. } | Self::Ended { .. } => {}
        }
    }

    /// All output has gone to the socket, our Close too if there was one.
    pub(super) fn output_has_left(&mut self) {
        if let Self::SendingClose { sent, until } = self {
            *self = Self::AwaitingClose { sent: std::mem::replace(sent, Close::EMPTY), until: *until };
        }
    }

    /// The closing handshake took too long.
    pub(super) fn close_timed_out(&mut self, until: Instant) {
        if let Self::SendingClose { sent, .. } | Self::AwaitingClose { sent, .. } = self {
            let sent = std::mem::replace(sent, Close::EMPTY);
            *self = Self::Ended { ending: Ending::Unanswered { sent }, until };
        }
    }

    /// Ends with `ending`; where we have said Close, what we said stands.
    fn end(&mut self, ending: Ending, until: Instant) {
        match self {
            Self::Open => *self = Self::Ended { ending, until },
            Self::SendingClose { .. } | Self::AwaitingClose { .. } => self.close_timed_out(until),
            Self::Ended { .. } => {}
        }
    }
}
