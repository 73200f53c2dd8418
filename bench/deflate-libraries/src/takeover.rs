//! Context takeover as a server has it: many connections in turn, each with a context of its own that has left the cache,
//! or each with the plain bytes of its window only, which one shared context loads for every message.

use std::collections::VecDeque;
use std::hint::black_box;

use zlib_rs::{Deflate, Inflate};

use crate::clock::{Contender, Cost, interleave, per_step};
use crate::codec::{Compressor, Decompressor, Library, Settings, TAIL, zlib_rs_deflate};
use crate::{Context, FULL, ROOM, ROUNDS, messages, payloads, row};

/// Messages of each connection that are measured, after those that fill its window.
const TURNS: usize = 40;

pub fn compare() {
    inflaters();
    verify_shared();
    compressors();
}

/// What a connection keeps when it shares a context with the others.
struct Window {
    plain: VecDeque<u8>,
    size: usize,
}

impl Window {
    fn new(size: usize) -> Self {
        Self { plain: VecDeque::with_capacity(size), size }
    }

    fn push(&mut self, text: &[u8]) {
        let text = &text[text.len().saturating_sub(self.size)..];
        let excess = (self.plain.len() + text.len()).saturating_sub(self.size);
        self.plain.drain(..excess);
        self.plain.extend(text);
    }

    fn load(&self, inflater: &mut Inflate) {
        inflater.reset(false);
        let (older, newer) = self.plain.as_slices();
        for part in [older, newer] {
            inflater.set_dictionary(part).expect("raw streams take any dictionary");
        }
    }

    fn load_to_refer(&self, compressor: &mut Deflate) {
        Compressor::reset(compressor);
        let (older, newer) = self.plain.as_slices();
        for part in [older, newer] {
            compressor.set_dictionary(part).expect("raw streams take any dictionary");
        }
    }
}

/// May a connection keep only the bytes of its window, and a shared inflater load them for each message?
fn inflaters() {
    println!("\n### Takeover: an inflater for each connection, or one for all and a plain window for each\n");
    println!("| message | window | connections | way | ns/message | ± | ratio |");
    println!("|--:|--:|--:|---|--:|--:|--:|");
    for (size, window_bits, connections) in
        [(128, 15, 1), (128, 15, 200), (128, 12, 200), (1024, 15, 1), (1024, 15, 200), (1024, 12, 200)]
    {
        let window = 1_usize << window_bits;
        let warming = window.div_ceil(size) + 8;
        let settings = Settings { window_bits, ..FULL };
        let streams: Vec<_> = (0..connections)
            .map(|seed| {
                let texts = messages::generate(size, warming + TURNS, seed);
                payloads(Library::Zlib, settings, Context::Takeover, &texts)
            })
            .collect();
        let turns =
            || (warming..warming + TURNS).flat_map(|turn| streams.iter().map(move |stream| &stream[turn]));
        let steps = TURNS * streams.len();

        let own = || {
            let mut out = vec![0; ROOM];
            let mut inflaters: Vec<_> = streams.iter().map(|_| Inflate::new(false, window_bits)).collect();
            for (inflater, stream) in inflaters.iter_mut().zip(&streams) {
                for payload in &stream[..warming] {
                    Decompressor::decompress(inflater, payload, &mut out);
                }
            }
            per_step(steps, || {
                for (step, payload) in turns().enumerate() {
                    let inflater = &mut inflaters[step % streams.len()];
                    black_box(Decompressor::decompress(inflater, payload, &mut out));
                }
            })
        };
        let shared = || {
            let mut out = vec![0; ROOM];
            let mut inflater = Inflate::new(false, 15);
            let mut windows: Vec<_> = streams.iter().map(|_| Window::new(window)).collect();
            for (window, stream) in windows.iter_mut().zip(&streams) {
                inflater.reset(false);
                for payload in &stream[..warming] {
                    let length = Decompressor::decompress(&mut inflater, payload, &mut out);
                    window.push(&out[..length]);
                }
            }
            per_step(steps, || {
                for (step, payload) in turns().enumerate() {
                    let window = &mut windows[step % streams.len()];
                    window.load(&mut inflater);
                    let length = Decompressor::decompress(&mut inflater, payload, &mut out);
                    window.push(&out[..length]);
                }
            })
        };
        let lead = |way| format!("{size} | {window_bits} | {connections} | {way}");
        let mut contenders = [
            Contender { name: lead("own inflater"), run: Box::new(own) },
            Contender { name: lead("plain window"), run: Box::new(shared) },
        ];
        for (cost, contender) in interleave(ROUNDS, &mut contenders).iter().zip(&contenders) {
            row(&contender.name, cost, None);
        }
    }
}

