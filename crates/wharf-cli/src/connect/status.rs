//! How it went: as a number for scripts, and in words.

use std::process::ExitCode;

use wharf::{CloseCode, Ending, ProtocolError, Side};

use super::display::quoted;

/// The status to end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Closed in order.
    Done = 0,
    /// Input or output failed here.
    Local = 1,
    /// The arguments mean nothing.
    Usage = 2,
    /// No connection to the server.
    Unreachable = 3,
    /// The server did not open a WebSocket.
    Refused = 4,
    /// The connection broke, or the peer broke the protocol.
    Broken = 5,
    /// The peer closed with an error code.
    ClosedWithError = 6,
    /// Fewer messages came than were asked for.
    TooFew = 7,
    /// Told to end at once.
    Interrupted = 130,
}

impl Status {
    /// What an ending means.
    pub(super) fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Clean { first: Side::Peers, close } if !is_ordinary(close.code()) => {
                Self::ClosedWithError
            }
            // What we closed is done, whatever became of the answer.
            Ending::Clean { .. } | Ending::Unanswered { .. } | Ending::Dropped { .. } => Self::Done,
            _ => Self::Broken,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

const fn is_ordinary(code: CloseCode) -> bool {
    matches!(code, CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NOT_PROVIDED)
}

/// An ending in one line.
pub(super) fn in_words(ending: &Ending) -> String {
    match ending {
        Ending::Clean { close, first } => {
            let by = match first {
                Side::Ours => "",
                Side::Peers => " by the peer",
            };
            let reason = close.reason();
            match close.code() {
                CloseCode::NOT_PROVIDED => format!("closed{by} without a code"),
                code if reason.is_empty() => format!("closed{by}: {code}"),
                code => format!("closed{by}: {code} {}", quoted(reason)),
            }
        }
        Ending::Failed(
            ProtocolError::FrameTooLarge { length, limit } | ProtocolError::MessageTooLarge { length, limit },
        ) => format!(
            "given up with {}: a message of {length} bytes or more, and --max-message-size is {limit}",
            ending.code()
        ),
        Ending::Failed(error) => {
            format!("given up with {}, since the peer broke the protocol: {error}", error.close_code())
        }
        Ending::Unanswered { sent } => {
            format!("closed: {}; the peer did not answer the Close in time or in order", sent.code())
        }
        Ending::Dropped { close } => format!("given up with {}", close.code()),
        Ending::Lost(cause) => format!("the connection was lost (1006): {cause}"),
        _ => format!("ended with {}: {}", ending.code(), quoted(&ending.description())),
    }
}

#[cfg(test)]
mod tests {
    use wharf::{Cause, Close};

    use super::*;

    fn clean(code: u16, reason: &'static str, first: Side) -> Ending {
        let close = Close::new(CloseCode::new(code), reason).unwrap();
        Ending::Clean { close, first }
    }

    #[test]
    fn an_orderly_end_is_0() {
        for ending in [
            clean(1000, "", Side::Peers),
            clean(1001, "", Side::Peers),
            Ending::Clean { close: Close::EMPTY, first: Side::Peers },
            clean(4000, "", Side::Ours),
            Ending::Unanswered { sent: Close::EMPTY },
        ] {
            assert_eq!(Status::of(&ending), Status::Done, "{ending:?}");
        }
    }

    #[test]
    fn an_error_code_of_the_peer_is_6() {
        for code in [1002, 1008, 1011, 3000, 4001] {
            assert_eq!(Status::of(&clean(code, "", Side::Peers)), Status::ClosedWithError);
        }
    }

    #[test]
    fn a_broken_connection_is_5() {
        assert_eq!(Status::of(&Ending::Lost(Cause::PeerEnded)), Status::Broken);
        assert_eq!(Status::of(&Ending::Failed(ProtocolError::MaskedFrame)), Status::Broken);
    }

    #[test]
    fn the_words_have_code_and_reason_and_no_control_characters() {
        assert_eq!(
            in_words(&clean(4001, "go\x1b[0m", Side::Peers)),
            "closed by the peer: 4001 \"go\\x1b[0m\""
        );
        assert_eq!(in_words(&clean(1000, "", Side::Ours)), "closed: 1000");
        let without = Ending::Clean { close: Close::EMPTY, first: Side::Peers };
        assert_eq!(in_words(&without), "closed by the peer without a code");
        assert!(in_words(&Ending::Lost(Cause::PeerEnded)).contains("1006"));
    }
}
