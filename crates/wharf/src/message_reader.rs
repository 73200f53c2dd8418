//! One message as a stream of bytes, of any length.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::io::{AsyncRead, ReadBuf};

use crate::connection::Connection;
use crate::error::UnfinishedMessage;
use crate::inbox::{Beginning, State};
use crate::proto::connection::{Cause, Ending};
use crate::proto::message::MessageKind;

impl Connection {
    /// The next message, to be read piece by piece; `None` as for [`recv`](Self::recv).
    ///
    /// With [`assemble_fragments`](crate::ServerConfig::assemble_fragments) off, the message may be of any length: its
    /// fragments are handed on as they come, and while they are not read, TCP holds the peer back. Until the message was
    /// read whole, or its reader is dropped, everything else that receives on this connection waits. Whatever stands
    /// before the message (control frames, the rest of a message that was not read to its end) is passed over. With it
    /// on, the message was put together before, within its limits.
    ///
    /// Cancel safe: a message that was not returned is the next call's.
    ///
    /// ```no_run
    /// # async fn upload(connection: wharf::Connection) -> std::io::Result<()> {
    /// while let Some(mut upload) = connection.recv_reader().await {
    ///     let len = tokio::io::copy(&mut upload, &mut tokio::io::sink()).await?;
    ///     # drop(len);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv_reader(&self) -> Option<MessageReader> {
        let beginning = self.shared.take(State::beginning).await?;
        Some(MessageReader::new(self.clone(), beginning))
    }
}

/// A message that is being received, from [`Connection::recv_reader`].
///
/// It is read as [`AsyncRead`], or in the pieces that came with [`chunk`](Self::chunk). As a [`Stream`] it gives the same
/// pieces to code that takes one. The bytes of a text are UTF-8 as a whole; a piece may end within a character.
///
/// Where the connection ends within the message, reading fails with
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) around an [`UnfinishedMessage`]: a message that ends is whole.
///
/// Dropped before its end, the rest of the message is passed over by whoever receives next; frame by frame it can still
/// be taken with [`recv_frame`](Connection::recv_frame).
///
/// All ways to read are cancel safe: what was not returned is still to be read.
pub struct MessageReader {
    connection: Connection,
    kind: MessageKind,
    /// What came and was not read.
    unread: Bytes,
    rest: Rest,
}

/// What is still to come.
enum Rest {
    Nothing,
    /// Fragments, which the inbox keeps for this reader.
    Fragments(Option<NextFragment>),
    /// The connection ended before the message did.
    Lost {
        /// A stream ends after its error.
        is_streams_end: bool,
    },
}

/// Waits for the next fragment, and whether it is the last.
type NextFragment = Pin<Box<dyn Future<Output = Option<(Bytes, bool)>> + Send + Sync>>;

impl MessageReader {
    fn new(connection: Connection, beginning: Beginning) -> Self {
        let Beginning { kind, payload, is_whole } = beginning;
        let rest = if is_whole { Rest::Nothing } else { Rest::Fragments(None) };
        Self { connection, kind, unread: payload, rest }
    }

    /// The next piece of the message as it came, without a copy and never empty; `None` at the message's end.
    ///
    /// Cancel safe: a piece that was not returned is the next call's.
    ///
    /// # Errors
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) around an [`UnfinishedMessage`].
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Whether the message is text or binary.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        while self.unread.is_empty() {
            match &mut self.rest {
                Rest::Nothing => return Poll::Ready(Ok(None)),
                Rest::Lost { .. } => return Poll::Ready(Err(self.lost())),
                Rest::Fragments(waiting) => {
                    let fragment = ready!(next_fragment(&self.connection, waiting, cx));
                    self.take(fragment);
                }
            }
        }
        Poll::Ready(Ok(Some(std::mem::take(&mut self.unread))))
    }

    fn take(&mut self, fragment: Option<(Bytes, bool)>) {
        let Some((payload, is_last)) = fragment else {
            self.connection.shared.give_back();
            self.rest = Rest::Lost { is_streams_end: false };
            return;
        };
        self.unread = payload;
        if is_last {
            self.rest = Rest::Nothing;
        }
    }

    fn lost(&self) -> io::Error {
        // Set before the inbox ends.
        let ending = self.connection.ending().unwrap_or(Ending::Lost(Cause::PeerEnded));
        io::Error::new(io::ErrorKind::UnexpectedEof, UnfinishedMessage { ending })
    }
}

/// A future is made only where there is nothing yet to take.
fn next_fragment(
    connection: &Connection,
    waiting: &mut Option<NextFragment>,
    cx: &mut Context<'_>,
) -> Poll<Option<(Bytes, bool)>> {
    let shared = &connection.shared;
    if waiting.is_none()
        && let Poll::Ready(fragment) = shared.try_take(State::fragment)
    {
        return Poll::Ready(fragment);
    }
    let future = waiting.get_or_insert_with(|| {
        let shared = shared.clone();
        Box::pin(async move { shared.take(State::fragment).await })
    });
    let fragment = ready!(future.as_mut().poll(cx));
    *waiting = None;
    Poll::Ready(fragment)
}

impl AsyncRead for MessageReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(mut chunk) = ready!(self.poll_chunk(cx))? {
            let len = chunk.len().min(buffer.remaining());
            buffer.put_slice(&chunk.split_to(len));
            self.unread = chunk;
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream for MessageReader {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if matches!(self.rest, Rest::Lost { is_streams_end: true }) {
            return Poll::Ready(None);
        }
        let chunk = ready!(self.poll_chunk(cx)).transpose();
        if let (Some(Err(_)), Rest::Lost { is_streams_end }) = (&chunk, &mut self.rest) {
            *is_streams_end = true;
        }
        Poll::Ready(chunk)
    }
}

impl Drop for MessageReader {
    fn drop(&mut self) {
        if matches!(self.rest, Rest::Fragments(_)) {
            self.connection.shared.give_back();
        }
    }
}

impl fmt::Debug for MessageReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("connection", &self.connection)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
