//! The way out of HTTP: who gets upgrade requests, and the socket after the 101.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::ResponseBody;

/// Whoever answers the upgrade requests of an HTTP server; one at a time.
pub(crate) trait UpgradeOwner: Send + Sync {
    fn upgrade(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = http::Response<ResponseBody>> + Send>>;
}

/// Where and when a request came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: SocketAddr,
    /// When the client could begin to send it: the clock of the opening handshake.
    pub(crate) started: Instant,
}

/// Whether a request wants to leave HTTP: it has `Upgrade`, and `Connection` lists `upgrade` (RFC 9110 §7.8).
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    let lists_upgrade = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|element| element.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    lists_upgrade && headers.contains_key(UPGRADE)
}

/// The socket, once the 101 has been written to it, with the bytes that HTTP has read beyond the request: frames that
/// the client sent behind its handshake.
pub(crate) async fn take_stream(on_upgrade: OnUpgrade) -> io::Result<(TcpStream, Vec<u8>)> {
    let upgraded = on_upgrade.await.map_err(io::Error::other)?;
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| io::Error::other("the upgraded stream is not the one that was served"))?;
    // Copied: the bytes share HTTP's whole read buffer, which is not to live on behind them.
    Ok((parts.io.into_inner(), parts.read_buf.to_vec()))
}
