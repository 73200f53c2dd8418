//! What wharf does with every byte and every frame.
//!
//! `inner-loops`: prints Markdown tables, in gigabytes a second. `inner-loops steps`: the names of the steps whose
//! instructions are counted. `inner-loops step NAME`: takes that step once, within the function `counted`.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "sizes here are small")]

mod clock;
mod masking;
mod steps;
mod text;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            masking::compare();
            text::compare();
        }
        ["steps"] => steps::all().iter().for_each(|(name, _)| println!("{name}")),
        ["step", wanted] => {
            let Some((_, take)) = steps::all().into_iter().find(|(name, _)| name == wanted) else {
                eprintln!("there is no step {wanted:?}; `inner-loops steps` lists them");
                return ExitCode::from(2);
            };
            take();
        }
        _ => {
            eprintln!("usage: inner-loops [steps | step NAME]");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Memory that begins where a cache line does, plus `offset` bytes.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

const CACHE_LINE: usize = 64;

impl Aligned {
    fn new(content: &[u8], offset: usize) -> Self {
        let mut bytes = vec![0; content.len() + offset + CACHE_LINE];
        let start = bytes.as_ptr().align_offset(CACHE_LINE) + offset;
        bytes[start..start + content.len()].copy_from_slice(content);
        bytes.truncate(start + content.len());
        Self { bytes, start }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }
}

fn size_name(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..0x10_0000 => format!("{} KiB", size / 1024),
        _ => format!("{} MiB", size / 0x10_0000),
    }
}
