//! Handshakes: which requests are one, whom they go to, and the stream that is left when one is accepted.

use std::net::SocketAddr;
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::service::ResponseBody;
use super::stream::HttpStream;
use crate::driver::Stream;
#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// What a WebSocket server is to an HTTP server: who answers its handshakes.
pub(crate) trait UpgradeOwner: Send + Sync {
    /// Answers a handshake. It is dropped where the client goes first, or the HTTP server's deadline passes.
    ///
    /// An answer of 101 goes out with its fields as they are, and [`take_stream`] has the stream then. Any other
    /// answer goes out with `Connection: close`, and the connection ends.
    fn upgrade(
        self: Arc<Self>,
        request: Request<Incoming>,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;
}

/// How a request came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: SocketAddr,
    /// When its handshake began: with the TCP connection, or with the end of the previous response on it.
    pub(crate) started: Instant,
}

/// Whether a request asks for another protocol (RFC 9110 §7.8), whichever it is.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    let names_a_protocol = headers.get_all(header::UPGRADE).iter().any(|value| !value.is_empty());
    names_a_protocol
        && headers
            .get_all(header::CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// Takes the stream back from HTTP, with the bytes that were read behind the request: a client may send its first
/// frames without waiting for the answer.
///
/// It is there once the 101 has been written. The bytes share the buffer of the request; whoever keeps them, keeps it.
pub(crate) async fn take_stream(upgrade: OnUpgrade) -> Result<(Stream, Bytes), TakeStreamError> {
    let upgraded = upgrade.await.map_err(TakeStreamError::Lost)?;
    let upgraded = match upgraded.downcast::<TokioIo<HttpStream<TcpStream>>>() {
        Ok(parts) => return Ok((Stream::Tcp(parts.io.into_inner().into_inner()), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    #[cfg(feature = "tls")]
    let upgraded = match upgraded.downcast::<TokioIo<HttpStream<TlsStream<TcpStream>>>>() {
        Ok(parts) => return Ok((Stream::Tls(parts.io.into_inner().into_inner()), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    drop(upgraded);
    Err(TakeStreamError::OtherStream)
}

/// Why there is no stream to take.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeStreamError {
    #[error("TCP connection lost before handshake completed")]
    Lost(#[source] hyper::Error),
    #[error("the request came over something else than TCP or TLS")]
    OtherStream,
}

/// Who answers the handshakes of an HTTP server, if anybody.
#[derive(Default)]
pub(crate) struct Mount {
    owner: Mutex<Option<Arc<dyn UpgradeOwner>>>,
}

/// Another WebSocket server answers this HTTP server's handshakes, or the same one does so already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlreadyMounted;

impl Mount {
    pub(crate) fn set(&self, owner: Arc<dyn UpgradeOwner>) -> Result<(), AlreadyMounted> {
        let mut slot = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() {
            return Err(AlreadyMounted);
        }
        *slot = Some(owner);
        Ok(())
    }

    pub(crate) fn clear(&self, owner: &Arc<dyn UpgradeOwner>) {
        let mut slot = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        // The owner may be dropped here, and must find the lock free.
        let removed = slot.take_if(|current| ptr::addr_eq(Arc::as_ptr(current), Arc::as_ptr(owner)));
        drop(slot);
        drop(removed);
    }

    pub(crate) fn owner(&self) -> Option<Arc<dyn UpgradeOwner>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
