//! Each library behind what permessage-deflate asks of it (RFC 7692 §7.2).

use libdeflater::CompressionLvl;
use miniz_oxide::deflate::core::{CompressionStrategy, CompressorOxide};
use miniz_oxide::inflate::stream::{InflateState, MinReset};
use miniz_oxide::{DataFormat, MZFlush};
use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush};

use crate::c;

/// What a sender leaves off at the end of a message, and a receiver puts back (RFC 7692 §7.2.1).
pub const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// A final, empty block: libdeflate reads whole streams only, and a message's last block is not its stream's last. Stored,
/// since the shorter one with fixed codes makes libdeflate build their table for every message.
const FINAL_BLOCK: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];

#[derive(Clone, Copy)]
pub struct Settings {
    pub level: i32,
    pub memory_level: i32,
    pub window_bits: u8,
}

pub trait Compressor {
    /// Forgets the messages before.
    fn reset(&mut self);
    /// Writes a message's payload, without the tail, and returns its length.
    fn compress(&mut self, message: &[u8], out: &mut [u8]) -> usize;
}

pub trait Decompressor {
    /// Forgets the messages before.
    fn reset(&mut self);
    /// Writes the text of one payload, which has its tail, and returns its length.
    fn decompress(&mut self, message: &[u8], out: &mut [u8]) -> usize;
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Library {
    ZlibRs,
    #[cfg(feature = "zlib-ng")]
    ZlibNg,
    Zlib,
    Libdeflate,
    MinizOxide,
}

impl Library {
    /// All of them; the first is what the others are compared with.
    pub const ALL: &[Self] = &[
        Self::ZlibRs,
        #[cfg(feature = "zlib-ng")]
        Self::ZlibNg,
        Self::Zlib,
        Self::Libdeflate,
        Self::MinizOxide,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::ZlibRs => "zlib-rs",
            #[cfg(feature = "zlib-ng")]
            Self::ZlibNg => "zlib-ng",
            Self::Zlib => "zlib",
            Self::Libdeflate => "libdeflate",
            Self::MinizOxide => "miniz_oxide",
        }
    }

    /// Whether a message may refer to the ones before it.
    pub fn streams(self) -> bool {
        self != Self::Libdeflate
    }

    /// Whether window bits and memory level are its caller's choice.
    pub fn is_sized(self) -> bool {
        !matches!(self, Self::Libdeflate | Self::MinizOxide)
    }

    pub fn compressor(self, settings: Settings) -> Box<dyn Compressor> {
        match self {
            Self::ZlibRs => Box::new(zlib_rs_deflate(settings)),
            #[cfg(feature = "zlib-ng")]
            Self::ZlibNg => Box::new(c::zlib_ng::Deflate::new(settings)),
            Self::Zlib => Box::new(c::zlib::Deflate::new(settings)),
            Self::Libdeflate => {
                let level = CompressionLvl::new(settings.level).expect("a level between 1 and 12");
                Box::new(libdeflater::Compressor::new(level))
            }
            Self::MinizOxide => {
                let level = u8::try_from(settings.level).expect("a level between 0 and 10");
                let strategy = CompressionStrategy::Default;
                Box::new(CompressorOxide::with_params(DataFormat::Raw, level, strategy, settings.window_bits))
            }
        }
    }

    pub fn decompressor(self, window_bits: u8) -> Box<dyn Decompressor> {
        match self {
            Self::ZlibRs => Box::new(zlib_rs::Inflate::new(false, window_bits)),
            #[cfg(feature = "zlib-ng")]
            Self::ZlibNg => Box::new(c::zlib_ng::Inflate::new(window_bits)),
            Self::Zlib => Box::new(c::zlib::Inflate::new(window_bits)),
            Self::Libdeflate => {
                Box::new(WholeMessages { inflater: libdeflater::Decompressor::new(), input: Vec::new() })
            }
            Self::MinizOxide => InflateState::new_boxed(DataFormat::Raw),
        }
    }
}

pub fn zlib_rs_deflate(settings: Settings) -> zlib_rs::Deflate {
    zlib_rs::Deflate::new_with_config(DeflateConfig {
        level: settings.level,
        mem_level: settings.memory_level,
        window_bits: -i32::from(settings.window_bits),
        ..DeflateConfig::default()
    })
}

impl Compressor for zlib_rs::Deflate {
    fn reset(&mut self) {
        self.reset();
    }

    fn compress(&mut self, message: &[u8], out: &mut [u8]) -> usize {
        let before = self.total_out();
        self.compress(message, out, DeflateFlush::SyncFlush).expect("a compressor that was made");
        (self.total_out() - before) as usize - TAIL.len()
    }
}

impl Decompressor for zlib_rs::Inflate {
    fn reset(&mut self) {
        self.reset(false);
    }

    fn decompress(&mut self, message: &[u8], out: &mut [u8]) -> usize {
        let before = self.total_out();
        self.decompress(message, out, InflateFlush::SyncFlush).expect("a valid stream");
        (self.total_out() - before) as usize
    }
}

impl Compressor for libdeflater::Compressor {
    fn reset(&mut self) {}

    /// libdeflate ends with a final block, after which a message needs one byte more (RFC 7692 §7.2.3.4).
    fn compress(&mut self, message: &[u8], out: &mut [u8]) -> usize {
        let length = self.deflate_compress(message, out).expect("room enough");
        out[length] = 0;
        length + 1
    }
}

/// libdeflate, and the buffer in which a message meets the final block that it needs.
struct WholeMessages {
    inflater: libdeflater::Decompressor,
    input: Vec<u8>,
}

impl Decompressor for WholeMessages {
    fn reset(&mut self) {}

    fn decompress(&mut self, message: &[u8], out: &mut [u8]) -> usize {
        self.input.clear();
        self.input.extend_from_slice(message);
        self.input.extend_from_slice(&FINAL_BLOCK);
        self.inflater.deflate_decompress(&self.input, out).expect("a valid stream")
    }
}

impl Compressor for CompressorOxide {
    fn reset(&mut self) {
        self.reset();
    }

    fn compress(&mut self, message: &[u8], out: &mut [u8]) -> usize {
        let result = miniz_oxide::deflate::stream::deflate(self, message, out, MZFlush::Sync);
        assert_eq!(result.bytes_consumed, message.len());
        result.bytes_written - TAIL.len()
    }
}

impl Decompressor for InflateState {
    fn reset(&mut self) {
        self.reset_as(MinReset);
    }

    fn decompress(&mut self, message: &[u8], out: &mut [u8]) -> usize {
        let result = miniz_oxide::inflate::stream::inflate(self, message, out, MZFlush::Sync);
        assert_eq!(result.bytes_consumed, message.len());
        result.bytes_written
    }
}
