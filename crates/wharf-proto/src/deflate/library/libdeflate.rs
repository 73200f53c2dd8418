//! libdeflate.

use std::fmt;

use libdeflater::{CompressionLvl, Compressor};

use super::{CompressWhole, Unable};

pub(crate) struct LibdeflateCompressor(Compressor);

impl CompressWhole for LibdeflateCompressor {
    fn new(level: u8) -> Option<Self> {
        CompressionLvl::new(level.into()).ok().map(|level| Self(Compressor::new(level)))
    }

    fn compress(&mut self, message: &[u8], output: &mut Vec<u8>) -> Result<(), Unable> {
        let start = output.len();
        output.resize(start + self.0.deflate_compress_bound(message.len()), 0);
        let len = self.0.deflate_compress(message, &mut output[start..]).map_err(|_| Unable)?;
        output.truncate(start + len);
        // It ends with a final block, which an empty block has to follow: that of which the peer adds all but this byte
        // (RFC 7692 §7.2.3.4).
        output.push(0x00);
        Ok(())
    }
}

impl fmt::Debug for LibdeflateCompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibdeflateCompressor").finish_non_exhaustive()
    }
}
