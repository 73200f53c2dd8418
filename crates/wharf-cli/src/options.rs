//! The server's options as flags. Defaults and meanings are the library's.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args};
use wharf::{ClientAddressHeader, Compression, IpNetwork, OriginRule, ServerConfig, UNLIMITED};

/// Declares a flag for each plain option once, with its default from the library, and the way back into a config.
///
/// A flag that is not given leaves what a file says, so that its default can only be told, not set.
macro_rules! flags {
    ($flags:ident of $config:ident, $heading:literal, excluding $excluded:expr => {
        $(#[doc = $doc:literal] $field:ident $(as $flag:literal)?: $kind:ty = $value_name:literal,)+
    }) => {
        #[derive(Args, Debug, Default, PartialEq)]
        #[command(next_help_heading = $heading)]
        struct $flags {
            $(
                #[arg(
                    long $(= $flag)?,
                    value_name = $value_name,
                    help = format!(
                        "{} [default: {}]",
                        $doc.trim().trim_end_matches('.'),
                        <$kind>::from_option($config::default().$field),
                    ),
                    conflicts_with_all = $excluded,
                    action = ArgAction::Set,
                )]
                $field: Option<$kind>,
            )+
        }

        impl $flags {
            /// Puts what was given in place of what stands there.
            fn put_into(&self, config: &mut $config) {
                $(if let Some(value) = self.$field {
                    config.$field = value.into_option();
                })+
            }

            /// Whether the flag of this option was given.
            fn is_given(&self, option: &str) -> bool {
                match option {
                    $(stringify!($field) => self.$field.is_some(),)+
                    _ => false,
                }
            }
        }
    };
}

/// Every option of a server.
#[derive(Args, Debug, Default)]
pub(crate) struct ServerOptions {
    #[command(flatten)]
    plain: PlainFlags,

    /// Proxies that are believed on whom they speak for, as networks such as 10.0.0.0/8; may be given several times.
    #[arg(long, value_name = "NETWORK", help_heading = "Server options")]
    trusted_proxies: Vec<IpNetwork>,

    /// Origins whose pages may connect, such as same-origin or https://*.example.com; may be given several times. Without, any
    /// may.
    #[arg(long, value_name = "ORIGIN", help_heading = "Server options")]
    allowed_origins: Vec<OriginRule>,

    /// Do not compress messages, whatever clients offer.
    #[arg(long, help_heading = "Compression")]
    no_compression: bool,

    #[command(flatten)]
    compression: CompressionFlags,
}

impl ServerOptions {
    /// These options, with the flags that were given instead of their own. A flag on how to compress is also one to compress.
    pub(crate) fn over(&self, mut config: ServerConfig) -> ServerConfig {
        self.plain.put_into(&mut config);
        if !self.trusted_proxies.is_empty() {
            config.trusted_proxies.clone_from(&self.trusted_proxies);
        }
        if !self.allowed_origins.is_empty() {
            config.allowed_origins.clone_from(&self.allowed_origins);
        }
        if self.no_compression {
            config.compression = None;
        } else if self.compression != CompressionFlags::default() {
            self.compression.put_into(config.compression.get_or_insert_default());
        }
        config
    }

    /// Whether the flag of this option was given.
    pub(crate) fn is_given(&self, option: &str) -> bool {
        match option.strip_prefix(COMPRESSION) {
            Some(option) => self.compression.is_given(option),
            None if option == "trusted_proxies" => !self.trusted_proxies.is_empty(),
            None if option == "allowed_origins" => !self.allowed_origins.is_empty(),
            None => self.plain.is_given(option),
        }
    }
}

/// The flag of an option that [`ConfigError`](wharf::ConfigError) names.
pub(crate) fn flag(option: &str) -> String {
    let name = match option.strip_prefix(COMPRESSION) {
        // The standard's names for what both sides agree on, which say enough.
        Some(agreed_on) if agreed_on.starts_with("server_") || agreed_on.starts_with("client_") => agreed_on,
        _ => option,
    };
    format!("--{}", name.replace(['_', '.'], "-"))
}

/// What stands before the names of the options in `ServerConfig::compression`.
const COMPRESSION: &str = "compression.";

