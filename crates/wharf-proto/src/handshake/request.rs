//! The request: read and checked by a server, written by a client (RFC 6455 §4.1, §4.2.1).

use super::answer::write_field;
use super::error::{ClientRequestError, HandshakeError, VersionError, excerpt};
use super::fields::{Field, HandshakeFields};
use super::head::{HttpVersion, RequestHead};
use super::headers::{
    Extension, check_name, check_value, elements, is_token, is_token_bytes, parse_extensions, text,
    write_extensions,
};
use super::key::{encode_nonce, is_key};

/// Whether a request wants to leave HTTP at all: it has `Upgrade`, and `Connection` lists `upgrade`.
///
/// Any other request is the HTTP service's. One that is an upgrade may still be no handshake, which
/// [`Request::read`] finds out.
pub fn is_upgrade(head: &RequestHead<'_>) -> bool {
    head.fields.get("Upgrade").is_some() && head.fields.contains_token("Connection", "upgrade")
}

/// A client's opening handshake, read and found right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// `Host` as sent, with the port if there was one.
    pub host: String,
    /// The request target as sent: not decoded, with its query. Usually a path, from some proxies an absolute
    /// URL; over HTTP/2 always `:path`.
    pub resource: String,
    /// `Sec-WebSocket-Key` as sent. Over HTTP/2 most clients send none (RFC 8441 §5).
    pub key: Option<String>,
    /// The version of the protocol that the client speaks.
    pub version: Version,
    /// The origin as sent, from the field of the version; `None` if it was absent or empty.
    pub origin: Option<String>,
    /// The subprotocols that the client offers, in its order and spelling, repeated ones too.
    pub protocols: Vec<String>,
    /// The extensions that the client offers, in its order.
    pub extensions: Vec<Extension>,
}

impl Request {
    /// Reads and checks a client's opening handshake (RFC 6455 §4.2.1, §10.7).
    ///
    /// What the RFC demands and the reference leaves unchecked is checked here: GET, HTTP/1.1, `Upgrade`,
    /// `Connection`, the form of key and version, the grammar of the offers. An offer that breaks its grammar
    /// refuses the request, as RFC 6455 §4.2.1 and §9.1 demand, even if nobody would have used it. Empty list
    /// elements are no breach, and unknown fields are never looked at.
    ///
    /// # Errors
    /// The first rule that is broken; [`HandshakeError::answer`] is what the client gets to see.
    pub fn read(head: &RequestHead<'_>) -> Result<Self, HandshakeError> {
        check_request_line(head)?;
        let fields = HandshakeFields::of(&head.fields);
        check_upgrade(&fields)?;
        let host = read_host(&fields)?;
        // Two keys are none (RFC 6455 §11.3.1).
        let Some(key) = fields.get_single(Field::Key)? else { return Err(HandshakeError::KeyMissing) };
        // The version first, for that is what decides how a key looks.
        let version = read_version(&fields)?;
        if !is_key(key) {
            return Err(HandshakeError::Key { key: excerpt(key) });
        }
        Self::of_fields(host, head.target, Some(key), version, &fields)
    }

    /// The fields that mean the same in every version of HTTP.
    pub(super) fn of_fields(
        host: String,
        resource: &str,
        key: Option<&[u8]>,
        version: Version,
        fields: &HandshakeFields<'_>,
    ) -> Result<Self, HandshakeError> {
        Ok(Self {
            host,
            resource: resource.to_owned(),
            key: key.map(ascii),
            version,
            origin: read_origin(fields, version)?,
            protocols: read_protocols(fields)?,
            extensions: parse_extensions(fields.get_all(Field::Extensions))?,
        })
    }
}

/// The versions of the protocol that are spoken. They differ only in the field that carries the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The drafts hybi-08 to hybi-12, which some old clients still send.
    V8,
    /// RFC 6455.
    V13,
}

impl Version {
    /// Both versions, as `Sec-WebSocket-Version` lists them in a refusal (RFC 6455 §4.4).
    pub const SPOKEN: &'static str = "13, 8";

    /// The number in `Sec-WebSocket-Version`.
    pub const fn number(self) -> u8 {
        match self {
            Self::V8 => 8,
            Self::V13 => 13,
        }
    }

    /// The field that carries the origin, in the request and in the answer.
    pub const fn origin_field(self) -> &'static str {
        self.origin().name()
    }

    const fn origin(self) -> Field {
        match self {
            Self::V8 => Field::OriginOfDrafts,
            Self::V13 => Field::Origin,
        }
    }
}

/// By its number.
impl TryFrom<u8> for Version {
    type Error = VersionError;

    fn try_from(number: u8) -> Result<Self, VersionError> {
        match number {
            8 => Ok(Self::V8),
            13 => Ok(Self::V13),
            number => Err(VersionError { number }),
        }
    }
}

