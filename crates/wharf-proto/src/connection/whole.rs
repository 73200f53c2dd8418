//! The way that nearly every message takes, in and out: one frame that lies in one piece, and about which there is nothing
//! to judge but its length and its text.

use std::time::Instant;

use super::Connection;
use super::input::Input;
use crate::copy;
use crate::error::ProtocolError;
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
        match self.take_whole_message(input, now)? {
            Ok(message) => Some(message),
            Err(error) => {
                self.fail_for_good(error, input, output, now);
                None
            }
        }
    }

    /// Takes a message that is one plain frame of less than 64 KiB, whole at the front of `input`. `None` where there is
    /// anything else: then nothing was taken, and all rules are still to be applied.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidUtf8`].
    #[expect(clippy::inline_always, reason = "as part of `receive`")]
    #[inline(always)]
    pub(super) fn take_whole_message<'i>(
        &mut self,
        input: &mut Input<'i>,
        now: Instant,
    ) -> Option<Result<MessageRef<'i>, ProtocolError>> {
        let (is_at_a_message, is_server) = match &self.aside {
            None => (true, true),
            Some(aside) => (aside.is_at_a_message(), aside.masking_keys.is_none()),
        };
        if !is_at_a_message || !self.config.assemble_fragments {
            return None;
        }
        let frame = PlainFrame::read(input.rest(), is_server)?;
        if frame.payload_len as u64 > self.config.limits.max_frame_size {
            return None;
        }
        self.heard(now);
        let payload = input.take_behind(frame.header_len, frame.payload_len);
        if let Some(key) = frame.key {
            key.apply(payload);
        }
        Some(match frame.kind {
            MessageKind::Binary => Ok(MessageRef::Binary(payload)),
            MessageKind::Text => utf8::check(payload).map(MessageRef::Text).map_err(ProtocolError::from),
        })
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
    #[inline]
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
