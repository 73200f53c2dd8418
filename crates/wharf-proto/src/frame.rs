//! The frame header: FIN, reserved bits, opcode, mask bit and length, read and written (RFC 6455 §5.2).

use crate::error::ProtocolError;
use crate::mask::MaskingKey;

/// The longest header in bytes: two bytes, a 64-bit length and a masking key (RFC 6455 §5.2).
pub const MAX_HEADER_LEN: usize = 14;

/// The most bytes a control frame's payload may have (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// What a frame is for (RFC 6455 §5.2). Reserved opcodes are not representable: they are a [`ProtocolError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// Goes on with the message that a text or binary frame without FIN began.
    Continuation = 0x0,
    /// Begins a text message.
    Text = 0x1,
    /// Begins a binary message.
    Binary = 0x2,
    /// Begins or answers the closing handshake (RFC 6455 §5.5.1).
    Close = 0x8,
    /// Asks for a pong with the same payload (RFC 6455 §5.5.2).
    Ping = 0x9,
    /// Answers a ping, or says unasked that the sender lives (RFC 6455 §5.5.3).
    Pong = 0xa,
}

impl Opcode {
    /// The opcode that the low four bits of `bits` name (RFC 6455 §5.2).
    ///
    /// # Errors
    /// [`ProtocolError::ReservedOpcode`] for 3–7 and 11–15.
    pub const fn from_bits(bits: u8) -> Result<Self, ProtocolError> {
        match bits & 0x0f {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xa => Ok(Self::Pong),
            opcode => Err(ProtocolError::ReservedOpcode { opcode }),
        }
    }

    /// The four bits on the wire.
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Whether this is a Close, Ping or Pong (RFC 6455 §5.5).
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

/// A frame's header (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this frame is the last of its message.
    pub fin: bool,
    /// The three reserved bits, RSV1 as the highest: `0b100`.
    pub reserved: u8,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The key that the payload is masked with; a client masks every frame, a server none (RFC 6455 §5.1).
    pub mask: Option<MaskingKey>,
    /// The payload's length in bytes, below 2^63.
    #[doc(alias = "length")]
    pub payload_len: u64,
}

impl Header {
    /// A header without a mask, and without the reserved bits that only an extension may set (RFC 6455 §5.2), once the
    /// handshake has agreed on it (RFC 6455 §9.1).
    pub const fn new(fin: bool, opcode: Opcode, payload_len: u64) -> Self {
        Self { fin, reserved: 0, opcode, mask: None, payload_len }
    }

    /// The first reserved bit; permessage-deflate gives it a meaning (RFC 7692 §6).
    pub const fn rsv1(&self) -> bool {
        self.reserved & 0b100 != 0
    }

    /// The second reserved bit, without a meaning so far.
    pub const fn rsv2(&self) -> bool {
        self.reserved & 0b010 != 0
    }

    /// The third reserved bit, without a meaning so far.
    pub const fn rsv3(&self) -> bool {
        self.reserved & 0b001 != 0
    }

