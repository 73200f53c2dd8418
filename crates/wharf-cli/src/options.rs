//! The server's options as flags. Defaults and meanings are the library's.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args};
use wharf::{IpNetwork, ServerConfig, UNLIMITED};

/// Declares a flag for each option once, with its default from the library, and the way back into a config.
///
/// A flag that is not given leaves what a file says, so that its default can only be told, not set.
macro_rules! server_options {
    ($(#[doc = $doc:literal] $field:ident: $kind:ty = $value_name:literal,)+) => {
        /// Every option of a server.
        #[derive(Args, Debug, Default)]
        #[command(next_help_heading = "Server options")]
        pub(crate) struct ServerOptions {
            $(
                #[arg(
                    long,
                    value_name = $value_name,
                    help = format!(
                        "{} [default: {}]",
                        $doc.trim().trim_end_matches('.'),
                        <$kind>::from_option(ServerConfig::default().$field),
                    ),
                    action = ArgAction::Set,
                )]
                $field: Option<$kind>,
            )+

            /// Proxies whose X-Forwarded-For counts, as networks such as 10.0.0.0/8; may be given several times.
            #[arg(long, value_name = "NETWORK")]
            trusted_proxies: Vec<IpNetwork>,
        }

        impl ServerOptions {
            /// These options, with the flags that were given instead of their own.
            pub(crate) fn over(&self, mut config: ServerConfig) -> ServerConfig {
                $(if let Some(value) = self.$field {
                    config.$field = value.into_option();
                })+
                if !self.trusted_proxies.is_empty() {
                    config.trusted_proxies.clone_from(&self.trusted_proxies);
                }
                config
            }

            /// Whether the flag of this option was given.
            pub(crate) fn is_given(&self, option: &str) -> bool {
                match option {
                    $(stringify!($field) => self.$field.is_some(),)+
                    "trusted_proxies" => !self.trusted_proxies.is_empty(),
                    _ => false,
                }
            }
        }
    };
}

server_options! {
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
}

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

plain_flag_values!(bool, u32, usize);

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
        let options = serde_json::to_value(ServerConfig::default()).unwrap();
        for option in options.as_object().unwrap().keys() {
            assert!(flags.contains(&option.replace('_', "-").as_str()), "{option}");
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
        ];
        let expected = ServerConfig::default()
            .max_received_frame_size(UNLIMITED)
            .keepalive(false)
            .close_timeout(Duration::from_millis(250))
            .trusted_proxies(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(config(&flags), expected);
    }
}
