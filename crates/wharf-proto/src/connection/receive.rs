//! Bytes to events: frames are taken where they lie; only what is unfinished is kept.

use std::borrow::Cow;
use std::mem;
use std::time::Instant;

use super::input::Input;
use super::state::State;
use super::{Connection, ControlPayload};
use crate::close::{Close, CloseCode};
use crate::deflate::inflate::inflate_whole;
use crate::error::ProtocolError;
use crate::frame::{Header, Opcode};
use crate::mask::MaskingKey;
use crate::message::{Message, MessageCow, MessageRef};
use crate::partial_message::{Inflation, PartialMessage};
use crate::utf8;

/// What came from the peer, lent out of the input where it lies there in one piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message. Only where fragments are assembled.
    Message(MessageCow<'a>),
    /// A frame, before it is acted on. Only where fragments are not assembled, and then the only event: what it
    /// means beyond itself tells [`Frame::meaning`].
    Frame(Frame<'a>),
    /// A ping. It is answered by the next call of [`Connection::receive`], unless
    /// [`Connection::cancel_pong`] is called before.
    Ping(Cow<'a, [u8]>),
    /// A pong, asked for or not.
    Pong(Cow<'a, [u8]>),
}

/// A frame as it came, its payload unmasked.
#[doc(alias = "WebSocketFrame")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The header; its mask is what the payload was masked with.
    pub header: Header,
    /// The payload, unmasked; of a Close with its code, as it came. See [`binary_payload`](Self::binary_payload).
    pub payload: Cow<'a, [u8]>,
}

impl Frame<'_> {
    /// What the frame is by itself: a message in one frame, a ping or a pong. `None` for a fragment and a Close.
    pub fn meaning(&self) -> Option<Event<'_>> {
        let payload = self.payload.as_ref();
        match self.header.opcode {
            Opcode::Text if self.header.fin => {
                let text = utf8::check(payload).ok()?;
                Some(Event::Message(MessageCow::Borrowed(MessageRef::Text(text))))
            }
            Opcode::Binary if self.header.fin => {
                Some(Event::Message(MessageCow::Borrowed(MessageRef::Binary(payload))))
            }
            Opcode::Ping => Some(Event::Ping(Cow::Borrowed(payload))),
            Opcode::Pong => Some(Event::Pong(Cow::Borrowed(payload))),
            _ => None,
        }
    }

    /// The message that the frame is by itself, without a copy where the payload is owned; `None` for any other.
    pub fn into_message(self) -> Option<Message> {
        match self.header {
            Header { fin: true, opcode: Opcode::Text, .. } => {
                String::from_utf8(self.payload.into_owned()).ok().map(Message::Text)
            }
            Header { fin: true, opcode: Opcode::Binary, .. } => {
                Some(Message::Binary(self.payload.into_owned().into()))
            }
            _ => None,
        }
    }

    /// The code of a Close frame; `None` where it has none, and for every other frame.
    #[doc(alias = "closeStatus")]
    pub fn close_code(&self) -> Option<CloseCode> {
        let code = self.payload.first_chunk().filter(|_| self.header.opcode == Opcode::Close);
        code.map(|code| CloseCode::new(u16::from_be_bytes(*code)))
    }

    /// The payload, unmasked; of a Close the reason alone, without the code before it (RFC 6455 §5.5.1).
    #[doc(alias = "binaryPayload")]
    pub fn binary_payload(&self) -> &[u8] {
        match self.header.opcode {
            Opcode::Close => self.payload.get(2..).unwrap_or_default(),
            _ => &self.payload,
        }
    }

    /// The frame, owned; its payload is copied only where it lies in the input.
    pub fn into_owned(self) -> Frame<'static> {
        Frame { header: self.header, payload: Cow::Owned(self.payload.into_owned()) }
    }
}

/// What is unfinished of the bytes read so far.
#[derive(Debug)]
pub(super) enum Reading {
    /// Before a frame, or at its start.
    Between {
        /// Too little to act on: part of a header, or of a control frame, at most 131 bytes as they came.
        start: Vec<u8>,
        /// The message that the last data frame did not end. Boxed, because an idle connection has none.
        message: Option<Box<PartialMessage>>,
    },
    /// Within a data frame's payload.
    Payload(UnfinishedPayload),
}

