//! The heap that each library holds: Rust's through the global allocator, C's through the hooks of `z_stream`.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{c_uint, c_void};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, and how many bytes were asked of it and are not yet given back.
pub struct Counting;

// SAFETY: every call goes on to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Bytes that are held now.
pub fn held() -> usize {
    HELD.load(Relaxed)
}

const HEADER: usize = 64;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size + HEADER, HEADER).expect("the size of a deflate context")
}

/// `zalloc`: each block is preceded by its size, which `zfree` is not told.
pub unsafe extern "C" fn zalloc(_: *mut c_void, items: c_uint, size: c_uint) -> *mut c_void {
    let size = items as usize * size as usize;
    HELD.fetch_add(size, Relaxed);
    unsafe {
        let start = System.alloc(layout(size));
        if start.is_null() {
            return start.cast();
        }
        start.cast::<usize>().write(size);
        start.add(HEADER).cast()
    }
}

/// `zfree` for what `zalloc` gave.
pub unsafe extern "C" fn zfree(_: *mut c_void, memory: *mut c_void) {
    unsafe {
        let start = memory.cast::<u8>().sub(HEADER);
        let size = start.cast::<usize>().read();
        HELD.fetch_sub(size, Relaxed);
        System.dealloc(start, layout(size));
    }
}
