//! A vector in pieces: it grows without moving what it has, and shrinks as soon as there is less of it.

use std::ops::{Index, IndexMut};

/// How many elements a piece has.
const LEN: usize = 64;

#[derive(Debug)]
pub(super) struct Chunks<T> {
    /// All but the last are full, and none is empty.
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Chunks<T> {
    pub(super) fn push(&mut self, element: T) {
        if self.len.is_multiple_of(LEN) {
            self.chunks.push(Vec::with_capacity(LEN));
        }
        self.chunks[self.len / LEN].push(element);
        self.len += 1;
    }

    /// Removes the element there, and puts the last one in its place.
    pub(super) fn swap_remove(&mut self, at: usize) -> T {
        let last = self.chunks.last_mut().and_then(Vec::pop).expect("nothing to remove");
        if self.chunks.pop_if(|chunk| chunk.is_empty()).is_some()
            && self.chunks.len() < self.chunks.capacity() / 4
        {
            self.chunks.shrink_to(self.chunks.capacity() / 2);
        }
        self.len -= 1;
        if at == self.len { last } else { std::mem::replace(&mut self[at], last) }
    }

    pub(super) fn swap(&mut self, one: usize, other: usize) {
        let (low, high) = (one.min(other), one.max(other));
        let (before, behind) = self.chunks.split_at_mut(high / LEN);
        match before.get_mut(low / LEN) {
            Some(chunk) => std::mem::swap(&mut chunk[low % LEN], &mut behind[0][high % LEN]),
            None => behind[0].swap(low % LEN, high % LEN),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at / LEN)?.get(at % LEN)
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        &self.chunks[at / LEN][at % LEN]
    }
}

impl<T> IndexMut<usize> for Chunks<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut self.chunks[at / LEN][at % LEN]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_a_vector_is_and_keeps_no_piece_that_is_empty() {
        let (mut chunks, mut vector) = (Chunks::default(), Vec::new());
        for number in 0..1000_usize {
            chunks.push(number);
            vector.push(number);
            let other = number * 7919 % vector.len();
            chunks.swap(number, other);
            vector.swap(number, other);
        }
        for number in 0..1000_usize {
            let at = number * 7919 % vector.len();
            assert_eq!(chunks.swap_remove(at), vector.swap_remove(at));
            assert_eq!((chunks.len(), chunks.is_empty()), (vector.len(), vector.is_empty()));
            assert!((0..=vector.len()).all(|at| chunks.get(at) == vector.get(at)));
            assert_eq!(chunks.chunks.len(), vector.len().div_ceil(LEN));
        }
        assert!(chunks.chunks.capacity() < 8);
    }
}
