//! Masking in place, for any length and alignment (RFC 6455 §5.3).

/// The four bytes that a client's payload is combined with (RFC 6455 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskingKey(pub [u8; 4]);

impl MaskingKey {
    /// Masks `payload` in place; a second time unmasks it.
    #[inline]
    pub fn apply(self, payload: &mut [u8]) {
        let four = u32::from_ne_bytes(self.0);
        // Plain words in blocks of a fixed size: the compiler makes them the widest vector instructions of the target,
        // without any care for alignment on our side. What is left is less than a block, and short messages are nothing
        // else.
        let eight = u64::from(four) << 32 | u64::from(four);
        let (blocks, rest) = payload.as_chunks_mut::<64>();
        for block in blocks {
            for word in block.as_chunks_mut::<8>().0 {
                *word = (u64::from_ne_bytes(*word) ^ eight).to_ne_bytes();
            }
        }
        let (words, rest) = rest.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ eight).to_ne_bytes();
        }
        let (words, rest) = rest.as_chunks_mut::<4>();
        for word in words {
            *word = (u32::from_ne_bytes(*word) ^ four).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(&self.0) {
            *byte ^= key;
        }
    }

    /// The key for what follows after `masked` bytes of the same payload.
    #[must_use]
    pub const fn after(self, masked: usize) -> Self {
        let [a, b, c, d] = self.0;
        match masked % 4 {
            0 => self,
            1 => Self([b, c, d, a]),
            2 => Self([c, d, a, b]),
            _ => Self([d, a, b, c]),
        }
    }
}

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
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            skip in 0usize..16,
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
