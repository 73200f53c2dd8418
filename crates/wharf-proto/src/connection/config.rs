//! How a connection behaves: plain data, shared by all connections that were made under it.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::deflate;
use crate::limits::Limits;

/// How connections behave. Immutable once connections share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What a peer may cost us.
    pub limits: Limits,
    /// Whether fragments are put together to messages. If not, each frame is handed on as it comes, and nothing
    /// beyond a frame is kept. Default true.
    pub assemble_fragments: bool,
    /// Messages longer than this, in bytes, go out in frames of this size; `None`: each in one frame.
    /// Default 16,384.
    pub fragmentation_threshold: Option<NonZeroUsize>,
    /// When a silent peer is asked whether it lives; `None`: never. Default every 20 s, dropped 10 s after.
    pub keepalive: Option<Keepalive>,
    /// How long the peer may take to answer our Close, and then to end its half of TCP. Default 5 s.
    pub close_timeout: Duration,
    /// How long output may wait without a byte of it moving; then the peer counts as lost. Default 30 s.
    pub write_timeout: Duration,
    /// How messages are compressed where both sides agree to it; `None`: never. Default `None`.
    pub deflate: Option<deflate::Config>,
}

/// When a silent peer is pinged, and when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// How long after the last received bytes an empty ping goes out.
    pub interval: Duration,
    /// How long after that ping has left the peer is dropped if nothing comes; `None`: never, another ping
    /// follows every interval.
    pub grace: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            assemble_fragments: true,
            fragmentation_threshold: NonZeroUsize::new(16_384),
            keepalive: Some(Keepalive {
                interval: Duration::from_secs(20),
                grace: Some(Duration::from_secs(10)),
            }),
            close_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            deflate: None,
        }
    }
}