flags! { PlainFlags of ServerConfig, "Server options", excluding [""; 0] => {
    /// Longest payload of any one frame; browsers send one frame a message.
    max_received_frame_size: Size = "BYTES",
    /// Longest message that comes in fragments.
    max_received_message_size: Size = "BYTES",
    /// Most fragments that a message may come in.
    max_fragments: u32 = "COUNT",
    /// Whether long messages go out in fragments.
    fragment_outgoing_messages: bool = "BOOL",
    /// Length above which a message goes out in fragments, and their size.
    fragmentation_threshold: Size = "BYTES",
    /// Whether silent peers are pinged.
    keepalive: bool = "BOOL",
    /// Silence after which a peer is pinged.
    keepalive_interval: Time = "TIME",
    /// Whether a peer that does not answer the ping is dropped.
    drop_connection_on_keepalive_timeout: bool = "BOOL",
    /// How long a pinged peer may stay silent.
    keepalive_grace_period: Time = "TIME",
    /// Whether TCP's own keepalive is used instead of pings.
    use_native_keepalive: bool = "BOOL",
    /// Whether fragments are put together to messages; if not, frames are handled one by one.
    assemble_fragments: bool = "BOOL",
    /// Whether every valid handshake is accepted, on any path, and echoed.
    auto_accept_connections: bool = "BOOL",
    /// How long a peer may take to answer a Close.
    close_timeout: Time = "TIME",
    /// Whether small writes leave at once, without the algorithm of Nagle.
    disable_nagle_algorithm: bool = "BOOL",
    /// Whether X-Forwarded-For is ignored.
    ignore_x_forwarded_for: bool = "BOOL",
    /// Header in which the trusted proxies write whom they speak for: X-Forwarded-For or Forwarded.
    client_address_header: ClientAddressHeader = "HEADER",
    /// Whether the extensions that a client offers are read.
    parse_extensions: bool = "BOOL",
    /// Whether the cookies that a client sends are read.
    parse_cookies: bool = "BOOL",
    /// How long an opening handshake may take, over all.
    handshake_timeout: Time = "TIME",
    /// Most requests that may wait for a decision.
    max_pending_requests: usize = "COUNT",
    /// Most connections at once.
    max_connections: usize = "COUNT",
    /// Bytes that may wait to be sent on a connection before its peer is read no further.
    max_buffered_amount: Size = "BYTES",
    /// Most messages that may wait to be taken on a connection.
    max_unread_messages: usize = "COUNT",
    /// Bytes of messages that may wait to be taken on a connection.
    max_unread_bytes: Size = "BYTES",
    /// How long output may wait without a byte of it moving.
    write_timeout: Time = "TIME",
    /// Most events that may wait to be handled.
    max_pending_events: usize = "COUNT",
}}

flags! { CompressionFlags of Compression, "Compression", excluding ["no_compression"] => {
    /// How hard to compress: 1, the fastest, to 9, the smallest.
    level as "compression-level": u8 = "LEVEL",
    /// Memory of a compressor for finding repetitions: 1 to 9, each step doubles it.
    memory_level as "compression-memory-level": u8 = "LEVEL",
    /// Shortest message that is compressed.
    threshold as "compression-threshold": Size = "BYTES",
    /// Whether messages of the server may refer to those before: smaller, for some 260 KiB a connection.
    server_context_takeover: bool = "BOOL",
    /// Whether messages of a client may refer to those before: smaller, for some 32 KiB a connection.
    client_context_takeover: bool = "BOOL",
    /// How far back messages of the server may refer, as the exponent of 2: 9 to 15.
    server_max_window_bits: u8 = "BITS",
    /// How far back messages of a client may refer, as the exponent of 2: 9 to 15.
    client_max_window_bits: u8 = "BITS",
    /// Most memory for what connections keep from message to message, all together.
    memory_limit as "compression-memory-limit": Size = "BYTES",
    /// How long a connection may keep a compressor that it does not use.
    idle_timeout as "compression-idle-timeout": Time = "TIME",
}}

/// A value as it is typed, to and from a value of the library's.
trait FlagValue {
    type Option;
    fn from_option(option: Self::Option) -> Self;
    fn into_option(self) -> Self::Option;
}

macro_rules! plain_flag_values {
    ($($kind:ty),+) => {
        $(impl FlagValue for $kind {
            type Option = Self;
            fn from_option(option: Self) -> Self {
                option
            }
            fn into_option(self) -> Self {
                self
            }
        })+
    };
}

plain_flag_values!(bool, u8, u32, usize, ClientAddressHeader);

/// A number of bytes, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(usize);

impl FlagValue for Size {
    type Option = usize;

    fn from_option(option: usize) -> Self {
        Self(option)
    }

    fn into_option(self) -> usize {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self(UNLIMITED));
        }
        text.parse().map(Self).map_err(|_| "expected a number of bytes, or unlimited".to_owned())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == UNLIMITED { f.write_str("unlimited") } else { self.0.fmt(f) }
    }
}

/// A time with its unit: `20s`, `1m 30s`, `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time(Duration);

impl FlagValue for Time {
    type Option = Duration;

    fn from_option(option: Duration) -> Self {
        Self(option)
    }

    fn into_option(self) -> Duration {
        self.0
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = humantime::parse_duration(text);
        time.map(Self).map_err(|_| "expected a time with its unit, such as 20s or 500ms".to_owned())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        server: ServerOptions,
    }

