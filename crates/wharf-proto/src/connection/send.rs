//! Commands to bytes: what the application wants sent, framed into the caller's output.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;

use super::state::State;
use super::whole::write_plain_frame;
use super::{Aside, Config, Connection, Frame, FrameSequence, MaskingKeys, RawFrame, compression};
use crate::close::{Close, CloseCode, CloseError};
use crate::copy;
use crate::deflate;
use crate::error::CommandError;
use crate::frame::{Header, MAX_CONTROL_PAYLOAD, MAX_HEADER_LEN, Opcode};
use crate::mask::MaskingKey;
use crate::message::MessageRef;

impl Connection {
    /// Sends a message (RFC 6455 §6.1), in fragments where it is longer than the threshold (RFC 6455 §5.4). All of its
    /// frames are written here and now, so that nothing can come between them. A client's are masked
    /// (RFC 6455 §5.1), each with a fresh key (RFC 6455 §5.3).
    ///
    /// Where the handshake agreed on compression, it goes out compressed (RFC 7692 §6.1), unless it is below the threshold
    /// or would become no shorter. One that later messages may refer back to goes out compressed even so.
    ///
    /// # Errors
    /// [`CommandError::Closed`] once either side has begun to close, [`CommandError::MessageUnfinished`] within a
    /// message that is sent frame by frame.
    #[inline]
    pub fn send(&mut self, message: MessageRef<'_>, output: &mut Vec<u8>) -> Result<(), CommandError> {
        // Nearly all: an open server's connection, where nothing is unfinished.
        if self.aside.is_none() && self.compression.is_none() && self.is_one_frame(message) {
            write_plain_frame(message.opcode(), message.as_bytes(), output);
            return Ok(());
        }
        self.send_any(message, output)
    }

    /// Apart, so that nearly all do not pay for the registers of it.
    #[inline(never)]
    fn send_any(&mut self, message: MessageRef<'_>, output: &mut Vec<u8>) -> Result<(), CommandError> {
        self.check_message()?;
        if self.compression.is_none() || self.write_compressed(message, output).is_none() {
            self.write_message(message, output);
        }
        Ok(())
    }

    /// Sends a message as it is, also where the handshake agreed on compression (RFC 7692 §6.1).
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_uncompressed(
        &mut self,
        message: MessageRef<'_>,
        output: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        self.check_message()?;
        self.write_message(message, output);
        Ok(())
    }

    /// Sends a message that was framed before, for many connections at once.
    ///
    /// # Errors
    /// As for [`send`](Self::send), and [`CommandError::NotAgreed`] where it was compressed for other connections.
    pub fn send_prepared(
        &mut self,
        message: &PreparedMessage,
        output: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        self.check_prepared(message.window_bits)?;
        copy::append(output, &message.frames);
        Ok(())
    }

    /// Sends some of these messages, which were framed before, for many connections at once.
    ///
    /// # Errors
    /// As for [`send_prepared`](Self::send_prepared).
    pub fn send_prepared_messages(
        &mut self,
        messages: &PreparedMessages,
        which: Range<usize>,
        output: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        self.check_prepared(messages.window_bits)?;
        copy::append(output, &messages.frames[messages.place(which)]);
        Ok(())
    }

