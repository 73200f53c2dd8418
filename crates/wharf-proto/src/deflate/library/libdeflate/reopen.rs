//! Makes of a finished deflate stream one that was flushed and goes on (RFC 7692 §7.2.1).
//!
//! libdeflate cannot flush: the last block that it writes is final (BFINAL), and zeros pad it to a whole byte. A message may
//! end so, with one byte more (RFC 7692 §7.2.3.4), but peers that are in use fail at it: servers on uWebSockets close
//! the connection, and Bun reports the same of its own (oven-sh/bun#33592); Boost.Beast had it as a bug
//! (boostorg/beast#923). So the bit that says final is cleared, and the header of an empty stored block stands behind the last code. Where that
//! code ends, the padding hides. In a single block with codes of its own the last bit that is set tells, as the code that
//! ends the block is known and seldom all zeros. Otherwise only who follows the codes from the first on can know; what they
//! stand for does not matter.

use super::super::Unable;
use super::codes::{Bits, Codes, Kind, Lengths};

/// Follows the codes of a deflate stream (RFC 1951 §3.2).
#[derive(Debug)]
pub(super) struct Reopener {
    fixed: Codes,
    own: Codes,
}

impl Reopener {
    pub(super) fn new() -> Self {
        Self { fixed: Codes::fixed(), own: Codes::default() }
    }

    /// Leaves of the finished stream from `start` on what a flush leaves of it, without the last four bytes
    /// (RFC 7692 §7.2.1).
    ///
    /// # Errors
    /// [`Unable`]: no finished stream is there.
    pub(super) fn reopen(&mut self, compressed: &mut Vec<u8>, start: usize) -> Result<(), Unable> {
        let stream = compressed.get_mut(start..).ok_or(Unable)?;
        let (last_block, end) = match end_of_single_block(stream)? {
            Some(end) => (0, end),
            None => self.follow(stream)?,
        };
        if end.div_ceil(8) != stream.len() {
            return Err(Unable);
        }
        stream[last_block / 8] &= !(1 << (last_block % 8));
        let header_fits = stream.len() * 8 - end >= 3;
        if !header_fits {
            compressed.push(0x00);
        }
        Ok(())
    }

    /// Where the last block begins and ends.
    fn follow(&mut self, stream: &[u8]) -> Result<(usize, usize), Unable> {
        let mut bits = Bits { bytes: stream, position: 0 };
        loop {
            let block = bits.position;
            let is_final = bits.take(1)? == 1;
            match Kind::read(&mut bits)? {
                Kind::Stored => bits.pass_stored()?,
                Kind::FixedCodes => self.fixed.pass(&mut bits)?,
                Kind::OwnCodes => {
                    self.own.change_to(&Lengths::read(&mut bits)?);
                    self.own.pass(&mut bits)?;
                }
            }
            if is_final {
                return Ok((block, bits.position));
            }
        }
    }
}

/// Where a stream of one block ends, if the last bit that is set belongs to the code that ends the block.
fn end_of_single_block(stream: &[u8]) -> Result<Option<usize>, Unable> {
    let mut bits = Bits { bytes: stream, position: 0 };
    if bits.take(1)? == 0 || Kind::read(&mut bits)? != Kind::OwnCodes {
        return Ok(None);
    }
    let code = Lengths::read(&mut bits)?.end_of_block();
    let last = stream.last().copied().unwrap_or(0);
    if code == 0 || last == 0 {
        return Ok(None);
    }
    let padding_and_zeros = last.leading_zeros() as usize;
    Ok((stream.len() * 8 + code.trailing_zeros() as usize).checked_sub(padding_and_zeros))
}

#[cfg(test)]
mod tests {
    use libdeflater::{CompressionLvl, Compressor};
    use proptest::prelude::*;

    use super::super::super::{Inflate, Inflater};
    use super::*;

    fn compressed_and_reopened(level: i32, message: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::new(level).unwrap());
        let mut compressed = vec![0; 3 + compressor.deflate_compress_bound(message.len())];
        let len = compressor.deflate_compress(message, &mut compressed[3..]).unwrap();
        compressed.truncate(3 + len);
        Reopener::new().reopen(&mut compressed, 3).unwrap();
        compressed.split_off(3)
    }

    /// Inflates payloads as one stream: none of them may end it.
    fn assert_inflates_to(payloads: &[Vec<u8>], expected: &[u8]) {
        let mut inflater = Inflater::new().unwrap();
        let mut output = vec![0; expected.len() + 1];
        let mut made = 0;
        for payload in payloads {
            let input = [payload.as_slice(), &[0x00, 0x00, 0xff, 0xff]].concat();
            let mut taken = 0;
            while taken < input.len() {
                let step = inflater.inflate(&input[taken..], &mut output[made..]).unwrap();
                assert!(!step.is_final);
                assert!(step.taken + step.made > 0, "no progress");
                taken += step.taken;
                made += step.made;
            }
        }
        assert_eq!(&output[..made], expected);
    }

    #[test]
    fn a_final_block_becomes_the_one_that_the_rfc_shows_for_the_same_text() {
        // RFC 7692 §7.2.3.4 without its last byte, and §7.2.3.1
        let mut compressed = vec![0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        Reopener::new().reopen(&mut compressed, 0).unwrap();
        assert_eq!(compressed, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    }

    #[test]
    fn an_empty_message_is_an_empty_block() {
        assert_inflates_to(&[compressed_and_reopened(1, b"")], b"");
    }

    #[test]
    fn a_message_of_many_blocks_of_every_kind_goes_on() {
        let mut random = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random.to_be_bytes()[0]
        })
        .take(100_000)
        .collect();
        let text: Vec<u8> = (0..20_000).flat_map(|n: u32| n.to_string().into_bytes()).collect();
        let message = [&text, &noise, &text, &vec![b'a'; 300_000], &noise].map(Vec::as_slice).concat();
        for level in 1..=9 {
            let payload = compressed_and_reopened(level, &message);
            assert_inflates_to(&[payload.clone(), payload], &[message.as_slice(), &message].concat());
        }
    }

    #[test]
    fn what_is_no_finished_stream_is_refused() {
        let whole = compressed_and_reopened(1, b"no block of this is final now");
        for bytes in
            [&[][..], &[0x07], &[0x03], &[0x03, 0x00, 0x00], &[0x05, 0x00], &[0x01, 0x05, 0x00], &whole]
        {
            let mut compressed = bytes.to_vec();
            assert_eq!(Reopener::new().reopen(&mut compressed, 0), Err(Unable), "{bytes:x?}");
        }
        assert_eq!(Reopener::new().reopen(&mut Vec::new(), 1), Err(Unable));
    }

    proptest! {
        // RFC 7692 §7.2.1
        #[test]
        fn any_message_goes_on(
            level in 1..=9,
            message in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..2000),
                prop::collection::vec(0_u8..4, 0..2000),
                "[a-z\"{}:, ]{0,1500}".prop_map(String::into_bytes),
            ],
        ) {
            let payload = compressed_and_reopened(level, &message);
            assert_inflates_to(&[payload.clone(), payload], &[message.as_slice(), &message].concat());
        }

        #[test]
        fn any_bytes_are_refused_or_reopened(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut compressed = bytes.clone();
            let result = Reopener::new().reopen(&mut compressed, 0);
            prop_assert!(compressed.len() <= bytes.len() + usize::from(result.is_ok()));
            prop_assert!(result.is_ok() || compressed == bytes);
        }
    }
}
