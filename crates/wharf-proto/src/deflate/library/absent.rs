//! No library: nothing is ever agreed on.

use std::convert::Infallible;

use super::{Compress, CompressWhole, Corrupt, DeflateLibrary, Inflate, Inflated, Parameters, Unable};

pub(in crate::deflate) const IS_AVAILABLE: bool = false;

#[derive(Debug)]
pub(crate) struct Library;

impl DeflateLibrary for Library {
    type Compressor = NoCompressor;
    type WholeCompressor = NoWholeCompressor;
    type Inflater = NoInflater;
}

#[derive(Debug)]
pub(crate) struct NoCompressor(Infallible);

impl Compress for NoCompressor {
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

#[derive(Debug)]
pub(crate) struct NoWholeCompressor(Infallible);

impl CompressWhole for NoWholeCompressor {
    fn new(_: u8) -> Option<Self> {
        None
    }

    fn compress(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), Unable> {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct NoInflater(Infallible);

impl Inflate for NoInflater {
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
