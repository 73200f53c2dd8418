//! The options of an HTTP server, and how it comes to listen.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tokio::net::{ToSocketAddrs, lookup_host};
use tokio::sync::{Semaphore, watch};

use super::limits::Limits;
use super::listen::{ListenError, Listener, Opened, Share};
use super::listener::{Offer, Security, Serving};
use super::service::{ErasedService, NotFound, Tower};
use super::upgrade::Mount;
use super::{HttpServer, Inner, Phase, Terms, workers};
use crate::config::{ConfigError, time};

/// The options of an [`HttpServer`], each with a default.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use std::time::Duration;
/// use wharf::HttpServer;
///
/// let http = HttpServer::builder().handshake_timeout(Duration::from_secs(5)).bind("[::]:9001").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it listens once it is bound"]
pub struct HttpServerBuilder {
    service: Box<dyn ErasedService>,
    limits: Limits,
    security: Security,
    shutdown_timeout: Duration,
    workers: Option<usize>,
    wait_for_mount: bool,
}

impl Default for HttpServerBuilder {
    fn default() -> Self {
        Self {
            service: Box::new(NotFound),
            limits: Limits::default(),
            security: Security::Plain,
            shutdown_timeout: Duration::from_secs(10),
            workers: None,
            wait_for_mount: false,
        }
    }
}

