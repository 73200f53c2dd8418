//! What comes back, compared where it lies.

use wharf_proto::connection::Connection;
use wharf_proto::frame::{Header, Opcode};
use wharf_proto::{CloseCode, ProtocolError};

use crate::compressed::CompressedCheck;
use crate::error::Failure;
use crate::messages::Messages;

/// What one connection has received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// The messages that are complete.
    complete: u64,
    /// Which of the [`Messages`] comes next or is under way.
    at: usize,
    message: Message,
    frame: Frame,
}

#[derive(Debug, Default)]
enum Message {
    #[default]
    Awaited,
    /// So many bytes of it came.
    Plain(usize),
    /// These bytes of it came.
    Compressed(Vec<u8>),
}

#[derive(Debug)]
enum Frame {
    /// Part of a header, or of a control frame.
    Start(Vec<u8>),
    Payload {
        remaining: u64,
        is_last: bool,
    },
}

impl Default for Frame {
    fn default() -> Self {
        Self::Start(Vec::new())
    }
}

/// What some bytes were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The messages that they completed.
    pub(crate) messages: u32,
    /// The server said Close.
    pub(crate) is_closed: bool,
}

/// What it takes to judge them.
pub(crate) struct Judge<'a> {
    pub(crate) messages: &'a Messages,
    pub(crate) compressed: Option<&'a mut CompressedCheck>,
    /// Answers pings.
    pub(crate) pongs: &'a mut Connection,
    /// Where the answers go.
    pub(crate) control: &'a mut Vec<u8>,
    /// Whether a Close is what the server is to say.
    pub(crate) expects_close: bool,
}

impl Received {
    pub(crate) fn take(&mut self, bytes: &[u8], judge: &mut Judge<'_>) -> Result<Taken, Failure> {
        let mut taken = Taken::default();
        let Frame::Start(start) = &mut self.frame else { return self.take_all(bytes, judge, taken) };
        if start.is_empty() {
            return self.take_all(bytes, judge, taken);
        }
        // At most what a header and a control frame have, however small the reads.
        let mut joined = std::mem::take(start);
        joined.extend_from_slice(bytes);
        taken = self.take_all(&joined, judge, taken)?;
        Ok(taken)
    }

    fn take_all(
        &mut self,
        mut bytes: &[u8],
        judge: &mut Judge<'_>,
        mut taken: Taken,
    ) -> Result<Taken, Failure> {
        while !bytes.is_empty() && !taken.is_closed {
            let (remaining, is_last) = match &mut self.frame {
                Frame::Payload { remaining, is_last } => (*remaining, *is_last),
                Frame::Start(start) => {
                    let Some((header, length)) = Header::read(bytes)? else {
                        start.extend_from_slice(bytes);
                        return Ok(taken);
                    };
                    if header.mask.is_some() {
                        return Err(ProtocolError::MaskedFrame.into());
                    }
                    let after = &bytes[length..];
                    if header.opcode.is_control() {
                        let payload = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
                        let Some((payload, rest)) = after.split_at_checked(payload) else {
                            start.extend_from_slice(bytes);
                            return Ok(taken);
                        };
                        taken.is_closed = control(header.opcode, payload, judge)?;
                        bytes = rest;
                        continue;
                    }
                    self.begin(&header, judge)?;
                    bytes = after;
                    (header.payload_len, header.fin)
                }
            };
            let here = usize::try_from(remaining).map_or(bytes.len(), |remaining| remaining.min(bytes.len()));
            let (payload, rest) = bytes.split_at(here);
            self.compare(payload, judge.messages)?;
            bytes = rest;
            let remaining = remaining - here as u64;
            if remaining > 0 {
                self.frame = Frame::Payload { remaining, is_last };
                continue;
            }
            self.frame = Frame::default();
            if is_last {
                self.end(judge)?;
                taken.messages += 1;
            }
        }
        Ok(taken)
    }