    /// The frames of messages that were framed before, to be written as they are, where nothing is before them: past the
    /// output, which a driver can spare that has nothing else to write.
    ///
    /// # Errors
    /// As for [`send_prepared`](Self::send_prepared).
    pub fn frames_of<'m>(&self, messages: Prepared<'m>) -> Result<&'m [u8], CommandError> {
        let window_bits = match messages {
            Prepared::One(message) => message.window_bits,
            Prepared::Many(messages) => messages.window_bits,
        };
        self.check_prepared(window_bits)?;
        Ok(messages.frames())
    }

    /// Whether what was prepared so can be sent now.
    fn check_prepared(&self, window_bits: Option<u8>) -> Result<(), CommandError> {
        self.check_message()?;
        let takes = |bits| self.compression.is_some_and(|sends| compression::takes(sends, bits));
        if window_bits.is_none_or(takes) { Ok(()) } else { Err(CommandError::NotAgreed) }
    }

    /// Sends messages that whoever sends them has framed before.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_framed(
        &mut self,
        messages: &FramedMessages,
        output: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        debug_assert!(self.is_server() && self.compression.is_none(), "framed for another connection");
        self.check_message()?;
        copy::append(output, &messages.frames);
        Ok(())
    }

    /// Sends a frame as it was composed, in one piece whatever its length; a Close begins the closing handshake as
    /// [`close`](Self::close) does. Its mask and its `payload_len` do not count.
    ///
    /// # Errors
    /// [`CommandError::InvalidFrame`] where it would break the protocol, [`CommandError::Closed`] once either side
    /// has begun to close; nothing was sent.
    #[doc(alias = "sendFrame")]
    pub fn send_frame(
        &mut self,
        frame: &Frame<'_>,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.check_open()?;
        let mut sent = self.sent();
        sent.check(frame)?;
        self.set_sent(sent);
        if frame.header.opcode == Opcode::Close {
            self.close(&Close::read(&frame.payload)?, output, now);
            return Ok(());
        }
        let mask = self.next_mask();
        let header = Header::new(frame.header.fin, frame.header.opcode, frame.payload.len() as u64);
        write_frame(Header { mask, ..header }, &frame.payload, output);
        Ok(())
    }

    /// Sends a frame as it is, whatever rule it breaks; a Close among them is nothing but a frame.
    ///
    /// # Errors
    /// [`CommandError::Closed`] once either side has begun to close.
    pub fn send_raw_frame(&mut self, frame: &RawFrame, output: &mut Vec<u8>) -> Result<(), CommandError> {
        self.check_open()?;
        let mut sent = self.sent();
        sent.follow(frame);
        self.set_sent(sent);
        if frame.reserved & COMPRESSED != 0 {
            self.forget_sent();
        }
        let first = output.len();
        let mask = self.next_mask();
        let header = Header::new(frame.fin, Opcode::Continuation, frame.payload.len() as u64);
        write_frame(Header { mask, ..header }, &frame.payload, output);
        // The header's type holds no reserved opcode, on purpose.
        output[first] |= ((frame.reserved & 0b111) << 4) | (frame.opcode & 0x0f);
        Ok(())
    }

    /// Whether a message that is sent frame by frame has begun and not ended.
    #[inline]
    pub fn is_within_message(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| aside.sent.is_within_message())
    }

    fn sent(&self) -> FrameSequence {
        self.aside.as_ref().map(|aside| aside.sent.clone()).unwrap_or_default()
    }

    fn set_sent(&mut self, sent: FrameSequence) {
        if sent.is_within_message() {
            self.aside().sent = sent;
        } else if let Some(aside) = &mut self.aside {
            aside.sent = sent;
            self.tidy();
        }
    }

    /// Sends a ping with at most 125 bytes (RFC 6455 §5.5.2).
    ///
    /// # Errors
    /// [`CommandError::ControlPayloadTooLong`], or [`CommandError::Closed`] once either side has begun to close.
    pub fn ping(&mut self, payload: &[u8], output: &mut Vec<u8>) -> Result<(), CommandError> {
        self.control(Opcode::Ping, payload, output)
    }

    /// Sends a pong with at most 125 bytes that answers nothing (RFC 6455 §5.5.3). Pings are answered by
    /// [`receive`](Self::receive).
    ///
    /// # Errors
    /// [`CommandError::ControlPayloadTooLong`], or [`CommandError::Closed`] once either side has begun to close.
    pub fn pong(&mut self, payload: &[u8], output: &mut Vec<u8>) -> Result<(), CommandError> {
        self.control(Opcode::Pong, payload, output)
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2). Once it has begun, a second call does nothing: the first
    /// code stands.
    pub fn close(&mut self, close: &Close, output: &mut Vec<u8>, now: Instant) {
        self.settle_pong(output);
        let until = now + self.config.close_timeout;
        let aside = self.aside();
        if aside.state.close(close, until) {
            aside.reading.discard();
            self.write_close(close, output);
        }
    }

    /// Gives the connection up without waiting for the peer. With `tell_peer` a Close frame says why, unless one
    /// was sent before. Once the connection has ended, it does nothing.
    ///
    /// # Errors
    /// With `tell_peer`, a code or reason that cannot be sent; nothing has changed then.
    #[doc(alias = "drop")]
    pub fn drop_now(
        &mut self,
        code: CloseCode,
        description: Option<&str>,
        tell_peer: bool,
        output: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), CloseError> {
        let reason = description.or_else(|| code.default_description()).unwrap_or_default().to_owned();
        let close = if tell_peer { Close::new(code, reason)? } else { Close::untold(code, reason) };
        if self.aside().state.dropped(close.clone(), now) && tell_peer {
            self.write_close(&close, output);
        }
        Ok(())
    }

    /// RFC 6455 §6.1: messages are for open connections; none follows a Close (RFC 6455 §5.5.1).
    pub(super) fn check_open(&self) -> Result<(), CommandError> {
        if self.is_open() { Ok(()) } else { Err(CommandError::Closed) }
    }

    pub(super) fn check_message(&self) -> Result<(), CommandError> {
        self.check_open()?;
        if self.is_within_message() { Err(CommandError::MessageUnfinished) } else { Ok(()) }
    }

    /// Writes the pong that is owed, with the ping's payload (RFC 6455 §5.5.3), if the output has room for it. Only for a
    /// driver that stops between two events; [`receive`](Self::receive) does it by itself.
    #[inline]
    pub fn settle_pong(&mut self, output: &mut Vec<u8>) {
        if self.owes_pong() {
            self.settle_owed_pong(output);
        }
    }

    fn settle_owed_pong(&mut self, output: &mut Vec<u8>) {
        // Behind a Close that waits, pongs would keep the output from ever being empty.
        let waits = output.len() > PONGS_WAIT_ABOVE || matches!(self.state(), State::SendingClose { .. });
        if waits {
            return;
        }
        if let Some(payload) = self.aside().owed_pong.take()
            && !matches!(self.state(), State::Ended { .. })
        {
            self.write_control(Opcode::Pong, payload.as_bytes(), output);
        }
        self.tidy();
    }

    pub(super) fn write_close(&mut self, close: &Close, output: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(close.payload_len());
        close.write(&mut payload);
        self.write_control(Opcode::Close, &payload, output);
    }

    /// RFC 6455 §5.5: at most 125 bytes.
    fn control(&mut self, opcode: Opcode, payload: &[u8], output: &mut Vec<u8>) -> Result<(), CommandError> {
        self.check_open()?;
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(CommandError::ControlPayloadTooLong { length: payload.len() });
        }
        self.write_control(opcode, payload, output);
        Ok(())
    }

    /// A control frame is one frame (RFC 6455 §5.4), and a client masks it (RFC 6455 §5.1), a Close too
    /// (RFC 6455 §5.5.1), with a fresh key (RFC 6455 §5.3).
    fn write_control(&mut self, opcode: Opcode, payload: &[u8], output: &mut Vec<u8>) {
        let mask = self.next_mask();
        write_frame(Header { mask, ..Header::new(true, opcode, payload.len() as u64) }, payload, output);
    }

    #[inline]
    fn is_one_frame(&self, message: MessageRef<'_>) -> bool {
        self.config.fragmentation_threshold.is_none_or(|max| message.as_bytes().len() <= max.get())
    }

    fn write_message(&mut self, message: MessageRef<'_>, output: &mut Vec<u8>) {
        let Self { config, aside, .. } = self;
        let masking_keys = aside.as_mut().and_then(|aside| aside.masking_keys.as_mut());
        let keys = keys_of(masking_keys);
        write_fragments(message.opcode(), 0, message.as_bytes(), config, output, keys);
    }

    /// `None`: nothing was written, because the message is to go out as it is.
    fn write_compressed(&mut self, message: MessageRef<'_>, output: &mut Vec<u8>) -> Option<()> {
        let Self { config, compression, aside, .. } = self;
        let (sends, deflate) = ((*compression)?, config.deflate.as_ref()?);
        let (contexts, masking_keys) = match aside.as_deref_mut() {
            Some(Aside { contexts, masking_keys, .. }) => (contexts.as_deref_mut(), masking_keys.as_mut()),
            None => (None, None),
        };
        compression::compress(sends, contexts, deflate, message.as_bytes(), |compressed| {
            let keys = keys_of(masking_keys);
            write_fragments(message.opcode(), COMPRESSED, compressed, config, output, keys);
        })
    }

    fn next_mask(&mut self) -> Option<MaskingKey> {
        self.aside.as_mut()?.masking_keys.as_mut().map(|keys| (keys.0)())
    }
}

