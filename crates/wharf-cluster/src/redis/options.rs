//! Where Redis is, and how long it is waited for.

use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use super::names::Names;

/// A broker cannot be made so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisError {
    /// The address is not one of Redis'.
    #[error("not an address of Redis, such as redis://user:password@127.0.0.1:6379/0: {reason}")]
    Address {
        /// What is wrong with it. The address is not in it, for it may have a password.
        reason: Arc<str>,
    },
    /// It is an address of a kind that is not supported: TLS, or a Unix socket.
    #[error("only addresses that begin with redis:// are supported")]
    Scheme,
}

/// All that is set before a broker starts.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) login: RedisConnectionInfo,
    pub(super) names: Names,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) ping_interval: Duration,
    pub(super) max_reconnect_delay: Duration,
}

impl Options {
    pub(super) fn new(url: &str) -> Result<Self, RedisError> {
        let address = |error: redis::RedisError| RedisError::Address { reason: error.to_string().into() };
        let info = url.into_connection_info().map_err(address)?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else { return Err(RedisError::Scheme) };
        Ok(Self {
            host: host.clone(),
            port: *port,
            login: info.redis_settings().clone(),
            names: Names::new("wharf"),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            max_reconnect_delay: Duration::from_secs(10),
        })
    }
}
