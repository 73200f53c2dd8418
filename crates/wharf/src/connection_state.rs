//! How far a connection has come.

use crate::connection::Connection;
use crate::proto::connection::{Ending, Side};

/// How far a connection has come. It only ever goes on, towards [`Closed`](Self::Closed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Messages come and go.
    #[doc(alias = "open")]
    Open,
    /// We began to close, gave the connection up, or lost it: nothing can be sent any more, and nothing is received;
    /// TCP is still there.
    #[doc(alias = "ending")]
    Closing,
    /// The peer began to close: its Close frame has been answered, and TCP is about to end.
    #[doc(alias = "peer_requested_close")]
    PeerClosing,
    /// TCP is gone.
    #[doc(alias = "closed")]
    Closed,
}

impl Connection {
    /// How far the connection has come. [`ending`](Self::ending) tells how it ended, and [`closed`](Self::closed) waits
    /// for that.
    pub fn state(&self) -> ConnectionState {
        if self.is_connected() {
            return ConnectionState::Open;
        }
        if self.shared.outbox.is_gone() {
            return ConnectionState::Closed;
        }
        match self.shared.ending() {
            Some(Ending::Clean { first: Side::Peers, .. }) => ConnectionState::PeerClosing,
            _ => ConnectionState::Closing,
        }
    }
}
