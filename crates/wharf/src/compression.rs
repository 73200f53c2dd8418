//! How messages are compressed: the options of permessage-deflate (RFC 7692), the feature `deflate`.

use std::time::Duration;

use crate::config::{ConfigError, time};
use crate::proto::deflate::{self, WindowBits};

/// The options of compression, permessage-deflate (RFC 7692), plain data with a default for each.
///
/// They stand in [`ServerConfig::compression`](crate::ServerConfig::compression) and
/// [`ClientConfig::compression`](crate::ClientConfig::compression), and are validated with the rest.
///
/// ```
/// use wharf::{Compression, ServerConfig};
///
/// let small = ServerConfig::default().compression(Compression::default().level(6));
/// let off = ServerConfig::default().compression(None);
/// ```
///
/// In a file it is `true` for the defaults, `false` for none, or a table:
///
/// ```toml
/// [compression]
/// level = 3
/// threshold = 256
/// idle_timeout = "5m"
/// ```
///
/// Each side decides alone how it compresses: level, memory level and threshold bind nobody else. Takeover and window bits
/// are agreed on in the opening handshake, and what a side wants less of, the other keeps to. Messages are inflated under
/// the limits that hold without compression, which count what comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compression {
    /// How hard to compress: 1, the fastest, to 9, the smallest. Default 1.
    ///
    /// Each step costs time for every message that goes out, and the upper ones gain little: JSON of 1 KiB becomes 416
    /// bytes at 1 and 410 at 6, which takes half as long again (`bench/deflate-libraries`). With
    /// [`server_context_takeover`](Self::server_context_takeover), which wants another algorithm, 1 compresses noticeably
    /// worse than 2. What comes in costs the same at any.
    pub level: u8,

    /// How much memory a compressor has for finding repetitions: 1 to 9. Default 8.
    ///
    /// Each step doubles it: 1 takes 1 KiB, 8 takes 112 KiB and 9 takes 224 KiB, besides window and hash table. Less
    /// compresses worse, and is for servers on which many connections keep a compressor each, by
    /// [`server_context_takeover`](Self::server_context_takeover). Without takeover it counts only for messages longer than
    /// the window and for those written in parts: others are compressed by an algorithm that has no such choice.
    pub memory_level: u8,

    /// Shortest message that is compressed, in bytes. Default 1,024.
    ///
    /// What is shorter goes out as it is: it fits one packet anyway, so that compressing it would cost time and gain
    /// nothing. With takeover short messages that are alike become much shorter still, and a lower threshold can pay.
    /// Zero compresses every message, but without takeover one that becomes no shorter still goes out as it is. A message
    /// written in parts and flushed before its end is compressed whatever its length.
    pub threshold: usize,

    /// Whether the server may keep its compressor from message to message, so that a message can refer back to those before
    /// it (RFC 7692 §7.1.1.1). Default false.
    ///
    /// With it, messages that are alike become much smaller, each connection that agrees to it costs the server a
    /// compressor, 372 KiB by default and 154 KiB with 12 window bits and memory level 4, out of
    /// [`memory_limit`](Self::memory_limit), and a broadcast is compressed anew for each. Without,
    /// `server_no_context_takeover` is agreed on, connections share the compressors of their threads, and a client that keeps
    /// a window to inflate with need not.
    pub server_context_takeover: bool,

    /// Whether the client may keep its compressor from message to message (RFC 7692 §7.1.1.2). Default false.
    ///
    /// With it, the server keeps a window of what each such client sent,
    /// 2^[`client_max_window_bits`](Self::client_max_window_bits) bytes, out of its [`memory_limit`](Self::memory_limit).
    /// Without, `client_no_context_takeover` is agreed on, and it keeps nothing.
    pub client_context_takeover: bool,

    /// How far back the server's messages may refer, as the exponent of 2: 9 (512 bytes) to 15 (32,768 bytes). Default 15.
    ///
    /// Fewer cost less memory at both ends and compress worse (RFC 7692 §7.1.2.1). The standard's 8 is refused here:
    /// deflate libraries cannot compress with it.
    pub server_max_window_bits: u8,

    /// How far back the client's messages may refer, as the exponent of 2: 9 to 15. Default 15.
    ///
    /// As [`server_max_window_bits`](Self::server_max_window_bits) (RFC 7692 §7.1.2.2). A client that does not offer to be
    /// bound so is not bound.
    pub client_max_window_bits: u8,

    /// Most memory for the contexts of all connections of the server, or of the client, together, in bytes. Default
    /// 67,108,864.
    ///
    /// Only takeover needs any. Not counted is what one message takes: an inflater of 47 KiB while a compressed message is
    /// unfinished of which more than 16 KiB came, or a frame that was handed on, and a compressor while one is written in
    /// parts. Beyond it new connections agree to no takeover, and a compressor that is needed anew, after
    /// [`idle_timeout`](Self::idle_timeout), is the thread's. Zero agrees to takeover never.
    pub memory_limit: usize,

    /// How long a compressor that one connection keeps may be unused. Default 60 s.
    ///
    /// After it its memory is given back, and the next message is compressed from scratch, which RFC 7692 §7.1.1 permits.
    /// Longer compresses the first message after a pause better, and lets connections that say little hold their memory.
    /// Only a side that takes its own context over has such compressors.
    pub idle_timeout: Duration,
}