fn keys_of(mut keys: Option<&mut MaskingKeys>) -> impl FnMut() -> Option<MaskingKey> {
    move || keys.as_mut().map(|keys| (keys.0)())
}

/// RSV1, on the first frame of a message, says that it is compressed (RFC 7692 §6.1).
const COMPRESSED: u8 = 0b100;

/// A message framed once, for connections that share a configuration. Servers only: a client masks every frame
/// with a key of its own (RFC 6455 §5.3).
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    frames: Bytes,
    /// The window that it was compressed for, if it was.
    window_bits: Option<u8>,
}

impl PreparedMessage {
    /// Frames `message` as a server with this configuration would.
    pub fn new(message: MessageRef<'_>, config: &Config) -> Self {
        let mut frames = Vec::with_capacity(message.as_bytes().len() + 16);
        write_fragments(message.opcode(), 0, message.as_bytes(), config, &mut frames, || None);
        Self { frames: frames.into(), window_bits: None }
    }

    /// Compresses and frames `message` as a server with this configuration would, for connections whose server agreed to
    /// take no context over and to refer back over these `window_bits`. What is not worth it is only framed.
    pub fn compressed(message: MessageRef<'_>, config: &Config, window_bits: u8) -> Self {
        let payload = message.as_bytes();
        let compressed = || {
            let parameters = deflate::parameters_for(payload, config.deflate.as_ref()?, window_bits)?;
            deflate::compress_alone(parameters, payload, |compressed| {
                let mut frames = Vec::with_capacity(compressed.len() + 16);
                write_fragments(message.opcode(), COMPRESSED, compressed, config, &mut frames, || None);
                Self { frames: frames.into(), window_bits: Some(window_bits) }
            })
        };
        compressed().unwrap_or_else(|| Self::new(message, config))
    }

