//! Frames composed by hand, and the order that the frames of one side keep (RFC 6455 §5.4).

use std::borrow::Cow;

use bytes::Bytes;

use super::Frame;
use crate::close::Close;
use crate::error::ProtocolError;
use crate::frame::{Header, MAX_CONTROL_PAYLOAD, Opcode};
use crate::utf8::SplitCharacter;

impl<'a> Frame<'a> {
    /// A frame to be sent. Whether it is masked, and its length on the wire, follow from the side that sends it and
    /// from the payload.
    ///
    /// ```
    /// use wharf_proto::connection::Frame;
    /// use wharf_proto::frame::Opcode;
    ///
    /// let hello = [Frame::new(false, Opcode::Text, b"Hel"), Frame::new(true, Opcode::Continuation, b"lo")];
    /// # assert_eq!(hello.map(|frame| frame.header.payload_len), [3, 2]);
    /// ```
    #[doc(alias = "WebSocketFrame")]
    pub fn new(fin: bool, opcode: Opcode, payload: impl Into<Cow<'a, [u8]>>) -> Self {
        let payload = payload.into();
        Self { header: Header::new(fin, opcode, payload.len() as u64), payload }
    }
}

/// A frame that goes out as it is, whatever rule it breaks: for tests of a peer, and for extensions that wharf does
/// not know. Only the mask follows from the side that sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawFrame {
    /// Whether it says that it is the last of its message.
    pub fin: bool,
    /// The three reserved bits, RSV1 as the highest: `0b100`.
    pub reserved: u8,
    /// The opcode, of which four bits count, reserved ones too.
    pub opcode: u8,
    /// The payload, of any length.
    pub payload: Bytes,
}

impl From<Frame<'_>> for RawFrame {
    fn from(frame: Frame<'_>) -> Self {
        let Header { fin, reserved, opcode, .. } = frame.header;
        Self { fin, reserved, opcode: opcode.bits(), payload: frame.payload.into_owned().into() }
    }
}

/// Where one side stands in the order of the frames that it sends: between two messages, or within one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameSequence(Within);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Nothing,
    /// A text whose fragments so far end with part of a character, or with none.
    Text(SplitCharacter),
    Binary,
}

impl FrameSequence {
    /// Whether a message has begun and not ended: until then no other may begin.
    pub const fn is_within_message(&self) -> bool {
        !matches!(self.0, Within::Nothing)
    }

    /// Judges the next frame as the peer will, and counts it as sent: its reserved bits (RFC 6455 §5.2), its place among
    /// the fragments (RFC 6455 §5.4), and whether the text so far is UTF-8 (RFC 6455 §5.6).
    ///
    /// # Errors
    /// The rule that it would break; then it does not count.
    pub fn check(&mut self, frame: &Frame<'_>) -> Result<(), ProtocolError> {
        let Header { fin, reserved, opcode, .. } = frame.header;
        if reserved != 0 {
            return Err(ProtocolError::ReservedBits { bits: reserved });
        }
        if opcode.is_control() {
            return check_control(fin, opcode, &frame.payload);
        }
        let mut within = match (opcode, &self.0) {
            (Opcode::Continuation, Within::Nothing) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Continuation, within) => within.clone(),
            (Opcode::Text, Within::Nothing) => Within::Text(SplitCharacter::default()),
            (_, Within::Nothing) => Within::Binary,
            _ => return Err(ProtocolError::MessageAmidFragments { opcode: opcode.bits() }),
        };
        if let Within::Text(split) = &mut within {
            split.check(&frame.payload, |_| ())?;
            if fin && !split.is_none() {
                return Err(ProtocolError::InvalidUtf8);
            }
        }
        self.0 = if fin { Within::Nothing } else { within };
        Ok(())
    }

    /// Counts a frame as sent that was not judged. The text of a message that such a frame began is not judged, either.
    pub fn follow(&mut self, frame: &RawFrame) {
        match Opcode::from_bits(frame.opcode) {
            Ok(opcode) if !opcode.is_control() => {
                self.0 = if frame.fin { Within::Nothing } else { Within::Binary };
            }
            _ => {}
        }
    }
}

/// RFC 6455 §5.4, §5.5.
fn check_control(fin: bool, opcode: Opcode, payload: &[u8]) -> Result<(), ProtocolError> {
    if !fin {
        return Err(ProtocolError::FragmentedControlFrame);
    }
    if payload.len() > MAX_CONTROL_PAYLOAD {
        return Err(ProtocolError::ControlFrameTooLong);
    }
    if opcode == Opcode::Close {
        Close::read(payload)?;
    }
    Ok(())
}
