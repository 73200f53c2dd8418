//! What a peer may cost us while it speaks HTTP: plain data.

use std::time::Duration;

/// What a peer may cost us while it speaks HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) handshake_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) first_request_grace: Duration,
    pub(crate) max_header_size: usize,
    pub(crate) max_headers: usize,
    pub(crate) max_connections: usize,
    pub(crate) is_http2_spoken: bool,
    pub(crate) max_concurrent_streams: u32,
    /// Of one stream, in bytes.
    pub(crate) http2_window_size: u32,
}

impl Limits {
    /// How much of a request is held at once, in bytes: no less than hyper works with.
    pub(crate) fn buffer_size(&self) -> usize {
        self.max_header_size.max(8192)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            first_request_grace: Duration::from_secs(1),
            max_header_size: 16 * 1024,
            max_headers: DEFAULT_MAX_HEADERS,
            max_connections: 16 * 1024,
            is_http2_spoken: true,
            max_concurrent_streams: 128,
            http2_window_size: 64 * 1024,
        }
    }
}

/// What hyper allows by itself, without an allocation for each request.
pub(crate) const DEFAULT_MAX_HEADERS: usize = 100;
