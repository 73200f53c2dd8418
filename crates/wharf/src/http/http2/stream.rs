//! The stream of HTTP/2 that a WebSocket runs on (RFC 8441 §5).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::streams::Stream;
use crate::driver::Transport;

/// A stream of HTTP/2 that is no longer HTTP. Its end is END_STREAM, and an end out of order is RST_STREAM with CANCEL
/// (RFC 8441 §5).
pub(crate) struct Http2Stream {
    upgraded: TokioIo<Upgraded>,
    /// Where the connection is served by us, and not by somebody whose guest we are.
    stream: Option<Arc<Stream>>,
}

impl Http2Stream {
    pub(super) fn of(stream: Option<Arc<Stream>>) -> impl FnOnce(Upgraded) -> Self {
        move |upgraded| Self { upgraded: TokioIo::new(upgraded), stream }
    }

    /// What makes one of the stream on which the request of this task came, once hyper hands that over.
    pub(crate) fn of_current_task() -> impl FnOnce(Upgraded) -> Self {
        Self::of(Stream::current())
    }
}

/// hyper takes a write whole, however long it is, before the peer has a window for it: what counts as written is to be
/// little.
const WRITE_SIZE: usize = 16 * 1024;

impl Transport for Http2Stream {
    fn reset_on_drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.reset();
        }
    }

    /// What was sent on a stream reaches the client whatever is not read of what it sends: RST_STREAM, by which it is told that
    /// nobody reads any more, comes behind (RFC 9113 §8.1). Not every browser ends its half when we have ended ours.
    fn lingers(&self) -> bool {
        false
    }
}

/// hyper would wait for a client without a window for as long as the connection lasts.
impl Drop for Http2Stream {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.leave();
        }
    }
}

impl AsyncRead for Http2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Each frame of DATA is a read of its own, and small ones are to come together all the same. Errors and the end stay.
        let before = buf.filled().len();
        loop {
            let former = buf.filled().len();
            match Pin::new(&mut self.upgraded).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() > former && buf.remaining() > 0 => {}
                Poll::Ready(Err(_)) | Poll::Pending if former > before => return Poll::Ready(Ok(())),
                polled => return polled,
            }
        }
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let first = &buf[..buf.len().min(WRITE_SIZE)];
        Pin::new(&mut self.upgraded).poll_write(cx, first)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.upgraded).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.upgraded).poll_shutdown(cx)
    }
}
