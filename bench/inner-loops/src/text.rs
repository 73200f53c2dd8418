//! Whether bytes are UTF-8: the check of wharf, that of the standard library and that of simdutf8.

use std::hint::black_box;

use wharf_proto::utf8::{self, SplitCharacter};

use crate::clock::{Contender, gigabytes_a_second, table};
use crate::{Aligned, size_name};

const SIZES: [usize; 6] = [20, 64, 125, 1024, 16 * 1024, 1 << 20];

/// What is repeated to a text of any length.
pub const TEXTS: [(&str, &str); 5] = [
    ("ASCII", "The quick brown fox jumps over the lazy dog. "),
    ("Latin", "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. "),
    ("Cyrillic", "Съешь же ещё этих мягких французских булок, да выпей чаю. "),
    ("CJK", "色は匂へど散りぬるを我が世誰ぞ常ならむ。"),
    (
        "JSON with emoji",
        r#"{"user":"anna","text":"Hello 👋 how are you 😀?","at":1700000000,"tags":["a","b"]},"#,
    ),
];

/// `text` again and again, up to `size` bytes, a little less where a character would be cut.
pub fn repeated(text: &str, size: usize) -> String {
    let mut whole = text.repeat(size / text.len() + 1);
    whole.truncate(whole.floor_char_boundary(size));
    whole
}

pub fn compare() {
    for (name, text) in TEXTS {
        println!("\n## Checking text, GB/s, {name}\n");
        let rows: Vec<_> = SIZES.iter().map(|size| (size_name(*size), speeds(text, *size))).collect();
        table(&rows, &["wharf, whole", "wharf, in pieces", "std", "simdutf8"]);
    }
}

fn speeds(text: &str, size: usize) -> Vec<f64> {
    let text = repeated(text, size);
    // Behind a header, as text lies in a read.
    let check = |is_text: fn(&[u8]) -> bool| -> Contender<'static> {
        let mut bytes = Aligned::new(text.as_bytes(), 6);
        Box::new(move |times| {
            for _ in 0..times {
                assert!(is_text(black_box(bytes.bytes())));
            }
        })
    };
    gigabytes_a_second(
        text.len(),
        &mut [
            check(|bytes| utf8::check(bytes).is_ok()),
            check(|bytes| SplitCharacter::default().check(bytes, |text| _ = black_box(text)).is_ok()),
            check(|bytes| std::str::from_utf8(bytes).is_ok()),
            check(|bytes| simdutf8::basic::from_utf8(bytes).is_ok()),
        ],
    )
}
