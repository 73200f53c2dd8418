//! The streams that a connection can run on.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// A stream of bytes both ways, and what the driver asks of it beyond that.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Lets the coming end of the stream look like an abort to the peer, not like an orderly end.
    fn reset_on_drop(&mut self);
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

/// What is left of a connection once it is no longer HTTP.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(TlsStream<TcpStream>),
}

/// What HTTP is spoken on: the stream that is left of it afterwards, where that is one that a driver runs on.
pub(crate) trait IntoStream: Sized {
    fn into_stream(self) -> Option<Stream> {
        None
    }

    #[cfg(feature = "tls")]
    fn secured_into_stream(_secured: TlsStream<Self>) -> Option<Stream> {
        None
    }
}

impl IntoStream for TcpStream {
    fn into_stream(self) -> Option<Stream> {
        Some(Stream::Tcp(self))
    }

    #[cfg(feature = "tls")]
    fn secured_into_stream(secured: TlsStream<Self>) -> Option<Stream> {
        Some(Stream::Tls(secured))
    }
}

#[cfg(feature = "tls")]
impl<S: IntoStream> IntoStream for TlsStream<S> {
    fn into_stream(self) -> Option<Stream> {
        S::secured_into_stream(self)
    }
}

impl Stream {
    /// The socket under it.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.inner(),
        }
    }
}

impl Transport for TcpStream {
    fn reset_on_drop(&mut self) {
        // Where the system refuses, the peer sees an orderly end instead: no reason to do anything else here.
        let _ = socket2::SockRef::from(&*self).set_linger(Some(Duration::ZERO));
    }
}
