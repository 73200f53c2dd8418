//! WebSockets on somebody else's HTTP server: hyper's, axum's, or whichever takes tower's layers and services.

#[cfg(feature = "axum")]
pub mod axum;
mod layer;

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Empty;
use hyper::upgrade::OnUpgrade;

use crate::http::http2::is_extended_connect;
use crate::http::service::ResponseBody;
use crate::http::upgrade::{Arrival, answered, decide, is_upgrade};
use crate::http::{Mount, UpgradeOwner};
use crate::mounted::Mounted;
use crate::proto::handshake::Refusal;

pub use layer::Hosted;

/// A [`Server`](crate::Server) on somebody else's HTTP server, which has the listener, the routes, the middleware and the
/// shutdown. A cheap clone; it is made by [`Server::guest`](crate::Server::guest).
///
/// It is a tower `Service` for the paths of WebSockets alone: handshakes are answered as on an
/// [`HttpServer`](crate::HttpServer) that the server is mounted on, with the same events, options and limits, over HTTP/1.1
/// and HTTP/2; other requests with 426. And it is a tower `Layer` over a service that answers everything else. With the
/// feature `axum` there is also an extractor, `wharf::axum::WebSocketRequest`, with which a
/// handler decides by itself.
///
/// Once the server has left by [`unmount`](crate::Server::unmount) or [`shut_down`](crate::Server::shut_down), the service
/// answers 503, and the layer passes everything on.
///
/// What the host has to do:
/// - Let go of connections: hyper's `serve_connection(…).with_upgrades()`; axum does. Otherwise handshakes are answered
///   with 501.
/// - For WebSockets over HTTP/2 (RFC 8441), hyper's `enable_connect_protocol()`; axum does. Its routes are to take the method
///   CONNECT beside GET: axum's `any`.
/// - Bound its HTTP/2 connections as its own requests need it, and give them a window for many small frames, hyper's
///   `initial_connection_window_size(8 << 20)` or more: what h2 allows to lie unread follows from it.
/// - Say whom a request comes from, by [`PeerAddress`] among its extensions, or axum's `ConnectInfo<SocketAddr>`. Otherwise
///   nobody knows: [`Request::socket_address`](crate::Request::socket_address) is `None`.
/// - Shut both down: the host's own shutdown does not wait for WebSockets over HTTP/1.1, and waits for those over HTTP/2
///   without telling them; [`Server::shut_down`](crate::Server::shut_down), at the same time, closes and awaits them all.
///
/// ```no_run
/// # async fn connection(server: wharf::Server) -> Result<(), Box<dyn std::error::Error>> {
/// use hyper::server::conn::http1;
/// use hyper_util::rt::TokioIo;
/// use hyper_util::service::TowerToHyperService;
///
/// let guest = server.guest()?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
/// loop {
///     let (stream, peer) = listener.accept().await?;
///     let service = TowerToHyperService::new(guest.clone().with_peer(peer));
///     let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
///     tokio::spawn(connection.with_upgrades());
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Guest {
    mount: Arc<Mount>,
    /// For who asks it without the server's events.
    #[cfg(feature = "axum")]
    mounted: Arc<Mounted>,
    peer: Option<SocketAddr>,
}

/// Whom a request comes from: an extension of it, for a host to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress(
    /// The socket's peer.
    pub SocketAddr,
);

impl Guest {
    /// One that has a mount of its own.
    pub(crate) fn new(mounted: &Arc<Mounted>) -> Self {
        let mount = Arc::<Mount>::default();
        // Nobody else knows it yet.
        let _ = mount.set(mounted.clone());
        Self {
            mount,
            #[cfg(feature = "axum")]
            mounted: mounted.clone(),
            peer: None,
        }
    }

    pub(crate) const fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// For requests that come from `peer` and do not say so: for a host that has a service of its own for each connection.
    #[must_use]
    pub fn with_peer(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// The server, while it is there.
    fn owner(&self) -> Option<Arc<dyn UpgradeOwner>> {
        self.mount.owner()
    }

    fn arrival(&self, extensions: &http::Extensions) -> Arrival {
        let told = extensions.get::<PeerAddress>().map(|&PeerAddress(address)| address);
        #[cfg(feature = "axum")]
        let told = told.or_else(|| axum::connect_info(extensions));
        Arrival::of_peer(told.or(self.peer))
    }

    /// Has a handshake decided.
    fn decide<B>(&self, owner: Arc<dyn UpgradeOwner>, request: Request<B>) -> Answering {
        let arrival = self.arrival(request.extensions());
        if request.extensions().get::<OnUpgrade>().is_none() {
            let reason = "The HTTP server that this came to lets go of no connection.";
            let refused = refusal(501, reason, request.version());
            return Box::pin(async { refused });
        }
        decide(owner, request, arrival)
    }
}

type Answering = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

/// Whether a request asks for a WebSocket, over whichever version of HTTP.
fn asks_for_websocket<B>(request: &Request<B>) -> bool {
    if request.version() == Version::HTTP_2 {
        is_extended_connect(request)
    } else {
        is_upgrade(request.headers())
    }
}

impl<B> tower_service::Service<Request<B>> for Guest {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let version = request.version();
        let answering: Answering = match self.owner() {
            Some(owner) if asks_for_websocket(&request) => self.decide(owner, request),
            Some(_) => Box::pin(async move { refusal(426, "There are only WebSockets here.", version) }),
            None => Box::pin(async move { refusal(503, "The server is going away.", version) }),
        };
        Box::pin(async { Ok(answering.await.map(|_| Empty::new())) })
    }
}

fn refusal(status: u16, reason: &str, version: Version) -> Response<ResponseBody> {
    let refusal = Refusal { status, reason: Some(reason), ..Refusal::default() };
    answered(refusal.answer().unwrap_or_else(|error| error.answer()), version)
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("is_mounted", &self.owner().is_some()).finish_non_exhaustive()
    }
}