impl Default for Compression {
    fn default() -> Self {
        let core = deflate::Config::default();
        Self {
            level: core.level,
            memory_level: core.memory_level,
            threshold: core.threshold,
            server_context_takeover: core.server_context_takeover,
            client_context_takeover: core.client_context_takeover,
            server_max_window_bits: core.server_max_window_bits.get(),
            client_max_window_bits: core.client_max_window_bits.get(),
            memory_limit: 64 * 1024 * 1024,
            idle_timeout: core.idle_timeout,
        }
    }
}

/// One setter a field. A macro, because no function can name a field.
macro_rules! setters {
    ($($field:ident: $kind:ty),* $(,)?) => {
        /// Setters of the same names, to be chained. What each option means stands at its field.
        impl Compression {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Compression#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $kind) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters! {
    level: u8,
    memory_level: u8,
    threshold: usize,
    server_context_takeover: bool,
    client_context_takeover: bool,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
    memory_limit: usize,
    idle_timeout: Duration,
}

impl Compression {
    /// Looks for values without meaning, and names the first, such as `compression.level`. Servers and clients do this by
    /// themselves.
    ///
    /// # Errors
    /// A level or memory level other than 1 to 9; window bits other than 9 to 15; an idle timeout of 0, or over
    /// [`LONGEST_TIME`](crate::LONGEST_TIME).
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.to_core().map(drop)
    }

    /// The protocol's options, which cannot be wrong.
    pub(crate) fn to_core(&self) -> Result<deflate::Config, ConfigError> {
        time("compression.idle_timeout", self.idle_timeout, true)?;
        Ok(deflate::Config {
            level: one_to_nine("compression.level", self.level)?,
            memory_level: one_to_nine("compression.memory_level", self.memory_level)?,
            threshold: self.threshold,
            server_context_takeover: self.server_context_takeover,
            client_context_takeover: self.client_context_takeover,
            server_max_window_bits: window_bits(
                "compression.server_max_window_bits",
                self.server_max_window_bits,
            )?,
            client_max_window_bits: window_bits(
                "compression.client_max_window_bits",
                self.client_max_window_bits,
            )?,
            idle_timeout: self.idle_timeout,
        })
    }
}

fn one_to_nine(option: &'static str, level: u8) -> Result<u8, ConfigError> {
    if (1..=9).contains(&level) {
        return Ok(level);
    }
    Err(ConfigError { option, value: level.to_string(), allowed: "1 to 9" })
}

fn window_bits(option: &'static str, bits: u8) -> Result<WindowBits, ConfigError> {
    WindowBits::new(bits).map_err(|_| ConfigError { option, value: bits.to_string(), allowed: "9 to 15" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LONGEST_TIME, UNLIMITED};

    fn refusal(compression: &Compression) -> String {
        compression.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_default_has_exactly_these_names_and_values() {
        let printed = format!("{:#?}", Compression::default());
        let lines: Vec<_> = printed.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "Compression {",
                "level: 1,",
                "memory_level: 8,",
                "threshold: 1024,",
                "server_context_takeover: false,",
                "client_context_takeover: false,",
                "server_max_window_bits: 15,",
                "client_max_window_bits: 15,",
                "memory_limit: 67108864,",
                "idle_timeout: 60s,",
                "}",
            ]
        );
        assert_eq!(Compression::default().validate(), Ok(()));
    }

    #[test]
    fn every_option_reaches_the_protocol() {
        let compression = Compression::default()
            .level(1)
            .memory_level(2)
            .threshold(3)
            .server_context_takeover(true)
            .client_context_takeover(false)
            .server_max_window_bits(9)
            .client_max_window_bits(10)
            .idle_timeout(Duration::from_secs(4));
        let expected = deflate::Config {
            level: 1,
            memory_level: 2,
            threshold: 3,
            server_context_takeover: true,
            client_context_takeover: false,
            server_max_window_bits: WindowBits::MIN,
            client_max_window_bits: WindowBits::new(10).unwrap(),
            idle_timeout: Duration::from_secs(4),
        };
        assert_eq!(compression.to_core(), Ok(expected.clone()));
        let swapped = compression.server_context_takeover(false).client_context_takeover(true);
        let expected =
            deflate::Config { server_context_takeover: false, client_context_takeover: true, ..expected };
        assert_eq!(swapped.to_core(), Ok(expected));
    }

    #[test]
    fn a_level_is_one_to_nine_and_anything_else_is_refused_by_name() {
        let default = Compression::default();
        for level in 0..=u8::MAX {
            let allowed = (1..=9).contains(&level);
            assert_eq!(default.clone().level(level).validate().is_ok(), allowed, "{level}");
            assert_eq!(default.clone().memory_level(level).validate().is_ok(), allowed, "{level}");
        }
        assert_eq!(refusal(&default.clone().level(0)), "compression.level is 0, but must be 1 to 9");
        assert_eq!(refusal(&default.memory_level(10)), "compression.memory_level is 10, but must be 1 to 9");
    }

    #[test]
    fn window_bits_are_9_to_15_and_anything_else_is_refused_by_name() {
        let default = Compression::default();
        for bits in 0..=u8::MAX {
            let allowed = (9..=15).contains(&bits);
            assert_eq!(default.clone().server_max_window_bits(bits).validate().is_ok(), allowed, "{bits}");
            assert_eq!(default.clone().client_max_window_bits(bits).validate().is_ok(), allowed, "{bits}");
        }
        assert_eq!(
            refusal(&default.clone().server_max_window_bits(8)),
            "compression.server_max_window_bits is 8, but must be 9 to 15"
        );
        assert_eq!(
            refusal(&default.client_max_window_bits(16)),
            "compression.client_max_window_bits is 16, but must be 9 to 15"
        );
    }

    #[test]
    fn an_idle_timeout_of_zero_or_that_no_clock_reaches_is_refused_by_name() {
        let default = Compression::default();
        assert_eq!(
            refusal(&default.clone().idle_timeout(Duration::ZERO)),
            "compression.idle_timeout is 0ns, but must be longer than 0"
        );
        let error = default.clone().idle_timeout(Duration::MAX).validate().unwrap_err();
        assert_eq!((error.option, error.allowed), ("compression.idle_timeout", "at most 365 days"));
        assert_eq!(default.idle_timeout(LONGEST_TIME).validate(), Ok(()));
    }

    #[test]
    fn a_threshold_and_a_limit_of_memory_may_be_nothing_and_unlimited() {
        for bytes in [0, UNLIMITED] {
            assert_eq!(Compression::default().threshold(bytes).memory_limit(bytes).validate(), Ok(()));
        }
    }
}
