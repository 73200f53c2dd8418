//! permessage-deflate: messages that are compressed one by one (RFC 7692).
//!
//! `negotiation` is its part of the opening handshake: what one side offers, the other agrees to or declines.
//! What was agreed goes into a connection with `Connection::with_deflate`.
//!
//! A side that takes its context over from message to message compresses better, and needs memory for each connection, of
//! which a [`ContextMemory`] bounds the sum. A side that does not needs none: its compressors belong to the thread.

pub(crate) mod contexts;
pub(crate) mod deferred;
pub(crate) mod growth;
pub(crate) mod inflate;
pub(crate) mod library;
mod memory;
mod negotiation;
mod parts;
mod thread;
pub(crate) mod window;
mod window_bits;

use std::time::Duration;

use library::Parameters;

pub use memory::{ContextMemory, Reservation};
pub use negotiation::{AgreementError, NAME, Negotiated, accept, negotiate, offers};
pub use parts::{CompressionFailed, PartsCompressor};
pub use window_bits::{WindowBits, WindowBitsError};

/// How one side compresses, and what it is ready to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How hard to compress: 1 (fast) to 9 (small).
    pub level: u8,
    /// How much memory to spend on finding repetitions: 1 to 9.
    pub memory_level: u8,
    /// Messages below this length, in bytes, are not compressed.
    pub threshold: usize,
    /// Whether the server may refer back to messages that it sent before (RFC 7692 §7.1.1.1).
    pub server_context_takeover: bool,
    /// Whether the client may (RFC 7692 §7.1.1.2).
    pub client_context_takeover: bool,
    /// How far the server may refer back (RFC 7692 §7.1.2.1).
    pub server_max_window_bits: WindowBits,
    /// How far the client may (RFC 7692 §7.1.2.2).
    pub client_max_window_bits: WindowBits,
    /// How long a compressor that is kept for one connection may be unused, before its memory is given back.
    pub idle_timeout: Duration,
}

/// Fast, without takeover, so that connections share what compresses and inflates, and only for what exceeds a packet.
impl Default for Config {
    fn default() -> Self {
        Self {
            level: 1,
            memory_level: 8,
            threshold: 1024,
            server_context_takeover: false,
            client_context_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// What the server sends.
    pub server: Direction,
    /// What the client sends.
    pub client: Direction,
}

/// What was agreed on for the messages of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Whether a message may refer back to those before it (RFC 7692 §7.1.1).
    pub context_takeover: bool,
    /// Over how many bytes, as the exponent of 2, it may refer back (RFC 7692 §7.1.2): 8 to 15. One who cannot compress
    /// with 8 sends uncompressed messages.
    pub window_bits: u8,
}

/// What a message is to be compressed with, which keeps to the window that was agreed on (RFC 7692 §7.2.1); `None` where it
/// is to go out as it is: it is below the threshold, or the peer wants a window that cannot be compressed with.
pub(crate) fn parameters_for(message: &[u8], config: &Config, window_bits: u8) -> Option<Parameters> {
    let is_worth_it = message.len() >= config.threshold;
    (is_worth_it && WindowBits::new(window_bits).is_ok()).then(|| Parameters::new(config, window_bits))
}

/// Compresses a message that refers to no other, and lends the result to `sends`; `None` where that would be no shorter
/// than the message itself, which may then go out as it is (RFC 7692 §6.1).
pub(crate) fn compress_alone<T>(
    parameters: Parameters,
    message: &[u8],
    sends: impl FnOnce(&[u8]) -> T,
) -> Option<T> {
    thread::compress_alone(parameters, message, |compressed| {
        (compressed.len() < message.len()).then(|| sends(compressed))
    })
}
