//! zlib-rs.

use std::fmt;

use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush, Status};

use super::{Compress, Corrupt, Inflate, Inflated, Parameters, Unable};

pub(crate) struct ZlibCompressor(zlib_rs::Deflate);

/// More than a stream in stored blocks has beyond its input: five bytes a block, and what flushes.
const fn most_compressed_len(len: usize) -> usize {
    len + len / 64 + 64
}

impl Compress for ZlibCompressor {
    fn new(parameters: Parameters) -> Option<Self> {
        let Parameters { level, memory_level, window_bits } = parameters;
        Some(Self(zlib_rs::Deflate::new_with_config(DeflateConfig {
            level: i32::from(level),
            // Negative for blocks without zlib's header.
            window_bits: -i32::from(window_bits),
            mem_level: i32::from(memory_level),
            ..DeflateConfig::default()
        })))
    }

    fn compress(&mut self, mut input: &[u8], output: &mut Vec<u8>) -> Result<(), Unable> {
        loop {
            let start = output.len();
            output.resize(start + most_compressed_len(input.len()), 0);
            let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
            let status = self.0.compress(input, &mut output[start..], DeflateFlush::SyncFlush);
            let taken = usize::try_from(self.0.total_in() - before_in).unwrap_or(usize::MAX);
            let made = usize::try_from(self.0.total_out() - before_out).unwrap_or(usize::MAX);
            let had_room = start + made < output.len();
            output.truncate(start + made);
            input = input.get(taken..).ok_or(Unable)?;
            match status {
                Ok(Status::Ok | Status::BufError) if had_room && input.is_empty() => return Ok(()),
                Ok(Status::Ok) => {}
                Ok(_) | Err(_) => return Err(Unable),
            }
        }
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

pub(crate) struct ZlibInflater(zlib_rs::Inflate);

impl Inflate for ZlibInflater {
    fn new() -> Option<Self> {
        Some(Self(zlib_rs::Inflate::new(false, 15)))
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<Inflated, Corrupt> {
        let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, output, InflateFlush::SyncFlush).map_err(|_| Corrupt)?;
        Ok(Inflated {
            taken: usize::try_from(self.0.total_in() - before_in).map_err(|_| Corrupt)?,
            made: usize::try_from(self.0.total_out() - before_out).map_err(|_| Corrupt)?,
            is_final: status == Status::StreamEnd,
        })
    }

    fn reset(&mut self) {
        self.0.reset(false);
    }

    fn add_to_window(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        self.0.set_dictionary(bytes).map(drop).map_err(|_| Corrupt)
    }
}

impl fmt::Debug for ZlibCompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZlibCompressor").finish_non_exhaustive()
    }
}

impl fmt::Debug for ZlibInflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZlibInflater").finish_non_exhaustive()
    }
}
