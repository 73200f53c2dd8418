//! Through an HTTP proxy, by CONNECT (RFC 9110 §9.3.6).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::error::{ConnectError, ProxyError, UrlError};
use super::http_response::{Reader, ResponseError};
use super::opening::Deadline;
use super::request::{Target, host_and_port, parse, without_brackets};

/// An HTTP proxy that connects a client to any host, by the method CONNECT. TLS, where there is any, goes through it
/// to the host behind.
///
/// ```
/// use wharf::{ClientConfig, Proxy};
///
/// let proxy = Proxy::new("http://127.0.0.1:3128")?.basic("user", "password");
/// let config = ClientConfig::default().proxy(Some(proxy));
/// # Ok::<(), wharf::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

impl Proxy {
    /// The proxy at a URL such as `http://127.0.0.1:3128`. Without a port it is 80.
    ///
    /// # Errors
    /// [`UrlError`]: no such URL, or one with a path or credentials in it.
    pub fn new(url: impl AsRef<str>) -> Result<Self, UrlError> {
        let uri = parse(url.as_ref())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(scheme) => return Err(UrlError::Scheme { scheme: scheme.to_owned(), allowed: "http" }),
            None => return Err(UrlError::SchemeMissing),
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(UrlError::Path);
        }
        let (host, port) = host_and_port(&uri, 80)?;
        Ok(Self { host: without_brackets(host).to_owned(), port, authorization: None })
    }

    /// The name and password to give it, by the Basic scheme (RFC 7617): readable to whoever sees the wire to the
    /// proxy. The name has no colon; what stands behind one would be read as password.
    pub fn basic(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let credentials = STANDARD.encode(format!("{}:{}", user.as_ref(), password.as_ref()));
        self.authorization = Some(format!("Basic {credentials}"));
        self
    }

    /// Asks for a tunnel to `target` on `stream`.
    pub(super) async fn tunnel(
        &self,
        stream: &mut TcpStream,
        target: &Target,
        max_body: usize,
        deadline: Deadline,
    ) -> Result<(), ConnectError> {
        let authority = target.host_and_port();
        let authorization = self.authorization.as_ref();
        let authorization =
            authorization.map(|value| format!("Proxy-Authorization: {value}\r\n")).unwrap_or_default();
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n");
        let sending = stream.write_all(request.as_bytes());
        deadline.bound("the proxy to read", sending).await?.map_err(ProxyError::Lost)?;
        let mut reader = Reader::new(stream);
        let head = deadline.bound("the proxy's answer", reader.head()).await?.map_err(ProxyError::from)?;
        // Any 2xx switches to the tunnel, and has no body (RFC 9110 §9.3.6).
        if !head.status().is_success() {
            let response = reader.body(head, max_body, deadline.at()).await;
            return Err(ProxyError::Refused(Box::new(response)).into());
        }
        if !reader.into_unread().is_empty() {
            return Err(ProxyError::Unasked.into());
        }
        Ok(())
    }
}

impl From<ResponseError> for ProxyError {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Lost(error) => Self::Lost(error),
            ResponseError::Malformed(error) => Self::Malformed(error),
        }
    }
}

/// Without the password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("has_credentials", &self.authorization.is_some())
            .finish()
    }
}
