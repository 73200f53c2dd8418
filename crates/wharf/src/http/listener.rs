//! A listening HTTP/1.1 server that WebSocket servers are mounted on.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tower_service::Service;

use super::service::{AnyService, ResponseBody, any_service, date, not_found};
use super::upgrade::{Arrival, UpgradeOwner, is_upgrade};

/// A listening HTTP/1.1 server. A cheap clone; all clones are the same server.
///
/// It hands upgrade requests to the [`Server`](crate::Server) that is mounted on it, and every other request to a tower
/// service of the user's. It listens until the last clone is dropped; a mounted server holds one.
///
/// ```no_run
/// # async fn bind() -> std::io::Result<()> {
/// let http = wharf::HttpServer::bind("127.0.0.1:9001").await?;
/// println!("listening on {}", http.local_addr());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpServer {
    handle: Arc<Handle>,
}

/// What the clones share; its end ends the listening.
struct Handle {
    site: Arc<Site>,
    local_addr: SocketAddr,
    stop: watch::Sender<Stop>,
}

/// How far the end of a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Serve,
    /// No new connections; those that there are end with their current response.
    Drain,
}

/// What serves each request.
struct Site {
    options: Options,
    service: AnyService,
    owner: RwLock<Option<Arc<dyn UpgradeOwner>>>,
    /// Connections that speak HTTP; an upgraded one counts no more.
    places: Arc<Semaphore>,
    /// Told when a place was given back.
    left: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    handshake_timeout: Duration,
    max_header_size: usize,
    max_headers: usize,
    max_connections: usize,
}

/// An [`HttpServer`] with options and a service of the user's.
#[must_use]
pub struct Builder {
    options: Options,
    service: AnyService,
}

impl Builder {
    /// What answers every request that is not a WebSocket's, and upgrade requests while no server is mounted: any
    /// tower service, such as an axum router. By default 404.
    pub fn service<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.service = any_service(service);
        self
    }

    /// How long a client may take to send a request's head, over all its bytes, from the moment that TCP is accepted
    /// or the response before has ended. Then the connection is closed. Default 10 s.
    ///
    /// An idle connection that is kept alive ends with it, too.
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.options.handshake_timeout = timeout;
        self
    }

    /// The most bytes that a request's head may have; beyond it the client gets 431. Default 16,384, at least 8,192.
    pub const fn max_header_size(mut self, bytes: usize) -> Self {
        self.options.max_header_size = if bytes < LEAST_BUFFER { LEAST_BUFFER } else { bytes };
        self
    }

    /// The most header fields that a request may have; beyond it the client gets 431. Default 100.
    pub const fn max_headers(mut self, headers: usize) -> Self {
        self.options.max_headers = headers;
        self
    }

    /// The most connections that speak HTTP at once. Beyond it no further one is accepted until one ends or is
    /// upgraded; meanwhile clients wait in the system's queue. Default 10,000.
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// Binds and listens from now on, on the tokio runtime that this is called on.
    ///
    /// # Errors
    /// The system's, such as an address in use.
    pub async fn bind(self, addr: impl ToSocketAddrs) -> io::Result<HttpServer> {
        let listener = TcpListener::bind(addr).await?;
        let local_addr = listener.local_addr()?;
        let site = Arc::new(Site {
            places: Arc::new(Semaphore::new(self.options.max_connections.min(Semaphore::MAX_PERMITS))),
            options: self.options,
            service: self.service,
            owner: RwLock::default(),
            left: Notify::new(),
        });
        let (stop, stopped) = watch::channel(Stop::Serve);
        tokio::spawn(accept_all(listener, site.clone(), stopped));
        Ok(HttpServer { handle: Arc::new(Handle { site, local_addr, stop }) })
    }
}

