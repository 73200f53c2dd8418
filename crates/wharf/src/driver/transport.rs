//! The streams that a connection can run on.

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

/// What is left of a connection once it is no longer HTTP.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(TlsStream<TcpStream>),
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
