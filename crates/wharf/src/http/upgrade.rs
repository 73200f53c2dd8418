//! Handshakes: which requests are one, whom they go to, and the stream that is left when one is accepted.

use std::net::SocketAddr;
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::Instant;
#[cfg(feature = "tls")]
use tokio_rustls::server;

use super::http2::Http2Stream;
use super::proxy_protocol::Proxied;
use super::request::UpgradeRequest;
use super::service::{ResponseBody, ResponseFuture};
use super::stream::HttpStream;
use crate::driver::{IntoStream, Stream};
use crate::proto::handshake::Answer;
#[cfg(feature = "tls")]
use crate::tls::{ClientCertificate, TlsStream};

/// What a WebSocket server is to an HTTP server: who answers its handshakes.
pub(crate) trait UpgradeOwner: Send + Sync {
    /// Decides a handshake. It is dropped where the client goes first, or the HTTP server's deadline passes.
    fn upgrade(
        self: Arc<Self>,
        request: UpgradeRequest<'_>,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Decided> + Send>>;
}

/// What became of a handshake.
pub(crate) enum Decided {
    /// The answer is 101. Once it has gone out, the stream is for [`Begin`].
    Switch(Answer, Begin),
    /// Any other answer. It goes out, and the connection ends.
    Refuse(Answer),
}

/// Takes a stream that is no longer HTTP, and the bytes that were read behind the handshake: a client may send its first
/// frames without waiting for the answer. Dropped where there is no stream.
pub(crate) type Begin = Box<dyn FnOnce(Stream, Vec<u8>) + Send>;

/// How a request came.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// The socket's peer. `None`: it has no address that is known, such as on a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    /// Whom the peer says that it speaks for, in a PROXY header.
    pub(crate) proxied: Proxied,
    /// Who the client proved to be in TLS.
    #[cfg(feature = "tls")]
    pub(crate) client_certificate: Option<ClientCertificate>,
    /// When its handshake began: with the TCP connection, or with the end of the previous response on it.
    pub(crate) started: Instant,
}

impl Arrival {
    /// One that began now.
    pub(crate) fn of_peer(peer: Option<SocketAddr>) -> Self {
        Self {
            peer,
            proxied: Proxied::NoHeader,
            #[cfg(feature = "tls")]
            client_certificate: None,
            started: Instant::now(),
        }
    }
}

/// Whether a request asks for a WebSocket by an upgrade, rightly or not.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    let values = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let has = |name| headers.contains_key(name);
    asks_for_websocket(values(header::UPGRADE), values(header::CONNECTION), || {
        has(header::SEC_WEBSOCKET_KEY) || has(header::SEC_WEBSOCKET_VERSION)
    })
}

/// Whether these values of `Upgrade` and of `Connection` ask for a WebSocket, or, where there is a field of its handshake, for
/// another protocol in its place. All other upgrades are the HTTP service's, which may take no notice of them (RFC 9110
/// §7.8): some clients ask for TLS or HTTP/2 with each of their requests.
pub(super) fn asks_for_websocket<'a>(
    mut upgrade: impl Iterator<Item = &'a [u8]>,
    mut connection: impl Iterator<Item = &'a [u8]>,
    has_a_field_of_the_handshake: impl FnOnce() -> bool,
) -> bool {
    let is_upgrade = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"upgrade");
    let is_websocket = |protocol: &[u8]| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket");
    // Nearly always the only one, of both.
    let names_websocket =
        |value: &[u8]| is_websocket(value) || value.split(|&byte| byte == b',').any(is_websocket);
    let names_upgrade = |value: &[u8]| is_upgrade(value) || value.split(|&byte| byte == b',').any(is_upgrade);
    let mut names_any = false;
    let is_named = upgrade.any(|value| {
        names_any |= !value.is_empty();
        names_websocket(value)
    });
    (is_named || names_any && has_a_field_of_the_handshake()) && connection.any(names_upgrade)
}

/// Has a handshake decided that hyper has read.
pub(crate) fn decide<B>(
    owner: Arc<dyn UpgradeOwner>,
    mut request: Request<B>,
    arrival: Arrival,
) -> ResponseFuture {
    let on_upgrade = hyper::upgrade::on(&mut request);
    let version = request.version();
    let parts = Arc::new(request.into_parts().0);
    let decision = owner.upgrade(UpgradeRequest::of_parts(&parts), arrival);
    Box::pin(async move { conclude(decision.await, version, on_upgrade) })
}

