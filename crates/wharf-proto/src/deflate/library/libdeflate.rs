//! libdeflate.

mod codes;
mod reopen;

use std::fmt;

use libdeflater::{CompressionLvl, Compressor};

use self::reopen::Reopener;
use super::{CompressWhole, Unable};

pub(crate) struct LibdeflateCompressor {
    compressor: Compressor,
    reopener: Reopener,
}

impl CompressWhole for LibdeflateCompressor {
    fn new(level: u8) -> Option<Self> {
        let level = CompressionLvl::new(level.into()).ok()?;
        Some(Self { compressor: Compressor::new(level), reopener: Reopener::new() })
    }

    fn compress(&mut self, message: &[u8], output: &mut Vec<u8>) -> Result<(), Unable> {
        let start = output.len();
        output.resize(start + self.compressor.deflate_compress_bound(message.len()), 0);
        let len = self.compressor.deflate_compress(message, &mut output[start..]).map_err(|_| Unable)?;
        output.truncate(start + len);
        self.reopener.reopen(output, start)
    }
}

impl fmt::Debug for LibdeflateCompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibdeflateCompressor").finish_non_exhaustive()
    }
}
