//! Compressors and inflaters that belong to the thread: all its connections share them, one message after the other.

use std::cell::RefCell;

use super::library::{
    Compress, CompressWhole, Compressor, Inflate, Inflater, Parameters, Unable, WholeCompressor,
};

#[derive(Default)]
struct Thread {
    /// The last used is the last in the list.
    compressors: Vec<(Parameters, Compressor)>,
    /// By their level.
    whole: Vec<(u8, WholeCompressor)>,
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

/// Compresses a message that refers to no other, and lends the payload to `sends`.
pub(super) fn compress_alone<T>(
    parameters: Parameters,
    message: &[u8],
    sends: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<T> {
    // RFC 7692 §7.2.1: a message within the window refers back within it, whatever it is compressed with.
    if message.len() <= 1 << parameters.window_bits {
        return compress_whole(parameters.level, message, sends);
    }
    let mut compressor = take_compressor(parameters)?;
    let sent = compress_with(&mut compressor, message, sends).ok()?;
    keep_compressor(parameters, compressor);
    sent
}

fn compress_whole<T>(level: u8, message: &[u8], sends: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    let kept = THREAD.with_borrow_mut(|thread| {
        let at = thread.whole.iter().rposition(|(kept, _)| *kept == level)?;
        Some(thread.whole.remove(at).1)
    });
    let mut compressor = kept.or_else(|| <WholeCompressor as CompressWhole>::new(level))?;
    let sent = with_compressed(|compressed| {
        compressor.compress(message, compressed).ok()?;
        sends(compressed)
    });
    THREAD.with_borrow_mut(|thread| keep(&mut thread.whole, (level, compressor)));
    sent
}

/// Compresses with `compressor`, and lends the payload to `sends`.
pub(super) fn compress_with<T>(
    compressor: &mut Compressor,
    message: &[u8],
    sends: impl FnOnce(&[u8]) -> T,
) -> Result<T, Unable> {
    with_compressed(|compressed| {
        compressor.compress(message, compressed)?;
        // RFC 7692 §7.2.1: without the last four bytes, which the other side adds.
        match compressed.strip_suffix(&[0x00, 0x00, 0xff, 0xff]) {
            Some(payload) if !payload.is_empty() => Ok(sends(payload)),
            // Where there was nothing to flush, the block that they end is there all the same.
            None if compressed.is_empty() && message.is_empty() => Ok(sends(&[0x00])),
            _ => Err(Unable),
        }
    })
}

/// Lends the thread's memory for what is compressed, empty.
fn with_compressed<T>(use_it: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut compressed = THREAD.with_borrow_mut(|thread| std::mem::take(&mut thread.compressed));
    compressed.clear();
    let result = use_it(&mut compressed);
    if compressed.capacity() <= KEPT_COMPRESSED {
        THREAD.with_borrow_mut(|thread| thread.compressed = compressed);
    }
    result
}

/// A compressor that refers to nothing yet (RFC 7692 §7.2.1).
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
    THREAD.with_borrow_mut(|thread| keep(&mut thread.compressors, (parameters, compressor)));
}

fn keep<T>(compressors: &mut Vec<T>, last_used: T) {
    if compressors.len() == KEPT_COMPRESSORS {
        compressors.remove(0);
    }
    compressors.push(last_used);
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
