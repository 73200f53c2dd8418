//! The WebSocket server: mounted on HTTP servers, told of requests, keeper of connections.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::adopt::{AdoptError, OpenStream};
use crate::broadcast::{Broadcast, ToMany};
use crate::config::{ConfigError, ServerConfig};
use crate::connection::Connection;
use crate::counters::Counters;
use crate::driver::Receiver;
use crate::error::MountError;
use crate::event::Event;
use crate::guest::Guest;
use crate::handler::Handler;
use crate::http::{HttpServer, Mount, UpgradeOwner};
use crate::hub::{Hub, PublishError, Publishing, Topic, TopicError};
use crate::mounted::Mounted;
use crate::options::Options;
use crate::proto::{CloseCode, Message};
use crate::registry::Registry;

/// A WebSocket server. A cheap clone; all clones are the same server.
///
/// Without a mount it is inert. When the last clone is dropped, live connections go on, and new requests are answered
/// with 404, for nobody is there to decide them.
///
/// ```no_run
/// use wharf::{Accept, Event, HttpServer, Server, ServerConfig};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let http = HttpServer::bind("127.0.0.1:9001").await?;
/// let server = Server::new(ServerConfig::default());
/// server.mount([&http])?;
/// while let Some(event) = server.next_event().await {
///     // An accept fails where the request was decided before, such as by a deadline.
///     if let Event::Request(request) = event
///         && let Ok(connection) = request.accept(Accept::new())
///     {
///         tokio::spawn(async move {
///             while let Some(message) = connection.recv().await {
///                 if connection.send(message).await.is_err() {
///                     break;
///                 }
///             }
///         });
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[doc(alias = "WebSocketServer")]
pub struct Server {
    config: Arc<ServerConfig>,
    hub: Hub,
    registry: Arc<Registry>,
    listening: Arc<Listening>,
}

/// What the clones of a server share, and no mount does: its end means that nobody can take events any more. The HTTP
/// servers are here, because one that its own mount held could never be dropped.
struct Listening {
    registry: Arc<Registry>,
    mounts: Mutex<Vec<(Place, Arc<dyn UpgradeOwner>)>>,
    /// Those that the server was made with, once they are needed without a mount.
    options: OnceLock<Arc<Options>>,
    /// A router takes the requests.
    has_router: AtomicBool,
}

/// Where a server is mounted.
enum Place {
    Own(HttpServer),
    /// As a guest, while anybody has it.
    Foreign(Weak<Mount>),
}

impl Server {
    /// A server with these options, not mounted yet. They are validated by [`mount`](Self::mount).
    pub fn new(config: ServerConfig) -> Self {
        Self::with_hub(config, Hub::new())
    }

    /// A server with these options whose connections find their topics in this hub.
    pub fn with_hub(config: ServerConfig, hub: Hub) -> Self {
        let registry = Arc::<Registry>::default();
        let listening = Arc::new(Listening {
            registry: registry.clone(),
            mounts: Mutex::default(),
            options: OnceLock::new(),
            has_router: AtomicBool::new(false),
        });
        Self { config: Arc::new(config), hub, registry, listening }
    }