#[derive(Debug)]
pub(super) struct UnfinishedPayload {
    header: Header,
    /// The masking key for the next byte.
    key: MaskingKey,
    remaining: u64,
    /// The message that the frame is part of.
    message: Box<PartialMessage>,
}

impl Default for Reading {
    fn default() -> Self {
        Self::Between { start: Vec::new(), message: None }
    }
}

impl Reading {
    /// We have said Close: what still comes is read, and thrown away (RFC 6455 §5.5.1).
    pub(super) fn discard(&mut self) {
        match self {
            Self::Between { message: Some(message), .. } => message.discard(),
            Self::Between { message: None, .. } => {}
            Self::Payload(payload) => payload.message.discard(),
        }
    }

    /// Whether nothing is unfinished.
    pub(super) const fn is_at_a_message(&self) -> bool {
        matches!(self, Self::Between { start, message: None } if start.is_empty())
    }

    /// Whether nothing of a frame has come: the next byte is its first.
    const fn is_at_a_frame(&self) -> bool {
        matches!(self, Self::Between { start, .. } if start.is_empty())
    }

    /// The message that the last data frame did not end.
    const fn take_message(&mut self) -> Option<Box<PartialMessage>> {
        match self {
            Self::Between { message, .. } => message.take(),
            Self::Payload(_) => None,
        }
    }

    const fn has_unfinished_message(&self) -> bool {
        matches!(self, Self::Between { message: Some(_), .. } | Self::Payload(_))
    }
}

impl Connection {
    /// Takes bytes from the peer as frames (RFC 6455 §6.2), of which nothing is taken on trust (RFC 6455 §10.7), and
    /// lends what they bring, one event a call; call it until it returns `None`.
    /// Then all of `input` is taken. Between two calls the application may send, close or stop: input that is
    /// left is not lost.
    ///
    /// Pings are answered, the closing handshake is followed, and a broken rule is told to the peer, all into
    /// `output`. Payloads are unmasked in place, so `input` is changed. Once the connection has
    /// [ended](Self::ending), all input is thrown away, also what follows a broken rule (RFC 6455 §7.1.7).
    ///
    /// A compressed message is inflated into `scratch`, and lent out of it. What lies there before does not matter: it is
    /// memory that a driver shares among its connections, empty at first, which grows to the longest message so far.
    #[expect(clippy::inline_always, reason = "so that the event of a whole message is never put into memory")]
    #[inline(always)]
    pub fn receive<'i: 's, 's>(
        &mut self,
        input: &mut Input<'i>,
        scratch: &'s mut Vec<u8>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Option<Event<'s>> {
        match self.receive_whole(input, output, now) {
            Some(message) => Some(Event::Message(MessageCow::Borrowed(message))),
            // What a driver asks at the end of each read.
            None if input.is_empty() && !self.owes_pong() => None,
            None => self.receive_other(input, scratch, output, now),
        }
    }

    #[inline(never)]
    fn receive_other<'i: 's, 's>(
        &mut self,
        input: &mut Input<'i>,
        scratch: &'s mut Vec<u8>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Option<Event<'s>> {
        if let Some(message) = self.receive_whole_aside(input, output, now) {
            return Some(Event::Message(MessageCow::Borrowed(message)));
        }
        let event = self.receive_any(input, scratch, output, now);
        self.tidy();
        event
    }

    /// The general way, by which everything can be taken.
    fn receive_any<'i: 's, 's>(
        &mut self,
        input: &mut Input<'i>,
        scratch: &'s mut Vec<u8>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Option<Event<'s>> {
        self.settle_pong(output);
        if !input.is_empty() {
            self.heard(now);
        }
        let (opcode, len) = loop {
            if matches!(self.state(), State::Ended { .. }) {
                self.throw_away(input);
                return None;
            }
            match self.take_frame(input, scratch, output, now) {
                Ok(Taken::Event(event)) => return Some(event),
                Ok(Taken::Inflated { opcode, len }) => break (opcode, len),
                Ok(Taken::Frame) => {}
                Ok(Taken::All) => return None,
                Err(error) => self.fail(error, output, now),
            }
        };
        match whole_message(opcode, &scratch[..len]) {
            Ok(message) => Some(Event::Message(MessageCow::Borrowed(message))),
            Err(error) => {
                self.fail_for_good(error, input, output, now);
                None
            }
        }
    }

