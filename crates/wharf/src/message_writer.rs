//! One message sent piece by piece, while its length is not known.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connection::Connection;
use crate::outbox::{PartError, turn_of_part};
use crate::proto::CloseCode;
use crate::proto::connection::RawFrame;
use crate::proto::deflate::{CompressionFailed, PartsCompressor};
use crate::proto::frame::Opcode;
use crate::proto::message::MessageKind;
use crate::proto::utf8::SplitCharacter;

impl Connection {
    /// A message that is to be written piece by piece and goes out in fragments meanwhile. Nothing is sent, and nobody
    /// waits, before the first fragment is full or flushed.
    ///
    /// ```no_run
    /// use tokio::io::AsyncWriteExt;
    /// use wharf::MessageKind;
    ///
    /// # async fn report(connection: wharf::Connection) -> std::io::Result<()> {
    /// let mut report = connection.message_writer(MessageKind::Text);
    /// for line in 1..=1_000_000 {
    ///     report.write_all(format!("line {line}\n").as_bytes()).await?;
    /// }
    /// report.finish().await
    /// # }
    /// ```
    pub fn message_writer(&self, kind: MessageKind) -> MessageWriter {
        let threshold = self.shared.core_config().fragmentation_threshold;
        MessageWriter {
            connection: self.clone(),
            kind,
            progress: Progress::Open,
            is_begun: false,
            has_first_fragment: false,
            text: SplitCharacter::default(),
            unsent: BytesMut::new(),
            fragments: Vec::new(),
            fragment_len: threshold.map_or(DEFAULT_FRAGMENT, std::num::NonZeroUsize::get),
            compression: Compression::Undecided,
            waiting: None,
        }
    }

    /// Sends all that `reader` gives, to its end, as one message in fragments: how many bytes. What was read goes out as
    /// soon as the reader has no more at once. Waits as a [`MessageWriter`] does.
    ///
    /// Not cancel safe: dropped before it returns, a message that was begun is given up as a dropped [`MessageWriter`]
    /// gives it up, and what was read is lost.
    ///
    /// # Errors
    /// The reader's, and those of [`MessageWriter`]. If fragments were sent before, the connection is closed.
    pub async fn send_reader(&self, kind: MessageKind, reader: impl AsyncRead) -> io::Result<u64> {
        let reader = pin!(reader);
        let chunks = stream::try_unfold(reader, |mut reader| async move {
            let mut chunk = BytesMut::with_capacity(READ_SIZE);
            let len = reader.read_buf(&mut chunk).await?;
            Ok::<_, io::Error>((len > 0).then(|| (chunk.freeze(), reader)))
        });
        self.send_stream(kind, chunks).await
    }

    /// Sends all pieces of `chunks` as one message in fragments: how many bytes. What came goes out as soon as the stream
    /// has no more at once. Waits as a [`MessageWriter`] does.
    ///
    /// Not cancel safe, as [`send_reader`](Self::send_reader).
    ///
    /// # Errors
    /// The stream's, and those of [`MessageWriter`]. If fragments were sent before, the connection is closed.
    pub async fn send_stream<E: Into<io::Error>>(
        &self,
        kind: MessageKind,
        chunks: impl Stream<Item = Result<Bytes, E>>,
    ) -> io::Result<u64> {
        let mut chunks = pin!(chunks);
        let mut writer = self.message_writer(kind);
        let mut sent = 0;
        loop {
            // The source goes first: what it has at once shares fragments, what it keeps waiting for does not hold them.
            let next = tokio::select! {
                biased;
                next = chunks.next() => next,
                flushed = writer.flush(), if writer.holds_anything() => {
                    flushed?;
                    continue;
                }
            };
            let Some(chunk) = next else { break };
            let mut chunk = chunk.map_err(Into::into)?;
            sent += chunk.len() as u64;
            while !chunk.is_empty() {
                poll_fn(|cx| writer.poll_take(cx, &mut chunk)).await?;
            }
        }
        writer.finish().await?;
        Ok(sent)
    }
}

