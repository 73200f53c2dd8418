//! The other end: a client, on the same protocol, driver and [`Connection`] as the server.

mod config;
mod dial;
mod error;
mod http_response;
mod opening;
mod proxy;
mod request;
mod turns;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use config::ClientConfig;
pub use error::{ConnectError, ProxyError, UrlError};
pub use proxy::Proxy;
pub use request::ConnectRequest;

use crate::config::ConfigError;
use crate::connection::Connection;
use crate::driver::{self, Receiver};
use crate::handler::Handler;
use crate::http::socket;
use crate::hub::Home;
use crate::options::Options;
use crate::proto;
use crate::proto::connection::Ending;
use crate::proto::mask::MaskingKey;
use crate::shared::{Opening, Owner, Shared};
use opening::{Opened, Settings};

/// Connects to WebSocket servers. A cheap clone; one client makes any number of connections, at once too.
///
/// ```no_run
/// use wharf::{Client, ClientConfig, ConnectError, ConnectRequest};
///
/// # async fn chat() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(ClientConfig::default())?;
/// let request = ConnectRequest::new("ws://example.com/chat")?.protocol("chat").header("Cookie", "a=b");
/// let connection = match client.connect(request).await {
///     Ok(connection) => connection,
///     Err(ConnectError::HttpResponse(response)) => {
///         // Nothing is followed or retried by itself: `response.headers()["location"]` is there for a 302.
///         return Err(format!("the server said {}", response.status()).into());
///     }
///     Err(error) => return Err(error.into()),
/// };
/// connection.send("hello").await?;
/// while let Some(message) = connection.recv().await {
///     println!("{message:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[doc(alias = "WebSocketClient")]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    options: Arc<Options>,
    settings: Settings,
    next_id: AtomicU64,
}

impl Client {
    /// A client under these options, which hold for every connection that it makes.
    ///
    /// # Errors
    /// [`ConfigError`], which names the option that has a value without meaning.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let inner = Inner {
            options: Arc::new(Options::new(config.of_connections())?),
            settings: Settings::new(config),
            next_id: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Connects: looks the host up, connects to it or through the [`Proxy`], and makes the opening handshake
    /// (RFC 6455 §4.1). What the server sends right behind its answer is the first that is received.
    ///
    /// `request` is a [`ConnectRequest`], or a URL as text. Redirects are not followed and nothing is tried twice. Where
    /// a name has several addresses, they are tried in turn, a new one every 250 ms, and the first to answer is
    /// taken (after RFC 8305).
    ///
    /// Of several that connect to the same host at once, one after the other makes its handshake, unless
    /// [`serialize_handshakes`](ClientConfig::serialize_handshakes) is off.
    ///
    /// Cancel safe: dropping the future gives up, and closes the socket.
    ///
    /// # Errors
    /// [`ConnectError`], one variant a stage. All stages together take at most
    /// [`connect_timeout`](ClientConfig::connect_timeout).
    #[doc(alias = "abort")]
    pub async fn connect<R>(&self, request: R) -> Result<Connection, ConnectError>
    where
        R: TryInto<ConnectRequest>,
        ConnectError: From<R::Error>,
    {
        self.open(request.try_into()?, Receiver::Queue).await
    }

    /// [`connect`](Self::connect)s, and gives all that is received to `handler`.
    ///
    /// Cancel safe: dropping the future gives up, and closes the socket.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect); `handler` is dropped then, and told nothing.
    pub async fn connect_with<R>(&self, request: R, handler: impl Handler) -> Result<Connection, ConnectError>
    where
        R: TryInto<ConnectRequest>,
        ConnectError: From<R::Error>,
    {
        self.open(request.try_into()?, Receiver::Handler(Box::new(handler))).await
    }

    /// A connection, a handshake, and its answer (RFC 6455 §4.1).
    async fn open(&self, request: ConnectRequest, receiver: Receiver) -> Result<Connection, ConnectError> {
        // Boxed, so that the futures of users do not grow by all of its stages.
        let opened = Box::pin(self.inner.settings.open(request, &self.inner.options)).await?;
        Ok(self.start(opened, receiver))
    }

    /// Starts the connection's own task.
    fn start(&self, opened: Opened, receiver: Receiver) -> Connection {
        let Options { config, core, .. } = self.inner.options.as_ref();
        let ip = opened.peer.ip();
        let opening = Opening {
            protocol: opened.protocol.map(Into::into),
            compression: opened.compression.as_ref().map(|negotiated| negotiated.agreed),
            is_server: false,
            version: opened.version,
            home: Home::default(),
            remote_address: (ip != ip.to_canonical()).then(|| ip.to_string().into()),
            forwarded_for: Box::default(),
            socket: Some(opened.peer),
        };
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared::new(id, opening, receiver.receives(), &self.inner.options));
        let connection = Connection::new(shared.clone());
        if let Some(tcp) = opened.stream.tcp() {
            // A socket that refuses an option is about to fail, and the driver will find that.
            let _ = socket::configure(tcp, config);
        }
        let now = tokio::time::Instant::now().into_std();
        let core = proto::Connection::client(core.clone(), masking_key, now);
        let core = match opened.compression {
            Some(negotiated) => core.with_deflate(negotiated),
            None => core,
        };
        driver::start(core, opened.stream, opened.already_read, shared, self.inner.clone(), receiver);
        connection
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

/// A client keeps no list of its connections.
impl Owner for Inner {
    fn connection_gone(&self, _: &Arc<Shared>, _: &Ending) {}
}

/// From a strong source (RFC 6455 §5.3, §10.3). The thread's own generator is one, seeded by the system. It
/// makes no system call for a frame, and costs a connection no memory.
fn masking_key() -> MaskingKey {
    MaskingKey(rand::random())
}
