//! A WebSocket server for tokio and hyper.

mod config;
mod network;

pub use config::{ConfigError, LONGEST_TIME, ServerConfig, UNLIMITED};
pub use network::{IpNetwork, NetworkError};
