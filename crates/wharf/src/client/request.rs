//! What to connect to, and what to say there.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::Uri;

use super::error::UrlError;
use crate::proto::handshake::{ClientRequest, ClientRequestError, Extension, Version};

/// Where to connect to and what to ask for, for [`Client::connect`](crate::Client::connect).
///
/// ```
/// use wharf::ConnectRequest;
///
/// let request = ConnectRequest::new("wss://example.com/chat?room=1")?
///     .protocols(["chat.v2", "chat.v1"])
///     .origin("https://example.com")
///     .header("Cookie", "session=1");
/// # Ok::<(), wharf::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use = "it does nothing until it is given to `Client::connect`"]
pub struct ConnectRequest {
    pub(super) target: Target,
    protocols: Vec<String>,
    origin: Option<String>,
    headers: Vec<(String, String)>,
}

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) is_secure: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// As `Host` has it: with brackets, and with the port where it is not the scheme's own (RFC 6455 §4.1 item 4).
    authority: String,
    /// Path and query.
    resource: String,
}

impl ConnectRequest {
    /// To a URL that begins with `ws://` or `wss://` (RFC 6455 §3). What its path and query may not hold as it is, such as a
    /// blank or a letter that is not ASCII, is sent percent-encoded; a host has to be ASCII (`xn--…`).
    ///
    /// # Errors
    /// [`UrlError`]: no such URL, or one with a fragment or credentials.
    pub fn new(url: impl AsRef<str>) -> Result<Self, UrlError> {
        let target = Target::new(url.as_ref())?;
        Ok(Self { target, protocols: Vec::new(), origin: None, headers: Vec::new() })
    }

    /// A subprotocol to ask for; may be called several times, the preferred one first. An empty name is none.
    ///
    /// Where any is asked for, the server has to choose one of them, in the same case.
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        let protocol = protocol.into();
        if !protocol.is_empty() {
            self.protocols.push(protocol);
        }
        self
    }

    /// Subprotocols to ask for, the preferred one first; behind those that were given before.
    pub fn protocols<P: Into<String>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        protocols.into_iter().fold(self, Self::protocol)
    }

    /// The origin to name, as browsers do (RFC 6455 §4.1 item 8). Default none.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// A further header; may be called several times. They go out first, in this order. Those of the handshake cannot be
    /// set, `Host` can.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The handshake that is sent, with a nonce from a strong source (RFC 6455 §4.1, §10.3).
    pub(super) fn handshake(
        &self,
        version: Version,
        extensions: Vec<Extension>,
    ) -> Result<(ClientRequest, Vec<u8>), ClientRequestError> {
        let mut handshake = ClientRequest::new(&self.target.authority, &self.target.resource, rand::random());
        handshake.version = version;
        handshake.extensions = extensions;
        handshake.protocols.clone_from(&self.protocols);
        handshake.origin.clone_from(&self.origin);
        handshake.fields.clone_from(&self.headers);
        let mut bytes = Vec::new();
        handshake.write(&mut bytes)?;
        Ok((handshake, bytes))
    }
}

/// Headers may hold secrets, so that only their names show.
impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("ConnectRequest")
            .field("target", &self.target)
            .field("protocols", &self.protocols)
            .field("origin", &self.origin)
            .field("headers", &names)
            .finish()
    }
}

impl FromStr for ConnectRequest {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::new(url)
    }
}

impl TryFrom<&str> for ConnectRequest {
    type Error = UrlError;

    fn try_from(url: &str) -> Result<Self, UrlError> {
        Self::new(url)
    }
}

impl TryFrom<String> for ConnectRequest {
    type Error = UrlError;

    fn try_from(url: String) -> Result<Self, UrlError> {
        Self::new(url)
    }
}

impl TryFrom<&String> for ConnectRequest {
    type Error = UrlError;

    fn try_from(url: &String) -> Result<Self, UrlError> {
        Self::new(url)
    }
}

impl Target {
    /// The parts of a URL, each of them valid (RFC 6455 §3, §4.1 item 1), and ASCII in the end (RFC 6455 §11.1.1, §11.1.2).
    fn new(url: &str) -> Result<Self, UrlError> {
        let uri = parse(&escaped(url))?;
        let is_secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            Some(scheme) => {
                return Err(UrlError::Scheme { scheme: scheme.to_owned(), allowed: "ws or wss" });
            }
            None => return Err(UrlError::SchemeMissing),
        };
        let default_port = if is_secure { 443 } else { 80 };
        let (host, port) = host_and_port(&uri, default_port)?;
        let authority = if port == default_port { host.to_owned() } else { format!("{host}:{port}") };
        let resource = uri.path_and_query().map_or("/", |resource| resource.as_str());
        // `ws://host?query` has no path, and the request needs one.
        let resource = if resource.starts_with('/') { resource.to_owned() } else { format!("/{resource}") };
        Ok(Self { is_secure, host: without_brackets(host).to_owned(), port, authority, resource })
    }

    /// As CONNECT names it, always with the port (RFC 9112 §3.2.3).
    pub(super) fn host_and_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The URL with what path and query may not hold as it is in percent-encoded form (RFC 6455 §11.1.1, §11.1.2). A host in
/// Unicode is left as it is, and refused: the tables that it takes are larger than all the rest of this crate.
fn escaped(url: &str) -> Cow<'_, str> {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let Some(path) = url[authority..].find(['/', '?']).map(|at| authority + at) else { return url.into() };
    let (front, path) = url.split_at(path);
    // A line end is nobody's character, but somebody's attempt: it stays, and is refused.
    let is_excluded = |byte: u8| {
        matches!(byte, b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..)
    };
    if !path.bytes().any(is_excluded) {
        return url.into();
    }
    let mut escaped = front.to_owned();
    for byte in path.bytes() {
        if is_excluded(byte) {
            escaped.push('%');
            escaped.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX_DIGITS[usize::from(digit)])));
        } else {
            escaped.push(char::from(byte));
        }
    }
    escaped.into()
}

/// RFC 3986 §2.1 prefers capitals.
const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// An absolute URL without a fragment and without credentials.
pub(super) fn parse(url: &str) -> Result<Uri, UrlError> {
    // The parser drops it in silence.
    if url.contains('#') {
        return Err(UrlError::Fragment);
    }
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| {
        if url.contains("://") {
            let url = url.chars().take(EXCERPT).collect::<String>().escape_debug().to_string();
            UrlError::Malformed { url, reason: error.to_string() }
        } else {
            UrlError::SchemeMissing
        }
    })?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(UrlError::Credentials);
    }
    Ok(uri)
}

/// The host as it stands there, and the port.
pub(super) fn host_and_port(uri: &Uri, default_port: u16) -> Result<(&str, u16), UrlError> {
    let authority = uri.authority().ok_or(UrlError::SchemeMissing)?;
    let host = authority.host();
    if host.is_empty() {
        return Err(UrlError::HostMissing);
    }
    let port = match authority.as_str()[host.len()..].strip_prefix(':') {
        None | Some("") => Some(default_port),
        Some(digits) => digits.parse().ok().filter(|&port| port != 0),
    };
    let malformed = || UrlError::Malformed {
        url: uri.to_string(),
        reason: "a port is a number from 1 to 65535".to_owned(),
    };
    port.map(|port| (host, port)).ok_or_else(malformed)
}

pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// How much of a bad URL an error shows, in characters.
const EXCERPT: usize = 128;
