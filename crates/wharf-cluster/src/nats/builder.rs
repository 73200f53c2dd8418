//! What a broker on NATS is told when it is made.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::ServerAddr;
use wharf::hub::{Topic, TopicError};

use super::Nats;
use super::connection::Shared;
use super::credentials::Credentials;
use super::names::Names;

/// Makes a [`Nats`].
#[derive(Clone)]
pub struct NatsBuilder {
    servers: String,
    prefix: String,
    options: Options,
}

/// How it is to connect, and what it is to keep.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) credentials: Credentials,
    pub(super) root_certificates: Option<PathBuf>,
    pub(super) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(super) require_tls: bool,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) ping_interval: Duration,
    pub(super) max_reconnect_delay: Duration,
    pub(super) max_pending_messages: usize,
    pub(super) duplicate_window: Duration,
    pub(super) in_memory: bool,
    pub(super) replicas: usize,
    pub(super) notice: Arc<dyn Fn(NatsNotice) + Send + Sync>,
}

/// A broker on NATS cannot be made so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NatsError {
    /// Not the URL of a server. It is not shown, for it may have a password.
    #[error("not the URL of a NATS server, such as nats://127.0.0.1:4222: {reason}")]
    Server {
        /// What is wrong with it.
        reason: String,
    },
    /// Subjects cannot begin so.
    #[error("subjects cannot begin with the prefix: {0}")]
    Prefix(TopicError),
    /// An option whose value has no meaning.
    #[error("{option} is 0, and has to be more")]
    Zero {
        /// Its name.
        option: &'static str,
    },
}

/// What happens to a broker on NATS that its health does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NatsNotice {
    /// A message was thrown away, because this node did not keep up and
    /// [as many](NatsBuilder::max_pending_messages) of a subscription waited. Of a topic with a history it is read from
    /// there.
    Dropped,
    /// The server says that something is wrong, such as a subject that this client has no permission for.
    Server {
        /// What it says.
        error: String,
    },
}

impl NatsBuilder {
    pub(super) fn new(servers: &str) -> Self {
        let options = Options {
            credentials: Credentials::None,
            root_certificates: None,
            client_certificate: None,
            require_tls: false,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(3),
            max_reconnect_delay: Duration::from_secs(2),
            max_pending_messages: 65_536,
            duplicate_window: Duration::from_secs(120),
            in_memory: false,
            replicas: 1,
            notice: Arc::new(drop),
        };
        Self { servers: servers.to_owned(), prefix: "wharf".to_owned(), options }
    }