    /// What follows a broken rule is thrown away (RFC 6455 §7.1.7).
    #[cold]
    pub(super) fn fail_for_good(
        &mut self,
        error: ProtocolError,
        input: &mut Input<'_>,
        output: &mut Vec<u8>,
        now: Instant,
    ) {
        self.fail(error, output, now);
        self.throw_away(input);
    }

    /// The connection has ended.
    fn throw_away(&mut self, input: &mut Input<'_>) {
        input.take_all();
        if let Some(aside) = &mut self.aside {
            aside.reading = Reading::default();
        }
    }

    /// The ping whose event was lent last is not to be answered.
    #[doc(alias = "cancel")]
    pub fn cancel_pong(&mut self) {
        if let Some(aside) = &mut self.aside {
            aside.owed_pong = None;
        }
        self.tidy();
    }

    /// RFC 6455 §7.1.7: the peer is told why, and the connection ends.
    fn fail(&mut self, error: ProtocolError, output: &mut Vec<u8>, now: Instant) {
        self.settle_pong(output);
        let until = now + self.config.close_timeout;
        if let Some(close) = self.aside().state.fail(error, until) {
            self.write_close(&close, output);
        }
    }

    /// Takes one frame, or what there is of it.
    fn take_frame<'i>(
        &mut self,
        input: &mut Input<'i>,
        scratch: &mut Vec<u8>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Result<Taken<'i>, ProtocolError> {
        if self.aside.as_ref().is_some_and(|aside| !aside.reading.is_at_a_frame()) {
            return self.take_rest(input, scratch, output, now);
        }
        let Some((header, header_len)) = self.read_header(input.rest())? else {
            return Ok(self.keep_start(input.take_all().to_vec()));
        };
        let available = input.rest().len() - header_len;
        let Some(payload_len) = usize::try_from(header.payload_len).ok().filter(|len| *len <= available)
        else {
            if header.opcode.is_control() {
                return Ok(self.keep_start(input.take_all().to_vec()));
            }
            input.take(header_len);
            let payload = self.begin_payload(header)?;
            return self.take_payload(payload, input, scratch);
        };
        input.take(header_len);
        let payload = input.take(payload_len);
        if header.opcode.is_control() {
            unmask(&header, payload);
            return self.control_frame(header, Cow::Borrowed(payload), output, now);
        }
        if self.is_whole_message(&header) {
            unmask(&header, payload);
            return self.take_message(&header, payload, scratch);
        }
        let unfinished = self.begin_payload(header)?;
        self.take_payload(unfinished, &mut Input::new(payload), scratch)
    }

    /// Goes on with the frame that the end of a read cut off.
    fn take_rest<'i>(
        &mut self,
        input: &mut Input<'i>,
        scratch: &mut Vec<u8>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Result<Taken<'i>, ProtocolError> {
        match mem::take(&mut self.aside().reading) {
            Reading::Payload(payload) => self.take_payload(payload, input, scratch),
            Reading::Between { start, message } => {
                self.aside().reading = Reading::Between { start: Vec::new(), message };
                self.take_start(start, input, scratch, output, now)
            }
        }
    }

    /// Goes on with a header, or a control frame.
    fn take_start<'i>(
        &mut self,
        mut kept: Vec<u8>,
        input: &mut Input<'i>,
        scratch: &mut Vec<u8>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Result<Taken<'i>, ProtocolError> {
        let (header, header_len) = loop {
            if let Some(read) = self.read_header(&kept)? {
                break read;
            }
            let Some(byte) = input.take(1).first() else { return Ok(self.keep_start(kept)) };
            kept.push(*byte);
        };
        if !header.opcode.is_control() {
            let payload = self.begin_payload(header)?;
            return self.take_payload(payload, input, scratch);
        }
        let missing = header.payload_len + header_len as u64 - kept.len() as u64;
        let arrived = input.take(usize::try_from(missing).unwrap_or(usize::MAX));
        kept.extend_from_slice(arrived);
        if (arrived.len() as u64) < missing {
            return Ok(self.keep_start(kept));
        }
        let mut payload = kept.split_off(header_len);
        unmask(&header, &mut payload);
        self.control_frame(header, Cow::Owned(payload), output, now)
    }

    /// Goes on with the payload of a data frame, unmasked as it comes; with FIN the message ends, and the next data frame
    /// begins another (RFC 6455 §5.4, §6.2).
    fn take_payload<'i>(
        &mut self,
        mut payload: UnfinishedPayload,
        input: &mut Input<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<Taken<'i>, ProtocolError> {
        let chunk = input.take(usize::try_from(payload.remaining).unwrap_or(usize::MAX));
        if payload.header.mask.is_some() {
            payload.key.apply(chunk);
            payload.key = payload.key.after(chunk.len());
        }
        payload.remaining -= chunk.len() as u64;
        payload.message.append(chunk, self.inflation(scratch))?;
        if payload.remaining > 0 {
            self.aside().reading = Reading::Payload(payload);
            return Ok(Taken::All);
        }
        let UnfinishedPayload { header, mut message, .. } = payload;
        if header.fin {
            message.finish(self.inflation(scratch))?;
        } else {
            message.finish_frame(self.inflation(scratch))?;
        }
        let frame = message.take_frame();
        let message = if header.fin {
            message.end()?
        } else {
            self.aside().reading = Reading::Between { start: Vec::new(), message: Some(message) };
            None
        };
        Ok(match (frame, message) {
            (Some(payload), _) => {
                // Of a compressed message as if it were not: what the payload is, the header says.
                let header = Header { reserved: 0, payload_len: payload.len() as u64, ..header };
                Taken::Event(Event::Frame(Frame { header, payload: Cow::Owned(payload) }))
            }
            (None, Some(message)) => Taken::Event(Event::Message(MessageCow::Owned(message))),
            (None, None) => Taken::Frame,
        })
    }

    /// A message of one frame that lies in the input whole, compressed or not (RFC 7692 §6.2).
    fn take_message<'i>(
        &mut self,
        header: &Header,
        payload: &'i [u8],
        scratch: &mut Vec<u8>,
    ) -> Result<Taken<'i>, ProtocolError> {
        let opcode = header.opcode;
        if header.rsv1() {
            let limit = self.config.limits.max_inflated_size(true);
            let len = inflate_whole(payload, self.window(), scratch, limit)?;
            return Ok(Taken::Inflated { opcode, len });
        }
        let message = whole_message(opcode, payload)?;
        Ok(Taken::Event(Event::Message(MessageCow::Borrowed(message))))
    }

    fn inflation<'a>(&'a mut self, scratch: &'a mut Vec<u8>) -> Inflation<'a> {
        let Self { config, aside, .. } = self;
        let contexts = aside.as_mut().and_then(|aside| aside.contexts.as_mut());
        let window = contexts.and_then(|contexts| contexts.window());
        Inflation { window, scratch, limits: &config.limits }
    }

    /// Acts on a control frame (RFC 6455 §5.5, §6.2), which may stand between the fragments of a message
    /// (RFC 6455 §5.4). A ping is owed a pong until the peer says Close (RFC 6455 §5.5.2).
    fn control_frame<'i>(
        &mut self,
        header: Header,
        payload: Cow<'i, [u8]>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Result<Taken<'i>, ProtocolError> {
        let is_open = self.is_open();
        match header.opcode {
            Opcode::Close => self.peer_closed(&payload, output, now)?,
            Opcode::Ping => self.aside().owed_pong = Some(Box::new(ControlPayload::new(&payload))),
            _ => {}
        }
        if !is_open {
            // Nobody is told of a ping after our Close, so nobody can cancel its answer.
            self.settle_pong(output);
            return Ok(Taken::Frame);
        }
        if !self.config.assemble_fragments {
            return Ok(Taken::Event(Event::Frame(Frame { header, payload })));
        }
        Ok(match header.opcode {
            Opcode::Ping => Taken::Event(Event::Ping(payload)),
            Opcode::Pong => Taken::Event(Event::Pong(payload)),
            _ => Taken::Frame,
        })
    }

    fn peer_closed(
        &mut self,
        payload: &[u8],
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), ProtocolError> {
        let close = Close::read(payload)?;
        self.settle_pong(output);
        let until = now + self.config.close_timeout;
        if let Some(answer) = self.aside().state.peer_closed(close, until) {
            self.write_close(&answer, output);
        }
        Ok(())
    }

    /// Reads the header at the front of `bytes`, refusing from the first byte that tells, and what is over a limit before
    /// it takes any memory (RFC 6455 §10.4).
    fn read_header(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        if let [first, rest @ ..] = bytes {
            self.judge_first_byte(*first)?;
            if let [second, ..] = rest {
                self.judge_mask_bit(second & 0x80 != 0)?;
            }
        }
        let header = Header::read(bytes)?;
        let announced = match &header {
            Some((header, _)) => Some(header.payload_len),
            None => Header::announced_len(bytes)?,
        };
        let limit = self.config.limits.max_frame_size;
        // What is thrown away costs no memory, whatever its size.
        match announced.filter(|length| *length > limit && self.is_open()) {
            Some(length) => Err(ProtocolError::FrameTooLarge { length, limit }),
            None => Ok(header),
        }
    }

    /// The reserved bits (RFC 6455 §5.2), and the order of fragments (RFC 6455 §5.4).
    fn judge_first_byte(&self, first: u8) -> Result<(), ProtocolError> {
        let bits = (first >> 4) & 0b111;
        // RFC 7692 §6.1: RSV1 is for the first frame of a message, whatever its type; on any other it has no meaning.
        let is_compressed = bits == 0b100 && matches!(first & 0x0f, 1 | 2) && self.compression.is_some();
        if bits != 0 && !is_compressed {
            return Err(ProtocolError::ReservedBits { bits });
        }
        match (first & 0x0f, self.has_unfinished_message()) {
            (0, false) => Err(ProtocolError::UnexpectedContinuation),
            // Reserved ones, too: amid fragments only the order is told, as the reference does.
            (opcode @ 1..=7, true) => Err(ProtocolError::MessageAmidFragments { opcode }),
            _ => Header::read_first_byte(first).map(drop),
        }
    }

    fn has_unfinished_message(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| aside.reading.has_unfinished_message())
    }

    /// RFC 6455 §5.1: a client masks every frame, a server none.
    fn judge_mask_bit(&self, is_masked: bool) -> Result<(), ProtocolError> {
        match (self.is_server(), is_masked) {
            (true, false) => Err(ProtocolError::UnmaskedFrame),
            (false, true) => Err(ProtocolError::MaskedFrame),
            _ => Ok(()),
        }
    }

    /// Whether a data frame that lies in the input whole can be lent from there.
    fn is_whole_message(&self, header: &Header) -> bool {
        header.fin
            && header.opcode != Opcode::Continuation
            && self.config.assemble_fragments
            && self.is_open()
    }

    /// Enters the payload of a data frame that cannot be lent where it lies.
    fn begin_payload(&mut self, header: Header) -> Result<UnfinishedPayload, ProtocolError> {
        let begun = match &mut self.aside {
            Some(aside) => aside.reading.take_message(),
            None => None,
        };
        let mut message = begun.unwrap_or_else(|| {
            Box::new(if self.is_open() {
                PartialMessage::begin(header.opcode, self.config.assemble_fragments)
            } else {
                PartialMessage::begin_discarded()
            })
        });
        if header.rsv1() && self.is_open() {
            message.begin_inflating();
        }
        let is_whole = header.fin && header.opcode != Opcode::Continuation;
        message.announce(header.payload_len, is_whole, &self.config.limits)?;
        let key = header.mask.unwrap_or(MaskingKey([0; 4]));
        Ok(UnfinishedPayload { header, key, remaining: header.payload_len, message })
    }

    fn keep_start<'i>(&mut self, kept: Vec<u8>) -> Taken<'i> {
        if !kept.is_empty()
            && let Reading::Between { start, .. } = &mut self.aside().reading
        {
            *start = kept;
        }
        Taken::All
    }
}

/// What one step took from the input.
enum Taken<'i> {
    /// Something to lend.
    Event(Event<'i>),
    /// A message that lies in the scratch memory, from its front.
    Inflated { opcode: Opcode, len: usize },
    /// A frame, or the start of one, that brings no event.
    Frame,
    /// All there was, and the frame is not finished.
    All,
}

/// RFC 6455 §6.2; a server's frames have no key.
fn unmask(header: &Header, payload: &mut [u8]) {
    if let Some(key) = header.mask {
        key.apply(payload);
    }
}

/// A message of one frame (RFC 6455 §5.4), of the type that its opcode names (RFC 6455 §6.2); text has to be UTF-8
/// (RFC 6455 §5.6, §8.1).
fn whole_message(opcode: Opcode, payload: &[u8]) -> Result<MessageRef<'_>, ProtocolError> {
    if opcode == Opcode::Text {
        let text = utf8::check(payload)?;
        Ok(MessageRef::Text(text))
    } else {
        Ok(MessageRef::Binary(payload))
    }
}
