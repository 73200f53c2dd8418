//! What a peer that takes its context over may refer back to.

use std::collections::VecDeque;

use super::library::{Corrupt, Inflate, Inflater};

/// The last bytes of what the peer has sent, inflated: as many as it may refer back over (RFC 7692 §7.2.2). They are all that
/// has to be kept of it between two messages: the inflater itself is shared.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: VecDeque<u8>,
    size: usize,
}

impl Window {
    /// An empty window for at most `size` bytes, of which none takes memory yet.
    pub(crate) const fn new(size: usize) -> Self {
        Self { bytes: VecDeque::new(), size }
    }

    /// Adds what was inflated.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(self.size)..];
        let surplus = (self.bytes.len() + last.len()).saturating_sub(self.size);
        self.bytes.drain(..surplus);
        let len = self.bytes.len() + last.len();
        if len > self.bytes.capacity() {
            let capacity = len.next_power_of_two().min(self.size);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(last);
    }

    /// Nothing can be referred back to. Keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Gives an inflater at its beginning what the next block may refer back to.
    pub(crate) fn load(&self, inflater: &mut Inflater) -> Result<(), Corrupt> {
        let (older, newer) = self.bytes.as_slices();
        for bytes in [older, newer] {
            if !bytes.is_empty() {
                inflater.add_to_window(bytes)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_window_holds_the_last_bytes_and_no_more_memory_than_its_size(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..20),
        ) {
            let mut window = Window::new(512);
            let mut all = Vec::new();
            for piece in pieces {
                window.push(&piece);
                all.extend(piece);
                prop_assert!(window.bytes.iter().eq(&all[all.len().saturating_sub(512)..]));
                prop_assert!(window.bytes.capacity() <= 512);
            }
        }
    }
}
