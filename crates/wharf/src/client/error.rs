//! Why there is no connection, one variant a stage.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;

use crate::proto::deflate::AgreementError;
use crate::proto::handshake::{ClientRequestError, HeadError, VerifyError};

/// A client has no connection. No socket is left open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[doc(alias = "connectFailed")]
pub enum ConnectError {
    /// The URL is none of a WebSocket. Nothing was sent.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A subprotocol, the origin or a header may not be sent. Nothing was.
    #[error(transparent)]
    Request(#[from] ClientRequestError),
    /// The host's name, or the proxy's, could not be resolved.
    #[error("{host} could not be resolved: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// No address of the host, or of the proxy, took the TCP connection; the last failure.
    #[error("{host} could not be connected to: {source}")]
    Tcp {
        /// The host.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// The proxy would not connect us.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The stream failed or ended before the server had answered.
    #[error("the connection was lost before the server had answered: {0}")]
    Lost(#[source] io::Error),
    /// What the server sent is no HTTP/1.1.
    #[error("the server's answer cannot be read: {0}")]
    Malformed(#[from] HeadError),
    /// The server answered, and does not switch: the status and headers, and the body as far as
    /// [`max_response_body_size`](crate::ClientConfig::max_response_body_size) allows. A redirect's `Location` is
    /// among the headers; whether to follow it is the caller's decision.
    #[error("the server answered with status {}, not 101", .0.status())]
    #[doc(alias = "httpResponse")]
    HttpResponse(Box<http::Response<Bytes>>),
    /// The server switches, but its answer may not be believed (RFC 6455 §4.1).
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The server switches, and answers the offer of compression with what was not offered (RFC 7692 §5.1, §7.1).
    #[error(transparent)]
    Compression(#[from] AgreementError),
    /// It took longer than [`connect_timeout`](crate::ClientConfig::connect_timeout).
    #[error("there was no connection within {limit:?}; it was waiting for {waiting_for}")]
    Timeout {
        /// What was allowed.
        limit: Duration,
        /// How far it came.
        waiting_for: &'static str,
    },
    /// The TLS handshake failed: the server is not believed, or does not speak it.
    #[cfg(feature = "tls")]
    #[error("TLS: {0}")]
    Tls(#[from] crate::tls::TlsError),
    /// The URL is `wss://`, and the crate was built without its feature `tls`. Nothing was sent.
    #[error("wss needs the feature tls, which is not built in")]
    TlsUnavailable,
}

/// For [`Client::connect`](crate::Client::connect), which takes what may fail to become a request, and requests.
impl From<Infallible> for ConnectError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A URL that no WebSocket has (RFC 6455 §3), or no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It cannot be read at all.
    #[error("\"{url}\" is not a URL: {reason}")]
    Malformed {
        /// What was given, escaped and cut.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is relative.
    #[error("You must specify a full WebSocket URL, including protocol.")]
    SchemeMissing,
    /// Its scheme is another one than is allowed here.
    #[error("the scheme of the URL is {scheme}, but must be {allowed}")]
    Scheme {
        /// What came.
        scheme: String,
        /// What would be allowed.
        allowed: &'static str,
    },
    /// It has no host.
    #[error("You must specify a full WebSocket URL, including hostname. Relative URLs are not supported.")]
    HostMissing,
    /// It has a fragment, which means nothing here (RFC 6455 §3).
    #[error("the URL has a fragment, which means nothing to a WebSocket")]
    Fragment,
    /// It has a user name or password, which would be sent nowhere.
    #[error("the URL has credentials in it: set the header Authorization, or the proxy's own credentials")]
    Credentials,
    /// It has a path or a query, which mean nothing to a proxy.
    #[error("the URL of a proxy has no path")]
    Path,
}

/// An HTTP proxy did not connect us.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It refused, with this answer: 407 where it wants credentials.
    #[error("the proxy answered CONNECT with status {}", .0.status())]
    Refused(Box<http::Response<Bytes>>),
    /// What it sent is no HTTP/1.1.
    #[error("the proxy's answer cannot be read: {0}")]
    Malformed(#[from] HeadError),
    /// It sent more than its answer, before anything was said to the host behind it.
    #[error("the proxy sent bytes behind its answer that nobody asked for")]
    Unasked,
    /// The stream failed or ended before it had answered.
    #[error("the connection to the proxy was lost: {0}")]
    Lost(#[source] io::Error),
}
