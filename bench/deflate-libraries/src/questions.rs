//! What a server wants to know of zlib-rs before it shares one context between connections.

use zlib_rs::{Inflate, InflateFlush};

use crate::clock::{Contender, interleave, per_step};
use crate::codec::{Compressor, Decompressor, Library, Settings, TAIL, zlib_rs_deflate};
use crate::{CORPORA, Context, FULL, ROOM, ROUNDS, c, mean_size, messages, payloads, row, verify};

pub fn answer() {
    reset_of_a_compressor();
    dictionaries_append();
    final_block_in_the_middle();
    tail_in_a_second_call();
    compressor_with_a_larger_window();
}

/// Is the hash table cleared at each reset, and does it shrink with the memory level?
fn reset_of_a_compressor() {
    println!("\n### `Deflate::reset` alone (level 1; ratio to window 15, memory level 9)\n");
    println!("| library | window | memory level | ns | ± | ratio |");
    println!("|---|--:|--:|--:|--:|--:|");
    let sizes = [(15, 9), (15, 8), (15, 6), (15, 4), (15, 2), (15, 1), (12, 4), (9, 9), (9, 1)];
    for library in [Library::ZlibRs, Library::Zlib] {
        let reset = |(window_bits, memory_level): (u8, i32)| {
            let mut compressor = library.compressor(Settings { level: 1, memory_level, window_bits });
            let run = move || per_step(2000, || (0..2000).for_each(|_| compressor.reset()));
            let name = format!("{} | {window_bits} | {memory_level}", library.name());
            Contender { name, run: Box::new(run) }
        };
        let mut contenders: Vec<_> = sizes.into_iter().map(reset).collect();
        for (cost, contender) in interleave(ROUNDS, &mut contenders).iter().zip(&contenders) {
            row(&contender.name, cost, None);
        }
    }
}

fn dictionaries_append() {
    let [first, second] = [1, 2].map(|seed| messages::generate(4096, 1, seed).remove(0));
    let both = [first.clone(), second.clone()].concat();
    let mut compressor = zlib_rs_deflate(FULL);
    compressor.set_dictionary(&both).expect("a dictionary before any data");
    let mut out = vec![0; ROOM];
    let length = Compressor::compress(&mut compressor, &both, &mut out);
    let payload = [&out[..length], &TAIL].concat();
    let mut reads = |dictionaries: &[&[u8]]| {
        let mut inflater = Inflate::new(false, 15);
        for dictionary in dictionaries {
            inflater.set_dictionary(dictionary).expect("raw streams take any dictionary");
        }
        let read = inflater.decompress(&payload, &mut out, InflateFlush::SyncFlush).is_ok();
        read && out[..inflater.total_out() as usize] == both
    };
    println!("\n### `Inflate::set_dictionary` called twice\n");
    println!("- a payload of {length} bytes that refers to both halves of a dictionary is read after");
    println!("  one call with both: {}; a call for each: {};", reads(&[&both]), reads(&[&first, &second]));
    println!(
        "  the second half only: {}; the wrong order: {}.",
        reads(&[&second]),
        reads(&[&second, &first])
    );
}

/// A sender may end the stream of DEFLATE blocks and go on with another one in the same message (RFC 7692 §7.2.3.4 shows
/// such an end). Who tells that something follows?
fn final_block_in_the_middle() {
    let [first, second] = [1, 2].map(|seed| messages::generate(1024, 1, seed).remove(0));
    let mut out = vec![0; ROOM];
    let length = Library::Libdeflate.compressor(FULL).compress(&first, &mut out) - 1;
    let rest = payloads(Library::Zlib, FULL, Context::Reset, std::slice::from_ref(&second)).remove(0);
    let payload = [&out[..length], &rest].concat();
    let read = libdeflater::Decompressor::new().deflate_decompress(&payload, &mut out);
    let mut inflater = Inflate::new(false, 15);
    let status = inflater.decompress(&payload, &mut out, InflateFlush::SyncFlush);
    println!("\n### A final block in the middle of a message\n");
    println!("- of {} and {} bytes in one payload libdeflate returns {read:?};", first.len(), second.len());
    println!(
        "- zlib-rs returns {status:?}, {} bytes, and took {length} of the payload: {}.",
        inflater.total_out(),
        inflater.total_in() == length as u64
    );
}

fn tail_in_a_second_call() {
    println!(
        "\n### The 4 bytes of the tail, at the end of the payload's buffer or in a second call (no takeover)\n"
    );
    println!("| message | tail | ns/message | ± | ratio |");
    println!("|--:|---|--:|--:|--:|");
    for (size, count) in CORPORA {
        let texts = messages::generate(size, count, 1);
        let payloads = payloads(Library::Zlib, FULL, Context::Reset, &texts);
        verify(&payloads, Context::Reset, &texts);
        let inflate = |apart: bool| {
            let payloads = &payloads;
            let mut inflater = Inflate::new(false, 15);
            let mut out = vec![0; ROOM];
            let run = move || {
                per_step(payloads.len(), || {
                    for payload in payloads {
                        inflater.reset(false);
                        let split = if apart { payload.len() - TAIL.len() } else { payload.len() };
                        let length = Decompressor::decompress(&mut inflater, &payload[..split], &mut out);
                        if apart {
                            Decompressor::decompress(&mut inflater, &TAIL, &mut out[length..]);
                        }
                    }
                })
            };
            let name = format!("{size} | {}", if apart { "second call" } else { "same buffer" });
            Contender { name, run: Box::new(run) }
        };
        let mut contenders = [inflate(false), inflate(true)];
        for (cost, contender) in interleave(ROUNDS, &mut contenders).iter().zip(&contenders) {
            row(&contender.name, cost, None);
        }
    }
}

/// Whether a peer with a window of `window_bits` reads it: one byte at a time, so that nothing is remembered outside
/// of the window.
fn fits(payload: &[u8], window_bits: u8, text: &[u8]) -> bool {
    let mut inflater = c::zlib::Inflate::new(window_bits);
    let mut input = payload;
    let mut byte = [0];
    text.iter().all(|&expected| inflater.inflate(&mut input, &mut byte) == Some(1) && byte[0] == expected)
}

/// May one compressor with a window of 32 KiB serve a connection whose peer keeps less?
fn compressor_with_a_larger_window() {
    println!("\n### A compressor with 15 bits for a peer with fewer (level 6, no takeover)\n");
    println!(
        "| peer's window | messages | of them read | bytes | bytes from a compressor of the peer's size |"
    );
    println!("|--:|---|--:|--:|--:|");
    for window_bits in [9, 10, 11, 12] {
        let window = 1_usize << window_bits;
        for (what, size) in [("up to the window", window), ("up to 4 windows", 4 * window)] {
            let mut texts = messages::generate(size, 300, 1);
            texts.iter_mut().for_each(|text| text.truncate(size));
            let large = payloads(Library::ZlibRs, FULL, Context::Reset, &texts);
            let small = payloads(Library::ZlibRs, Settings { window_bits, ..FULL }, Context::Reset, &texts);
            let read =
                large.iter().zip(&texts).filter(|(payload, text)| fits(payload, window_bits, text)).count();
            let own =
                small.iter().zip(&texts).filter(|(payload, text)| fits(payload, window_bits, text)).count();
            assert_eq!(own, texts.len(), "a compressor of the peer's size is always read");
            let (large, small) = (mean_size(&large), mean_size(&small));
            println!("| {window} | {what} | {read} of {} | {large:.0} | {small:.0} |", texts.len());
        }
    }
}
