//! Masking in place, for any length and alignment (RFC 6455 §5.3).

/// The four bytes that a client's payload is combined with (RFC 6455 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskingKey(pub [u8; 4]);

impl MaskingKey {
    /// Masks `payload` in place; a second time unmasks it.
    #[inline]
    pub fn apply(self, payload: &mut [u8]) {
        match payload.len() {
            ..16 => self.apply_to_few(payload),
            16..32 => self.apply_at_both_ends(payload, Self::combine_16),
            32..LINES_FROM => self.apply_in_blocks(payload),
            LINES_FROM..ALIGNED_FROM => self.apply_in_cache_lines(payload),
            ALIGNED_FROM.. => self.apply_aligned(payload),
        }
    }

    #[inline]
    fn apply_to_few(self, payload: &mut [u8]) {
        match payload.len() {
            8.. => self.apply_at_both_ends(payload, Self::combine_8),
            4..8 => self.apply_at_both_ends(payload, Self::combine_4),
            ..4 => {
                for (byte, key) in payload.iter_mut().zip(self.0) {
                    *byte ^= key;
                }
            }
        }
    }

    /// The key for what follows after `masked` bytes of the same payload.
    #[must_use]
    pub const fn after(self, masked: usize) -> Self {
        // A rotation, because a choice of four that is predicted wrongly costs more than to mask a short payload.
        let turned = masked.to_le_bytes()[0] % 4;
        Self(u32::from_le_bytes(self.0).rotate_right(8 * turned as u32).to_le_bytes())
    }

    /// A payload of `N` bytes to twice as many, without a loop over what is left behind the first `N`: the last `N` are
    /// written before the first, which they overlap. So the first lie in one store, from which the processor can give them
    /// to whoever reads them next; what lies in two would have to reach the cache before.
    #[inline]
    fn apply_at_both_ends<const N: usize>(
        self,
        payload: &mut [u8],
        combine: impl Fn(Self, [u8; N]) -> [u8; N],
    ) {
        let (Some(first), Some(last)) = (payload.first_chunk(), payload.last_chunk()) else { return };
        let (first, last) = (combine(self, *first), combine(self.after(payload.len()), *last));
        if let Some(end) = payload.last_chunk_mut() {
            *end = last;
        }
        if let Some(start) = payload.first_chunk_mut() {
            *start = first;
        }
    }

    /// A payload of 16 bytes or more, likewise without a loop over what is left behind whole blocks: the last 16 bytes are
    /// combined before, and written after the blocks that overlap them.
    #[inline]
    fn apply_in_blocks(self, payload: &mut [u8]) {
        let Some(last) = payload.last_chunk() else { return };
        let last = self.after(payload.len()).combine_16(*last);
        for block in payload.as_chunks_mut().0 {
            *block = self.combine_16(*block);
        }
        if let Some(end) = payload.last_chunk_mut() {
            *end = last;
        }
    }

    /// Behind a header hardly a payload is aligned, and vectors that lie across two cache lines cost 10 to 30 %.
    #[inline(never)]
    fn apply_aligned(self, payload: &mut [u8]) {
        let unaligned = payload.as_ptr().align_offset(VECTOR).min(VECTOR);
        let (start, aligned) = payload.split_at_mut(unaligned);
        self.apply(start);
        self.after(unaligned).apply_in_cache_lines(aligned);
    }

    /// Apart, so that a short payload does not pay for the registers of the loop.
    #[inline(never)]
    fn apply_in_cache_lines(self, payload: &mut [u8]) {
        // Plain bytes of a fixed size: the compiler makes them the widest vector instructions of the target.
        let pattern = [self.0; CACHE_LINE / 4];
        let (lines, rest) = payload.as_chunks_mut::<CACHE_LINE>();
        for line in lines {
            for (byte, key) in line.iter_mut().zip(pattern.as_flattened()) {
                *byte ^= key;
            }
        }
        self.apply(rest);
    }

    const fn combine_4(self, four: [u8; 4]) -> [u8; 4] {
        (u32::from_ne_bytes(four) ^ u32::from_ne_bytes(self.0)).to_ne_bytes()
    }

    const fn combine_8(self, eight: [u8; 8]) -> [u8; 8] {
        (u64::from_ne_bytes(eight) ^ self.twice()).to_ne_bytes()
    }

    const fn combine_16(self, sixteen: [u8; 16]) -> [u8; 16] {
        let key = self.twice() as u128;
        (u128::from_ne_bytes(sixteen) ^ (key << 64 | key)).to_ne_bytes()
    }

    const fn twice(self) -> u64 {
        let key = u32::from_ne_bytes(self.0) as u64;
        key << 32 | key
    }
}

const CACHE_LINE: usize = 64;
const VECTOR: usize = 16;

/// From this many bytes on, a loop over cache lines costs less than one over smaller blocks.
const LINES_FROM: usize = 128;
/// Below this it costs more to align a payload than it saves.
const ALIGNED_FROM: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: octet i of the payload is combined with octet i MOD 4 of the key (RFC 6455 §5.3).
    fn by_definition(key: [u8; 4], payload: &[u8]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
    }

    #[test]
    fn the_masked_hello_of_the_rfc_unmasks() {
        // RFC 6455 §5.7
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        MaskingKey([0x37, 0xfa, 0x21, 0x3d]).apply(&mut payload);
        assert_eq!(&payload, b"Hello");
    }

    proptest! {
        #[test]
        fn any_length_and_alignment_follows_the_definition(
            key in any::<[u8; 4]>(),
            payload in prop_oneof![
                3 => proptest::collection::vec(any::<u8>(), 0..300),
                1 => proptest::collection::vec(any::<u8>(), ALIGNED_FROM - 80..ALIGNED_FROM + 160),
            ],
            skip in 0usize..32,
        ) {
            let skip = skip.min(payload.len());
            let expected = by_definition(key, &payload[skip..]);
            let mut payload = payload;
            MaskingKey(key).apply(&mut payload[skip..]);
            prop_assert_eq!(&payload[skip..], expected);
        }

        #[test]
        fn a_payload_may_be_masked_in_pieces(
            key in any::<[u8; 4]>(),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0usize..200,
        ) {
            // RFC 6455 §6.2
            let cut = cut.min(payload.len());
            let expected = by_definition(key, &payload);
            let mut payload = payload;
            let (head, tail) = payload.split_at_mut(cut);
            MaskingKey(key).apply(head);
            MaskingKey(key).after(cut).apply(tail);
            prop_assert_eq!(payload, expected);
        }
    }
}