impl HttpServerBuilder {
    /// What answers requests that are no WebSocket handshake, or that come while nothing is mounted.
    ///
    /// Each connection has a clone of its own. An error of the service is answered with 500; a panic ends the
    /// connection that it happened on. How long it may take over a request and its body is the service's own affair.
    /// Default: 404 with a short text.
    pub fn service<S, B>(mut self, service: S) -> Self
    where
        S: tower_service::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.service = Box::new(Tower::new(service));
        self
    }

    /// Serves `https://` and `wss://`, and nothing else on what it listens on. Default: plain `http://` and `ws://`.
    ///
    /// The TLS handshake is part of [`handshake_timeout`](Self::handshake_timeout). Certificates can be replaced while it serves:
    /// [`ServerTls::reload`](crate::ServerTls::reload).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<crate::tls::ServerTls>) -> Self {
        self.security = Security::Tls(tls.into());
        self
    }

    /// How long a request head may take, over all: from the TCP connection, or from the end of the previous
    /// response on it, until the head is complete. Default 10 s.
    ///
    /// However slowly its bytes drip, the rest of a head is answered with 408 then. A connection that has sent
    /// nothing of one, a kept-alive one among them, is closed without an answer, since none was asked for.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake_timeout = timeout;
        self
    }

    /// How long a response may stand still, not one byte of it taken by the client. Default 30 s.
    ///
    /// The connection is dropped then; of HTTP/2 the stream alone, where the connection takes others.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.limits.write_timeout = timeout;
        self
    }

    /// How long a client may keep its half of a connection open, or keep sending, after we ended ours. Default 5 s.
    ///
    /// What it sends is read and thrown away, since a socket that is closed with bytes unread takes back what it
    /// has sent last: the answer. After the time it is closed all the same.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.limits.close_timeout = timeout;
        self
    }

    /// How long a connection that has asked for nothing yet may still do so when the server is
    /// [closed](HttpServer::close), counted from when it came. Default 1 s.
    ///
    /// Those that came earlier are ended at once, and so is one that lets this time pass; nobody waits longer than
    /// [`shutdown_timeout`](Self::shutdown_timeout). Without it a client that connected a moment before the server was closed
    /// would see its connection end, and its request unanswered, though a successor on the same socket were there already.
    pub fn first_request_grace(mut self, grace: Duration) -> Self {
        self.limits.first_request_grace = grace;
        self
    }

    /// How long [`HttpServer::shut_down`] waits for requests that are being answered. Default 10 s.
    ///
    /// Those left then are dropped, and their clients get no answer.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Longest request head, in bytes. Default 16,384.
    ///
    /// A longer one is answered with 431. Cookies and tokens make heads long; each connection can make the server
    /// hold this much.
    pub fn max_header_size(mut self, bytes: usize) -> Self {
        self.limits.max_header_size = bytes;
        self
    }

    /// How many fields a request head may have. Default 100.
    ///
    /// One with more is answered with 431.
    pub fn max_headers(mut self, count: usize) -> Self {
        self.limits.max_headers = count;
        self
    }

    /// How many connections may be in HTTP at once, undecided handshakes among them. Default 16,384.
    ///
    /// Those beyond wait in the kernel's queue until one ends or becomes a WebSocket connection, which the
    /// deadlines see to. They are not answered with 503: that would take the file descriptors that are short then.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.limits.max_connections = count;
        self
    }

    /// Whether HTTP/2 is spoken, and WebSockets over it (RFC 8441). Default true.
    ///
    /// Over TLS clients are offered it (ALPN `h2`, RFC 7301), and on a plain port it is spoken with those who begin with it
    /// (RFC 9113 §3.3). A browser that loads its page over HTTP/2 opens its WebSockets on the same connection. Requests,
    /// connections, options and limits are the same as over HTTP/1.1. Without, clients speak HTTP/1.1.
    ///
    /// When the server closes, a connection that carries WebSockets is told to go (GOAWAY, RFC 9113 §6.8) once these have ended,
    /// or after [`close_timeout`](Self::close_timeout): some browsers drop the WebSockets of a connection that is to end. Until
    /// then it is served, and then its WebSockets go on by themselves.
    ///
    /// A connection without any stream ends after [`handshake_timeout`](Self::handshake_timeout). One that carries a WebSocket
    /// is none in HTTP, to [`max_connections`](Self::max_connections).
    pub fn http2(mut self, is_spoken: bool) -> Self {
        self.limits.is_http2_spoken = is_spoken;
        self
    }

    /// How many streams an HTTP/2 connection may have at once, WebSockets and requests together
    /// (`SETTINGS_MAX_CONCURRENT_STREAMS`, RFC 9113 §6.5.2). Default 128.
    ///
    /// A client keeps to it and waits, or opens another connection; a stream beyond is refused.
    pub fn max_concurrent_streams(mut self, count: u32) -> Self {
        self.limits.max_concurrent_streams = count;
        self
    }

    /// How much a client may send on a stream of HTTP/2 before it is read, in bytes (`SETTINGS_INITIAL_WINDOW_SIZE`, RFC 9113
    /// §6.9.2), 1 to 2,147,483,647. Default 65,536.
    ///
    /// This much can wait on each stream whose reading is held, and the connection has room for all of them, so that one that
    /// is not read does not hold up the others. It is also what can come in one round trip: raise it for uploads over long
    /// distances.
    pub fn http2_window_size(mut self, bytes: u32) -> Self {
        self.limits.http2_window_size = bytes;
        self
    }

    /// How many threads of wharf's own serve what is listened on, 1 to 1024. Default: none; connections are tasks of the tokio
    /// runtime that [`bind`](Self::bind) or [`listen`](Self::listen) is called on.
    ///
    /// Each worker is a thread `wharf-worker-N` with a tokio runtime of that one thread, and listens on each address by itself.
    /// A Unix socket, or one that was open already, they share: whichever of them comes first takes the next connection.
    /// A connection lives on the worker that it came to, from its first byte to its last: HTTP, frames and
    /// [`Handler`](crate::Handler). No other thread touches its socket, and a message that a handler takes and answers never
    /// crosses threads.
    ///
    /// All else works as without workers, from any thread and any runtime: events, decisions, broadcasts, closing, and
    /// [`Connection::recv`](crate::Connection::recv) and [`send`](crate::Connection::send) in tasks of another runtime,
    /// where each message crosses threads, and each request that is decided there does so twice. That runtime may end while
    /// the workers serve.
    ///
    /// - What blocks in a handler or a service blocks all connections of its worker, and those that wait to be taken by it.
    ///   So one worker a core is the most that pays, and fewer where other threads have work to do.
    /// - What a handler or a service spawns runs on its worker, and ends with it.
    /// - A worker ends when the server has been [closed](HttpServer::close) and all connections on it have ended, those
    ///   that a [`Client`](crate::Client) opened there among them. WebSocket connections outlive the close, and the runtime that
    ///   `bind` was called on. The process waits for none: at the end of `main` they are cut off.
    /// - Linux gives each connection to one of the listeners as it comes, by a hash of its addresses: many connections are
    ///   spread evenly, few need not be, and none moves to a worker that has less to do. Those that no worker has taken when
    ///   the server closes are reset, as without workers. Other systems may give all to one worker.
    /// - An address that another server listens on is in use, also where that one has workers, or has set `SO_REUSEPORT`.
    ///   But afterwards, a program of the same user that sets it can listen on the address as well, and take connections from
    ///   here.
    ///
    /// Without `SO_REUSEPORT`, such as on Windows, several workers on one address fail with [`io::ErrorKind::Unsupported`].
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// use std::thread::available_parallelism;
    /// use wharf::HttpServer;
    ///
    /// let http = HttpServer::builder().workers(available_parallelism()?.get()).bind("[::]:9001").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Whether connections are taken only once a [`Server`](crate::Server) is mounted. Default false: they are served from the
    /// first moment, and a handshake that comes before is an ordinary request to the [`service`](Self::service).
    ///
    /// Those that come meanwhile wait in the kernel's queue; where nothing is ever mounted, they wait in vain.
    pub fn wait_for_mount(mut self, wait: bool) -> Self {
        self.wait_for_mount = wait;
        self
    }

    /// Listens on the first address that `addr` resolves to and that can be had. Port 0 takes any that is free.
    ///
    /// It runs on the tokio runtime that this is called on, or on [`workers`](Self::workers). [`listen`](Self::listen) has
    /// several addresses at once, and other kinds.
    ///
    /// Cancel safe: dropped before it returns, nothing is listened on.
    ///
    /// # Errors
    /// An option without meaning ([`io::ErrorKind::InvalidInput`], with a [`ConfigError`] that names it), an
    /// address that cannot be resolved or not be listened on, or a worker that cannot be started.
    pub async fn bind(self, addr: impl ToSocketAddrs) -> io::Result<HttpServer> {
        self.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let queues = self.workers.unwrap_or(1);
        let opened = first_to_be_had(addr, |addr| Listener::tcp(addr).open(queues)).await?;
        self.serve_on(vec![opened]).await
    }

    /// Listens on all of these at once: addresses of TCP, Unix sockets, sockets that are open already.
    ///
    /// It runs on the tokio runtime that this is called on, or on [`workers`](Self::workers). With
    /// [`tls`](Self::tls), all of them are secured.
    ///
    /// Cancel safe: dropped before it returns, nothing is listened on.
    ///
    /// # Errors
    /// An option without meaning ([`io::ErrorKind::InvalidInput`], with a [`ConfigError`] that names it), no listener at
    /// all ([`InvalidInput`](io::ErrorKind::InvalidInput)), one that cannot be had (with a [`ListenError`] that says which),
    /// or a worker that cannot be started. None is listened on then.
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// use wharf::{HttpServer, Listener};
    ///
    /// let both = [Listener::tcp(([0, 0, 0, 0], 80)), Listener::tcp(([0; 8], 80)).only_ipv6(true)];
    /// let http = HttpServer::builder().listen(both).await?;
    /// for address in http.local_addresses() {
    ///     println!("listening on {address}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn listen(
        self,
        listeners: impl IntoIterator<Item = impl Into<Listener>>,
    ) -> io::Result<HttpServer> {
        self.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let queues = self.workers.unwrap_or(1);
        // Where one fails, those before it are dropped.
        let opened = listeners.into_iter().map(|listener| {
            let listener: Listener = listener.into();
            let address = listener.address()?;
            listener.open(queues).map_err(|source| ListenError { address, source }.into())
        });
        let opened = opened.collect::<io::Result<Vec<_>>>()?;
        if opened.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is nothing to listen on"));
        }
        self.serve_on(opened).await
    }

    /// Listens nowhere: for streams that come by other ways, which [`HttpServer::serve_stream`] takes.
    ///
    /// # Errors
    /// An option without meaning ([`io::ErrorKind::InvalidInput`], with a [`ConfigError`] that names it).
    pub async fn unbound(self) -> io::Result<HttpServer> {
        self.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Self { workers: None, ..self }.serve_on(Vec::new()).await
    }

    async fn serve_on(self, listeners: Vec<Opened>) -> io::Result<HttpServer> {
        let (stop, stopped) =
            watch::channel(if self.wait_for_mount { Phase::Unmounted } else { Phase::Serving });
        let mount = Arc::new(Mount::default());
        let offer = Offer {
            service: self.service,
            terms: Arc::new(Terms { mount: Arc::clone(&mount), limits: self.limits }),
            security: self.security,
            slots: Arc::new(Semaphore::new(self.limits.max_connections.min(Semaphore::MAX_PERMITS))),
        };
        let serving = Serving { offer: offer.clone(), stop: stopped, proxy_protocol: false };
        let (local_addresses, shares) = listeners
            .into_iter()
            .map(|opened| (opened.address, opened.shares))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        // Before the first worker starts: where another cannot, it is dropped, and that ends those that have.
        let inner = Inner {
            local_addresses: local_addresses.into(),
            mount,
            offer: Mutex::new(offer),
            stop,
            shutdown_timeout: self.shutdown_timeout,
        };
        match self.workers {
            None => {
                // All of them before the first one serves, for the same reason.
                let listeners = shares.into_iter().flatten().map(Share::register);
                for listener in listeners.collect::<io::Result<Vec<_>>>()? {
                    listener.serve(serving.clone());
                }
            }
            Some(count) => {
                let mut shares: Vec<_> = shares.into_iter().map(Vec::into_iter).collect();
                for number in 0..count {
                    let its_own = shares.iter_mut().filter_map(Iterator::next).collect();
                    workers::start(number, its_own, serving.clone()).await?;
                }
            }
        }
        Ok(HttpServer { inner: Arc::new(inner) })
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        time("handshake_timeout", limits.handshake_timeout, true)?;
        time("write_timeout", limits.write_timeout, true)?;
        time("close_timeout", limits.close_timeout, false)?;
        time("first_request_grace", limits.first_request_grace, false)?;
        time("shutdown_timeout", self.shutdown_timeout, false)?;
        count("max_header_size", limits.max_header_size, 1..=MAX_HEADER_SIZE, "1 to 1073741824")?;
        count("max_headers", limits.max_headers, 1..=MAX_HEADERS, "1 to 16384")?;
        count("max_connections", limits.max_connections, 1..=usize::MAX, "at least 1")?;
        let streams = limits.max_concurrent_streams as usize;
        count("max_concurrent_streams", streams, 1..=usize::MAX, "at least 1")?;
        let window = limits.http2_window_size as usize;
        count("http2_window_size", window, 1..=LARGEST_WINDOW, "1 to 2147483647")?;
        count("workers", self.workers.unwrap_or(1), 1..=MAX_WORKERS, "1 to 1024")
    }
}

