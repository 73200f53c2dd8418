//! Which deflate library permessage-deflate (RFC 7692) is best built on: processor time, size and heap per message.
//!
//! `deflate-libraries [compress|decompress|memory|zlib-rs|takeover]`: prints Markdown tables, all of them without an argument.
#![deny(unsafe_code)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "sizes here are small")]

mod c;
mod clock;
mod codec;
mod heap;
mod messages;
mod questions;
mod takeover;

use std::hint::black_box;

use clock::{Contender, Cost, interleave, per_step};
use codec::{Library, Settings, TAIL};

#[global_allocator]
static ALLOCATOR: heap::Counting = heap::Counting;

const ROUNDS: usize = 15;
/// Size of a message, and how many different ones take turns: together many times a window of 32 KiB.
const CORPORA: [(usize, usize); 3] = [(128, 2048), (1024, 512), (16 * 1024, 128)];
/// Room for every message here, inflated or not.
const ROOM: usize = 1 << 20;
const FULL: Settings = Settings { level: 6, memory_level: 8, window_bits: 15 };

/// Whether a message may refer to the ones before it in its connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Reset,
    Takeover,
}

fn main() {
    let part = std::env::args().nth(1);
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("compress") {
        levels();
    }
    if wanted("decompress") {
        decompress();
    }
    if wanted("memory") {
        memory();
        memory_levels_and_windows();
    }
    if wanted("zlib-rs") {
        questions::answer();
    }
    if wanted("takeover") {
        takeover::compare();
    }
}

/// The payloads of all messages, each with its tail.
fn payloads(library: Library, settings: Settings, context: Context, texts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut compressor = library.compressor(settings);
    let mut out = vec![0; ROOM];
    let compress = |text: &Vec<u8>| {
        if context == Context::Reset {
            compressor.reset();
        }
        let length = compressor.compress(text, &mut out);
        [&out[..length], &TAIL].concat()
    };
    texts.iter().map(compress).collect()
}

/// Stops the measurement when what a library wrote is not what was meant.
fn verify(payloads: &[Vec<u8>], context: Context, texts: &[Vec<u8>]) {
    let mut inflater = Library::Zlib.decompressor(15);
    let mut out = vec![0; ROOM];
    for (payload, text) in payloads.iter().zip(texts) {
        if context == Context::Reset {
            inflater.reset();
        }
        let length = inflater.decompress(payload, &mut out);
        assert!(out[..length] == **text, "a payload is not its message");
    }
}

fn mean_size(payloads: &[Vec<u8>]) -> f64 {
    let total: usize = payloads.iter().map(|payload| payload.len() - TAIL.len()).sum();
    total as f64 / payloads.len() as f64
}

fn compressing(library: Library, settings: Settings, context: Context, texts: &[Vec<u8>]) -> Contender<'_> {
    let mut compressor = library.compressor(settings);
    let mut out = vec![0; ROOM];
    let run = move || {
        per_step(texts.len(), || {
            for text in texts {
                if context == Context::Reset {
                    compressor.reset();
                }
                black_box(compressor.compress(text, &mut out));
            }
        })
    };
    Contender { name: library.name().to_owned(), run: Box::new(run) }
}

fn row(lead: &str, cost: &Cost, size: Option<f64>) {
    let size = size.map_or(String::new(), |size| format!(" {size:.0} |"));
    println!("| {lead} | {:.0} | {:.1} % | {:.2} |{size}", cost.median, cost.spread * 100.0, cost.ratio);
}

fn context_name(context: Context) -> &'static str {
    match context {
        Context::Reset => "no takeover",
        Context::Takeover => "takeover",
    }
}

/// Compresses one corpus with each library under each of `settings`, the same settings beside each other.
fn compare_compressors(texts: &[Vec<u8>], context: Context, settings: &[Settings], sized: bool) {
    println!("| level | memory | window | library | ns/message | ± | ratio | bytes |");
    println!("|--:|--:|--:|---|--:|--:|--:|--:|");
    for &settings in settings {
        let libraries: Vec<_> = Library::ALL
            .iter()
            .copied()
            .filter(|library| context == Context::Reset || library.streams())
            .filter(|library| !sized || library.is_sized())
            .collect();
        let mut sizes = Vec::new();
        for &library in &libraries {
            let payloads = payloads(library, settings, context, texts);
            verify(&payloads, context, texts);
            sizes.push(mean_size(&payloads));
        }
        let mut contenders: Vec<_> =
            libraries.iter().map(|&library| compressing(library, settings, context, texts)).collect();
        let costs = interleave(ROUNDS, &mut contenders);
        for ((library, cost), size) in libraries.iter().zip(&costs).zip(sizes) {
            let Settings { level, memory_level, window_bits } = settings;
            let lead = format!("{level} | {memory_level} | {window_bits} | {}", library.name());
            row(&lead, cost, Some(size));
        }
    }
}

