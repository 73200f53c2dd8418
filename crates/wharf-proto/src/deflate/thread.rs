//! Compressors and inflaters that belong to the thread: all its connections share them, one message after the other.

use std::cell::RefCell;

use super::library::{Compress, Compressor, Inflate, Inflater, Parameters, Unable};

#[derive(Default)]
struct Thread {
    /// The last used is the last in the list.
    compressors: Vec<(Parameters, Compressor)>,
    inflaters: Vec<Inflater>,
    compressed: Vec<u8>,
}

/// A thread meets as many kinds of compressor as its servers have configurations and its peers wish for windows.
const KEPT_COMPRESSORS: usize = 8;

/// More than one is in use only where messages are taken apart while others are unfinished.
const KEPT_INFLATERS: usize = 4;

/// The largest buffer for compressed messages that is kept, in bytes.
const KEPT_COMPRESSED: usize = 256 * 1024;

thread_local! {
    static THREAD: RefCell<Thread> = RefCell::default();
}

/// Compresses a message that refers to no other, and lends the result to `sends`.
pub(super) fn compress_alone<T>(
    parameters: Parameters,
    message: &[u8],
    sends: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<T> {
    let mut compressor = take_compressor(parameters)?;
    let sent = compress_with(&mut compressor, message, sends).ok()?;
    keep_compressor(parameters, compressor);
    sent
}

/// Compresses with `compressor`, and lends the result to `sends`.
pub(super) fn compress_with<T>(
    compressor: &mut Compressor,
    message: &[u8],
    sends: impl FnOnce(&[u8]) -> T,
) -> Result<T, Unable> {
    let mut compressed = THREAD.with_borrow_mut(|thread| std::mem::take(&mut thread.compressed));
    compressed.clear();
    let result = compressor.compress(message, &mut compressed).map(|()| {
        // RFC 7692 §7.2.1: without the last four bytes, which the other side adds. Where there was nothing to flush, the block
        // that they end is there all the same.
        let payload =
            compressed.strip_suffix(&[0x00, 0x00, 0xff, 0xff]).filter(|payload| !payload.is_empty());
        sends(payload.unwrap_or(&[0x00]))
    });
    if compressed.capacity() <= KEPT_COMPRESSED {
        THREAD.with_borrow_mut(|thread| thread.compressed = compressed);
    }
    result
}

/// A compressor that refers to nothing yet.
pub(super) fn take_compressor(parameters: Parameters) -> Option<Compressor> {
    let kept = THREAD.with_borrow_mut(|thread| {
        let at = thread.compressors.iter().rposition(|(kept, _)| *kept == parameters)?;
        Some(thread.compressors.remove(at).1)
    });
    match kept {
        Some(mut compressor) => {
            compressor.reset();
            Some(compressor)
        }
        None => Compressor::new(parameters),
    }
}

pub(super) fn keep_compressor(parameters: Parameters, compressor: Compressor) {
    THREAD.with_borrow_mut(|thread| {
        if thread.compressors.len() == KEPT_COMPRESSORS {
            thread.compressors.remove(0);
        }
        thread.compressors.push((parameters, compressor));
    });
}

/// An inflater at the beginning of a stream.
pub(super) fn take_inflater() -> Option<Inflater> {
    let kept = THREAD.with_borrow_mut(|thread| thread.inflaters.pop());
    match kept {
        Some(mut inflater) => {
            inflater.reset();
            Some(inflater)
        }
        None => Inflater::new(),
    }
}

pub(super) fn keep_inflater(inflater: Inflater) {
    THREAD.with_borrow_mut(|thread| {
        if thread.inflaters.len() < KEPT_INFLATERS {
            thread.inflaters.push(inflater);
        }
    });
}
