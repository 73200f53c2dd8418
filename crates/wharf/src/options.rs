//! The options of one mount: validated, and what the protocol makes of them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::config::{ConfigError, ServerConfig};
use crate::hub::{Home, Hub};
use crate::proto::connection::{Config, Keepalive};
use crate::proto::deflate::{self, ContextMemory};
use crate::proto::limits::Limits;

/// The options of one mount, validated, and what the protocol makes of them.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) config: ServerConfig,
    pub(crate) core: Arc<Config>,
    /// What the contexts of all connections may take, where there are any: of the server's, not of one mount's alone.
    pub(crate) memory: Arc<ContextMemory>,
    /// Where its connections find topics; a client's find none.
    pub(crate) hub: Option<Hub>,
}

impl Options {
    /// With memory of their own.
    pub(crate) fn new(config: ServerConfig) -> Result<Self, ConfigError> {
        Self::sharing(config, |limit| Arc::new(ContextMemory::new(limit)), None)
    }

    /// With the memory of this limit that `memory` finds, and this hub.
    pub(crate) fn sharing(
        config: ServerConfig,
        memory: impl FnOnce(usize) -> Arc<ContextMemory>,
        hub: Option<Hub>,
    ) -> Result<Self, ConfigError> {
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
        let (deflate, memory_limit) = compression(&config)?;
        let core = Config {
            limits,
            assemble_fragments: config.assemble_fragments,
            fragmentation_threshold: threshold.filter(|_| config.fragment_outgoing_messages),
            keepalive: (config.keepalive && !config.use_native_keepalive).then_some(keepalive),
            close_timeout: config.close_timeout,
            write_timeout: config.write_timeout,
            deflate,
        };
        Ok(Self { config, core: Arc::new(core), memory: memory(memory_limit), hub })
    }

    /// The home of a connection that lives on the runtime that this is called on.
    pub(crate) fn home(&self) -> Home {
        self.hub.as_ref().map(Hub::home).unwrap_or_default()
    }
}

/// How messages are compressed, and how much memory that may take.
#[cfg(feature = "deflate")]
fn compression(config: &ServerConfig) -> Result<(Option<deflate::Config>, usize), ConfigError> {
    let Some(compression) = &config.compression else { return Ok((None, 0)) };
    Ok((Some(compression.to_core()?), compression.memory_limit))
}

#[cfg(not(feature = "deflate"))]
#[expect(clippy::unnecessary_wraps, reason = "with compression it can fail")]
fn compression(_: &ServerConfig) -> Result<(Option<deflate::Config>, usize), ConfigError> {
    Ok((None, 0))
}

#[cfg(all(test, feature = "deflate"))]
mod tests {
    use super::*;
    use crate::compression::Compression;

    #[test]
    fn the_options_of_compression_reach_the_protocol_and_the_memory_its_limit() {
        let options = Options::new(ServerConfig::default()).unwrap();
        assert_eq!(options.core.deflate, Some(Compression::default().to_core().unwrap()));
        assert_eq!(options.memory.limit(), 64 * 1024 * 1024);

        let compression = Compression::default().level(1).memory_limit(10);
        let options = Options::new(ServerConfig::default().compression(compression)).unwrap();
        assert_eq!(options.core.deflate.as_ref().map(|deflate| deflate.level), Some(1));
        assert_eq!(options.memory.limit(), 10);

        let options = Options::new(ServerConfig::default().compression(None)).unwrap();
        assert_eq!((options.core.deflate.clone(), options.memory.limit()), (None, 0));
    }
}