fn count(
    option: &'static str,
    count: usize,
    range: std::ops::RangeInclusive<usize>,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&count) {
        return Ok(());
    }
    Err(ConfigError { option, value: count.to_string(), allowed })
}

async fn first_to_be_had<L>(
    addr: impl ToSocketAddrs,
    listen_on: impl Fn(SocketAddr) -> io::Result<L>,
) -> io::Result<L> {
    let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "the name resolves to no address");
    for addr in lookup_host(addr).await? {
        match listen_on(addr) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Beyond it `http::HeaderMap` would not hold them.
const MAX_HEADERS: usize = 16 * 1024;

const MAX_HEADER_SIZE: usize = 1 << 30;

/// RFC 9113 §6.9.1.
const LARGEST_WINDOW: usize = (1 << 31) - 1;

/// Far more than any machine has cores, far less than a typing error may start.
const MAX_WORKERS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(builder: HttpServerBuilder) -> String {
        let error = builder.bind("127.0.0.1:0").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        error.to_string()
    }

    #[tokio::test]
    async fn an_option_without_meaning_is_refused_by_name() {
        let none = Duration::ZERO;
        let long = Duration::MAX;
        for (builder, expected) in [
            (
                HttpServer::builder().handshake_timeout(none),
                "handshake_timeout is 0ns, but must be longer than 0",
            ),
            (HttpServer::builder().write_timeout(none), "write_timeout is 0ns, but must be longer than 0"),
            (HttpServer::builder().max_header_size(0), "max_header_size is 0, but must be 1 to 1073741824"),
            (HttpServer::builder().max_headers(16_385), "max_headers is 16385, but must be 1 to 16384"),
            (HttpServer::builder().max_connections(0), "max_connections is 0, but must be at least 1"),
            (
                HttpServer::builder().max_concurrent_streams(0),
                "max_concurrent_streams is 0, but must be at least 1",
            ),
            (
                HttpServer::builder().http2_window_size(1 << 31),
                "http2_window_size is 2147483648, but must be 1 to 2147483647",
            ),
            (HttpServer::builder().workers(0), "workers is 0, but must be 1 to 1024"),
            (HttpServer::builder().workers(1025), "workers is 1025, but must be 1 to 1024"),
        ] {
            assert_eq!(refusal(builder).await, expected);
        }
        for (builder, option) in [
            (HttpServer::builder().handshake_timeout(long), "handshake_timeout"),
            (HttpServer::builder().write_timeout(long), "write_timeout"),
            (HttpServer::builder().close_timeout(long), "close_timeout"),
            (HttpServer::builder().first_request_grace(long), "first_request_grace"),
            (HttpServer::builder().shutdown_timeout(long), "shutdown_timeout"),
        ] {
            let message = refusal(builder).await;
            assert!(message.starts_with(option) && message.ends_with("at most 365 days"), "{message}");
        }
    }

    #[tokio::test]
    async fn the_largest_values_allowed_do_not_panic() {
        let builder = HttpServer::builder().max_connections(usize::MAX).max_headers(MAX_HEADERS);
        builder.bind("127.0.0.1:0").await.unwrap().shut_down().await;
    }
}
