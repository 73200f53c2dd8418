//! HTTP: where handshakes arrive.
//!
//! `listen` opens what is listened on, `listener` takes connections in, on the user's runtime or on `workers`, `opening`
//! answers a handshake that is the first request of one, `connection` serves HTTP/1 on all others, and `http2` HTTP/2,
//! `service` answers what is no handshake, `request` is what is one, `upgrade` hands over what is left of it.
//! `client_address` tells who sent it, from what proxies say in `forwarded` headers and by the `proxy_protocol`.

mod builder;
pub(crate) mod client_address;
mod connection;
mod forwarded;
pub(crate) mod http2;
mod limits;
mod listen;
mod listener;
mod opening;
pub(crate) mod proxy_protocol;
pub(crate) mod request;
pub(crate) mod service;
pub(crate) mod socket;
mod stream;
#[cfg(test)]
mod support;
pub(crate) mod upgrade;
mod workers;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::ToSocketAddrs;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::driver::Stream;
pub use builder::HttpServerBuilder;
use limits::Limits;
pub use listen::{ListenError, Listener, LocalAddress};
use listener::{Offer, Serving};
pub(crate) use upgrade::{AlreadyMounted, Mount, UpgradeOwner};

/// An HTTP server that listens on an address or several, for WebSocket servers to be mounted on. It speaks HTTP/1.1 and HTTP/2.
///
/// A request that is no WebSocket handshake, or that comes while nothing is mounted, is answered by the service
/// that [`HttpServerBuilder::service`] gave it: any tower service, an axum router among them. Without one it is
/// answered with 404.
///
/// Its connections are tasks of the tokio runtime that [`bind`](Self::bind) is called on, or live on threads of wharf's own:
/// [`HttpServerBuilder::workers`].
///
/// The handle is a cheap clone. It listens from [`bind`](Self::bind) until [`close`](Self::close), or until the
/// last handle is dropped.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use wharf::HttpServer;
///
/// let http = HttpServer::bind("127.0.0.1:0").await?;
/// println!("listening on {}", http.local_addr());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpServer {
    inner: Arc<Inner>,
}

/// What the handles share. The tasks hold none of it but the mount and the other end of `stop`, so that the last
/// handle can end them.
struct Inner {
    local_addresses: Box<[LocalAddress]>,
    mount: Arc<Mount>,
    /// For streams that come by no listener. Locked only to copy it.
    offer: Mutex<Offer>,
    stop: watch::Sender<Phase>,
    shutdown_timeout: Duration,
}

/// What the connections of a server are served under.
pub(crate) struct Terms {
    pub(crate) mount: Arc<Mount>,
    pub(crate) limits: Limits,
}

/// What the tasks of a server are told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// No connection before a WebSocket server is mounted.
    Unmounted,
    Serving,
    /// No new connection and no further request; what is left at the deadline is dropped.
    Closing {
        deadline: Instant,
    },
}