/// The response for a decision, after which the stream is what was decided.
pub(crate) fn conclude(decided: Decided, version: Version, on_upgrade: OnUpgrade) -> Response<ResponseBody> {
    let is_http2 = version == Version::HTTP_2;
    let answer = match decided {
        Decided::Switch(answer, begin) => {
            if is_http2 {
                tokio::spawn(hand_stream_over(on_upgrade, Http2Stream::of_current_task(), begin));
            } else {
                tokio::spawn(hand_over(on_upgrade, begin));
            }
            answer
        }
        Decided::Refuse(answer) => answer,
    };
    answered(answer, version)
}

/// An answer in this version of HTTP.
pub(crate) fn answered(answer: Answer, version: Version) -> Response<ResponseBody> {
    if version == Version::HTTP_2 { response(&answer.into_http2()) } else { response(&answer) }
}

/// Begins what comes after HTTP/2, once hyper has written the 200.
async fn hand_stream_over(
    upgrade: OnUpgrade,
    stream: impl FnOnce(Upgraded) -> Http2Stream + Send,
    begin: Begin,
) {
    if let Ok(upgraded) = upgrade.await {
        begin(Stream::Other(Box::new(stream(upgraded))), Vec::new());
    }
}

/// Begins what comes after HTTP/1.1, once hyper has written the 101.
async fn hand_over(upgrade: OnUpgrade, begin: Begin) {
    if let Ok(upgraded) = upgrade.await {
        let (stream, read) = take_stream(upgraded);
        begin(stream, read);
    }
}

/// Takes the stream back from hyper, with the bytes that were read behind the request.
fn take_stream(upgraded: Upgraded) -> (Stream, Vec<u8>) {
    let taken = taken_back::<TcpStream>(upgraded);
    #[cfg(unix)]
    let taken = taken.or_else(taken_back::<tokio::net::UnixStream>);
    let upgraded = match taken {
        Ok(taken) => return taken,
        Err(upgraded) => upgraded,
    };
    // On servers whose guest we are: hyper's own, and the one that tells the version of HTTP by itself, as axum has.
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return (parts.io.into_inner().into_stream(), parts.read_buf.into()),
        Err(upgraded) => upgraded,
    };
    let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => return (parts.io.into_inner().into_stream(), parts.read_buf.into()),
        Err(upgraded) => upgraded,
    };
    #[cfg(feature = "tls")]
    let upgraded = match auto::upgrade::downcast::<TokioIo<server::TlsStream<TcpStream>>>(upgraded) {
        Ok(parts) => {
            let stream = TlsStream::new(parts.io.into_inner().into());
            return (stream.into_stream(), parts.read_buf.into());
        }
        Err(upgraded) => upgraded,
    };
    (Stream::of(TokioIo::new(upgraded)), Vec::new())
}

/// Takes it back if it is of this type, or of TLS over it.
fn taken_back<S: IntoStream>(upgraded: Upgraded) -> Result<(Stream, Vec<u8>), Upgraded> {
    let taken = upgraded.downcast::<TokioIo<HttpStream<S>>>().map(taken_apart);
    #[cfg(feature = "tls")]
    let taken =
        taken.or_else(|upgraded| upgraded.downcast::<TokioIo<HttpStream<TlsStream<S>>>>().map(taken_apart));
    taken
}

fn taken_apart<S: IntoStream>(parts: hyper::upgrade::Parts<TokioIo<HttpStream<S>>>) -> (Stream, Vec<u8>) {
    let stream = parts.io.into_inner();
    // Copied: the bytes share HTTP's whole read buffer, which is not to live on behind them.
    let read = [parts.read_buf.as_ref(), stream.unread()].concat();
    (stream.into_inner().into_stream(), read)
}

/// An answer as hyper takes it.
fn response(answer: &Answer) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    let status = StatusCode::from_u16(answer.status()).unwrap_or_default();
    *response.status_mut() = status;
    if status.canonical_reason().is_none() {
        // hyper would write "<none>".
        response.extensions_mut().insert(hyper::ext::ReasonPhrase::from_static(b""));
    }
    for (name, value) in answer.fields() {
        // An answer has been checked; what HTTP's own types refuse on top of that is left out.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            response.headers_mut().append(name, value);
        }
    }
    response
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
