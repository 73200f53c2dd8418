//! HTTP: what listens, what answers ordinary requests, and how a socket leaves HTTP to become a WebSocket.

pub(crate) mod client_address;
mod listener;
mod service;
pub(crate) mod socket;
mod upgrade;

pub use listener::{Builder, HttpServer};
pub use service::ResponseBody;

pub(crate) use service::empty_body;
pub(crate) use upgrade::{Arrival, UpgradeOwner, take_stream};