    /// Reads a header from the front of `bytes`: the header and its length in bytes, or `None` while it is
    /// incomplete. What a rule forbids is refused as soon as the bytes that tell are there.
    ///
    /// # Errors
    /// The rules that hold for every frame, whoever sends it: a reserved opcode, a control frame that is
    /// fragmented or longer than 125 bytes (RFC 6455 §5.4, §5.5), a length that is not in its shortest form or has its
    /// top bit set (RFC 6455 §5.2).
    #[inline]
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, opcode) = Self::read_first_byte(first)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let short_len = second & 0x7f;
        if opcode.is_control() && usize::from(short_len) > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::ControlFrameTooLong);
        }
        let Some((payload_len, after_len)) = read_payload_len(short_len, bytes)? else { return Ok(None) };
        let (mask, len) = if second & 0x80 == 0 {
            (None, after_len)
        } else {
            let Some(key) = bytes.get(after_len..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
            (Some(MaskingKey(*key)), after_len + 4)
        };
        Ok(Some((Self { fin, reserved: (first >> 4) & 0b111, opcode, mask, payload_len }, len)))
    }

    /// FIN and the opcode, which the first byte tells.
    ///
    /// # Errors
    /// A reserved opcode, or a control frame that is fragmented (RFC 6455 §5.5).
    #[inline]
    pub(crate) fn read_first_byte(first: u8) -> Result<(bool, Opcode), ProtocolError> {
        let (fin, opcode) = (first & FIN != 0, Opcode::from_bits(first)?);
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControlFrame);
        }
        Ok((fin, opcode))
    }

    /// The payload's length, as soon as the bytes that tell are there, though the masking key may not be.
    ///
    /// # Errors
    /// A length that is not in its shortest form or has its top bit set.
    pub(crate) fn announced_len(bytes: &[u8]) -> Result<Option<u64>, ProtocolError> {
        let Some(second) = bytes.get(1) else { return Ok(None) };
        Ok(read_payload_len(second & 0x7f, bytes)?.map(|(length, _)| length))
    }

    /// Appends the header to `output`, its length in the shortest form (RFC 6455 §5.2). With a key its mask bit is set
    /// (RFC 6455 §5.3).
    #[inline]
    pub fn write(&self, output: &mut Vec<u8>) {
        let first = (u8::from(self.fin) << 7) | ((self.reserved & 0b111) << 4) | self.opcode.bits();
        let (length, mut len) = match self.payload_len {
            length @ 0..=125 => (length, 2),
            length @ 126..=0xffff => (LENGTH_IN_16_BITS | length.swap_bytes() >> 48 << 8, 4),
            _ => return self.write_long(first, output),
        };
        // As a number, its first byte lowest: in a register, where no part waits for another to be stored.
        let mut header = u64::from(first) | length << 8;
        if let Some(MaskingKey(key)) = self.mask {
            header |= MASK_BIT << 8 | u64::from(u32::from_le_bytes(key)) << (8 * len);
            len += 4;
        }
        // To copy a fixed number of bytes and cut is two instructions; to copy as many as the header has is a call.
        let start = output.len();
        output.extend_from_slice(&header.to_le_bytes());
        output.truncate(start + len);
    }

    #[inline(never)]
    fn write_long(&self, first: u8, output: &mut Vec<u8>) {
        let mask_bit = if self.mask.is_some() { MASK_BIT } else { 0 };
        output.extend_from_slice(&[first, (mask_bit | LENGTH_IN_64_BITS).to_le_bytes()[0]]);
        output.extend_from_slice(&self.payload_len.to_be_bytes());
        if let Some(MaskingKey(key)) = self.mask {
            output.extend_from_slice(&key);
        }
    }
}

/// The first byte's highest bit (RFC 6455 §5.2).
pub(crate) const FIN: u8 = 0x80;

/// The second byte (RFC 6455 §5.2): its highest bit, and what stands for a longer length in the others.
const MASK_BIT: u64 = 0x80;
const LENGTH_IN_16_BITS: u64 = 126;
const LENGTH_IN_64_BITS: u64 = 127;

/// The payload's length, and where it ends in the header.
#[inline]
fn read_payload_len(short_len: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
    match short_len {
        126 => {
            let Some(length) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
            Ok(Some((minimal(u64::from(u16::from_be_bytes(*length)), 126)?, 4)))
        }
        127 => {
            let Some(length) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
            let length = minimal(u64::from_be_bytes(*length), 1 << 16)?;
            if length >> 63 != 0 {
                return Err(ProtocolError::LengthTopBitSet { length });
            }
            Ok(Some((length, 10)))
        }
        length => Ok(Some((u64::from(length), 2))),
    }
}

