//! What can be wrong in an opening handshake, one enum a stage and one variant a rule.
//!
//! What came from the peer is kept escaped and cut ([`excerpt`]), so that every text here is short, visible
//! ASCII and may go into a log or a header as it is.

use super::answer::Answer;
use super::head::HttpVersion;
use super::request::Version;

/// The bytes are not the head of an HTTP/1.1 message, or it is larger than the limits allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// More bytes than the limit without an end of the head.
    #[error("The message head is larger than {limit} bytes.")]
    TooLarge {
        /// [`HeadLimits::size`](super::HeadLimits::size).
        limit: usize,
    },
    /// More header fields than the limit.
    #[error("The message has more than {limit} header fields.")]
    TooManyFields {
        /// [`HeadLimits::fields`](super::HeadLimits::fields).
        limit: usize,
    },
    /// The first line is not method, target and version (RFC 9112 §3).
    #[error("The request line is malformed.")]
    RequestLine,
    /// The first line is not version, status and reason (RFC 9112 §4).
    #[error("The status line is malformed.")]
    StatusLine,
    /// The version is neither HTTP/1.0 nor HTTP/1.1.
    #[error("The HTTP version must be HTTP/1.1.")]
    HttpVersion,
    /// A header name is not a token, or blanks stand before its colon or the line (RFC 9112 §5.1, §5.2).
    #[error("A header name is malformed.")]
    FieldName,
    /// A header value holds a control character (RFC 9110 §5.5).
    #[error("A header value is malformed.")]
    FieldValue,
    /// A carriage return without its line feed (RFC 9112 §2.2).
    #[error("A line end is malformed.")]
    LineEnd,
}

impl HeadError {
    /// The status that refuses the message: 431 where a limit is passed (RFC 6585 §5), 505 for another
    /// version of HTTP, else 400.
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } | Self::TooManyFields { .. } => 431,
            Self::HttpVersion => 505,
            _ => 400,
        }
    }

    /// The answer to whoever sent the head, with this error's text as the reason.
    pub fn answer(&self) -> Answer {
        Answer::refuse(self.status(), Some(self.to_string()), Vec::new())
    }
}