    fn config(flags: &[&str]) -> ServerConfig {
        Flags::try_parse_from(["wharf"].iter().chain(flags)).unwrap().server.over(ServerConfig::default())
    }

    #[test]
    fn without_flags_the_options_are_the_librarys_defaults() {
        assert_eq!(config(&[]), ServerConfig::default());
    }

    #[test]
    fn every_option_of_the_library_has_a_flag() {
        let command = Flags::command();
        let flags: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let has_flag = |option: &str| flags.contains(&flag(option).trim_start_matches("--"));
        for (option, value) in options_of(&ServerConfig::default()) {
            match value.as_object() {
                None => assert!(has_flag(&option), "{option}"),
                Some(nested) => {
                    assert!(has_flag(&format!("no_{option}")), "{option}");
                    for inner in nested.keys() {
                        assert!(has_flag(&format!("{option}.{inner}")), "{option}.{inner}");
                    }
                }
            }
        }
    }

    fn options_of(config: &impl serde::Serialize) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(config).unwrap() {
            serde_json::Value::Object(options) => options,
            value => panic!("{value}"),
        }
    }

    #[test]
    fn flags_reach_their_options() {
        let flags = [
            "--max-received-frame-size=unlimited",
            "--keepalive=false",
            "--close-timeout=250ms",
            "--trusted-proxies=10.0.0.0/8",
            "--trusted-proxies=::1",
            "--client-address-header=forwarded",
            "--allowed-origins=same-origin",
            "--allowed-origins=https://*.example.com",
        ];
        let expected = ServerConfig::default()
            .max_received_frame_size(UNLIMITED)
            .keepalive(false)
            .close_timeout(Duration::from_millis(250))
            .trusted_proxies(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()])
            .client_address_header(ClientAddressHeader::Forwarded)
            .allowed_origins([OriginRule::SAME_ORIGIN, "https://*.example.com".parse().unwrap()]);
        assert_eq!(config(&flags), expected);
    }

    #[test]
    fn flags_of_compression_reach_their_options() {
        assert_eq!(config(&["--no-compression"]).compression, None);
        let flags = [
            "--compression-level=5",
            "--compression-memory-level=2",
            "--compression-threshold=unlimited",
            "--server-context-takeover=true",
            "--client-context-takeover=true",
            "--server-max-window-bits=9",
            "--client-max-window-bits=10",
            "--compression-memory-limit=3",
            "--compression-idle-timeout=90s",
        ];
        let expected = Compression::default()
            .level(5)
            .memory_level(2)
            .threshold(UNLIMITED)
            .server_context_takeover(true)
            .client_context_takeover(true)
            .server_max_window_bits(9)
            .client_max_window_bits(10)
            .memory_limit(3)
            .idle_timeout(Duration::from_secs(90));
        assert_eq!(config(&flags), ServerConfig::default().compression(expected));
        assert_eq!(flags.len(), options_of(&Compression::default()).len());
        for alone in flags {
            assert_ne!(config(&[alone]), ServerConfig::default(), "{alone}");
        }
    }

    #[test]
    fn a_flag_on_how_to_compress_is_one_to_compress_and_excludes_the_one_not_to() {
        let flags = Flags::try_parse_from(["wharf", "--compression-level=1"]).unwrap().server;
        let off = ServerConfig::default().compression(None);
        assert_eq!(flags.over(off.clone()).compression, Some(Compression::default().level(1)));
        assert_eq!(Flags::try_parse_from(["wharf"]).unwrap().server.over(off.clone()), off);

        let command = Flags::command();
        let arguments = command.get_arguments().filter(|argument| {
            argument.get_help_heading() == Some("Compression") && argument.get_id() != "no_compression"
        });
        let flags: Vec<_> = arguments.filter_map(clap::Arg::get_long).collect();
        assert_eq!(flags.len(), options_of(&Compression::default()).len());
        for flag in flags {
            let value = if flag.ends_with("takeover") { "true" } else { "9" };
            let value = if flag.ends_with("timeout") { "9s" } else { value };
            let both = ["wharf", "--no-compression", &format!("--{flag}={value}")];
            let error = Flags::try_parse_from(both).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict, "{flag}");
        }
    }

    #[test]
    fn a_flag_that_is_given_is_known_by_the_name_of_its_option() {
        let flags = [
            "wharf",
            "--compression-level=1",
            "--server-max-window-bits=9",
            "--trusted-proxies=::1",
            "--allowed-origins=null",
        ];
        let server = Flags::try_parse_from(flags).unwrap().server;
        for (option, is_given) in [
            ("compression.level", true),
            ("compression.server_max_window_bits", true),
            ("trusted_proxies", true),
            ("allowed_origins", true),
            ("compression.threshold", false),
            ("level", false),
            ("keepalive", false),
        ] {
            assert_eq!(server.is_given(option), is_given, "{option}");
        }
    }
}
