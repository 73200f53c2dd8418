//! A TLS stream that a connection can run on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ClientCertificate;
use crate::driver::Transport;

/// TLS over `S`. A write is done when the socket has taken it: what rustls has encrypted and could not give to the socket
/// does not count, so that a peer that does not read is noticed as on plain TCP, and `drained` means what it says.
///
/// Whoever's write was pending has to begin the next one with the same bytes, since they are on their way. Every writer of
/// a byte stream does so.
pub(crate) struct TlsStream<S> {
    /// Boxed: it is large, and a connection that has none is not to pay for it.
    stream: Box<tokio_rustls::TlsStream<S>>,
    /// How many bytes of the next write are encrypted already, and not yet all with the socket.
    encrypted: usize,
}

/// Most bytes that one write encrypts: what counts as standing still where the socket does not take all of it.
const WRITE_SIZE: usize = 32 * 1024;

impl<S> TlsStream<S> {
    pub(crate) fn new(stream: tokio_rustls::TlsStream<S>) -> Self {
        Self { stream: Box::new(stream), encrypted: 0 }
    }

    /// Who the peer proved to be, if anybody.
    pub(crate) fn peer_certificate(&self) -> Option<ClientCertificate> {
        self.stream.get_ref().1.peer_certificates().and_then(ClientCertificate::of)
    }

    /// What is under it.
    pub(crate) fn inner(&self) -> &S {
        self.stream.get_ref().0
    }
}

impl<S: Transport> Transport for TlsStream<S> {
    fn reset_on_drop(&mut self) {
        self.stream.get_mut().0.reset_on_drop();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.as_mut()).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut stream = Pin::new(this.stream.as_mut());
        if this.encrypted == 0 {
            let first = &buf[..buf.len().min(WRITE_SIZE)];
            this.encrypted = ready!(stream.as_mut().poll_write(cx, first))?;
        }
        ready!(stream.poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut this.encrypted)))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.as_mut()).poll_flush(cx)
    }

    /// Says so (`close_notify`, RFC 8446 §6.1), and ends our half of TCP.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.as_mut()).poll_shutdown(cx)
    }
}