/// A request that is not the opening handshake of RFC 6455 §4.2.1.
///
/// The text is one line for whoever wrote the client, and goes out as `X-WebSocket-Reject-Reason`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The method must be GET (RFC 6455 §4.2.1 item 1).
    #[error("Client must use the method GET, not {method}.")]
    Method {
        /// What came.
        method: String,
    },
    /// The version must be at least HTTP/1.1 (RFC 6455 §4.2.1 item 1).
    #[error("Client must use HTTP/1.1, not {version}.")]
    HttpVersion {
        /// What came.
        version: HttpVersion,
    },
    /// The target must name a resource: a path, or an absolute URL of HTTP (RFC 6455 §4.2.1 item 1).
    #[error("Client must ask for a path or an absolute URL of HTTP, not \"{target}\".")]
    Target {
        /// What came.
        target: String,
    },
    /// `Upgrade` must hold `websocket` (RFC 6455 §4.2.1 item 3).
    #[error("Client must send the token websocket in Upgrade, not \"{upgrade}\".")]
    Upgrade {
        /// The first value that came, empty if none did.
        upgrade: String,
    },
    /// `Connection` must hold `upgrade` (RFC 6455 §4.2.1 item 4).
    #[error("Client must send the token upgrade in Connection, not \"{connection}\".")]
    Connection {
        /// The first value that came, empty if none did.
        connection: String,
    },
    /// A field that may come once came more often (RFC 6455 §11.3, RFC 9112 §3.2), so that it is open which
    /// counts.
    #[error("Client must send the header {} only once.", .0.name)]
    FieldRepeated(#[from] FieldRepeated),
    /// `Host` is absent or empty (RFC 6455 §4.2.1 item 2).
    #[error("Client must provide a Host header.")]
    HostMissing,
    /// `Host` holds a character that no host and port can have (RFC 9112 §3.2).
    #[error("Client must provide a host and port in Host, not \"{host}\".")]
    Host {
        /// What came.
        host: String,
    },
    /// `:authority` and `Host` name different hosts (RFC 9113 §8.3.1), so that it is open which counts.
    #[error("Client must name one host in :authority and Host, not \"{authority}\" and \"{host}\".")]
    HostDiffers {
        /// `Host`.
        host: String,
        /// `:authority`.
        authority: String,
    },
    /// `Sec-WebSocket-Key` is absent or empty (RFC 6455 §4.2.1 item 5).
    #[error("Client must provide a value for Sec-WebSocket-Key.")]
    KeyMissing,
    /// `Sec-WebSocket-Key` does not decode to 16 bytes (RFC 6455 §4.2.1 item 5).
    #[error("Client must provide 16 bytes in base64 as Sec-WebSocket-Key, not \"{key}\".")]
    Key {
        /// What came.
        key: String,
    },
    /// `Sec-WebSocket-Version` is absent, empty or 0 (RFC 6455 §4.2.1 item 6).
    #[error("Client must provide a value for Sec-WebSocket-Version.")]
    VersionMissing,
    /// `Sec-WebSocket-Version` is not a number up to 255 without leading zeros (RFC 6455 §4.3).
    #[error(
        "Client must provide a value for Sec-WebSocket-Version, up to 255 and without leading zeros, \
         not \"{version}\"."
    )]
    Version {
        /// What came.
        version: String,
    },
    /// `Sec-WebSocket-Version` is a version that this side does not speak (RFC 6455 §4.2.2 item 4).
    #[error("Unsupported websocket client version: {version}. Only versions 8 and 13 are supported.")]
    VersionUnsupported {
        /// What came; [`Version`] has those that are spoken.
        version: u8,
    },
    /// The origin holds a control character or something that is not ASCII (RFC 6454 §7.1).
    #[error("Client must provide visible ASCII in {name}, not \"{origin}\".")]
    Origin {
        /// The field, which depends on the version.
        name: &'static str,
        /// What came.
        origin: String,
    },
    /// An offered subprotocol is not a token (RFC 6455 §4.2.1: a breach of the grammar is answered with 400).
    #[error("Client must provide tokens in Sec-WebSocket-Protocol, not \"{protocol}\".")]
    Protocol {
        /// The first element that is none.
        protocol: String,
    },
    /// More subprotocols were offered than the limit.
    #[error("Client must not offer more than {limit} subprotocols.")]
    TooManyProtocols {
        /// How many may be offered.
        limit: usize,
    },
    /// `Sec-WebSocket-Extensions` cannot be read, which fails the handshake (RFC 6455 §9.1).
    #[error("Sec-WebSocket-Extensions cannot be read: {0}.")]
    Extensions(#[from] ExtensionsError),
}

impl HandshakeError {
    /// The status that refuses the request: 426 for a version that is not spoken, 431 where a limit is passed
    /// (RFC 6585 §5), else 400.
    pub fn status(&self) -> u16 {
        match self {
            Self::VersionUnsupported { .. } => 426,
            Self::TooManyProtocols { .. } | Self::Extensions(ExtensionsError::TooMany { .. }) => 431,
            _ => 400,
        }
    }

    /// The answer to the client (RFC 6455 §4.2.1), with this error's text as the reason. Where it is about the
    /// version, it names those that are spoken (RFC 6455 §4.2.2 item 4; the reference names only 13, and only
    /// with 426).
    pub fn answer(&self) -> Answer {
        let fields = match self {
            Self::VersionMissing | Self::Version { .. } | Self::VersionUnsupported { .. } => {
                vec![("Sec-WebSocket-Version".into(), Version::SPOKEN.to_owned())]
            }
            _ => Vec::new(),
        };
        Answer::refuse(self.status(), Some(self.to_string()), fields)
    }
}