/// The opening handshake that a client sends (RFC 6455 §4.1), and against which [`verify`](super::verify)
/// holds the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientRequest {
    /// The value of `Host`: the host, and the port unless it is the scheme's default. A `Host` among the
    /// [`fields`](Self::fields) goes out instead.
    pub host: String,
    /// Path and query; an empty text means `/`.
    pub resource: String,
    /// 16 bytes that nobody can predict and that are used once (RFC 6455 §4.1 item 7).
    pub nonce: [u8; 16],
    /// The version of the protocol; by default 13.
    pub version: Version,
    /// The subprotocols to ask for, the preferred one first; by default none, and then the server may choose
    /// none.
    pub protocols: Vec<String>,
    /// The extensions to offer; by default none, and then the server may use none.
    pub extensions: Vec<Extension>,
    /// The origin to name; by default none. Browsers must, others may (RFC 6455 §4.1 item 8).
    pub origin: Option<String>,
    /// Further header fields, which go out first and in this order. Those of the handshake are an error here
    /// (the reference replaces them in silence), except `Host`.
    pub fields: Vec<(String, String)>,
}

impl ClientRequest {
    /// A request for `resource` on `host` in version 13 (RFC 6455 §4.1 item 9), with defaults for the rest.
    pub fn new(host: impl Into<String>, resource: impl Into<String>, nonce: [u8; 16]) -> Self {
        Self {
            host: host.into(),
            resource: resource.into(),
            nonce,
            version: Version::V13,
            protocols: Vec::new(),
            extensions: Vec::new(),
            origin: None,
            fields: Vec::new(),
        }
    }

    /// Appends the request as the head of an HTTP/1.1 message (RFC 6455 §4.1), its empty line included.
    ///
    /// # Errors
    /// Whatever could be read as something else than it says. Nothing has been appended then.
    pub fn write(&self, output: &mut Vec<u8>) -> Result<(), ClientRequestError> {
        self.check_resource()?;
        self.check_protocols()?;
        let extensions = write_extensions(&self.extensions)?;
        if let Some(origin) = &self.origin {
            check_value(self.version.origin_field(), origin)?;
        }
        let host = self.check_fields()?;

        let resource = if self.resource.is_empty() { "/" } else { &self.resource };
        for part in ["GET ", resource, " HTTP/1.1\r\n"] {
            output.extend_from_slice(part.as_bytes());
        }
        for (name, value) in &self.fields {
            write_field(output, name, value);
        }
        write_field(output, "Upgrade", "websocket");
        write_field(output, "Connection", "Upgrade");
        write_field(output, "Sec-WebSocket-Version", &self.version.number().to_string());
        write_field(output, "Sec-WebSocket-Key", &self.key());
        if let Some(host) = host {
            write_field(output, "Host", host);
        }
        if !self.protocols.is_empty() {
            write_field(output, "Sec-WebSocket-Protocol", &self.protocols.join(", "));
        }
        if !extensions.is_empty() {
            write_field(output, "Sec-WebSocket-Extensions", &extensions);
        }
        if let Some(origin) = &self.origin {
            write_field(output, self.version.origin_field(), origin);
        }
        output.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// The value of `Sec-WebSocket-Key`.
    pub fn key(&self) -> String {
        encode_nonce(&self.nonce)
    }

    fn check_resource(&self) -> Result<(), ClientRequestError> {
        let resource = &self.resource;
        // What is not ASCII has to come escaped (RFC 6455 §11.1.1, §11.1.2).
        // RFC 6455 §3: a fragment has no meaning here, so a number sign is an error, not the beginning of
        // one.
        let visible = resource.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if visible && (resource.is_empty() || resource.starts_with('/')) {
            return Ok(());
        }
        Err(ClientRequestError::Resource { resource: excerpt(resource.as_bytes()) })
    }

    /// RFC 6455 §4.1 item 10.
    fn check_protocols(&self) -> Result<(), ClientRequestError> {
        for (index, protocol) in self.protocols.iter().enumerate() {
            if !is_token(protocol) {
                return Err(ClientRequestError::Protocol { protocol: excerpt(protocol.as_bytes()) });
            }
            if self.protocols[..index].contains(protocol) {
                return Err(ClientRequestError::ProtocolRepeated { protocol: protocol.clone() });
            }
        }
        Ok(())
    }

    /// The host still to be written (RFC 6455 §4.1 item 4), if none is among the fields.
    fn check_fields(&self) -> Result<Option<&str>, ClientRequestError> {
        let mut own_host = None;
        for (name, value) in &self.fields {
            check_name(name)?;
            check_value(name, value)?;
            if self.is_reserved(name) {
                return Err(ClientRequestError::FieldReserved { name: name.clone() });
            }
            if name.eq_ignore_ascii_case("Host") && own_host.replace(value).is_some() {
                return Err(ClientRequestError::HostRepeated);
            }
        }
        let host = own_host.unwrap_or(&self.host);
        if !is_host(host.as_bytes()) {
            return Err(ClientRequestError::Host { host: excerpt(host.as_bytes()) });
        }
        Ok(own_host.is_none().then_some(host))
    }

    /// Whether the handshake has the field itself, and some only once (RFC 6455 §11.3.1, §11.3.5).
    fn is_reserved(&self, name: &str) -> bool {
        RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
            || (self.origin.is_some() && self.version.origin_field().eq_ignore_ascii_case(name))
    }
}

/// RFC 6455 §4.2.1 item 1.
fn check_request_line(head: &RequestHead<'_>) -> Result<(), HandshakeError> {
    if head.method != "GET" {
        return Err(HandshakeError::Method { method: excerpt(head.method.as_bytes()) });
    }
    if head.version < HttpVersion::Http11 {
        return Err(HandshakeError::HttpVersion { version: head.version });
    }
    if !is_target(head.target) {
        return Err(HandshakeError::Target { target: excerpt(head.target.as_bytes()) });
    }
    Ok(())
}

/// RFC 6455 §4.2.1 items 3 and 4.
fn check_upgrade(fields: &HandshakeFields<'_>) -> Result<(), HandshakeError> {
    if !fields.contains_token(Field::Upgrade, "websocket") {
        return Err(HandshakeError::Upgrade { upgrade: fields.excerpt(Field::Upgrade) });
    }
    if !fields.contains_token(Field::Connection, "upgrade") {
        return Err(HandshakeError::Connection { connection: fields.excerpt(Field::Connection) });
    }
    Ok(())
}

/// RFC 6455 §4.2.1 item 2.
pub(super) fn read_host(fields: &HandshakeFields<'_>) -> Result<String, HandshakeError> {
    let Some(host) = fields.get_single(Field::Host)? else { return Err(HandshakeError::HostMissing) };
    if is_host(host) { Ok(ascii(host)) } else { Err(HandshakeError::Host { host: excerpt(host) }) }
}

/// RFC 6455 §4.2.1 item 6: once (RFC 6455 §11.3.5).
pub(super) fn read_version(fields: &HandshakeFields<'_>) -> Result<Version, HandshakeError> {
    match fields.get_single(Field::Version)? {
        Some(b"13") => Ok(Version::V13),
        Some(b"8") => Ok(Version::V8),
        Some(value) => Err(unspoken(value)),
        None => Err(HandshakeError::VersionMissing),
    }
}

/// By the grammar a version is 0 to 255 without leading zeros (RFC 6455 §4.3).
fn unspoken(value: &[u8]) -> HandshakeError {
    let is_number = value.iter().all(u8::is_ascii_digit) && (value.len() == 1 || value[0] != b'0');
    let number = text(value).filter(|_| is_number).and_then(|text| text.parse::<u8>().ok());
    match number {
        // The reference counts 0 as no version at all; the answer names the spoken ones, so the RFC is kept
        // too.
        Some(0) => HandshakeError::VersionMissing,
        Some(version) => HandshakeError::VersionUnsupported { version },
        None => HandshakeError::Version { version: excerpt(value) },
    }
}

fn read_origin(fields: &HandshakeFields<'_>, version: Version) -> Result<Option<String>, HandshakeError> {
    let Some(origin) = fields.get_single(version.origin())? else { return Ok(None) };
    match text(origin) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(HandshakeError::Origin { name: version.origin_field(), origin: excerpt(origin) }),
    }
}

