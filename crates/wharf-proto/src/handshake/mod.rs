//! The opening handshake of RFC 6455 §4, for both sides, and that of RFC 8441 over HTTP/2, for servers.
//!
//! Pure functions: bytes or header fields go in, a verdict or bytes come out. Nothing here reads a socket,
//! waits, or makes random numbers, so a driver of any kind can use it, and so can a test.
//!
//! **Server.** A request comes as bytes ([`parse_request`]) or as the fields of an HTTP library
//! ([`RequestHead`]). [`is_upgrade`] tells whether it is for the WebSocket server at all, [`Request::read`]
//! checks it, [`Accept`] and [`Refusal`] make the [`Answer`].
//!
//! ```
//! use wharf_proto::handshake::{Accept, HeadLimits, Request, parse_request};
//!
//! let bytes = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//!     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
//!     Sec-WebSocket-Protocol: Chat\r\n\r\n";
//! let (head, length) = parse_request(bytes, &HeadLimits::default())?.expect("the head is complete");
//! assert_eq!(length, bytes.len());
//!
//! let mut output = Vec::new();
//! match Request::read(&head) {
//!     Ok(request) => {
//!         let accept = Accept { protocol: Some("chat"), ..Accept::default() };
//!         accept.answer(&request)?.write(&mut output);
//!     }
//!     Err(error) => error.answer().write(&mut output),
//! }
//! assert!(output.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Over HTTP/2 an [`ExtendedConnect`] is read by [`Request::read_extended_connect`], and answered by what
//! [`Answer::into_http2`] makes of an answer.
//!
//! **Client.** [`ClientRequest`] writes the request, [`parse_response`] reads what comes back, [`verify`]
//! judges it.
//!
//! Every rule that can be broken has a variant of its own in the error of its stage: [`HeadError`] (not
//! HTTP), [`HandshakeError`] (a request that is no handshake), [`AnswerError`] (an answer that may not be
//! sent), [`ClientRequestError`], [`VerifyError`] (an answer that a client may not believe).

mod answer;
mod error;
mod fields;
mod head;
mod headers;
mod http2;
mod key;
mod request;
mod response;

pub use answer::{Answer, reason_phrase};
pub(crate) use error::excerpt;
pub use error::{
    AnswerError, ClientRequestError, ExtensionsError, FieldError, FieldRepeated, HandshakeError, HeadError,
    VerifyError, VersionError,
};
pub use head::{Fields, HeadLimits, HttpVersion, RequestHead, ResponseHead, parse_request, parse_response};
pub use headers::{Extension, is_token, parse_extensions, write_extensions};
pub use http2::ExtendedConnect;
pub use key::{accept_key, is_key};
pub use request::{ClientRequest, Request, Version, is_upgrade};
pub use response::{Accept, Accepted, Refusal, verify};