    /// A server with these options that serves the upgrade requests of these HTTP servers at once: [`new`](Self::new)
    /// and [`mount`](Self::mount) in one.
    ///
    /// # Errors
    /// As for [`mount`](Self::mount).
    pub fn mounted<'h>(
        config: ServerConfig,
        http_servers: impl IntoIterator<Item = &'h HttpServer>,
    ) -> Result<Self, MountError> {
        let server = Self::new(config);
        server.mount(http_servers)?;
        Ok(server)
    }

    /// Serves the upgrade requests of these HTTP servers from now on, with the options that the server was made
    /// with. HTTP servers of earlier mounts stay.
    ///
    /// # Errors
    /// [`MountError`]: no HTTP server, one that a WebSocket server is mounted on already, or an option without
    /// meaning. Nothing is mounted then.
    #[doc(alias = "httpServer")]
    pub fn mount<'h>(
        &self,
        http_servers: impl IntoIterator<Item = &'h HttpServer>,
    ) -> Result<(), MountError> {
        self.mount_with((*self.config).clone(), http_servers)
    }

    /// Serves the upgrade requests of these HTTP servers with other options. Connections keep the options that
    /// they were accepted under.
    ///
    /// # Errors
    /// As for [`mount`](Self::mount).
    pub fn mount_with<'h>(
        &self,
        config: ServerConfig,
        http_servers: impl IntoIterator<Item = &'h HttpServer>,
    ) -> Result<(), MountError> {
        let owner: Arc<dyn UpgradeOwner> = self.under(config)?;
        let mut mounted: Vec<(HttpServer, Arc<dyn UpgradeOwner>)> = Vec::new();
        for http in http_servers {
            if http.mount(owner.clone()).is_err() {
                for (http, owner) in &mounted {
                    http.unmount(owner);
                }
                return Err(MountError::AlreadyMounted(http.local_addresses()[0].clone()));
            }
            mounted.push((http.clone(), owner.clone()));
        }
        if mounted.is_empty() {
            return Err(MountError::NoHttpServer);
        }
        self.registry.set_shut_down(false);
        self.registry.events.await_listener();
        let places = mounted.into_iter().map(|(http, owner)| (Place::Own(http), owner));
        lock(&self.listening.mounts).extend(places);
        Ok(())
    }

    /// Comes as a guest to an HTTP server that is somebody else's, with the options that the server was made with: as a tower
    /// service or layer, or to axum's handlers.
    ///
    /// # Errors
    /// [`MountError`]: an option without meaning.
    pub fn guest(&self) -> Result<Guest, MountError> {
        self.guest_with((*self.config).clone())
    }

    /// Comes as a [`guest`](Self::guest) with other options. Connections keep the options that they were accepted under.
    ///
    /// # Errors
    /// As for [`guest`](Self::guest).
    pub fn guest_with(&self, config: ServerConfig) -> Result<Guest, MountError> {
        let mounted = self.under(config)?;
        let guest = Guest::new(&mounted);
        self.registry.set_shut_down(false);
        let mut mounts = lock(&self.listening.mounts);
        mounts.retain(|(place, _)| !matches!(place, Place::Foreign(mount) if mount.strong_count() == 0));
        mounts.push((Place::Foreign(Arc::downgrade(guest.mount())), mounted));
        drop(mounts);
        Ok(guest)
    }

    /// Takes in a stream whose opening handshake somebody else has made, with the options that the server was made with. All
    /// else is as for connections that were accepted, but that no request was told or counted. Its events are to be taken, as
    /// those of a mount are.
    ///
    /// It runs on the tokio runtime that this is called on.
    ///
    /// # Errors
    /// [`AdoptError`]: an option without meaning, extensions that the options do not agree to, a full server, or one that is
    /// shut down.
    pub fn adopt(&self, stream: OpenStream) -> Result<Connection, AdoptError> {
        stream.adopt(&self.registry, self.own_options()?, Receiver::Queue)
    }

    /// [`adopt`](Self::adopt)s, and gives all that is received to `handler`.
    ///
    /// # Errors
    /// As for [`adopt`](Self::adopt).
    pub fn adopt_with(&self, stream: OpenStream, handler: impl Handler) -> Result<Connection, AdoptError> {
        stream.adopt(&self.registry, self.own_options()?, Receiver::Handler(Box::new(handler)))
    }

    fn own_options(&self) -> Result<Arc<Options>, ConfigError> {
        if let Some(options) = self.listening.options.get() {
            return Ok(options.clone());
        }
        let options = self.under((*self.config).clone())?.options.clone();
        Ok(self.listening.options.get_or_init(|| options).clone())
    }

    fn under(&self, config: ServerConfig) -> Result<Arc<Mounted>, ConfigError> {
        let memory = |limit| self.registry.context_memory(limit);
        let options = Options::sharing(config, memory, Some(self.hub.clone()))?;
        Ok(Arc::new(Mounted { registry: self.registry.clone(), options: Arc::new(options) }))
    }

    /// Leaves all HTTP servers, and those whose [`guest`](Self::guest) it is: upgrade requests that come later are ordinary
    /// requests to them. Live connections go on. Without a mount it does nothing.
    pub fn unmount(&self) {
        for (place, owner) in lock(&self.listening.mounts).drain(..) {
            match place {
                Place::Own(http) => http.unmount(&owner),
                Place::Foreign(mount) => {
                    mount.upgrade().into_iter().for_each(|mount| mount.clear(&owner));
                }
            }
        }
    }

    /// The next event, in order. `None` after [`shut_down`](Self::shut_down), when the last connection is gone.
    ///
    /// While [`max_pending_events`](crate::ServerConfig::max_pending_events) wait to be taken, new requests are refused
    /// with 503.
    ///
    /// Cancel safe: an event that was not returned is the next call's.
    pub async fn next_event(&self) -> Option<Event> {
        self.registry.next_event().await
    }

    /// Closes every live connection with `code` and its default description (the reference's code is
    /// [`CloseCode::NORMAL`]), rejects every undecided request with 503, and waits until all connections of now are
    /// gone. What is left after `deadline` is dropped.
    ///
    /// Not cancel safe: dropped before it returns, connections have been told to close, but none is dropped at the
    /// deadline; each still ends by its own `close_timeout`.
    #[doc(alias = "closeAllConnections")]
    pub async fn close_all_connections(&self, code: CloseCode, deadline: Duration) {
        self.registry.refuse_pending();
        let closing = self.connections();
        for connection in &closing {
            // Only a code that cannot be sent is refused, and then a close without one does as well.
            if connection.close(code, None).is_err() {
                let _ = connection.close(CloseCode::NORMAL, None);
            }
        }
        let all_gone = async {
            for connection in &closing {
                connection.closed().await;
            }
        };
        if tokio::time::timeout(deadline, all_gone).await.is_err() {
            for connection in &closing {
                connection.drop_silently(code, None);
            }
            for connection in &closing {
                connection.closed().await;
            }
        }
    }

    /// Unmounts and closes all connections. The HTTP servers go on listening.
    ///
    /// Cancel safety is that of [`close_all_connections`](Self::close_all_connections).
    #[doc(alias = "shutDown")]
    pub async fn shut_down(&self, code: CloseCode, deadline: Duration) {
        self.unmount();
        self.registry.set_shut_down(true);
        self.close_all_connections(code, deadline).await;
        self.registry.events.nudge();
    }

    /// Sends a message to every open connection. It is compressed and framed once, for all connections that agreed on
    /// the same; for those that take their context over it is compressed one by one. Connections that are closing are
    /// passed over, and so are those whose output is full or that send another message in parts; the answer tells how many.
    #[doc(alias = "broadcastUTF")]
    #[doc(alias = "broadcastBytes")]
    pub fn broadcast(&self, message: impl Into<Message>) -> Broadcast {
        ToMany::new(message.into()).send_to_all(&self.registry)
    }

    /// [`broadcast`](Self::broadcast)s a message as it is, as [`Connection::send_uncompressed`] sends it.
    pub fn broadcast_uncompressed(&self, message: impl Into<Message>) -> Broadcast {
        ToMany::uncompressed(message.into()).send_to_all(&self.registry)
    }

    /// Publishes a message to everybody who has [subscribed](Connection::subscribe) to the topic. See [`Hub::publish`].
    ///
    /// # Errors
    /// [`PublishError`]; nobody gets it.
    pub fn publish<T: TryInto<Topic>>(
        &self,
        topic: T,
        message: impl Into<Message>,
    ) -> Result<Publishing, PublishError>
    where
        TopicError: From<T::Error>,
    {
        self.hub.publish(topic, message)
    }

    /// The topics of its connections.
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The live connections, in order of acceptance.
    pub fn connections(&self) -> Vec<Connection> {
        self.registry.connections()
    }

    /// How many connections are live.
    pub fn connection_count(&self) -> usize {
        self.registry.connection_count()
    }

    /// How many requests wait for a decision.
    #[doc(alias = "pendingRequests")]
    pub fn pending_request_count(&self) -> usize {
        self.registry.pending_count()
    }

    /// How the upgrade requests that came so far ended.
    pub fn counters(&self) -> Counters {
        self.registry.counts.read()
    }

    /// Whether [`next_event`](Self::next_event) also tells how each request was decided, for those who watch what others
    /// decide: [`Event::RequestResolved`], then [`Event::RequestAccepted`] or [`Event::RequestRejected`]. Default false.
    #[doc(alias = "requestResolved")]
    pub fn tell_decisions(&self, tell: bool) {
        self.registry.set_tells_decisions(tell);
    }

    /// The options that the server was made with.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.connection_count())
            .field("pending_requests", &self.pending_request_count())
            .finish_non_exhaustive()
    }
}

