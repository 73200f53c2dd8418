//! The way that nearly every message takes, in and out: one frame that lies in one piece, and about which there is nothing
//! to judge but its length and its text.

use std::time::Instant;

use super::Connection;
use super::input::Input;
use crate::copy;
use crate::frame::{FIN, Header, Opcode};
use crate::mask::MaskingKey;
use crate::message::{MessageKind, MessageRef};
use crate::utf8;

impl Connection {
    /// Takes the next message, if it is one plain frame of less than 64 KiB that lies in `input` whole, as nearly all do:
    /// [`receive`](Self::receive) without all that a driver has to ask about other events. `None` where there is anything
    /// else, or nothing: that is for `receive`.
    ///
    /// What it takes is acted on as by `receive`; text that is none is told to the peer, into `output`.
    #[expect(clippy::inline_always, reason = "so that the message is never put into memory")]
    #[inline(always)]
    pub fn receive_whole<'i>(
        &mut self,
        input: &mut Input<'i>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Option<MessageRef<'i>> {
        if self.aside.is_some() {
            return None;
        }
        // An open server's, where nothing is unfinished: its peer masks (RFC 6455 §5.1).
        self.take_plain_frame(true, input, output, now)
    }

    /// The same for a connection that has something aside. Apart, so that nearly all do not pay for the choice.
    #[inline(never)]
    pub(super) fn receive_whole_aside<'i>(
        &mut self,
        input: &mut Input<'i>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Option<MessageRef<'i>> {
        let aside = self.aside.as_ref().filter(|aside| aside.is_at_a_message())?;
        let is_masked = aside.masking_keys.is_none();
        self.take_plain_frame(is_masked, input, output, now)
    }

    /// Takes a message that is one plain frame, whole at the front of `input`. Where there is anything else, nothing is taken,
    /// and all rules are still to be applied.
    #[expect(clippy::inline_always, reason = "as part of `receive`")]
    #[inline(always)]
    fn take_plain_frame<'i>(
        &mut self,
        is_masked: bool,
        input: &mut Input<'i>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Option<MessageRef<'i>> {
        if !self.config.assemble_fragments {
            return None;
        }
        let frame = PlainFrame::read(input.rest(), is_masked)?;
        if frame.payload_len as u64 > self.config.limits.max_frame_size {
            return None;
        }
        self.heard(now);
        let payload = input.take_behind(frame.header_len, frame.payload_len);
        if let Some(key) = frame.key {
            key.apply(payload);
        }
        match frame.kind {
            MessageKind::Binary => Some(MessageRef::Binary(payload)),
            MessageKind::Text => match utf8::check(payload) {
                Ok(text) => Some(MessageRef::Text(text)),
                Err(invalid) => {
                    self.fail_for_good(invalid.into(), input, output, now);
                    None
                }
            },
        }
    }
}

/// The header of a frame that is a whole message of less than 64 KiB, without reserved bits.
struct PlainFrame {
    kind: MessageKind,
    key: Option<MaskingKey>,
    header_len: usize,
    payload_len: usize,
}

impl PlainFrame {
    /// `None` where `bytes` begin with anything else, or end before the frame does.
    #[expect(clippy::inline_always, reason = "as part of `receive`, which knows `is_masked`")]
    #[inline(always)]
    fn read(bytes: &[u8], is_masked: bool) -> Option<Self> {
        let [first, second] = *bytes.first_chunk()?;
        let kind = match first {
            0x81 => MessageKind::Text,
            0x82 => MessageKind::Binary,
            _ => return None,
        };
        if (second & 0x80 != 0) != is_masked {
            return None;
        }
        let (payload_len, key_at) = match second & 0x7f {
            126 => match u16::from_be_bytes(*bytes.get(2..4)?.first_chunk()?) {
                // Not in its shortest form.
                ..126 => return None,
                len => (usize::from(len), 4),
            },
            127 => return None,
            len => (usize::from(len), 2),
        };
        let (key, header_len) = if is_masked {
            (Some(MaskingKey(*bytes.get(key_at..key_at + 4)?.first_chunk()?)), key_at + 4)
        } else {
            (None, key_at)
        };
        let is_whole = bytes.len() - header_len >= payload_len;
        is_whole.then_some(Self { kind, key, header_len, payload_len })
    }
}

/// Writes a whole message as one frame, without a mask and reserved bits (RFC 6455 §6.1).
#[inline]
pub(super) fn write_plain_frame(opcode: Opcode, payload: &[u8], output: &mut Vec<u8>) {
    match u8::try_from(payload.len()) {
        Ok(length @ ..=125) => output.extend_from_slice(&[FIN | opcode.bits(), length]),
        _ => write_longer_header(opcode, payload.len(), output),
    }
    copy::append(output, payload);
}

/// Apart, so that a short message does not pay for the registers of it.
#[inline(never)]
fn write_longer_header(opcode: Opcode, payload_len: usize, output: &mut Vec<u8>) {
    Header::new(true, opcode, payload_len as u64).write(output);
}