/// An answer that the application asked for and that may not be sent. The client gets a plain 500.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The chosen subprotocol is not a token (RFC 6455 §4.2.2 item 5.5).
    #[error("the subprotocol \"{protocol}\" is not a token")]
    Protocol {
        /// What was chosen.
        protocol: String,
    },
    /// The client did not ask for the chosen subprotocol (RFC 6455 §4.2.2 item 5.5).
    #[error("the subprotocol {protocol} was not requested by the client")]
    ProtocolNotRequested {
        /// What was chosen.
        protocol: String,
    },
    /// The client did not ask for the chosen extension (RFC 6455 §9.1).
    #[error("the extension {name} was not requested by the client")]
    ExtensionNotRequested {
        /// What was chosen.
        name: String,
    },
    /// The status is not that of a refusal.
    #[error("the status {status} refuses nothing, only 300 to 599 do")]
    Status {
        /// What was chosen.
        status: u16,
    },
    /// The field says how long the answer is or what becomes of the connection, which is not the
    /// application's.
    #[error("the header {name} cannot be set")]
    FieldReserved {
        /// The field.
        name: String,
    },
    /// A header name or value cannot be sent.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl AnswerError {
    /// The answer to the client instead: 500 without a reason, for this error's text is the application's.
    pub fn answer(&self) -> Answer {
        Answer::refuse(500, None, Vec::new())
    }
}

/// A client's request that may not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientRequestError {
    /// The host is empty, or holds a character that no host and port can have.
    #[error("\"{host}\" is not a host and port")]
    Host {
        /// What was given.
        host: String,
    },
    /// The resource name does not begin with a slash, or holds a blank, a `#`, or something that is not
    /// visible ASCII (RFC 6455 §3).
    #[error("\"{resource}\" is not a path and query")]
    Resource {
        /// What was given.
        resource: String,
    },
    /// A subprotocol is not a token (RFC 6455 §4.1 item 10).
    #[error("the subprotocol \"{protocol}\" is not a token")]
    Protocol {
        /// What was given.
        protocol: String,
    },
    /// A subprotocol is asked for twice (RFC 6455 §4.1 item 10).
    #[error("the subprotocol {protocol} is asked for twice")]
    ProtocolRepeated {
        /// What was given.
        protocol: String,
    },
    /// A second `Host` is given (RFC 9112 §3.2).
    #[error("the header Host is given twice")]
    HostRepeated,
    /// The field is the handshake's own.
    #[error("the header {name} belongs to the handshake and cannot be set")]
    FieldReserved {
        /// The field.
        name: String,
    },
    /// A header name or value cannot be sent.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// A version of the protocol that is not spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the WebSocket version is {number}, but must be 13 or 8")]
pub struct VersionError {
    /// What came.
    pub number: u8,
}