/// Compresses the messages of all connections in turn; the bytes of each on average, and what it cost.
fn compressors() {
    println!(
        "\n### Takeover: a compressor for each connection, or one for all and a plain window for each\n"
    );
    println!(
        "Messages of 1 KiB. The ratio is to one zlib-rs compressor alone, level 1, window 15, memory level 8.\n"
    );
    println!("| level | window | memory level | connections | way | ns/message | ± | ratio | bytes |");
    println!("|--:|--:|--:|--:|---|--:|--:|--:|--:|");
    let ways = [
        (1, 15, 8, None),
        (1, 12, 4, None),
        (1, 15, 8, Some(12)),
        (1, 15, 8, Some(10)),
        (2, 15, 8, None),
        (2, 12, 4, None),
        (2, 15, 4, Some(15)),
        (2, 15, 4, Some(13)),
        (2, 15, 4, Some(12)),
        (2, 15, 4, Some(10)),
        (6, 15, 8, None),
        (6, 12, 4, None),
        (6, 15, 4, Some(12)),
    ];
    let texts: Vec<_> = (0..200).map(|seed| messages::generate(1024, TURNS + 8, seed)).collect();
    let mut leads = Vec::new();
    let mut contenders = Vec::new();
    for connections in [1, 200] {
        for library in [Library::ZlibRs, Library::Zlib] {
            for (level, window_bits, memory_level, plain) in ways {
                let settings = Settings { level, memory_level, window_bits };
                let texts = &texts[..connections];
                let own: (String, Box<dyn Fn() -> (f64, f64)>) = match plain {
                    None => {
                        (format!("own {}", library.name()), Box::new(move || own(library, settings, texts)))
                    }
                    Some(bits) if library == Library::ZlibRs => (
                        format!("plain window of {} bytes", 1 << bits),
                        Box::new(move || shared(settings, bits, texts)),
                    ),
                    Some(_) => continue,
                };
                let (way, run) = own;
                let lead = format!("{level} | {window_bits} | {memory_level} | {connections} | {way}");
                leads.push((lead.clone(), run().1));
                contenders.push(Contender { name: lead, run: Box::new(move || run().0) });
            }
        }
    }
    let costs: Vec<Cost> = interleave(ROUNDS / 2, &mut contenders);
    for (cost, (lead, size)) in costs.iter().zip(&leads) {
        row(lead, cost, Some(*size));
    }
}

/// Nanoseconds and bytes for each message, with a compressor for each connection.
fn own(library: Library, settings: Settings, texts: &[Vec<Vec<u8>>]) -> (f64, f64) {
    let mut out = vec![0; ROOM];
    let mut compressors: Vec<_> = texts.iter().map(|_| library.compressor(settings)).collect();
    let warming = texts[0].len() - TURNS;
    let others = messages::generate(1024, 64, 7_000);
    for (compressor, texts) in compressors.iter_mut().zip(texts) {
        for text in others.iter().chain(&texts[..warming]) {
            compressor.compress(text, &mut out);
        }
    }
    let mut total = 0;
    let steps = TURNS * texts.len();
    let cost = per_step(steps, || {
        for turn in warming..warming + TURNS {
            for (compressor, texts) in compressors.iter_mut().zip(texts) {
                total += compressor.compress(&texts[turn], &mut out);
            }
        }
    });
    (cost, total as f64 / steps as f64)
}

/// Nanoseconds and bytes for each message, with one compressor that loads the window of 2^`bits` bytes.
fn shared(settings: Settings, bits: u8, texts: &[Vec<Vec<u8>>]) -> (f64, f64) {
    let mut out = vec![0; ROOM];
    let mut compressor = zlib_rs_deflate(settings);
    let mut windows: Vec<_> = texts.iter().map(|_| Window::new(1 << bits)).collect();
    let warming = texts[0].len() - TURNS;
    let others = messages::generate(1024, 64, 7_000);
    for (window, texts) in windows.iter_mut().zip(texts) {
        for text in others.iter().chain(&texts[..warming]) {
            window.push(text);
        }
    }
    let mut total = 0;
    let steps = TURNS * texts.len();
    let cost = per_step(steps, || {
        for turn in warming..warming + TURNS {
            for (window, texts) in windows.iter_mut().zip(texts) {
                window.load_to_refer(&mut compressor);
                total += Compressor::compress(&mut compressor, &texts[turn], &mut out);
                window.push(&texts[turn]);
            }
        }
    });
    (cost, total as f64 / steps as f64)
}

/// A peer that continues its stream reads what the shared compressor wrote.
fn verify_shared() {
    let mut out = vec![0; ROOM];
    let mut read = vec![0; ROOM];
    for (window_bits, level) in [(15, 1), (15, 6), (12, 1), (12, 6), (10, 2)] {
        let mut compressor = zlib_rs_deflate(Settings { level, memory_level: 4, window_bits });
        let mut window = Window::new(1 << window_bits);
        let mut peer = Library::Zlib.decompressor(window_bits);
        for text in messages::generate(1024, 100, 1) {
            window.load_to_refer(&mut compressor);
            let length = Compressor::compress(&mut compressor, &text, &mut out);
            window.push(&text);
            let payload = [&out[..length], &TAIL].concat();
            let length = peer.decompress(&payload, &mut read);
            assert!(read[..length] == *text, "a peer reads another message");
        }
    }
}
