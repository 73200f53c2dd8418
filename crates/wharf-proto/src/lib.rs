//! The WebSocket protocol (RFC 6455) as a state machine over bytes: no sockets, no runtime, no clock.
//!
//! [`connection::Connection`] is the heart: it takes bytes where a driver read them, lends messages out of them, and
//! writes what is to be sent into a buffer that the driver owns. Everything else is what it is made of:
//! [`frame`] headers, [`mask`]ing, [`utf8`] in pieces, [`close`] codes, [`message`]s from fragments, [`limits`].
//! [`handshake`] is what precedes it: HTTP to upgrade (RFC 6455 §4).

pub mod close;
pub mod connection;
mod copy;
pub mod deflate;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod limits;
pub mod mask;
pub mod message;
mod partial_message;
pub mod spare;
pub mod utf8;

pub use close::{Close, CloseCode, CloseError};
pub use connection::Connection;
pub use error::{CommandError, ProtocolError};
pub use message::{Message, MessageKind, MessageRef};
