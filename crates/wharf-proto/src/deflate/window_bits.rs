//! How far compressed data may refer back.

use std::fmt;

/// The exponent of a window's size: 9 (512 bytes) to 15 (32,768 bytes), which is what deflate libraries compress with.
///
/// RFC 7692 §7.1.2 also has 8. Compressors cannot do it, zlib among them, so here it cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 9: 512 bytes.
    pub const MIN: Self = Self(9);
    /// 15: 32,768 bytes.
    pub const MAX: Self = Self(15);

    /// # Errors
    /// [`WindowBitsError`] for any number but 9 to 15.
    pub const fn new(bits: u8) -> Result<Self, WindowBitsError> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 {
            Ok(Self(bits))
        } else {
            Err(WindowBitsError { bits })
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The window's size in bytes.
    pub const fn window_size(self) -> usize {
        1 << self.0
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// No exponent that can be compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window of 2^{bits} bytes; 2^9 to 2^15 can be compressed with")]
pub struct WindowBitsError {
    /// What came.
    pub bits: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_9_to_15_bits() {
        for bits in 0..=u8::MAX {
            let expected = (9..=15).contains(&bits).then_some(bits);
            assert_eq!(WindowBits::new(bits).ok().map(WindowBits::get), expected);
        }
        assert_eq!((WindowBits::MIN.window_size(), WindowBits::MAX.window_size()), (512, 32_768));
    }
}
