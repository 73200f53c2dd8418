//! The stream under an HTTP/2 connection: how much of it moved, and its end in order.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::super::connection::end;
use super::super::limits::Limits;
use super::super::stream::HttpStream;

/// The stream under an HTTP/2 connection. hyper drops it as soon as it has ended our half; it is given back then, for whoever
/// sees it to its [end](Ending).
pub(super) struct Http2Io<S> {
    /// Taken when it is dropped.
    stream: Option<HttpStream<S>>,
    progress: Progress,
    give_back: Option<oneshot::Sender<HttpStream<S>>>,
    is_shut_down: bool,
    has_peer_ended: bool,
    /// In bytes, since others had their turn.
    read_in_a_row: usize,
}

/// How many bytes a connection has sent.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(super) fn moved(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S> Http2Io<S> {
    pub(super) fn new(stream: HttpStream<S>) -> (Self, Progress, oneshot::Receiver<HttpStream<S>>) {
        let progress = Progress::default();
        let (give_back, taken_over) = oneshot::channel();
        let io = Self {
            stream: Some(stream),
            progress: progress.clone(),
            give_back: Some(give_back),
            is_shut_down: false,
            has_peer_ended: false,
            read_in_a_row: 0,
        };
        (io, progress, taken_over)
    }
}

impl<S: Unpin> Http2Io<S> {
    fn stream(&mut self) -> io::Result<Pin<&mut HttpStream<S>>> {
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        self.stream.as_mut().map(Pin::new).ok_or_else(gone)
    }

    fn moved(&self, written: usize) -> Poll<io::Result<usize>> {
        self.progress.0.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }
}

impl<S> Drop for Http2Io<S> {
    fn drop(&mut self) {
        let stream = self.stream.take().filter(|_| self.is_shut_down && !self.has_peer_ended);
        if let (Some(stream), Some(give_back)) = (stream, self.give_back.take()) {
            // Nobody waits for the end of one that is dropped before hyper is done.
            let _ = give_back.send(stream);
        }
    }
}

/// A connection, and then its end: what the client still sends when our half has ended is read, up to the close timeout, for a
/// socket that is closed with bytes unread takes back what it sent last.
pub(super) struct Ending<C, S> {
    connection: Option<Pin<Box<C>>>,
    given_back: oneshot::Receiver<HttpStream<S>>,
    limits: Limits,
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<C, S> Ending<C, S> {
    pub(super) fn new(connection: C, given_back: oneshot::Receiver<HttpStream<S>>, limits: Limits) -> Self {
        Self { connection: Some(Box::pin(connection)), given_back, limits, end: None }
    }

    /// The connection, while it lasts.
    pub(super) fn connection(&mut self) -> Option<Pin<&mut C>> {
        self.connection.as_mut().map(Pin::as_mut)
    }
}

impl<C, S> Future for Ending<C, S>
where
    C: Future,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Some(connection) = &mut this.connection {
            // How it ended is nobody's to know: each request on it was told.
            let _ = ready!(connection.as_mut().poll(cx));
            this.connection = None;
            let limits = this.limits;
            let end = |mut stream| -> Pin<Box<dyn Future<Output = ()> + Send>> {
                Box::pin(async move { end(&mut stream, &limits, false).await })
            };
            this.end = this.given_back.try_recv().ok().map(end);
        }
        this.end.as_mut().map_or(Poll::Ready(()), |end| end.as_mut().poll(cx))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Http2Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_in_a_row >= READ_A_TURN {
            self.read_in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let Poll::Ready(polled) = self.stream()?.poll_read(cx, buf) else {
            self.read_in_a_row = 0;
            return Poll::Pending;
        };
        let read = buf.filled().len() - before;
        self.read_in_a_row += read;
        self.has_peer_ended |= polled.is_err() || read == 0 && buf.remaining() > 0;
        Poll::Ready(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Http2Io<S> {
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

/// After so many bytes those get their turn for whom they are. h2 takes a client to be hostile for whom many small frames lie
/// unread, on all streams together.
const READ_A_TURN: usize = 16 * 1024;
