//! What a broker on Redis is told when it is made.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use super::Redis;
use super::names::Names;

/// Makes a [`Redis`].
#[derive(Clone)]
pub struct RedisBuilder {
    url: String,
    prefix: String,
    connect_timeout: Duration,
    request_timeout: Duration,
    ping_interval: Duration,
    max_reconnect_delay: Duration,
}

/// A broker on Redis cannot be made so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisError {
    /// Not the URL of a server. It is not shown, for it may have a password.
    #[error("not the URL of a Redis server, such as redis://user:password@127.0.0.1:6379/0: {reason}")]
    Server {
        /// What is wrong with it.
        reason: String,
    },
    /// An option whose value has no meaning.
    #[error("{option} is 0, and has to be more")]
    Zero {
        /// Its name.
        option: &'static str,
    },
}

/// What was told, and means something.
pub(super) struct Options {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) login: RedisConnectionInfo,
    pub(super) names: Names,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) ping_interval: Duration,
    pub(super) max_reconnect_delay: Duration,
}

impl RedisBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            prefix: "wharf".to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(3),
            max_reconnect_delay: Duration::from_secs(2),
        }
    }

    /// How the names of all channels and keys begin. Hubs with another prefix have other topics. Default `wharf`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long it takes at most to connect, with all that is subscribed to again. Default 5 seconds.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may say nothing while it has something to answer, before it is taken to be away. Default 5
    /// seconds.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// After how long the server is asked whether it is there, when nothing was to be said. That a connection broke without a
    /// word is noticed after this and [`request_timeout`](Self::request_timeout). Default 3 seconds.
    #[must_use]
    pub const fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// How long it waits at most before it tries again to connect. It begins with 50 ms, twice as long each time, and each a
    /// random part shorter, so that not all nodes come back at once. Default 2 seconds.
    #[must_use]
    pub const fn max_reconnect_delay(mut self, delay: Duration) -> Self {
        self.max_reconnect_delay = delay;
        self
    }

    /// Makes the broker. It connects when a hub is made with it.
    ///
    /// # Errors
    /// [`RedisError`], which names what has no meaning.
    pub fn build(self) -> Result<Redis, RedisError> {
        self.validate().map(Redis::with)
    }

    fn validate(self) -> Result<Options, RedisError> {
        let Self { url, prefix, connect_timeout, request_timeout, ping_interval, max_reconnect_delay } = self;
        let wrong = |reason: String| RedisError::Server { reason };
        let info = url.into_connection_info().map_err(|error| wrong(error.to_string()))?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err(wrong("it is to be reached by TCP, without TLS".to_owned()));
        };
        let times = [
            ("connect_timeout", connect_timeout),
            ("request_timeout", request_timeout),
            ("ping_interval", ping_interval),
        ];
        if let Some((option, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(RedisError::Zero { option });
        }
        Ok(Options {
            host: host.clone(),
            port: *port,
            login: info.redis_settings().clone(),
            names: Names::new(&prefix),
            connect_timeout,
            request_timeout,
            ping_interval,
            max_reconnect_delay,
        })
    }
}

/// Without the URL, which may have a password.
impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("prefix", &self.prefix)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("ping_interval", &self.ping_interval)
            .field("max_reconnect_delay", &self.max_reconnect_delay)
            .finish_non_exhaustive()
    }
}

/// Without the password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_meaning_is_named() {
        assert!(Redis::new("redis://127.0.0.1").is_ok());
        for url in ["", "127.0.0.1:6379", "http://a", "unix:///a", "rediss://a", "redis://a/x"] {
            assert!(matches!(Redis::new(url), Err(RedisError::Server { .. })), "{url}");
        }
        let builder = Redis::builder("redis://a").ping_interval(Duration::ZERO);
        assert_eq!(builder.build().unwrap_err(), RedisError::Zero { option: "ping_interval" });
    }

    #[test]
    fn no_secret_is_shown() {
        let builder = Redis::builder("redis://a:secret@b");
        assert!(!format!("{builder:?} {:?}", builder.clone().build()).contains("secret"));
        for wrong in ["http://a:secret@b", "redis://a:secret@b/x", "rediss://:secret@b", "redis://:secret@:x"]
        {
            assert!(!Redis::new(wrong).unwrap_err().to_string().contains("secret"), "{wrong}");
        }
    }
}