/// An answer after which the client must fail the connection (RFC 6455 §4.1, what the server's response must
/// be).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The server did not switch. The head has what it said instead; redirects are the caller's to follow or
    /// not.
    #[error("the server answered with status {status}, not 101")]
    Status {
        /// What came.
        status: u16,
    },
    /// A field that may come once came more often (RFC 6455 §11.3.3, §11.3.4).
    #[error("the server sent the header {} more than once", .0.name)]
    FieldRepeated(#[from] FieldRepeated),
    /// Subprotocols were asked for and the server chose none.
    #[error("the server chose none of the subprotocols {requested}")]
    ProtocolMissing {
        /// What was asked for, with commas.
        requested: String,
    },
    /// The server chose a subprotocol that was not asked for in this spelling (RFC 6455 §4.1 item 6).
    #[error("the server chose the subprotocol \"{protocol}\", which was not requested")]
    ProtocolNotRequested {
        /// What came.
        protocol: String,
    },
    /// `Connection` does not hold `upgrade` (RFC 6455 §4.1 item 3).
    #[error("the server must send the token upgrade in Connection, not \"{connection}\"")]
    Connection {
        /// The first value that came, empty if none did.
        connection: String,
    },
    /// `Upgrade` is not `websocket` (RFC 6455 §4.1 item 2).
    #[error("the server must send websocket as Upgrade, not \"{upgrade}\"")]
    Upgrade {
        /// The first value that came, empty if none did.
        upgrade: String,
    },
    /// `Sec-WebSocket-Accept` is absent (RFC 6455 §4.1 item 4).
    #[error("the server sent no Sec-WebSocket-Accept")]
    AcceptMissing,
    /// `Sec-WebSocket-Accept` does not answer the key (RFC 6455 §4.1 item 4): whoever answered did not read
    /// the request as a WebSocket handshake.
    #[error("Sec-WebSocket-Accept must be {expected}, not \"{accept}\"")]
    Accept {
        /// What came.
        accept: String,
        /// What answers the key.
        expected: String,
    },
    /// The server uses an extension that was not asked for (RFC 6455 §4.1 item 5).
    #[error("the server uses the extension {name}, which was not requested")]
    ExtensionNotRequested {
        /// What came.
        name: String,
    },
    /// `Sec-WebSocket-Extensions` cannot be read (RFC 6455 §9.1).
    #[error("Sec-WebSocket-Extensions cannot be read: {0}")]
    Extensions(#[from] ExtensionsError),
}

/// A `Sec-WebSocket-Extensions` that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionsError {
    /// The value breaks the grammar of RFC 6455 §9.1.
    #[error("{expected} must stand at position {position}, not \"{came}\"")]
    Unexpected {
        /// What stands there.
        came: String,
        /// Where, in bytes from the beginning of its field line.
        position: usize,
        /// What may stand there.
        expected: &'static str,
    },
    /// More extensions and parameters than the limit.
    #[error("more than {limit} extensions and parameters")]
    TooMany {
        /// How many there may be, extensions and parameters together.
        limit: usize,
    },
}

/// A header field came more than once that may come only once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header {name} came more than once")]
pub struct FieldRepeated {
    /// The field.
    pub name: &'static str,
}

/// A header field that may not be sent, because it could be read as something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is not a token (RFC 9110 §5.1).
    #[error("\"{name}\" is not the name of a header")]
    Name {
        /// What was given.
        name: String,
    },
    /// The value of an extension's parameter is not a token (RFC 6455 §9.1).
    #[error("the parameter {name} of an extension has the value \"{value}\", which is not a token")]
    ExtensionValue {
        /// The parameter.
        name: String,
        /// What was given.
        value: String,
    },
    /// The value holds something other than blanks and visible ASCII.
    #[error(
        "the value of {name} has the byte {byte:#04x} at position {position}, which is not visible ASCII"
    )]
    Value {
        /// The field.
        name: String,
        /// Where, in bytes from the beginning of the value.
        position: usize,
        /// What stands there.
        byte: u8,
    },
}

/// The first bytes of what came, escaped to visible ASCII.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    match bytes.split_at_checked(EXCERPT_LENGTH) {
        Some((first, rest)) if !rest.is_empty() => format!("{}...", first.escape_ascii()),
        _ => bytes.escape_ascii().to_string(),
    }
}

const EXCERPT_LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_visible_whatever_came() {
        assert_eq!(excerpt(b"chat"), "chat");
        assert_eq!(excerpt("a\r\n\"\u{e9}\0".as_bytes()), r#"a\r\n\"\xc3\xa9\x00"#);
        assert_eq!(excerpt(&[b'a'; 64]), "a".repeat(64));
        assert_eq!(excerpt(&[b'a'; 65]), format!("{}...", "a".repeat(64)));
    }

    #[test]
    fn a_passed_limit_is_431_another_http_version_505_and_the_rest_400() {
        assert_eq!(HeadError::TooLarge { limit: 1 }.status(), 431);
        assert_eq!(HeadError::TooManyFields { limit: 1 }.status(), 431);
        assert_eq!(HeadError::HttpVersion.status(), 505);
        assert_eq!(HeadError::FieldName.status(), 400);
        assert_eq!(HandshakeError::from(ExtensionsError::TooMany { limit: 1 }).status(), 431);
    }
}