/// A message that is being sent, from [`Connection::message_writer`].
///
/// What is written goes out in fragments of
/// [`fragmentation_threshold`](crate::ServerConfig::fragmentation_threshold) bytes (16 KiB where messages are not to be
/// fragmented; compressed, where that was agreed on, it is shorter on the wire), each when it is full; [`flush`](AsyncWriteExt::flush) sends what there is. A message that fits one
/// fragment goes out as a whole. [`finish`](Self::finish), or [`shutdown`](AsyncWriteExt::shutdown) in code that knows
/// only [`AsyncWrite`], ends it.
///
/// Writing waits while as much waits to be sent as
/// [`max_buffered_amount`](crate::ServerConfig::max_buffered_amount) allows, and first until no other message is
/// unfinished. From its first fragment to its last, other messages on the connection wait for this one
/// ([`try_send`](Connection::try_send) says full); pings, pongs and Close pass between.
///
/// A text is checked to be UTF-8 before anything of it goes out, over the borders of what is written: a write that breaks
/// it fails with [`InvalidData`](io::ErrorKind::InvalidData), and nothing of it is sent. Once the connection is closing,
/// writing fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe).
///
/// Where compressing fails, as for lack of memory, so do that write and all that follow.
///
/// Dropped before it was finished, when a part of the message is out, the message cannot be ended truthfully: the
/// connection is closed with 1011, so that the peer does not take the part for the whole.
///
/// Writing, flushing and finishing are cancel safe: what a write reported was taken, once.
#[must_use = "a message that is not finished is not sent"]
pub struct MessageWriter {
    connection: Connection,
    kind: MessageKind,
    progress: Progress,
    /// The outbox has some of it: no other message may come between.
    is_begun: bool,
    /// The next fragment is a continuation.
    has_first_fragment: bool,
    /// The character that the text so far ends within.
    text: SplitCharacter,
    /// What was written and makes no fragment yet.
    unsent: BytesMut,
    /// What the outbox did not take yet.
    fragments: Vec<RawFrame>,
    fragment_len: usize,
    compression: Compression,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Open,
    /// The last fragment is made and waits for room.
    Finishing,
    Finished,
}

enum Compression {
    /// The first fragment tells whether it is worth it.
    Undecided,
    No,
    Yes(PartsCompressor),
    /// A part of the message is lost, so that it can never be ended.
    Failed,
}

/// The longest fragment where no threshold says so, in bytes.
const DEFAULT_FRAGMENT: usize = 16 * 1024;

/// How much is read at once from a reader, in bytes.
const READ_SIZE: usize = 16 * 1024;

