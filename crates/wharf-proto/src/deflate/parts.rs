//! A message that is compressed while it is still being written.

use std::fmt;
use std::sync::Mutex;

use super::library::{Compress, Compressor, Parameters};
use super::{Config, WindowBits, thread};

/// Compresses one message part by part, each of which can go out as a fragment (RFC 7692 §6.1). It refers to no other
/// message.
pub struct PartsCompressor {
    /// Only ever reached through `&mut`; the lock makes it shareable, which compressors of C's kind are not.
    compressor: Mutex<Compressor>,
    parameters: Parameters,
}

/// The message could not be compressed, as for lack of memory. What went out of it cannot be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message could not be compressed")]
pub struct CompressionFailed;

impl PartsCompressor {
    /// For a peer that agreed on this window; `None` where that cannot be compressed with.
    pub fn new(config: &Config, window_bits: u8) -> Option<Self> {
        let window_bits = WindowBits::new(window_bits).ok()?.get();
        let parameters = Parameters::new(config, window_bits);
        let compressor = Mutex::new(thread::take_compressor(parameters)?);
        Some(Self { compressor, parameters })
    }

    /// What `part` is compressed to. Of the last part, and of no other, the last four bytes are left out
    /// (RFC 7692 §7.2.1).
    ///
    /// # Errors
    /// [`CompressionFailed`].
    pub fn compress(&mut self, part: &[u8], is_last: bool) -> Result<Vec<u8>, CompressionFailed> {
        let compressor = self.compressor.get_mut().map_err(|_| CompressionFailed)?;
        if is_last {
            return thread::compress_with(compressor, part, <[u8]>::to_vec).map_err(|_| CompressionFailed);
        }
        let mut compressed = Vec::new();
        compressor.compress(part, &mut compressed).map_err(|_| CompressionFailed)?;
        Ok(compressed)
    }

    /// The message has ended; the thread can use the compressor for others.
    pub fn give_back(self) {
        if let Ok(compressor) = self.compressor.into_inner() {
            thread::keep_compressor(self.parameters, compressor);
        }
    }
}

impl fmt::Debug for PartsCompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartsCompressor").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}
