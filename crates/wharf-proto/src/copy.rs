//! Long payloads copied in pieces that every processor copies fast.

/// Appends `bytes`, as `extend_from_slice` does.
#[inline]
pub(crate) fn append(to: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() <= PIECE {
        to.extend_from_slice(bytes);
    } else {
        append_long(to, bytes);
    }
}

/// Appends `text`, as `push_str` does.
pub(crate) fn append_text(to: &mut String, mut text: &str) {
    to.reserve(text.len());
    while text.len() > PIECE {
        let boundary = (0..=PIECE).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(PIECE);
        let (piece, rest) = text.split_at(boundary);
        to.push_str(piece);
        text = rest;
    }
    to.push_str(text);
}

/// Apart, so that a short payload does not pay for the registers of the loop.
#[inline(never)]
fn append_long(to: &mut Vec<u8>, bytes: &[u8]) {
    to.reserve(bytes.len());
    for piece in bytes.chunks(PIECE) {
        to.extend_from_slice(piece);
    }
}

/// The longest piece, in bytes. What is longer than 2112 bytes glibc copies by `rep movsb`, where the processor says that it
/// is fast at that. AMD's say so, but copy 2 GB/s that way, instead of 60, where the target lies 1 to 15 bytes further into
/// its page of 4096 bytes than the source: as a payload does behind its header.
const PIECE: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_the_same_at_every_length_around_a_piece() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 5] {
            let bytes: Vec<u8> = (0..len).map(|at| at.to_le_bytes()[0]).collect();
            let mut to = b"before".to_vec();
            append(&mut to, &bytes);
            assert_eq!(to, [b"before", &bytes[..]].concat());
        }
    }

    #[test]
    fn no_character_is_cut() {
        for shift in 0..4 {
            let text = "x".repeat(shift) + &"😀".repeat(PIECE);
            let mut to = String::from("before");
            append_text(&mut to, &text);
            assert_eq!(to, String::from("before") + &text);
        }
    }
}
