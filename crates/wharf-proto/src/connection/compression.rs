//! What a connection knows of permessage-deflate, once its handshake has agreed on it (RFC 7692 §6).

use std::time::Instant;

use super::Connection;
use crate::deflate::contexts::Contexts;
use crate::deflate::window::Window;
use crate::deflate::{self, Config, Direction, Negotiated};

impl Connection {
    /// Compresses messages, and takes compressed ones, as the opening handshake agreed (RFC 7692 §5). How, its
    /// [`Config::deflate`](super::Config::deflate) says; without that, nothing is sent compressed.
    #[must_use]
    pub fn with_deflate(mut self, negotiated: Negotiated) -> Self {
        let Negotiated { agreed, window, memory, .. } = negotiated;
        let (sends, receives) =
            if self.is_server() { (agreed.server, agreed.client) } else { (agreed.client, agreed.server) };
        if sends.context_takeover || receives.context_takeover {
            self.aside().contexts = Some(Box::new(Contexts::new(memory, receives, window)));
        }
        self.compression = Some(sends);
        self
    }

    /// The window of the peer's context, where it takes that over (RFC 7692 §7.2.2).
    pub(super) fn window(&mut self) -> Option<&mut Window> {
        self.contexts()?.window()
    }

    /// A message was compressed elsewhere: what is compressed from now on must not refer to what was before it.
    pub(super) fn forget_sent(&mut self) {
        if let Some(contexts) = self.contexts() {
            contexts.forget_sent();
        }
    }

    /// Notes when the compressor was used.
    pub(super) fn note_compressor(&mut self, now: Instant) {
        if let Some(contexts) = self.contexts() {
            contexts.note(now);
        }
    }

    /// When the compressor that is kept for this connection has been unused for too long.
    pub(super) fn compressor_idle_at(&self) -> Option<Instant> {
        let contexts = self.aside.as_ref()?.contexts.as_ref()?;
        contexts.idle_at(self.config.deflate.as_ref()?)
    }

    fn contexts(&mut self) -> Option<&mut Contexts> {
        self.aside.as_mut()?.contexts.as_deref_mut()
    }
}

/// Whether a message that was compressed for a window of 2^`window_bits` bytes, and refers to no other, can be sent.
pub(super) const fn takes(sends: Direction, window_bits: u8) -> bool {
    !sends.context_takeover && window_bits <= sends.window_bits
}

/// Compresses a message, and lends the result to `frame`; `None` where it is to go out as it is. It refers to those
/// before it only where that was agreed on (RFC 7692 §7.2.1).
pub(super) fn compress<T>(
    sends: Direction,
    contexts: Option<&mut Contexts>,
    config: &Config,
    message: &[u8],
    frame: impl FnOnce(&[u8]) -> T,
) -> Option<T> {
    let parameters = deflate::parameters_for(message, config, sends.window_bits)?;
    match contexts {
        Some(contexts) if sends.context_takeover => contexts.compress(parameters, message, frame),
        _ => deflate::compress_alone(parameters, message, frame),
    }
}
