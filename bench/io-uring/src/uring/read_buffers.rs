//! The buffers that the kernel receives into: a ring in memory that it shares with us (provided buffers).

use std::alloc::{Layout, alloc_zeroed};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, IOU_PBUF_RING_INC};
use io_uring::{Submitter, cqueue};

pub(crate) const GROUP: u16 = 0;

/// Buffers of one size, one behind the other in memory. The kernel takes them in the order of the ring, and they are given back
/// in the order of its completions, so that those of a bundle follow each other in memory too, up to the last one.
pub(crate) struct ReadBuffers {
    ring: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    count: u16,
    size: usize,
    /// The ring's tail, which counts through.
    tail: u16,
    /// Where the kernel consumes buffers in pieces: how much of each is used.
    used: Option<Box<[usize]>>,
}

impl ReadBuffers {
    /// Neither memory is ever freed: the kernel may write there as long as the process lives.
    pub(crate) fn register(
        submitter: &Submitter<'_>,
        count: u16,
        size: usize,
        in_pieces: bool,
    ) -> io::Result<Self> {
        assert!(count.is_power_of_two() && size > 0);
        let ring = allocate(usize::from(count) * size_of::<BufRingEntry>()).cast();
        let memory = allocate(usize::from(count) * size);
        let flags = if in_pieces { IOU_PBUF_RING_INC as u16 } else { 0 };
        // SAFETY: the ring is aligned to pages, has `count` entries, and is never freed.
        unsafe { submitter.register_buf_ring_with_flags(ring.as_ptr() as u64, count, GROUP, flags)? };
        let used = in_pieces.then(|| vec![0; usize::from(count)].into());
        let mut buffers = Self { ring, memory, count, size, tail: 0, used };
        for id in 0..count {
            buffers.give_back(id);
        }
        Ok(buffers)
    }

    /// Lends the bytes that a receive has completed with, mostly in one piece, and gives their buffers back.
    pub(crate) fn take(&mut self, completion: &cqueue::Entry, mut receive: impl FnMut(&mut [u8])) {
        let Some(id) = cqueue::buffer_select(completion.flags()) else { return };
        let len = usize::try_from(completion.result()).unwrap_or(0);
        let start = usize::from(id) * self.size;
        if let Some(used) = &mut self.used {
            let used = &mut used[usize::from(id)];
            let start = start + *used;
            *used += len;
            let is_used_up = !cqueue::buffer_more(completion.flags());
            if is_used_up {
                *used = 0;
            }
            receive(self.bytes(start, len));
            if is_used_up {
                self.give_back(id);
            }
            return;
        }
        let before_the_end = len.min(usize::from(self.count) * self.size - start);
        receive(self.bytes(start, before_the_end));
        if before_the_end < len {
            receive(self.bytes(0, len - before_the_end));
        }
        let taken = u16::try_from(len.div_ceil(self.size).max(1)).expect("no more than there are");
        for next in 0..taken {
            self.give_back((id + next) % self.count);
        }
    }

    fn bytes(&mut self, start: usize, len: usize) -> &mut [u8] {
        assert!(start + len <= usize::from(self.count) * self.size);
        // SAFETY: the range lies in the memory, which is initialized. The kernel has completed the receive that wrote these
        // bytes, and does not write there again before `give_back`, which borrows `self` mutably as the result does.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr().add(start), len) }
    }

    fn give_back(&mut self, id: u16) {
        let at = usize::from(self.tail % self.count);
        // SAFETY: `at` is below `count`, `id` too, as the kernel knows no other. The kernel reads entries below the tail only,
        // and of the first entry everything but its tail, which `set_addr`, `set_len` and `set_bid` leave alone.
        let tail = unsafe {
            let entry = &mut *self.ring.as_ptr().add(at);
            entry.set_addr(self.memory.as_ptr().add(usize::from(id) * self.size) as u64);
            entry.set_len(self.size as u32);
            entry.set_bid(id);
            AtomicU16::from_ptr(BufRingEntry::tail(self.ring.as_ptr()).cast_mut())
        };
        self.tail = self.tail.wrapping_add(1);
        tail.store(self.tail, Ordering::Release);
    }
}

/// Whole pages.
fn allocate(bytes: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(bytes, 4096).expect("sizes here are small");
    // SAFETY: the size is not zero: `register` checks both factors.
    NonNull::new(unsafe { alloc_zeroed(layout) }).expect("there is memory")
}