    /// What it takes on the wire, in bytes.
    pub fn wire_len(&self) -> usize {
        self.frames.len()
    }
}

/// Messages framed once, one behind the other, for connections that share a configuration and have agreed on the same.
#[derive(Debug, Default)]
pub struct PreparedMessages {
    frames: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// The window that any of them was compressed for.
    window_bits: Option<u8>,
}

/// What was framed before.
#[derive(Clone, Copy, Debug)]
pub enum Prepared<'m> {
    /// One message.
    One(&'m PreparedMessage),
    /// All of these.
    Many(&'m PreparedMessages),
}

impl<'m> Prepared<'m> {
    /// Their frames, one behind the other.
    pub fn frames(self) -> &'m [u8] {
        match self {
            Self::One(message) => &message.frames,
            Self::Many(messages) => &messages.frames,
        }
    }
}

impl PreparedMessages {
    /// Adds a message, which is for the same connections.
    pub fn push(&mut self, message: &PreparedMessage) {
        copy::append(&mut self.frames, &message.frames);
        self.ends.push(self.frames.len());
        self.window_bits = self.window_bits.or(message.window_bits);
    }

    /// What these messages take on the wire, in bytes.
    pub fn wire_len(&self, which: Range<usize>) -> usize {
        self.place(which).len()
    }

