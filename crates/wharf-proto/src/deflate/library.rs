//! What compresses and inflates, as a trait of each, so that one library can take the place of another.

#[cfg(not(feature = "deflate"))]
mod absent;
#[cfg(feature = "deflate")]
mod libdeflate;
#[cfg(feature = "deflate")]
mod zlib;

#[cfg(not(feature = "deflate"))]
pub(super) use absent::{IS_AVAILABLE, Library};
#[cfg(feature = "deflate")]
pub(super) use present::{IS_AVAILABLE, Library};

/// Streams by zlib-rs, which is written in Rust from end to end: what peers send is taken apart by nothing else. Whole
/// messages by libdeflate, which compresses them to the same size in two thirds of the time (`bench/deflate-libraries`).
#[cfg(feature = "deflate")]
mod present {
    pub(in crate::deflate) const IS_AVAILABLE: bool = true;

    #[derive(Debug)]
    pub(crate) struct Library;

    impl super::DeflateLibrary for Library {
        type Compressor = super::zlib::ZlibCompressor;
        type WholeCompressor = super::libdeflate::LibdeflateCompressor;
        type Inflater = super::zlib::ZlibInflater;
    }
}

use super::Config;

pub(crate) type Compressor = <Library as DeflateLibrary>::Compressor;
pub(crate) type WholeCompressor = <Library as DeflateLibrary>::WholeCompressor;
pub(crate) type Inflater = <Library as DeflateLibrary>::Inflater;

/// A library that does both.
pub(crate) trait DeflateLibrary {
    type Compressor: Compress;
    type WholeCompressor: CompressWhole;
    type Inflater: Inflate;
}

/// One stream of raw deflate blocks (RFC 1951), made bit by bit of messages.
pub(crate) trait Compress: Sized {
    /// A compressor whose blocks refer back over at most 2^`window_bits` bytes, 9 to 15. `None` without a library.
    fn new(parameters: Parameters) -> Option<Self>;

    /// Appends what `input` is compressed to, up to and with an empty block without compression, whose last four bytes are
    /// 00 00 FF FF.
    ///
    /// # Errors
    /// [`Unable`]: what was appended is to be taken back, and the compressor is not to be used again.
    fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Unable>;

    /// Forgets what was compressed, so that nothing refers back to it.
    fn reset(&mut self);
}

/// Whole messages, each of which refers to nothing but itself, over up to 2^15 bytes.
pub(crate) trait CompressWhole: Sized {
    /// A compressor of a level from 1 to 9. `None` without a library.
    fn new(level: u8) -> Option<Self>;

    /// Appends the payload that `message` is compressed to (RFC 7692 §7.2.1).
    ///
    /// # Errors
    /// [`Unable`]: what was appended is to be taken back.
    fn compress(&mut self, message: &[u8], output: &mut Vec<u8>) -> Result<(), Unable>;
}

/// One stream of raw deflate blocks, taken apart.
pub(crate) trait Inflate: Sized {
    /// An inflater for every window. `None` without a library.
    fn new() -> Option<Self>;

    /// Inflates what it can of `input` into `output`.
    ///
    /// # Errors
    /// [`Corrupt`]: no deflate stream.
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<Inflated, Corrupt>;

    /// Forgets everything, and begins at a new block.
    fn reset(&mut self);

    /// Adds `bytes` to what a block may refer back to. Only where nothing was inflated since the reset.
    ///
    /// # Errors
    /// [`Corrupt`], which a stream at its beginning never is.
    fn add_to_window(&mut self, bytes: &[u8]) -> Result<(), Corrupt>;
}

/// What a compressor is made for. Compressors of the same parameters are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(crate) level: u8,
    pub(crate) memory_level: u8,
    pub(crate) window_bits: u8,
}

impl Parameters {
    pub(crate) const fn new(config: &Config, window_bits: u8) -> Self {
        Self { level: config.level, memory_level: config.memory_level, window_bits }
    }
}

/// How far one step of inflating came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// Bytes taken from the input.
    pub(crate) taken: usize,
    /// Bytes put into the output.
    pub(crate) made: usize,
    /// The last of them ended a final block (BFINAL).
    pub(crate) is_final: bool,
}

/// The data is no deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// The library failed, as for lack of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unable;
