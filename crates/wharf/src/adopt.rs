//! Connections whose opening handshake somebody else has made.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::config::ConfigError;
use crate::connection::Connection;
use crate::driver::{Receiver, Stream};
use crate::options::Options;
use crate::proto::deflate::{self, Negotiated};
use crate::proto::handshake::{Extension, Version, parse_extensions};
use crate::registry::Registry;
use crate::request::{Host, Launch};
use crate::shared::{Opening, Shared};

/// A stream on which the opening handshake is over: somebody else has made it, and a server is to have the connection.
///
/// Any stream of bytes will do; one of TCP has its socket's options set, as those that come by themselves.
///
/// ```no_run
/// # async fn adopt(server: wharf::Server, stream: tokio::net::TcpStream) -> Result<(), wharf::AdoptError> {
/// use wharf::OpenStream;
///
/// // The 101 has gone out, with `Sec-WebSocket-Protocol: chat`.
/// let connection = server.adopt(OpenStream::new(stream).protocol("chat"))?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a server is to adopt it"]
pub struct OpenStream {
    stream: Stream,
    already_read: Vec<u8>,
    peer: Option<SocketAddr>,
    protocol: Option<Box<str>>,
    extensions: String,
}

impl OpenStream {
    /// Nothing was agreed on, nobody is known to be at the other end, and nothing was read of it.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            stream: Stream::of(stream),
            already_read: Vec::new(),
            peer: None,
            protocol: None,
            extensions: String::new(),
        }
    }

    /// What was read behind the handshake: it is received first. Default nothing.
    pub fn already_read(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.already_read = bytes.into();
        self
    }

    /// Who is at the other end, as [`Connection::remote_address`] tells it. Default unknown.
    pub const fn peer(mut self, address: SocketAddr) -> Self {
        self.peer = Some(address);
        self
    }

    /// The subprotocol that was agreed on. Default none.
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        let protocol: String = protocol.into();
        self.protocol = (!protocol.is_empty()).then(|| protocol.to_ascii_lowercase().into());
        self
    }

    /// The `Sec-WebSocket-Extensions` of the answer, which the server's options must allow. Default none.
    pub fn extensions(mut self, value: impl Into<String>) -> Self {
        self.extensions = value.into();
        self
    }

    /// Makes it a connection of a server.
    pub(crate) fn adopt(
        self,
        registry: &Arc<Registry>,
        options: Arc<Options>,
        receiver: Receiver,
    ) -> Result<Connection, AdoptError> {
        let compression = agreed_before(self.extensions, &options)?;
        if registry.is_shut_down() {
            return Err(AdoptError::ShutDown);
        }
        if let Some(full) = registry.what_is_full(&options.config) {
            return Err(AdoptError::Full(full));
        }
        let opening = Opening {
            protocol: self.protocol,
            compression: compression.as_ref().map(|negotiated| negotiated.agreed),
            is_server: true,
            version: Version::V13,
            home: options.home(),
            remote_address: None,
            forwarded_for: Box::default(),
            socket: self.peer,
        };
        let shared = Arc::new(Shared::new(registry.next_id(), opening, receiver.receives(), &options));
        let connection = Connection::new(shared.clone());
        // Nobody else is there to tell of it.
        registry.events.await_listener();
        registry.connected(&shared);
        let owner = registry.clone().as_owner();
        let launch = Launch { shared, owner, receiver: Some(receiver), options, compression };
        launch.start(self.stream, self.already_read);
        Ok(connection)
    }
}

/// What was agreed on elsewhere, if we agree.
fn agreed_before(extensions: String, options: &Options) -> Result<Option<Negotiated>, AdoptError> {
    let Ok(agreed) = parse_extensions([extensions.as_bytes()]) else {
        return Err(AdoptError::Extensions { extensions });
    };
    let Options { core, memory, .. } = options;
    match agreed.as_slice() {
        [] => Ok(None),
        [agreed] => {
            // An answer is an offer that leaves no choice.
            let config = core.deflate.as_ref();
            let ours =
                config.and_then(|config| deflate::negotiate(std::slice::from_ref(agreed), config, memory));
            match ours {
                Some(ours) if is_same(&ours.extension(), agreed) => Ok(Some(ours)),
                Some(_) | None => Err(AdoptError::Extensions { extensions }),
            }
        }
        _ => Err(AdoptError::Extensions { extensions }),
    }
}

/// Whether two say the same, in whichever order.
fn is_same(one: &Extension, other: &Extension) -> bool {
    let holds_all = |a: &Extension, b: &Extension| a.params.iter().all(|param| b.params.contains(param));
    one.name == other.name && holds_all(one, other) && holds_all(other, one)
}

/// A stream could not become a connection of a server. It has been dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// An option of the server has a value without meaning.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// These extensions cannot be read, or the server's options would not have agreed to them: its connection would not
    /// understand its peer.
    #[error("the server's options do not agree to the extensions {extensions:?}")]
    Extensions {
        /// What was agreed on.
        extensions: String,
    },
    /// A limit of the server's is reached.
    #[error("{0}")]
    Full(&'static str),
    /// The server is shut down.
    #[error("the server is shut down")]
    ShutDown,
}
