//! The bytes of one read, taken from the front.

use std::mem;

/// Bytes that a driver has read, and that [`Connection::receive`](super::Connection::receive) takes piece by piece
/// and changes where they lie.
#[derive(Debug)]
pub struct Input<'i>(&'i mut [u8]);

impl<'i> Input<'i> {
    /// All of `bytes`.
    pub const fn new(bytes: &'i mut [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been taken: to be kept by a driver that stops between two events.
    #[inline]
    pub const fn rest(&self) -> &[u8] {
        self.0
    }

    /// Whether everything has been taken.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes `len` bytes, or what there is.
    pub(super) fn take(&mut self, len: usize) -> &'i mut [u8] {
        let len = len.min(self.0.len());
        let (taken, rest) = mem::take(&mut self.0).split_at_mut(len);
        self.0 = rest;
        taken
    }

    /// Takes `len` bytes that lie behind `skipped` others, which are taken with them. Nothing where they are not there.
    #[inline]
    pub(super) fn take_behind(&mut self, skipped: usize, len: usize) -> &'i mut [u8] {
        // Without a panic, before which the rest would have to be put into memory.
        let Some((taken, rest)) = mem::take(&mut self.0).split_at_mut_checked(skipped + len) else {
            return &mut [];
        };
        self.0 = rest;
        taken.get_mut(skipped..).unwrap_or_default()
    }

    pub(super) fn take_all(&mut self) -> &'i mut [u8] {
        mem::take(&mut self.0)
    }
}