impl MessageWriter {
    /// Ends the message: what was written and not sent goes out as its last fragment. It returns when that is queued;
    /// once it has, further calls do nothing.
    ///
    /// Cancel safe: called again, it goes on.
    ///
    /// # Errors
    /// [`InvalidData`](io::ErrorKind::InvalidData) where a text ends within a character; the message stays open.
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) once either side has begun to close.
    pub async fn finish(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_finish(cx)).await
    }

    /// Sends the message as it is, as [`Connection::send_uncompressed`] does. Once a fragment is out, it is too late.
    pub fn uncompressed(mut self) -> Self {
        if matches!(self.compression, Compression::Undecided) {
            self.compression = Compression::No;
        }
        self
    }

    /// Whether the message is text or binary.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    #[cfg(test)]
    pub(crate) fn fail_compression(&mut self) {
        self.compression = Compression::Failed;
    }

    fn holds_anything(&self) -> bool {
        !self.unsent.is_empty() || !self.fragments.is_empty()
    }

    /// Takes from the front of `chunk` what may be taken at once: at most as much as may wait to be sent.
    fn poll_take(&mut self, cx: &mut Context<'_>, chunk: &mut impl Buf) -> Poll<io::Result<usize>> {
        if self.progress != Progress::Open {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the message is finished")));
        }
        if !self.connection.is_connected() {
            return Poll::Ready(Err(closed()));
        }
        ready!(self.poll_queue(cx))?;
        let len = chunk.remaining().min(self.connection.output_limit().max(self.fragment_len));
        if self.unsent.len() + len > self.fragment_len {
            ready!(self.poll_room(cx));
        }
        self.check(&chunk.chunk()[..len])?;
        self.cut(&mut chunk.take(len))?;
        // What finds no room now waits here, for the next write or flush.
        self.try_queue()?;
        Poll::Ready(Ok(len))
    }

    fn check(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.kind == MessageKind::Text {
            let mut text = self.text;
            text.check(chunk, |_| ()).map_err(|_| invalid("the text is not UTF-8"))?;
            self.text = text;
        }
        Ok(())
    }

    /// Cuts full fragments off; the rest, never nothing, waits for more, so that there is something to end with.
    fn cut(&mut self, chunk: &mut impl Buf) -> io::Result<()> {
        let missing = self.fragment_len - self.unsent.len();
        if !self.unsent.is_empty() && chunk.remaining() > missing {
            self.unsent.put(chunk.take(missing));
            self.make_fragment(false)?;
        }
        while chunk.remaining() > self.fragment_len {
            let payload = chunk.copy_to_bytes(self.fragment_len);
            self.push_fragment(false, payload)?;
        }
        self.unsent.put(chunk);
        Ok(())
    }

    fn make_fragment(&mut self, fin: bool) -> io::Result<()> {
        let payload = self.unsent.split().freeze();
        self.push_fragment(fin, payload)
    }

    fn push_fragment(&mut self, fin: bool, payload: Bytes) -> io::Result<()> {
        if matches!(self.compression, Compression::Undecided) {
            self.compression = self.decide_compression(fin, payload.len());
        }
        let (payload, is_compressed) = match &mut self.compression {
            Compression::Yes(compressor) => {
                let Ok(compressed) = compressor.compress(&payload, fin) else {
                    self.compression = Compression::Failed;
                    return Err(failed());
                };
                (compressed.into(), true)
            }
            Compression::Undecided | Compression::No => (payload, false),
            Compression::Failed => return Err(failed()),
        };
        let is_first = !std::mem::replace(&mut self.has_first_fragment, true);
        let opcode = if is_first { self.kind.opcode() } else { Opcode::Continuation };
        // RFC 7692 §6.1: the first frame says it for all.
        let reserved = if is_first && is_compressed { 0b100 } else { 0 };
        self.fragments.push(RawFrame { fin, reserved, opcode: opcode.bits(), payload });
        if fin && let Compression::Yes(compressor) = std::mem::replace(&mut self.compression, Compression::No)
        {
            compressor.give_back();
        }
        Ok(())
    }

    /// Whether the message is compressed, now that its first fragment is known: one that ends below the threshold is not.
    fn decide_compression(&self, fin: bool, len: usize) -> Compression {
        let compressor = || {
            let config = self.connection.shared.core_config().deflate.as_ref()?;
            let agreed = self.connection.shared.sends_compressed()?;
            let is_worth_it = !fin || len >= config.threshold;
            is_worth_it.then(|| PartsCompressor::new(config, agreed.window_bits)).flatten()
        };
        compressor().map_or(Compression::No, Compression::Yes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.progress == Progress::Open && !self.unsent.is_empty() {
            // Behind what waits already: a fragment of its own only once that has gone.
            ready!(self.poll_queue(cx))?;
            self.make_fragment(false)?;
        }
        self.poll_queue(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.progress == Progress::Open {
            if !self.text.is_none() {
                return Poll::Ready(Err(invalid("the text ends within a character")));
            }
            self.make_fragment(true)?;
            self.progress = Progress::Finishing;
        }
        ready!(self.poll_queue(cx))?;
        self.progress = Progress::Finished;
        Poll::Ready(Ok(()))
    }

    /// Queues the fragments that are made.
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.compression, Compression::Failed) {
            return Poll::Ready(Err(failed()));
        }
        while !self.try_queue()? {
            ready!(self.poll_room(cx));
        }
        Poll::Ready(Ok(()))
    }

    /// Queues the fragments that are made, if there is room: whether none is left.
    fn try_queue(&mut self) -> io::Result<bool> {
        if self.fragments.is_empty() {
            return Ok(true);
        }
        match self.connection.shared.outbox.try_send_part(self.is_begun, &mut self.fragments) {
            Ok(wake) => {
                self.connection.wake_if(wake);
                self.is_begun = true;
                Ok(true)
            }
            Err(PartError::Full) => Ok(false),
            Err(PartError::Closed) => Err(closed()),
        }
    }

    /// Waits until this message has its turn and there is room, or there never will be.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { connection, is_begun, waiting, .. } = self;
        let future = waiting.get_or_insert_with(|| {
            let (shared, turn) = (connection.shared.clone(), turn_of_part(*is_begun));
            Box::pin(async move { shared.outbox.has_room(turn).await })
        });
        ready!(future.as_mut().poll(cx));
        *waiting = None;
        Poll::Ready(())
    }
}

impl AsyncWrite for MessageWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_take(cx, &mut &*bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (*self).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx)
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if self.is_begun && self.progress != Progress::Finished {
            // Fails never: code and reason may be sent.
            let _ = self
                .connection
                .close(CloseCode::INTERNAL_SERVER_ERROR, Some("A message was given up before its end."));
        }
    }
}

impl fmt::Debug for MessageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter")
            .field("connection", &self.connection)
            .field("kind", &self.kind)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the connection is closing or closed")
}

fn failed() -> io::Error {
    io::Error::other(CompressionFailed)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