impl HttpServer {
    /// A server with the default options and without a service, listening from now on.
    ///
    /// # Errors
    /// The system's, such as an address in use.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::builder().bind(addr).await
    }

    /// A server with options.
    pub fn builder() -> Builder {
        let options = Options {
            handshake_timeout: Duration::from_secs(10),
            max_header_size: 16 * 1024,
            max_headers: 100,
            max_connections: 10_000,
        };
        Builder { options, service: not_found() }
    }

    /// Stops listening, lets each HTTP connection finish its current response, and waits for them, at most until
    /// `deadline`. WebSocket connections are not touched.
    ///
    /// Cancel safe: dropped before it returns, the server still stops.
    pub async fn shut_down(&self, deadline: Duration) {
        self.handle.stop.send_replace(Stop::Drain);
        let site = &self.handle.site;
        let all = site.options.max_connections.min(Semaphore::MAX_PERMITS);
        let all_left = async {
            loop {
                let left = site.left.notified();
                if site.places.available_permits() == all {
                    return;
                }
                left.await;
            }
        };
        // At the deadline what is left ends by its own limits.
        let _ = tokio::time::timeout(deadline, all_left).await;
    }

    /// The address that it listens on, with the port that the system chose where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr
    }

    /// Gives upgrade requests to `owner` from now on; refused where somebody has them already.
    pub(crate) fn mount(&self, owner: Arc<dyn UpgradeOwner>) -> Result<(), AlreadyOwned> {
        let mut slot = self.handle.site.owner.write().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() {
            return Err(AlreadyOwned);
        }
        *slot = Some(owner);
        Ok(())
    }

    /// Takes upgrade requests from `owner`, if it has them.
    pub(crate) fn unmount(&self, owner: &Arc<dyn UpgradeOwner>) {
        let mut slot = self.handle.site.owner.write().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|mounted| Arc::ptr_eq(mounted, owner)) {
            *slot = None;
        }
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("local_addr", &self.local_addr()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Somebody else has the upgrade requests of an HTTP server.
#[derive(Debug)]
pub(crate) struct AlreadyOwned;

/// What hyper needs as its least buffer, in bytes.
const LEAST_BUFFER: usize = 8192;

/// How long accepting rests after an error that will not pass at once, such as no file descriptor left.
const REST_AFTER_ERROR: Duration = Duration::from_millis(100);

async fn accept_all(listener: TcpListener, site: Arc<Site>, mut stopped: watch::Receiver<Stop>) {
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &site) => accepted,
            // Also when the last handle is dropped.
            _ = stopped.wait_for(|stop| *stop == Stop::Drain) => return,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                tokio::spawn(serve(stream, peer, site.clone(), stopped.clone(), place));
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(_) => tokio::time::sleep(REST_AFTER_ERROR).await,
        }
    }
}

async fn accept(listener: &TcpListener, site: &Arc<Site>) -> io::Result<(TcpStream, SocketAddr, Place)> {
    let permit = site.places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let place = Place { permit: Some(permit), site: site.clone() };
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

/// One of the connections that may speak HTTP at once.
struct Place {
    permit: Option<OwnedSemaphorePermit>,
    site: Arc<Site>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // First the permit: whoever is told looks at once how many are free.
        drop(self.permit.take());
        self.site.left.notify_waiters();
    }
}

/// An error of accept that says something of the one client that hung up, and nothing of the next.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Serves one connection until it ends or leaves HTTP.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    site: Arc<Site>,
    mut stopped: watch::Receiver<Stop>,
    _place: Place,
) {
    let Options { handshake_timeout, max_header_size, max_headers, .. } = site.options;
    let started = Arc::new(Mutex::new(Instant::now()));
    let service = service_fn(|request| {
        let (site, started) = (site.clone(), started.clone());
        async move {
            let since = *started.lock().unwrap_or_else(PoisonError::into_inner);
            let response = site.answer(request, Arrival { peer, started: since }).await;
            *started.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(handshake_timeout)
        .max_header_size(max_header_size)
        .max_buf_size(max_header_size.max(LEAST_BUFFER))
        .max_headers(max_headers)
        .title_case_headers(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // An error is the client's: it hung up, broke HTTP, or took too long. Nobody else need know.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stop| *stop == Stop::Drain) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

impl Site {
    async fn answer(&self, request: Request<Incoming>, arrival: Arrival) -> Response<ResponseBody> {
        let owner = self.owner.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut response = match owner {
            Some(owner) if is_upgrade(request.headers()) => owner.upgrade(request, arrival).await,
            _ => (self.service)(request).await,
        };
        date(&mut response);
        response
    }
}
