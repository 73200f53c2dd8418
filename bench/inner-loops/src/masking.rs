//! Masking beside copying, beside a plain loop, and beside the ways of fastwebsockets and uWebSockets, rebuilt here.

use std::hint::black_box;

use wharf_proto::mask::MaskingKey;

use crate::clock::{Contender, gigabytes_a_second, table};
use crate::{Aligned, size_name};

const SIZES: [usize; 8] = [3, 16, 20, 60, 125, 1024, 16 * 1024, 1 << 20];
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The header of a masked frame of up to 125 bytes.
const HEADER_LEN: usize = 6;
/// Short payloads lie one behind the other, as frames do in a read.
const READ: usize = 16 * 1024;

pub fn compare() {
    for (offset, place) in [(0, "from the start of a cache line"), (HEADER_LEN, "behind a header")] {
        println!("\n## Masking in place, GB/s, {place}\n");
        let rows: Vec<_> = SIZES.iter().map(|size| (size_name(*size), speeds(*size, offset))).collect();
        table(&rows, &["wharf", "memcpy elsewhere", "byte by byte", "as fastwebsockets", "as uWebSockets"]);
    }
}

fn speeds(size: usize, offset: usize) -> Vec<f64> {
    let stride = (offset + size + HEADER_LEN).next_multiple_of(crate::CACHE_LINE);
    let count = (READ / stride).max(1);
    let buffer = || Aligned::new(&vec![0x55; stride * count + 8], 0);
    let starts = move |times| (0..times).map(move |n| n % count * stride + offset);

    let in_place = |mask: fn([u8; 4], &mut [u8])| -> Contender<'static> {
        let mut buffer = buffer();
        Box::new(move |times| {
            for start in starts(times) {
                mask(black_box(KEY), black_box(&mut buffer.bytes()[start..start + size]));
            }
        })
    };
    let (mut from, mut to) = (buffer(), buffer());
    let copy: Contender<'_> = Box::new(move |times| {
        for start in starts(times) {
            let place = start..start + size;
            black_box(&mut to.bytes()[place.clone()]).copy_from_slice(black_box(&from.bytes()[place]));
        }
    });
    let mut read = Aligned::new(&vec![0x55; HEADER_LEN + stride * count + 8], 0);
    let over_header: Contender<'_> = Box::new(move |times| {
        for start in starts(times) {
            as_uwebsockets(black_box(KEY), black_box(&mut read.bytes()[start..]), black_box(size));
        }
    });
    let wharf = |key, payload: &mut [u8]| MaskingKey(key).apply(payload);
    gigabytes_a_second(
        size,
        &mut [in_place(wharf), copy, in_place(byte_by_byte), in_place(as_fastwebsockets), over_header],
    )
}

#[inline(never)]
fn byte_by_byte(key: [u8; 4], payload: &mut [u8]) {
    for (place, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[place % 4];
    }
}

/// Bytes up to an aligned word, words of 4 bytes, bytes.
#[inline(never)]
fn as_fastwebsockets(key: [u8; 4], payload: &mut [u8]) {
    let unaligned = payload.as_ptr().align_offset(4).min(payload.len());
    let (start, rest) = payload.split_at_mut(unaligned);
    byte_by_byte(key, start);
    let key = u32::from_le_bytes(key).rotate_right(8 * (unaligned % 4) as u32).to_le_bytes();
    let (words, end) = rest.as_chunks_mut();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    byte_by_byte(key, end);
}

/// Words beyond the end of the payload, moved over the header on the way: of 4 bytes behind a short header, else of 8.
/// `frame` has room for the word too many.
#[inline(never)]
fn as_uwebsockets(key: [u8; 4], frame: &mut [u8], size: usize) {
    if size <= 125 {
        for at in (0..=size / 4).map(|word| word * 4) {
            let word: [u8; 4] = frame[at + HEADER_LEN..][..4].try_into().expect("4 bytes");
            let word = u32::from_ne_bytes(word) ^ u32::from_ne_bytes(key);
            frame[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        return;
    }
    let twice = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
    let word_at = |frame: &[u8], at| u64::from_ne_bytes(frame[at..at + 8].try_into().expect("8 bytes"));
    for at in (0..=size / 8).map(|word| word * 8) {
        let word = word_at(frame, at + HEADER_LEN) ^ twice;
        frame[at..at + 8].copy_from_slice(&word.to_ne_bytes());
    }
}
