use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a user can do to answer in batches where the library writes each frame at once: a stream that keeps what is written
/// until there is nothing more to read, and then writes and flushes it. Nothing else flushes but a shutdown.
pub struct Corked<S> {
    stream: S,
    /// Bytes that are kept at most; what is longer is written at once.
    limit: usize,
    kept: Vec<u8>,
    /// How much of it the stream has taken.
    taken: usize,
}

impl<S: AsyncWrite + Unpin> Corked<S> {
    #[must_use]
    pub fn new(stream: S, limit: usize) -> Self {
        Self { stream, limit, kept: Vec::new(), taken: 0 }
    }

    fn poll_uncork(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken < self.kept.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.kept[self.taken..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.taken += written,
            }
        }
        self.kept.clear();
        self.taken = 0;
        Pin::new(&mut self.stream).poll_flush(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Corked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            // Both wake this task. A stream that is full is no reason not to read.
            if let Poll::Ready(Err(error)) = self.poll_uncork(context) {
                return Poll::Ready(Err(error));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.kept.len() + bytes.len() > self.limit {
            ready!(self.poll_uncork(context))?;
        }
        if bytes.len() > self.limit {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        self.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_uncork(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
