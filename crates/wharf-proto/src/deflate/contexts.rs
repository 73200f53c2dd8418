//! What a connection keeps from message to message, where either side takes its context over.

use std::sync::Arc;
use std::time::Instant;

use super::library::{Compressor, Parameters};
use super::memory::{ContextMemory, Reservation, compressor_size};
use super::window::Window;
use super::{Config, Direction, thread};

/// The contexts of one connection. Made where they are agreed on; what is large in them, at the first compressed message.
#[derive(Debug)]
pub(crate) struct Contexts {
    memory: Arc<ContextMemory>,
    compressor: Option<KeptCompressor>,
    window: Option<KeptWindow>,
}

#[derive(Debug)]
struct KeptCompressor {
    compressor: Compressor,
    last_use: LastUse,
    _memory: Reservation,
}

/// Commands have no time: one who knows it notes it for them.
#[derive(Clone, Copy, Debug)]
enum LastUse {
    Unnoted,
    At(Instant),
}

#[derive(Debug)]
struct KeptWindow {
    window: Window,
    _memory: Reservation,
}

impl Contexts {
    pub(crate) fn new(memory: Arc<ContextMemory>, peers: Direction, window: Option<Reservation>) -> Self {
        // Who says 8 and compresses with zlib uses 9.
        let size = 1 << peers.window_bits.max(9);
        let window = window.map(|memory| KeptWindow { window: Window::new(size), _memory: memory });
        Self { memory, compressor: None, window }
    }

    pub(crate) fn window(&mut self) -> Option<&mut Window> {
        self.window.as_mut().map(|kept| &mut kept.window)
    }

    /// Compresses a message that refers to those before it, and lends the result to `sends`. Where the memory for that is
    /// exhausted, it refers to none. `None`: it could not be compressed, or would refer to none and become no shorter.
    pub(crate) fn compress<T>(
        &mut self,
        parameters: Parameters,
        message: &[u8],
        sends: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        if self.compressor.is_none() {
            let size = compressor_size(parameters.window_bits, parameters.memory_level);
            let Some(memory) = self.memory.reserve(size) else {
                return super::compress_alone(parameters, message, sends);
            };
            let compressor = thread::take_compressor(parameters)?;
            self.compressor =
                Some(KeptCompressor { compressor, last_use: LastUse::Unnoted, _memory: memory });
        }
        let kept = self.compressor.as_mut()?;
        kept.last_use = LastUse::Unnoted;
        let sent = thread::compress_with(&mut kept.compressor, message, sends);
        if sent.is_err() {
            self.forget_sent();
        }
        sent.ok()
    }

    /// The next message that is sent refers to none before it.
    pub(crate) fn forget_sent(&mut self) {
        self.compressor = None;
    }

    /// Notes when the compressor was used, if it was.
    pub(crate) fn note(&mut self, now: Instant) {
        if let Some(KeptCompressor { last_use: last_use @ LastUse::Unnoted, .. }) = &mut self.compressor {
            *last_use = LastUse::At(now);
        }
    }

    /// When the compressor will have been unused for too long.
    pub(crate) fn idle_at(&self, config: &Config) -> Option<Instant> {
        match self.compressor.as_ref()?.last_use {
            LastUse::Unnoted => None,
            LastUse::At(at) => at.checked_add(config.idle_timeout),
        }
    }
}
