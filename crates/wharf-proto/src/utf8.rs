//! Text checked, whole or as it arrives, in pieces that may end within a character (RFC 6455 §8.1).

use std::str;

use ascii::AsAsciiStr;

/// The bytes are not UTF-8, and no bytes that follow could make them so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

/// `bytes` as the text that they are.
///
/// # Errors
/// [`InvalidUtf8`] where they are none (RFC 6455 §8.1).
#[inline]
pub fn check(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    // A third of the instructions that the standard library's check takes, which does not go by words unless they are aligned.
    if bytes.len() < VECTORS_FROM
        && let Ok(text) = bytes.as_ascii_str()
    {
        return Ok(text.as_str());
    }
    // By vectors, where the processor has them and there are bytes enough; otherwise it is the standard library's check.
    simdutf8::basic::from_utf8(bytes).map_err(|_| InvalidUtf8)
}

/// Below so many bytes `simdutf8` leaves the check to the standard library.
const VECTORS_FROM: usize = 64;

/// The start of a character whose end has not arrived: all that a check of text in pieces has to remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SplitCharacter {
    bytes: [u8; 4],
    len: u8,
}

impl SplitCharacter {
    /// Checks the next piece of a text (RFC 6455 §8.1) and hands on what is complete, in order.
    ///
    /// # Errors
    /// [`InvalidUtf8`] at the first byte that no valid text can have at its place, also where that byte comes in
    /// a later piece than its character's first.
    pub fn check(&mut self, mut piece: &[u8], mut complete: impl FnMut(&str)) -> Result<(), InvalidUtf8> {
        while self.len > 0 {
            let Some((&next, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            let len = usize::from(self.len);
            self.bytes[len] = next;
            self.len += 1;
            match str::from_utf8(&self.bytes[..=len]) {
                Ok(character) => {
                    complete(character);
                    self.len = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => {}
            }
        }
        let (whole, start) = piece.split_at(piece.len() - cut_character_len(piece));
        complete(check(whole)?);
        if start.is_empty() {
            return Ok(());
        }
        if str::from_utf8(start).is_err_and(|error| error.error_len().is_some()) {
            return Err(InvalidUtf8);
        }
        self.bytes[..start.len()].copy_from_slice(start);
        self.len = start.len().to_le_bytes()[0];
        Ok(())
    }

    /// Whether the text may end here.
    pub const fn is_none(&self) -> bool {
        self.len == 0
    }
}

/// How many bytes at the end of `piece`, 3 at the most, look like the start of a character that goes on behind it.
/// Found from the end, so that the text before them is checked once, in one go.
fn cut_character_len(piece: &[u8]) -> usize {
    for (len, byte) in (1..=3).zip(piece.iter().rev()) {
        let character_len = match byte {
            0x00..=0x7f => return 0,
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        };
        return if len < character_len { len } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_all(pieces: &[&[u8]]) -> Result<(String, bool), InvalidUtf8> {
        let mut split = SplitCharacter::default();
        let mut text = String::new();
        for piece in pieces {
            split.check(piece, |complete| text.push_str(complete))?;
        }
        Ok((text, split.is_none()))
    }

    #[test]
    fn a_character_cut_at_every_byte_comes_out_whole() {
        for text in ["κόσμε", "a\u{10ffff}b", "\u{feff}", "ab\u{ffff}"] {
            for cut in 0..=text.len() {
                let (head, tail) = text.as_bytes().split_at(cut);
                assert_eq!(check_all(&[head, tail]), Ok((text.to_owned(), true)));
            }
        }
    }

    #[test]
    fn c9_15_the_first_impossible_byte_fails_although_its_character_is_incomplete() {
        for impossible in [
            &[0xff][..],               // no character begins so
            &[0xc0],                   // overlong
            &[0xe0, 0x80],             // overlong
            &[0xed, 0xa0],             // a surrogate
            &[0xf4, 0x90],             // above U+10FFFF
            &[0xf5],                   // above U+10FFFF
            &[0xce, 0xba, 0x80],       // a continuation byte alone
            &[0xf0, 0x9f, 0x98, 0x41], // a character broken off by another
        ] {
            assert_eq!(check_all(&[impossible]), Err(InvalidUtf8), "{impossible:x?} at once");
            let singly: Vec<_> = impossible.chunks(1).collect();
            assert_eq!(check_all(&singly), Err(InvalidUtf8), "{impossible:x?} byte by byte");
        }
    }

    #[test]
    fn a_text_that_ends_within_a_character_is_not_complete() {
        assert_eq!(check_all(&[b"a\xf0\x9f"]), Ok(("a".to_owned(), false)));
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole_is(
            bytes in proptest::collection::vec(any::<u8>(), 0..12),
            cut in 0usize..12,
        ) {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let whole = str::from_utf8(&bytes).ok().map(|text| (text.to_owned(), true));
            let pieces = check_all(&[head, tail]).ok().filter(|(_, is_whole)| *is_whole);
            prop_assert_eq!(pieces, whole);
        }

        #[test]
        fn long_text_with_a_wrong_byte_anywhere_is_judged_as_the_standard_library_does(
            text in "([ -~]{0,40}|[äß]{0,20}|[я-ё]{0,20}|[色-語]{0,20}|😀){0,12}",
            wrong in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = text.into_bytes();
            if let Some((place, byte)) = wrong.filter(|_| !bytes.is_empty()) {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let expected = str::from_utf8(&bytes).ok();
            prop_assert_eq!(check(&bytes).ok(), expected);
            let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
            let pieces = check_all(&[head, tail]).ok().filter(|(_, is_whole)| *is_whole);
            prop_assert_eq!(pieces.as_ref().map(|(text, _)| text.as_str()), expected);
        }
    }
}
