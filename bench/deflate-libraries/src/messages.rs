//! JSON as applications send it: what differs between two messages differs as it does there.

use std::fmt::Write as _;

const WORDS: [&str; 40] = [
    "the",
    "meeting",
    "starts",
    "at",
    "noon",
    "please",
    "bring",
    "your",
    "notes",
    "we",
    "moved",
    "build",
    "to",
    "green",
    "again",
    "after",
    "fixing",
    "that",
    "flaky",
    "test",
    "does",
    "anybody",
    "know",
    "why",
    "latency",
    "grows",
    "when",
    "cache",
    "is",
    "cold",
    "thanks",
    "looks",
    "good",
    "ship",
    "it",
    "tomorrow",
    "morning",
    "with",
    "release",
    "candidate",
];
const NAMES: [&str; 12] =
    ["amelie", "bashir", "chen", "dara", "elif", "farouk", "greta", "hiro", "ines", "jonas", "kofi", "lena"];
const SYMBOLS: [&str; 8] = ["EURUSD", "GBPUSD", "USDJPY", "BTCUSDT", "ETHUSDT", "XAUUSD", "DE40", "US500"];

/// `count` different JSON texts of about `size` bytes each, the same ones for the same seed.
pub fn generate(size: usize, count: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| message(size, &mut random).into_bytes()).collect()
}

fn message(size: usize, random: &mut fastrand::Rng) -> String {
    let kind = random.usize(0..4);
    if size <= 200 {
        return record(kind, random);
    }
    let topic = random.u32(1..500);
    let mut text =
        format!(r#"{{"type":"batch","topic":"room/{topic}","version":{},"items":["#, random.u32(1..99_999));
    while text.len() < size {
        if !text.ends_with('[') {
            text.push(',');
        }
        text.push_str(&record(kind, random));
    }
    let _ = write!(text, r#"],"next":"{:016x}"}}"#, random.u64(..));
    text
}

fn record(kind: usize, random: &mut fastrand::Rng) -> String {
    let id = random.u32(10_000..9_999_999);
    let time = 1_700_000_000_000_u64 + random.u64(0..90_000_000);
    let name = NAMES[random.usize(..NAMES.len())];
    match kind {
        0 => {
            let words: Vec<_> =
                (0..random.usize(5..12)).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
            format!(r#"{{"type":"chat","id":{id},"from":"{name}","at":{time},"text":"{}"}}"#, words.join(" "))
        }
        1 => {
            let symbol = SYMBOLS[random.usize(..SYMBOLS.len())];
            let (bid, depth) = (random.f64() * 2_000.0, random.u32(1..5_000));
            format!(
                r#"{{"type":"quote","symbol":"{symbol}","bid":{bid:.4},"ask":{:.4},"depth":{depth},"halted":false,"at":{time}}}"#,
                bid + random.f64()
            )
        }
        2 => format!(
            r#"{{"type":"position","device":"{:08x}","lat":{:.6},"lon":{:.6},"speed":{:.1},"battery":{},"at":{time}}}"#,
            random.u32(..),
            47.0 + random.f64(),
            8.0 + random.f64(),
            random.f64() * 130.0,
            random.u32(5..100)
        ),
        _ => format!(
            r#"{{"type":"order","id":{id},"customer":"{name}","sku":"{:04x}-{:04x}","quantity":{},"price":{:.2},"paid":{},"note":null}}"#,
            random.u16(..),
            random.u16(..),
            random.u32(1..20),
            random.f64() * 300.0,
            random.bool()
        ),
    }
}