/// RFC 6455 §5.2: "the minimal number of bytes MUST be used to encode the length".
#[inline]
fn minimal(length: u64, least: u64) -> Result<u64, ProtocolError> {
    if length < least { Err(ProtocolError::LengthNotMinimal { length }) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(header: Header) -> Vec<u8> {
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        bytes
    }

    #[test]
    fn f1_1_what_is_written_is_read_back_at_every_length_boundary() {
        for opcode in [Opcode::Continuation, Opcode::Text, Opcode::Binary] {
            for length in [0, 1, 125, 126, 65_535, 65_536, (1 << 63) - 1] {
                for (fin, reserved) in [(true, 0), (false, 0b101), (true, 0b111)] {
                    for mask in [None, Some(MaskingKey([1, 2, 3, 4]))] {
                        let header = Header { fin, reserved, opcode, mask, payload_len: length };
                        let bytes = written(header);
                        assert_eq!(Header::read(&bytes), Ok(Some((header, bytes.len()))));
                    }
                }
            }
        }
        for opcode in [Opcode::Close, Opcode::Ping, Opcode::Pong] {
            for length in [0, 1, 125] {
                let header = Header::new(true, opcode, length);
                assert_eq!(Header::read(&written(header)), Ok(Some((header, 2))));
            }
        }
    }

    #[test]
    fn f1_2_a_header_cut_anywhere_is_incomplete() {
        let header =
            Header { mask: Some(MaskingKey([9, 8, 7, 6])), ..Header::new(true, Opcode::Binary, 70_000) };
        let bytes = written(header);
        for cut in 0..bytes.len() {
            assert_eq!(Header::read(&bytes[..cut]), Ok(None));
        }
    }

    #[test]
    fn f1_3_the_vectors_of_the_reference() {
        let zero_key_ping = Header { mask: Some(MaskingKey([0; 4])), ..Header::new(true, Opcode::Ping, 0) };
        assert_eq!(written(zero_key_ping), [0x89, 0x80, 0, 0, 0, 0]);
        let key = Some(MaskingKey([0xaa, 0xbb, 0xcc, 0xdd]));
        let two_hundred = Header { mask: key, ..Header::new(true, Opcode::Binary, 200) };
        assert_eq!(written(two_hundred), [0x82, 0xfe, 0, 0xc8, 0xaa, 0xbb, 0xcc, 0xdd]);
        let long = Header { mask: key, ..Header::new(true, Opcode::Binary, 66_000) };
        let expected = [0x82, 0xff, 0, 0, 0, 0, 0, 1, 1, 0xd0, 0xaa, 0xbb, 0xcc, 0xdd];
        assert_eq!(written(long), expected);
    }

    #[test]
    fn f1_5_lengths_are_written_in_their_shortest_form() {
        // RFC 6455 §5.2
        for (length, bytes) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            assert_eq!(written(Header::new(true, Opcode::Text, length)).len(), bytes);
        }
    }

    #[test]
    fn c9_20_lengths_in_a_longer_form_than_needed_are_refused() {
        // RFC 6455 §5.2
        assert_eq!(Header::read(&[0x81, 126, 0, 125]), Err(ProtocolError::LengthNotMinimal { length: 125 }));
        assert_eq!(
            Header::read(&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            Err(ProtocolError::LengthNotMinimal { length: 65_535 })
        );
    }

    #[test]
    fn a_length_with_its_top_bit_set_is_refused() {
        // RFC 6455 §5.2
        let bytes = [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Header::read(&bytes), Err(ProtocolError::LengthTopBitSet { length: 1 << 63 }));
    }

    #[test]
    fn c9_13_rules_are_judged_by_the_first_byte_that_tells() {
        assert_eq!(Header::read(&[0x83]), Err(ProtocolError::ReservedOpcode { opcode: 3 }));
        assert_eq!(Header::read(&[0x09]), Err(ProtocolError::FragmentedControlFrame));
        assert_eq!(Header::read(&[0x89, 126]), Err(ProtocolError::ControlFrameTooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = Header::read(&bytes);
        }

        #[test]
        fn what_is_read_is_written_back(bytes in proptest::collection::vec(any::<u8>(), 14)) {
            if let Ok(Some((header, len))) = Header::read(&bytes) {
                prop_assert_eq!(written(header), &bytes[..len]);
            }
        }
    }
}
