//! What can go wrong while a server is loaded.

use std::io;
use std::time::Duration;

use wharf_proto::ProtocolError;
use wharf_proto::deflate::AgreementError;
use wharf_proto::handshake::{ClientRequestError, HeadError, VerifyError};

/// The server could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No connections, no threads, or a rate that is none.
    #[error("{0}")]
    Plan(&'static str),
    /// The opening handshake cannot be sent as it was asked for.
    #[error(transparent)]
    Request(#[from] ClientRequestError),
    /// A connection failed.
    #[error("{failure} ({open} of {wanted} connections were open)")]
    Connection {
        /// Why the first of them did.
        failure: Failure,
        /// How many were open by then.
        open: usize,
        /// How many there were to be.
        wanted: usize,
    },
    /// It took too long.
    #[error("{missing} of {wanted} {what} after {limit:?}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How many were missing.
        missing: u64,
        /// Of how many.
        wanted: u64,
        /// What was allowed.
        limit: Duration,
    },
    /// The system could not.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// TCP or TLS failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The server ended TCP.
    #[error("the server hung up")]
    HungUp,
    /// The server said Close.
    #[error("the server closed with {code}: {reason:?}")]
    Closed {
        /// 1005 where it gave none.
        code: u16,
        /// As it came.
        reason: String,
    },
    /// The answer to the opening handshake is no HTTP.
    #[error("the answer to the opening handshake is no HTTP: {0}")]
    Head(#[from] HeadError),
    /// The answer to the opening handshake is not the one that was asked for.
    #[error(transparent)]
    Handshake(#[from] VerifyError),
    /// The answer agrees on a compression that was not offered.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// The answer declines compression.
    #[error("the server does not compress")]
    NoCompression,
    /// A broken frame.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// What came back is not what was sent.
    #[error("byte {at} of message {message} is not what was sent")]
    Mismatch {
        /// Which message of the connection, from 0.
        message: u64,
        /// Where in it.
        at: usize,
    },
    /// More messages came than were sent to it.
    #[error("messages came that were not to: {0}")]
    TooMany(u32),
    /// Something came that nobody asked for.
    #[error("a {what} came where message {message} was to go on")]
    Unexpected {
        /// What came.
        what: &'static str,
        /// Which message of the connection, from 0.
        message: u64,
    },
}
