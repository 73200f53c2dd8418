//! The streams that a connection can run on.

use std::any::Any;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// A stream of bytes both ways, and what the driver asks of it beyond that.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Lets the coming end of the stream look like an abort to the peer, not like an orderly end.
    fn reset_on_drop(&mut self);

    /// Whether what the peer still sends has to be read after our half has ended: otherwise it could destroy our last frames
    /// on their way.
    fn lingers(&self) -> bool {
        true
    }

    /// Whether there may be something to read. Pending: there is nothing, and the task is woken when there is.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }

    /// Lets others write to the socket as well, who do so between two turns of the driver, where that can be.
    fn lend(&mut self) -> Option<Weak<TcpStream>> {
        None
    }
}

/// Takes what is to be written in parts, past the output.
pub(crate) trait WriteParts: Send {
    /// How many bytes of the parts were written. What fails now fails again when the rest is written.
    fn write_parts(&mut self, parts: &[IoSlice<'_>]) -> usize;
}

/// A stream, and whom it wakes.
pub(crate) struct Direct<'a, S> {
    pub(crate) stream: &'a mut S,
    pub(crate) waker: &'a Waker,
}

impl<S: Transport> WriteParts for Direct<'_, S> {
    fn write_parts(&mut self, parts: &[IoSlice<'_>]) -> usize {
        // Streams that copy all the same do so once, from the output.
        if !self.stream.is_write_vectored() {
            return 0;
        }
        let mut cx = Context::from_waker(self.waker);
        match Pin::new(&mut *self.stream).poll_write_vectored(&mut cx, parts) {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        }
    }
}

/// What is left of a connection once it is no longer HTTP. The two kinds that nearly all are have a driver of their own
/// type; all others share one, which asks the stream through a pointer.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(TlsStream<TcpStream>),
    Other(Box<dyn Transport>),
}

/// What HTTP is spoken on: the stream that is left of it afterwards.
pub(crate) trait IntoStream: Transport + Sized {
    fn into_stream(self) -> Stream {
        Stream::Other(Box::new(self))
    }

    #[cfg(feature = "tls")]
    fn secured_into_stream(secured: TlsStream<Self>) -> Stream {
        Stream::Other(Box::new(secured))
    }

    /// The socket under it, where it is one of TCP.
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }
}

impl IntoStream for TcpStream {
    fn into_stream(self) -> Stream {
        Stream::Tcp(self)
    }

    #[cfg(feature = "tls")]
    fn secured_into_stream(secured: TlsStream<Self>) -> Stream {
        Stream::Tls(secured)
    }

    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl IntoStream for Box<dyn Transport> {
    fn into_stream(self) -> Stream {
        Stream::Other(self)
    }
}

#[cfg(feature = "tls")]
impl<S: IntoStream> IntoStream for TlsStream<S> {
    fn into_stream(self) -> Stream {
        S::secured_into_stream(self)
    }

    fn tcp(&self) -> Option<&TcpStream> {
        self.inner().tcp()
    }
}

impl Stream {
    /// Any stream, as what it is, if that is known. Of another no way to end is known but in order.
    pub(crate) fn of(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let mut stream = Some(stream);
        let as_tcp = (&mut stream as &mut dyn Any).downcast_mut::<Option<TcpStream>>();
        match as_tcp.and_then(Option::take) {
            Some(tcp) => Self::Tcp(tcp),
            None => Self::Other(Box::new(Foreign(stream.expect("nobody has taken it")))),
        }
    }

    /// The socket under it, where it is known to be one of TCP.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Some(stream.inner()),
            Self::Other(_) => None,
        }
    }
}

impl Transport for Box<dyn Transport> {
    fn reset_on_drop(&mut self) {
        self.as_mut().reset_on_drop();
    }

    fn lingers(&self) -> bool {
        self.as_ref().lingers()
    }
}

/// A stream of somebody else's.
pub(crate) struct Foreign<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> IntoStream for Foreign<S> {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for Foreign<S> {
    fn reset_on_drop(&mut self) {}
}

impl<S: AsyncRead + Unpin> AsyncRead for Foreign<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Foreign<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Transport for TcpStream {
    fn reset_on_drop(&mut self) {
        reset_on_drop(self);
    }
}

pub(super) fn reset_on_drop(stream: &TcpStream) {
    // Where the system refuses, the peer sees an orderly end instead: no reason to do anything else here.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
