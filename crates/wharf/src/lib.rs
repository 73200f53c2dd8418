//! A WebSocket server for tokio and hyper: one read, many frames, one write.
//!
//! An echo server:
//!
//! ```no_run
//! use wharf::{Accept, Context, Event, Handler, HttpServer, MessageRef, Server, ServerConfig};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
//!         let _ = context.send(message);
//!     }
//! }
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let http = HttpServer::bind("127.0.0.1:9001").await?;
//! let server = Server::new(ServerConfig::default());
//! server.mount([&http])?;
//! while let Some(event) = server.next_event().await {
//!     if let Event::Request(request) = event {
//!         // Fails where the request was decided before, such as by a deadline: the server goes on.
//!         let _ = request.accept_with(Accept::new(), Echo);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An [`HttpServer`] runs on the runtime that it is bound on, or on [workers](HttpServerBuilder::workers) of its own.
//! [`Server`] is mounted on one or several and tells [`Event`]s. A [`Request`] is accepted or rejected.
//! An accepted one is a [`Connection`], which receives through [`Connection::recv`] in ordinary async code, or through
//! a [`Handler`] that is called in place, without a queue or a copy. A message too long to hold is read through
//! [`Connection::recv_reader`] and written through [`Connection::message_writer`]. A [`Router`] gives requests to handlers by
//! path and subprotocol. [`ServerConfig`] has every option, its default, and what happens when it bites; with the feature
//! `serde` it can come from a file.
//!
//! What many are to hear is published on topics: [`Connection::subscribe`] and [`Server::publish`], on one machine or on many
//! ([`hub`]).
//!
//! A [`Client`] connects to any WebSocket server, and what it gives is a [`Connection`], too. With the feature `tls`, which
//! is on by default, both ends speak `wss://`: [`ServerTls`] and [`ClientTls`].

pub(crate) use wharf_proto as proto;

mod adopt;
mod broadcast;
mod burst;
mod class;
mod client;
mod client_address_header;
#[cfg(feature = "deflate")]
mod compression;
mod config;
mod connection;
mod connection_state;
mod cookie;
mod counters;
mod date;
mod driver;
mod error;
mod event;
mod flush;
mod frames;
mod guest;
mod handler;
mod http;
pub mod hub;
mod inbox;
mod message_reader;
mod message_writer;
mod mounted;
mod network;
mod options;
mod origin;
mod outbox;
mod queue;
mod registry;
mod request;
mod router;
mod server;
mod shared;
mod timer;
#[cfg(feature = "tls")]
mod tls;
mod unread;
mod waiters;

pub use adopt::{AdoptError, OpenStream};
pub use broadcast::Broadcast;
pub use client::{Client, ClientConfig, ConnectError, ConnectRequest, Proxy, ProxyError, UrlError};
pub use client_address_header::{ClientAddressHeader, ClientAddressHeaderError};
#[cfg(feature = "deflate")]
pub use compression::Compression;
pub use config::{ConfigError, LONGEST_TIME, ServerConfig, UNLIMITED};
pub use connection::Connection;
pub use connection_state::ConnectionState;
pub use cookie::{CookieError, CookieField, Cookies, SetCookie};
pub use counters::Counters;
pub use error::{
    AcceptError, ControlError, MountError, RejectError, SendError, SendFrameError, TrySendError,
    UnfinishedMessage,
};
pub use event::Event;
pub use flush::FlushError;
#[cfg(feature = "axum")]
pub use guest::axum;
pub use guest::{Guest, Hosted, PeerAddress};
pub use handler::{Context, Handler};
pub use http::{HttpServer, HttpServerBuilder, ListenError, Listener, LocalAddress};
pub use message_reader::MessageReader;
pub use message_writer::MessageWriter;
pub use network::{IpNetwork, NetworkError};
pub use origin::{OriginRule, OriginRuleError};
pub use request::{Accept, Rejection, Request};
pub use router::{PatternError, RouteProtocol, Router, RouterError, RouterRequest};
pub use server::Server;
#[cfg(feature = "tls")]
pub use tls::{ClientCertificate, ClientTls, ServerTls, ServerTlsBuilder, TlsError};
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

pub use proto::connection::{Cause, Ending, Frame, RawFrame, Side};
pub use proto::frame::{Header, Opcode};
pub use proto::handshake::{
    AnswerError, ClientRequestError, Extension, HandshakeError, HeadError, VerifyError, Version, VersionError,
};
pub use proto::{
    Close, CloseCode, CloseError, CommandError, Message, MessageKind, MessageRef, ProtocolError,
};

/// The examples of the guide for those who come from the npm package `websocket`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-node-websocket.md")]
struct FromNodeWebsocket;