impl HttpServer {
    /// Listens on `addr` with the defaults of [`HttpServer::builder`]. Port 0 takes any that is free.
    ///
    /// Cancel safe: dropped before it returns, nothing is listened on.
    ///
    /// # Errors
    /// The address cannot be resolved or not be listened on.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::builder().bind(addr).await
    }

    /// Options first, then [`HttpServerBuilder::bind`].
    pub fn builder() -> HttpServerBuilder {
        HttpServerBuilder::default()
    }

    /// Stops listening, and ends every HTTP connection once its current request is answered. One that has come just now may
    /// ask for its first, for as long as [`HttpServerBuilder::first_request_grace`] says.
    ///
    /// The files of Unix sockets that it has made are removed; sockets that were open before it stay so, if others have them,
    /// and clients that wait there are for those.
    ///
    /// Returns at once; [`shut_down`](Self::shut_down) waits for the end. WebSocket connections are no longer
    /// HTTP, and go on. Closing twice is closing once.
    pub fn close(&self) {
        self.inner.close();
    }

    /// [`close`](Self::close)s, and waits until no HTTP connection is left.
    ///
    /// This takes [`HttpServerBuilder::shutdown_timeout`] at most: what is left then is dropped.
    ///
    /// Cancel safe: dropped before it returns, only the waiting is lost.
    pub async fn shut_down(&self) {
        self.inner.close();
        self.inner.stop.closed().await;
    }

    /// The address of TCP that it listens on, with the port that was taken for port 0: the first of several.
    ///
    /// `0.0.0.0:0` where it listens on Unix sockets alone, which [`local_addresses`](Self::local_addresses) tells of.
    pub fn local_addr(&self) -> SocketAddr {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        self.inner.local_addresses.iter().find_map(LocalAddress::tcp).unwrap_or(nowhere)
    }

    /// Every address that it listens on, in the order in which they were given.
    pub fn local_addresses(&self) -> &[LocalAddress] {
        &self.inner.local_addresses
    }

    /// Serves HTTP on a stream that came by other ways than a listener of this server: any stream of bytes, as if it had just
    /// been accepted, TLS included. `peer` is who is at its other end, if anybody knows.
    ///
    /// It runs on the tokio runtime that this is called on, also where the server has workers. A stream that finds no place
    /// among [`max_connections`](HttpServerBuilder::max_connections) within
    /// [`handshake_timeout`](HttpServerBuilder::handshake_timeout) is dropped; a server that is closed drops it at once.
    ///
    /// For one whose opening handshake is over already there is [`Server::adopt`](crate::Server::adopt).
    ///
    /// ```no_run
    /// # async fn run(stream: tokio::io::DuplexStream) -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf::{HttpServer, Server, ServerConfig};
    ///
    /// let http = HttpServer::builder().unbound().await?;
    /// let server = Server::mounted(ServerConfig::default(), [&http])?;
    /// http.serve_stream(stream, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn serve_stream(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: Option<SocketAddr>,
    ) {
        let stop = self.inner.stop.subscribe();
        if matches!(*stop.borrow(), Phase::Closing { .. }) {
            return;
        }
        let offer = self.inner.offer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let serving = Serving { offer, stop, proxy_protocol: false };
        tokio::spawn(serving.take_given(Stream::of(stream), peer));
    }

    /// Gives every handshake from now on to `owner`. There is one owner at a time: two that race to answer the
    /// same handshake would both write on its socket.
    pub(crate) fn mount(&self, owner: Arc<dyn UpgradeOwner>) -> Result<(), AlreadyMounted> {
        self.inner.mount.set(owner)?;
        self.inner.stop.send_if_modified(|phase| {
            let waits = matches!(phase, Phase::Unmounted);
            if waits {
                *phase = Phase::Serving;
            }
            waits
        });
        Ok(())
    }

    /// Takes handshakes from `owner`, if they are its own. Those that it already has stay with it.
    pub(crate) fn unmount(&self, owner: &Arc<dyn UpgradeOwner>) {
        self.inner.mount.clear(owner);
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("local_addresses", &self.inner.local_addresses)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn close(&self) {
        self.stop.send_if_modified(|phase| {
            let is_open = !matches!(phase, Phase::Closing { .. });
            if is_open {
                *phase = Phase::Closing { deadline: Instant::now() + self.shutdown_timeout };
            }
            is_open
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits until the server closes, and then for the first request of a connection that has asked for nothing before `patience`.
pub(crate) async fn turned_away(stop: &mut watch::Receiver<Phase>, patience: Instant) {
    let until = closing(stop).await.min(patience);
    if until > Instant::now() {
        // Boxed, because it is large, and few live to need it.
        Box::pin(sleep_until(until)).await;
    }
}

/// Waits until the server closes; when the rest must have ended.
pub(crate) async fn closing(stop: &mut watch::Receiver<Phase>) -> Instant {
    let closing = stop.wait_for(|phase| matches!(phase, Phase::Closing { .. })).await;
    match closing.as_deref() {
        Ok(Phase::Closing { deadline }) => *deadline,
        // The sender closes before it goes.
        Ok(Phase::Unmounted | Phase::Serving) | Err(_) => Instant::now(),
    }
}
