//! The stream under an HTTP/2 connection: how much of it moved, and its end in order.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;

use super::super::connection::end;
use super::super::limits::Limits;
use super::super::stream::HttpStream;

/// The stream under an HTTP/2 connection. hyper drops it as soon as it has ended our half; what the client still sends then
/// is read all the same, up to the close timeout, for a socket that is closed with bytes unread takes back what it sent last.
pub(super) struct Http2Io<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    /// Taken when it is dropped.
    stream: Option<HttpStream<S>>,
    progress: Progress,
    limits: Limits,
    is_shut_down: bool,
    has_peer_ended: bool,
}

/// How many bytes a connection has sent.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(super) fn moved(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Http2Io<S> {
    pub(super) fn new(stream: HttpStream<S>, limits: Limits) -> (Self, Progress) {
        let progress = Progress::default();
        let io = Self {
            stream: Some(stream),
            progress: progress.clone(),
            limits,
            is_shut_down: false,
            has_peer_ended: false,
        };
        (io, progress)
    }

    fn stream(&mut self) -> io::Result<Pin<&mut HttpStream<S>>> {
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        self.stream.as_mut().map(Pin::new).ok_or_else(gone)
    }

    fn moved(&self, written: usize) -> Poll<io::Result<usize>> {
        self.progress.0.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Drop for Http2Io<S> {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take().filter(|_| self.is_shut_down && !self.has_peer_ended)
        else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            let limits = self.limits;
            runtime.spawn(async move { end(&mut stream, &limits, false).await });
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncRead for Http2Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = ready!(self.stream()?.poll_read(cx, buf));
        self.has_peer_ended |= polled.is_err() || buf.filled().len() == before && buf.remaining() > 0;
        Poll::Ready(polled)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for Http2Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.stream()?.poll_write(cx, buf))?;
        self.moved(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.stream()?.poll_write_vectored(cx, bufs))?;
        self.moved(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream()?.poll_shutdown(cx))?;
        self.is_shut_down = true;
        Poll::Ready(Ok(()))
    }
}
