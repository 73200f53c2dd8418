//! No library: nothing is ever agreed on.

use std::convert::Infallible;

use super::{Compress, CompressWhole, Corrupt, DeflateLibrary, Inflate, Inflated, Parameters, Unable};

pub(in crate::deflate) const IS_AVAILABLE: bool = false;

#[derive(Debug)]
pub(crate) struct Library(Infallible);

impl DeflateLibrary for Library {
    type Compressor = Self;
    type WholeCompressor = Self;
    type Inflater = Self;
}

impl Compress for Library {
    fn new(_: Parameters) -> Option<Self> {
        None
    }

    fn compress(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), Unable> {
        match self.0 {}
    }

    fn reset(&mut self) {
        match self.0 {}
    }
}

impl CompressWhole for Library {
    fn new(_: u8) -> Option<Self> {
        None
    }

    fn compress(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), Unable> {
        match self.0 {}
    }
}

impl Inflate for Library {
    fn new() -> Option<Self> {
        None
    }

    fn inflate(&mut self, _: &[u8], _: &mut [u8]) -> Result<Inflated, Corrupt> {
        match self.0 {}
    }

    fn reset(&mut self) {
        match self.0 {}
    }

    fn add_to_window(&mut self, _: &[u8]) -> Result<(), Corrupt> {
        match self.0 {}
    }
}