    /// How the subjects begin that it uses. Hubs with another prefix have other topics. Default `wharf`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Who it is, where the URL does not say so. Default: nobody.
    #[must_use]
    pub fn user_and_password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.options.credentials = Credentials::Password { user: user.into(), password: password.into() };
        self
    }

    /// The token that the server asks for. Default: none.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.options.credentials = Credentials::Token(token.into());
        self
    }

    /// The file with its JWT and the seed of its key, which is read each time it connects. Default: none.
    #[must_use]
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.credentials = Credentials::File(path.into());
        self
    }

    /// A PEM file with the authorities that may vouch for the server. Default: those that the system trusts.
    #[must_use]
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.root_certificates = Some(path.into());
        self
    }

    /// PEM files with a certificate for the server to know it by, and its key. Default: none.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.options.client_certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Never to connect without TLS, which is used where the server asks for it, and with `tls://`. Default false.
    #[must_use]
    pub const fn require_tls(mut self, is_required: bool) -> Self {
        self.options.require_tls = is_required;
        self
    }

    /// How long it takes at most to connect to one server. Default 5 seconds.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.connect_timeout = timeout;
        self
    }

    /// How long the server may take to answer. Default 5 seconds.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.options.request_timeout = timeout;
        self
    }

    /// After how long the server is asked whether it is there, when nothing came from it; after three times as long without
    /// an answer it is away. Default 3 seconds.
    #[must_use]
    pub const fn ping_interval(mut self, interval: Duration) -> Self {
        self.options.ping_interval = interval;
        self
    }

    /// How long it waits at most before it tries again to connect. It begins with 50 ms, twice as long each time, and each a
    /// random part shorter, so that not all nodes come back at once. Default 2 seconds.
    #[must_use]
    pub const fn max_reconnect_delay(mut self, delay: Duration) -> Self {
        self.options.max_reconnect_delay = delay;
        self
    }

    /// How many messages of a subscription may wait here, before more are [dropped](NatsNotice::Dropped). Default 65,536.
    #[must_use]
    pub const fn max_pending_messages(mut self, messages: usize) -> Self {
        self.options.max_pending_messages = messages;
        self
    }

    /// For how long the server knows a message of a topic with a history again, that is published anew because a connection
    /// was lost before it was acknowledged. When the server is away for longer, such a message may be kept twice. Never
    /// longer than the history's own age. Default 2 minutes.
    #[must_use]
    pub const fn duplicate_window(mut self, window: Duration) -> Self {
        self.options.duplicate_window = window;
        self
    }

    /// Whether histories are kept in the server's memory, not in files, and end with it. Default false. Histories that there
    /// are stay as they are.
    #[must_use]
    pub const fn in_memory(mut self, in_memory: bool) -> Self {
        self.options.in_memory = in_memory;
        self
    }

    /// How many servers of a cluster keep each history, 1 to 5. Default 1.
    #[must_use]
    pub const fn replicas(mut self, replicas: usize) -> Self {
        self.options.replicas = replicas;
        self
    }

    /// Is told what health does not tell; it must not block. Default: nobody is.
    #[must_use]
    pub fn notices(mut self, notice: impl Fn(NatsNotice) + Send + Sync + 'static) -> Self {
        self.options.notice = Arc::new(notice);
        self
    }

    /// Makes the broker. It connects when a hub is made with it.
    ///
    /// # Errors
    /// [`NatsError`], which names what has no meaning.
    pub fn build(self) -> Result<Nats, NatsError> {
        let Self { servers, prefix, options } = self;
        let servers =
            servers.split(',').map(|server| read_server(server.trim())).collect::<Result<_, _>>()?;
        let names = Names::new(&Topic::new(prefix).map_err(NatsError::Prefix)?);
        let is_zero = [
            ("connect_timeout", options.connect_timeout.is_zero()),
            ("request_timeout", options.request_timeout.is_zero()),
            ("ping_interval", options.ping_interval.is_zero()),
            ("max_pending_messages", options.max_pending_messages == 0),
            ("replicas", options.replicas == 0),
        ];
        if let Some((option, _)) = is_zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(NatsError::Zero { option });
        }
        Ok(Nats { shared: Arc::new(Shared::new(servers, names, options)) })
    }
}

fn read_server(server: &str) -> Result<ServerAddr, NatsError> {
    let wrong = |reason: String| NatsError::Server { reason };
    let address: ServerAddr = server.parse().map_err(|error: std::io::Error| wrong(error.to_string()))?;
    if address.host().is_empty() {
        return Err(wrong("it has no host".to_owned()));
    }
    if address.is_websocket() {
        return Err(wrong("it is not to be reached by WebSocket".to_owned()));
    }
    Ok(address)
}

/// Without the servers, whose URLs may have passwords.
impl fmt::Debug for NatsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, options, .. } = self;
        f.debug_struct("NatsBuilder")
            .field("prefix", prefix)
            .field("options", options)
            .finish_non_exhaustive()
    }
}

/// Without secrets.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("require_tls", &self.require_tls)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("ping_interval", &self.ping_interval)
            .field("max_reconnect_delay", &self.max_reconnect_delay)
            .field("max_pending_messages", &self.max_pending_messages)
            .field("duplicate_window", &self.duplicate_window)
            .field("in_memory", &self.in_memory)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(builder: NatsBuilder) -> NatsError {
        builder.build().expect_err("it has no meaning")
    }

    #[test]
    fn what_has_no_meaning_is_named() {
        assert!(Nats::new("nats://a:4222, tls://b,127.0.0.1").is_ok());
        for server in ["", "http://a", "ws://a", "nats://a,,nats://b"] {
            assert!(matches!(error(Nats::builder(server)), NatsError::Server { .. }), "{server}");
        }
        assert!(matches!(error(Nats::builder("a").prefix("a.*")), NatsError::Prefix(_)));
        assert_eq!(error(Nats::builder("a").replicas(0)), NatsError::Zero { option: "replicas" });
    }

    #[test]
    fn no_secret_is_shown() {
        let builder = Nats::builder("a").user_and_password("user", "secret").build().unwrap();
        assert!(!format!("{builder:?}").contains("secret"));
    }
}