fn heading(what: &str, texts: &[Vec<u8>], context: Context) {
    let mean = texts.iter().map(Vec::len).sum::<usize>() / texts.len();
    println!("\n### {what}: {} messages of {mean} bytes, {}\n", texts.len(), context_name(context));
}

fn levels() {
    let settings: Vec<_> = [1, 2, 3, 4, 6, 9].map(|level| Settings { level, ..FULL }).into();
    for (size, count) in CORPORA {
        let texts = messages::generate(size, count, 1);
        for context in [Context::Reset, Context::Takeover] {
            heading("Compress", &texts, context);
            compare_compressors(&texts, context, &settings, false);
        }
    }
}

fn memory_levels_and_windows() {
    let settings = |level, memory_level, window_bits| Settings { level, memory_level, window_bits };
    for (size, count) in CORPORA {
        let texts = messages::generate(size, count, 1);
        heading("Memory levels", &texts, Context::Reset);
        let choice: Vec<_> = [1, 6].into_iter().flat_map(|l| [1, 4, 9].map(|m| settings(l, m, 15))).collect();
        compare_compressors(&texts, Context::Reset, &choice, true);
    }
    let (size, count) = CORPORA[1];
    let texts = messages::generate(size, count, 1);
    heading("Windows", &texts, Context::Takeover);
    let sizes = [(1, 9), (4, 9), (1, 10), (4, 11), (4, 12), (5, 12), (8, 12), (4, 15), (8, 15)];
    let choice: Vec<_> = [1, 6].into_iter().flat_map(|l| sizes.map(|(m, w)| settings(l, m, w))).collect();
    compare_compressors(&texts, Context::Takeover, &choice, true);
}

/// All libraries read the same payloads: zlib's at level 6, which is what browsers send.
fn decompress() {
    for (size, count) in CORPORA {
        let texts = messages::generate(size, count, 1);
        for context in [Context::Reset, Context::Takeover] {
            let payloads = payloads(Library::Zlib, FULL, context, &texts);
            heading("Decompress", &texts, context);
            println!("| library | ns/message | ± | ratio |");
            println!("|---|--:|--:|--:|");
            let libraries =
                Library::ALL.iter().filter(|library| context == Context::Reset || library.streams());
            let mut contenders: Vec<_> =
                libraries.map(|&library| decompressing(library, context, &payloads, &texts)).collect();
            for (cost, contender) in interleave(ROUNDS, &mut contenders).iter().zip(&contenders) {
                row(&contender.name, cost, None);
            }
        }
    }
}

fn decompressing<'a>(
    library: Library,
    context: Context,
    payloads: &'a [Vec<u8>],
    texts: &[Vec<u8>],
) -> Contender<'a> {
    let mut inflater = library.decompressor(15);
    let mut out = vec![0; ROOM];
    for (payload, text) in payloads.iter().zip(texts) {
        if context == Context::Reset {
            inflater.reset();
        }
        let length = inflater.decompress(payload, &mut out);
        assert!(out[..length] == **text, "{} reads another message", library.name());
    }
    let run = move || {
        inflater.reset();
        per_step(payloads.len(), || {
            for payload in payloads {
                if context == Context::Reset {
                    inflater.reset();
                }
                black_box(inflater.decompress(payload, &mut out));
            }
        })
    };
    Contender { name: library.name().to_owned(), run: Box::new(run) }
}

/// Bytes of heap after one long message has been through.
fn memory() {
    let text = messages::generate(64 * 1024, 1, 1).remove(0);
    let payload = payloads(Library::Zlib, FULL, Context::Reset, std::slice::from_ref(&text)).remove(0);
    let mut out = vec![0; ROOM];
    println!(
        "\n### Heap\n\n| library | window | memory level | bytes of a compressor | bytes of an inflater |"
    );
    println!("|---|--:|--:|--:|--:|");
    for &library in Library::ALL {
        let sizes = [(15, 9), (15, 8), (15, 4), (15, 1), (12, 4), (10, 1), (9, 1)];
        for (window_bits, memory_level) in sizes.into_iter().take(if library.is_sized() { 7 } else { 1 }) {
            let before = heap::held();
            let mut compressor = library.compressor(Settings { level: 6, memory_level, window_bits });
            compressor.compress(&text, &mut out);
            let between = heap::held();
            let mut inflater = library.decompressor(window_bits);
            let small = payloads(
                Library::Zlib,
                Settings { window_bits, ..FULL },
                Context::Reset,
                std::slice::from_ref(&text),
            );
            let held = heap::held();
            inflater.reset();
            inflater.decompress(if window_bits == 15 { &payload } else { &small[0] }, &mut out);
            let lazily = heap::held() - held;
            let made = held - between - small[0].capacity() - small.capacity() * size_of::<Vec<u8>>();
            let name = library.name();
            println!(
                "| {name} | {window_bits} | {memory_level} | {} | {} |",
                between - before,
                made + lazily
            );
        }
    }
    println!(
        "\nlibdeflate's inflater here includes the copy of its input, a little longer than the message."
    );
}
