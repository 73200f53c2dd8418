//! Requests by path and subprotocol, each to the handler that was mounted for it.

mod pattern;
mod protocol;
mod request;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

pub use pattern::PatternError;
pub use protocol::RouteProtocol;
pub use request::RouterRequest;

use crate::event::Event;
use crate::request::{Rejection, Request};
use crate::server::{RoutedServer, Server};
use pattern::{Parameters, Pattern};

/// Requests by path and subprotocol, each to the handler that was mounted for it. A cheap clone; all clones are the
/// same router.
///
/// - **Path:** a literal that is matched whole, `"*"` for every path, or segments of which some have a name:
///   `/chat/{room}` takes any one segment there, `/files/{*path}` all that is left. It is compared with the path as the
///   client sent it, without its query and not decoded; case and a trailing slash count.
/// - **Subprotocol:** a name in any case, `"*"` for any or none, `""` for requests that offer none.
/// - **Order:** the subprotocols in the client's order; for each, the routes in the order in which they were mounted;
///   the first that fits. So an earlier subprotocol with a later route wins over a later one with an earlier route.
/// - **No fit:** 404, `No handler is available for the given request.`
///
/// [`attach`](Self::attach) lets it take all requests of a server; who has an event loop of their own gives it single
/// ones with [`route`](Self::route). A handler runs in a task of its own: its panic rejects its own request, and one
/// that it never decides is refused after [`handshake_timeout`](crate::ServerConfig::handshake_timeout).
///
/// ```no_run
/// use wharf::{Accept, HttpServer, Router, Server, ServerConfig};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new();
/// router.mount("/chat/{room}", "chat", |request| async move {
///     let room = request.parameter("room").unwrap_or_default().to_owned();
///     let Ok(connection) = request.accept(Accept::new()) else { return };
///     while let Some(message) = connection.recv().await {
///         println!("{room}: {message:?}");
///     }
/// })?;
///
/// let http = HttpServer::bind("127.0.0.1:9001").await?;
/// let server = Server::new(ServerConfig::default());
/// server.mount([&http])?;
/// router.attach(server)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[doc(alias = "WebSocketRouter")]
pub struct Router {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// In the order in which they were mounted.
    routes: Mutex<Vec<Arc<Route>>>,
    attachment: Mutex<Option<JoinHandle<()>>>,
}

struct Route {
    path: Pattern,
    protocol: RouteProtocol,
    handler: Box<dyn Fn(RouterRequest) -> HandlerFuture + Send + Sync>,
}

type HandlerFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Router {
    /// A router without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives requests for this path and subprotocol to `handler` from now on.
    ///
    /// # Errors
    /// [`RouterError::Path`] or [`RouterError::Protocol`] for what no request could have, and
    /// [`RouterError::AlreadyMounted`] where a handler is mounted for the same path and subprotocol.
    pub fn mount<H, F>(
        &self,
        path: &str,
        protocol: impl Into<RouteProtocol>,
        handler: H,
    ) -> Result<(), RouterError>
    where
        H: Fn(RouterRequest) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let path = Pattern::new(path)?;
        let protocol = protocol.into().normalised();
        if !protocol.is_possible() {
            return Err(RouterError::Protocol { protocol });
        }
        let mut routes = lock(&self.shared.routes);
        if routes.iter().any(|route| route.is(path.as_str(), &protocol)) {
            return Err(RouterError::AlreadyMounted { path: path.to_string(), protocol });
        }
        let handler = Box::new(move |request| -> HandlerFuture { Box::pin(handler(request)) });
        routes.push(Arc::new(Route { path, protocol, handler }));
        Ok(())
    }

    /// Takes a route away, named as it was mounted. Requests that it was given before stay with its handler.
    ///
    /// # Errors
    /// [`RouterError::NotMounted`].
    pub fn unmount(&self, path: &str, protocol: impl Into<RouteProtocol>) -> Result<(), RouterError> {
        let protocol = protocol.into().normalised();
        let mut routes = lock(&self.shared.routes);
        let Some(at) = routes.iter().position(|route| route.is(path, &protocol)) else {
            return Err(RouterError::NotMounted { path: path.to_owned(), protocol });
        };
        let route = routes.remove(at);
        drop(routes);
        // The handler is code of the user's, and may drop whatever it likes.
        drop(route);
        Ok(())
    }

    /// Takes the requests of `server` from now on, until [`detach`](Self::detach) or the server's shutdown; other
    /// events are passed over. The router holds this handle: give it a clone to keep one.
    ///
    /// # Errors
    /// [`RouterError::AlreadyAttached`] where it is attached to a server, and [`RouterError::ServerTaken`] where
    /// another router is attached to this one: two would share its requests by chance.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[doc(alias = "attachServer")]
    pub fn attach(&self, server: Server) -> Result<(), RouterError> {
        let mut attachment = lock(&self.shared.attachment);
        if attachment.as_ref().is_some_and(|task| !task.is_finished()) {
            return Err(RouterError::AlreadyAttached);
        }
        let server = RoutedServer::new(server).ok_or(RouterError::ServerTaken)?;
        let router = self.clone();
        *attachment = Some(tokio::spawn(async move {
            while let Some(event) = server.next_event().await {
                if let Event::Request(request) = event {
                    router.route(request);
                }
            }
        }));
        Ok(())
    }

    /// Takes no further requests, and lets go of the server: where that was its last handle, further requests are
    /// answered with 404. Routes stay, and so does what their handlers are at.
    ///
    /// Cancel safe: once begun, it happens whether or not this is waited for.
    ///
    /// # Errors
    /// [`RouterError::NotAttached`], also after the server's shutdown.
    #[doc(alias = "detachServer")]
    pub async fn detach(&self) -> Result<(), RouterError> {
        let task = lock(&self.shared.attachment).take().filter(|task| !task.is_finished());
        let task = task.ok_or(RouterError::NotAttached)?;
        task.abort();
        // Ends with the cancellation that was just asked for.
        let _ = task.await;
        Ok(())
    }

    /// Gives a request to the first route that fits, in a task of its own, or rejects it with 404.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[doc(alias = "handleRequest")]
    pub fn route(&self, request: Request) {
        let Some((route, protocol, parameters)) = self.find(&request) else {
            // A client that is gone needs no answer.
            let _ =
                request.reject(Rejection::new(404).reason("No handler is available for the given request."));
            return;
        };
        let request = RouterRequest::new(request, protocol, parameters);
        tokio::spawn(async move { (route.handler)(request).await });
    }

    /// The first route that fits, the subprotocol that it does so by, and what its path names.
    fn find(&self, request: &Request) -> Option<(Arc<Route>, Option<String>, Parameters)> {
        let routes = lock(&self.shared.routes);
        // Paths once, not once a subprotocol: how many of those are offered is the client's choice.
        let mut fitting: Vec<_> = routes
            .iter()
            .filter_map(|route| route.path.matches(request.path()).map(|parameters| (route, parameters)))
            .collect();
        let first_for =
            |protocol: Option<&str>| fitting.iter().position(|(route, _)| route.protocol.fits(protocol));
        let offered = request.requested_protocols();
        let (at, protocol) = if offered.is_empty() {
            (first_for(None)?, None)
        } else {
            offered.into_iter().find_map(|protocol| Some((first_for(Some(&protocol))?, Some(protocol))))?
        };
        let (route, parameters) = fitting.swap_remove(at);
        Some((route.clone(), protocol, parameters))
    }
}

impl Route {
    fn is(&self, path: &str, protocol: &RouteProtocol) -> bool {
        self.path.as_str() == path && self.protocol == *protocol
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = lock(&self.shared.routes);
        f.debug_map()
            .entries(routes.iter().map(|route| (route.path.as_str().to_owned(), route.protocol.clone())))
            .finish()
    }
}

/// Why a router refused something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// No request could have the path.
    #[error(transparent)]
    Path(#[from] PatternError),
    /// No request could offer the subprotocol.
    #[error("{protocol} cannot be offered: a name has visible ASCII characters and no separators")]
    Protocol {
        /// Which.
        protocol: RouteProtocol,
    },
    /// Another handler has the place.
    #[error("a handler is mounted already for the path {path:?} and {protocol}")]
    AlreadyMounted {
        /// The path.
        path: String,
        /// The subprotocol.
        protocol: RouteProtocol,
    },
    /// No handler has that place.
    #[error("no handler is mounted for the path {path:?} and {protocol}")]
    NotMounted {
        /// The path.
        path: String,
        /// The subprotocol.
        protocol: RouteProtocol,
    },
    /// The router takes the requests of a server already.
    #[error("the router is attached to a server already; detach it first")]
    AlreadyAttached,
    /// Another router takes this server's requests.
    #[error("another router is attached to the server; detach that one first")]
    ServerTaken,
    /// The router takes no server's requests.
    #[error("the router is not attached to a server")]
    NotAttached,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