    fn place(&self, which: Range<usize>) -> Range<usize> {
        let start = which.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = which.end.checked_sub(1).map_or(0, |last| self.ends[last]);
        start..end.max(start)
    }
}

/// Messages framed one behind the other, for a server's connection that agreed on no compression. A client masks every frame
/// with a key of its own (RFC 6455 §5.3).
#[derive(Debug, Default)]
pub struct FramedMessages {
    frames: Vec<u8>,
}

impl FramedMessages {
    /// Adds a message, which goes out as one frame: it is to be no longer than the configuration's
    /// [`fragmentation_threshold`](Config::fragmentation_threshold).
    #[inline]
    pub fn push(&mut self, message: MessageRef<'_>) {
        if self.frames.capacity() - self.frames.len() < message.as_bytes().len() + MAX_HEADER_LEN {
            self.grow(message.as_bytes().len() + MAX_HEADER_LEN);
        }
        write_plain_frame(message.opcode(), message.as_bytes(), &mut self.frames);
    }

    /// To a quarter of a KiB at once, and fourfold up to 4 KiB, because what waits is copied at each step.
    #[inline(never)]
    fn grow(&mut self, needed: usize) {
        let more = match self.frames.capacity() {
            0 => 256,
            few @ ..4096 => 4 * few - self.frames.len(),
            many => many,
        };
        self.frames.reserve(needed.max(more));
    }
}

/// Above this many bytes of unsent output, only the latest ping is answered (RFC 6455 §5.5.3), so that a peer
/// that pings and does not read costs us no more than a pong. More than one read can fill with answers.
const PONGS_WAIT_ABOVE: usize = 128 * 1024;

/// RFC 6455 §5.4: the fragments in their order, with nothing between them. The first has the message's opcode, and alone its
/// reserved bits (RFC 7692 §6.1); the last has FIN (RFC 6455 §6.1).
fn write_fragments(
    opcode: Opcode,
    reserved: u8,
    payload: &[u8],
    config: &Config,
    output: &mut Vec<u8>,
    mut next_key: impl FnMut() -> Option<MaskingKey>,
) {
    let frames = config.fragmentation_threshold.map_or(1, |max| payload.len().div_ceil(max.get()).max(1));
    output.reserve(payload.len() + frames * MAX_HEADER_LEN);
    for_each_fragment(opcode, reserved, payload, config, |header, fragment| {
        write_frame(Header { mask: next_key(), ..header }, fragment, output);
    });
}

/// The fragments of a message with their headers, without masks.
pub(super) fn for_each_fragment<'p>(
    opcode: Opcode,
    reserved: u8,
    payload: &'p [u8],
    config: &Config,
    mut take: impl FnMut(Header, &'p [u8]),
) {
    let whole = Header { reserved, ..Header::new(true, opcode, payload.len() as u64) };
    let Some(threshold) = config.fragmentation_threshold.filter(|max| payload.len() > max.get()) else {
        return take(whole, payload);
    };
    let mut header = whole;
    let mut fragments = payload.chunks(threshold.get()).peekable();
    while let Some(fragment) = fragments.next() {
        let (fin, payload_len) = (fragments.peek().is_none(), fragment.len() as u64);
        take(Header { fin, payload_len, ..header }, fragment);
        header = Header { reserved: 0, opcode: Opcode::Continuation, ..header };
    }
}

/// Puts the data into a frame (RFC 6455 §6.1). It is copied and masked at once: nobody can change it once its key is out
/// (RFC 6455 §10.3).
fn write_frame(header: Header, payload: &[u8], output: &mut Vec<u8>) {
    header.write(output);
    let start = output.len();
    copy::append(output, payload);
    if let Some(key) = header.mask {
        key.apply(&mut output[start..]);
    }
}
