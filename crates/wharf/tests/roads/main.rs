//! Frames and closing over every road that a WebSocket comes on: the same tests on TCP, on TLS, and on a stream of HTTP/2
//! beside others (RFC 8441).

#![expect(clippy::duplicate_mod, reason = "each road has all of the tests")]

#[cfg(feature = "tls")]
#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/http2.rs"]
mod http2_client;
#[path = "../support/mod.rs"]
mod support;

mod http1;
mod http2;
#[cfg(feature = "tls")]
mod tls;