fn read_protocols(fields: &HandshakeFields<'_>) -> Result<Vec<String>, HandshakeError> {
    let mut protocols = Vec::new();
    for element in fields.get_all(Field::Protocol).flat_map(elements) {
        let Some(protocol) = text(element).filter(|_| is_token_bytes(element)) else {
            return Err(HandshakeError::Protocol { protocol: excerpt(element) });
        };
        if protocols.len() == MAX_PROTOCOLS {
            return Err(HandshakeError::TooManyProtocols { limit: MAX_PROTOCOLS });
        }
        protocols.push(protocol.to_owned());
    }
    Ok(protocols)
}

/// What has been found to be ASCII, as text.
fn ascii(value: &[u8]) -> String {
    str::from_utf8(value).unwrap_or_default().to_owned()
}

/// Whether a request target names a resource: a path, or an absolute URL of HTTP (RFC 6455 §4.2.1 item 1), without blanks
/// and control characters.
pub(super) fn is_target(target: &str) -> bool {
    let is_clean = target.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    let is_http = |scheme: &str| ["http", "https"].iter().any(|http| http.eq_ignore_ascii_case(scheme));
    is_clean
        && (target.starts_with('/') || target.split_once("://").is_some_and(|(scheme, _)| is_http(scheme)))
}

/// Whether `host` has only characters that a host and a port can have (RFC 3986 §3.2.2, §3.2.3). Whether it
/// names anything is for those to say who route by it.
pub(super) fn is_host(host: &[u8]) -> bool {
    let is_mark = |byte| {
        matches!(
            byte,
            b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'('
                ..=b',' | b';' | b'=' | b':' | b'[' | b']'
        )
    };
    !host.is_empty() && host.iter().all(|&byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

/// Two bytes of a header can make a text of forty bytes here, so their number has a limit of its own.
const MAX_PROTOCOLS: usize = 100;

/// What a client's own fields may not be: the handshake's, and those that announce a body.
const RESERVED: [&str; 9] = [
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Accept",
    "Content-Length",
    "Transfer-Encoding",
];

#[cfg(test)]
mod tests;