    fn begin(&mut self, header: &Header, judge: &Judge<'_>) -> Result<(), Failure> {
        let is_begun = !matches!(self.message, Message::Awaited);
        let expected = if is_begun { Opcode::Continuation } else { judge.messages.kind.opcode() };
        if header.opcode != expected {
            let what = match header.opcode {
                Opcode::Continuation => "continuation",
                Opcode::Text => "text message",
                _ => "binary message",
            };
            return Err(Failure::Unexpected { what, message: self.complete });
        }
        if header.reserved != 0 && (is_begun || header.reserved != 0b100 || judge.compressed.is_none()) {
            return Err(ProtocolError::ReservedBits { bits: header.reserved }.into());
        }
        if !is_begun {
            self.message = if header.rsv1() { Message::Compressed(Vec::new()) } else { Message::Plain(0) };
        }
        Ok(())
    }

    fn compare(&mut self, bytes: &[u8], messages: &Messages) -> Result<(), Failure> {
        match &mut self.message {
            Message::Awaited => {}
            Message::Compressed(compressed) => compressed.extend_from_slice(bytes),
            Message::Plain(len) => {
                let expected = messages.payload(self.at).get(*len..).unwrap_or_default();
                if !expected.starts_with(bytes) {
                    let same = expected.iter().zip(bytes).take_while(|(a, b)| a == b).count();
                    return Err(Failure::Mismatch { message: self.complete, at: *len + same });
                }
                *len += bytes.len();
            }
        }
        Ok(())
    }

    fn end(&mut self, judge: &mut Judge<'_>) -> Result<(), Failure> {
        let Judge { messages, compressed: check, .. } = judge;
        let wrong = match std::mem::take(&mut self.message) {
            Message::Plain(len) if len == messages.payload(self.at).len() => None,
            Message::Plain(len) => Some(len),
            Message::Compressed(compressed) => {
                let is_right =
                    check.as_mut().is_some_and(|check| check.is_right(&compressed, self.at, messages));
                (!is_right).then_some(0)
            }
            Message::Awaited => Some(0),
        };
        if let Some(at) = wrong {
            return Err(Failure::Mismatch { message: self.complete, at });
        }
        self.complete += 1;
        self.at = (self.at + 1) % messages.number();
        Ok(())
    }
}

/// Acts on a control frame: whether it was the Close that was expected.
fn control(opcode: Opcode, payload: &[u8], judge: &mut Judge<'_>) -> Result<bool, Failure> {
    match opcode {
        Opcode::Close if judge.expects_close => Ok(true),
        Opcode::Close => {
            let code =
                payload.first_chunk().map_or(CloseCode::NOT_PROVIDED.get(), |code| u16::from_be_bytes(*code));
            let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
            Err(Failure::Closed { code, reason })
        }
        Opcode::Ping => {
            // Fails only where a payload is longer than a control frame has.
            let _ = judge.pongs.pong(payload, judge.control);
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// What comes back from a server without a protocol: the frames as they were sent.
#[derive(Debug, Default)]
pub(crate) struct RawReceived {
    complete: u64,
    at: usize,
    /// How much of the frame came.
    len: usize,
}

impl RawReceived {
    pub(crate) fn take(&mut self, mut bytes: &[u8], messages: &Messages) -> Result<Taken, Failure> {
        let mut taken = Taken::default();
        while !bytes.is_empty() {
            let expected = &messages.frame(self.at)[self.len..];
            let (here, rest) = bytes.split_at(expected.len().min(bytes.len()));
            if !expected.starts_with(here) {
                return Err(Failure::Mismatch { message: self.complete, at: self.len });
            }
            bytes = rest;
            self.len += here.len();
            if here.len() == expected.len() {
                self.len = 0;
                self.complete += 1;
                self.at = (self.at + 1) % messages.number();
                taken.messages += 1;
            }
        }
        Ok(taken)
    }
}