/// A server's handle as its router has it: one router at a time.
pub(crate) struct RoutedServer(Server);

impl RoutedServer {
    /// `None` where the server has a router.
    pub(crate) fn new(server: Server) -> Option<Self> {
        let had_router = server.listening.has_router.swap(true, Ordering::AcqRel);
        (!had_router).then(|| Self(server))
    }

    pub(crate) async fn next_event(&self) -> Option<Event> {
        self.0.next_event().await
    }
}

impl Drop for RoutedServer {
    fn drop(&mut self) {
        self.0.listening.has_router.store(false, Ordering::Release);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.registry.events.abandon();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, feature = "deflate"))]
mod tests {
    use super::*;
    use crate::compression::Compression;

    #[tokio::test]
    async fn the_mounts_of_a_server_share_the_memory_for_compression() {
        let mut https = Vec::new();
        for _ in 0..3 {
            https.push(HttpServer::bind("127.0.0.1:0").await.unwrap());
        }
        let config = |limit| ServerConfig::default().compression(Compression::default().memory_limit(limit));
        let server = Server::mounted(config(10), [&https[0]]).unwrap();
        server.mount_with(config(10).keepalive(false), [&https[1]]).unwrap();
        server.mount_with(config(20), [&https[2]]).unwrap();
        let shared = server.registry.context_memory(10);
        assert_eq!((shared.limit(), Arc::strong_count(&shared)), (10, 3));
    }
}
