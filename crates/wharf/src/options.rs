//! The options of one mount: validated, and what the protocol makes of them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::config::{ConfigError, ServerConfig};
use crate::proto::connection::{Config, Keepalive};
use crate::proto::deflate::ContextMemory;
use crate::proto::limits::Limits;

/// The options of one mount, validated, and what the protocol makes of them.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) config: ServerConfig,
    pub(crate) core: Arc<Config>,
    /// Of the contexts of all connections.
    pub(crate) context_memory: Arc<ContextMemory>,
}

impl Options {
    pub(crate) fn new(config: ServerConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let limits = Limits {
            max_frame_size: config.max_received_frame_size as u64,
            max_message_size: config.max_received_message_size as u64,
            max_fragments: config.max_fragments,
        };
        let keepalive = Keepalive {
            interval: config.keepalive_interval,
            grace: config.drop_connection_on_keepalive_timeout.then_some(config.keepalive_grace_period),
        };
        let threshold = NonZeroUsize::new(config.fragmentation_threshold);
        let core = Config {
            limits,
            assemble_fragments: config.assemble_fragments,
            fragmentation_threshold: threshold.filter(|_| config.fragment_outgoing_messages),
            keepalive: (config.keepalive && !config.use_native_keepalive).then_some(keepalive),
            close_timeout: config.close_timeout,
            write_timeout: config.write_timeout,
            deflate: Some(todo_config()),
        };
        Ok(Self { config, core: Arc::new(core), context_memory: Arc::new(ContextMemory::new(64 << 20)) })
    }
}

fn todo_config() -> crate::proto::deflate::Config {
    use crate::proto::deflate::WindowBits;
    crate::proto::deflate::Config {
        level: 6,
        memory_level: 8,
        threshold: 1024,
        server_context_takeover: false,
        client_context_takeover: false,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
        idle_timeout: std::time::Duration::from_secs(60),
    }
}
