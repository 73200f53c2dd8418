//! What `wharf connect` can be told.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::headers::Credentials;
use crate::trust::Trust;

/// The statuses and examples below the options.
const AFTER_HELP: &str = "\
Lines from a pipe are sent as they are. What comes is written to standard output, a line a message; everything else
that is said goes to standard error. On a terminal, lines are edited, and /help lists what can be done besides sending.

Exit status:
  0    closed in order: by this side, or by the peer with 1000, 1001 or no code
  1    input or output failed on this side
  2    the arguments mean nothing
  3    no connection: name not found, refused, timed out, TLS or the proxy failed
  4    the server refused the opening handshake, or answered it wrongly
  5    the connection broke, or the peer broke the protocol
  6    the peer closed with an error code
  7    fewer messages came than --count asked for
  130  ended at once, by a second Ctrl-C

Examples:
  wharf connect ws://127.0.0.1:9001/echo
  echo hi | wharf connect -n 1 ws://127.0.0.1:9001/echo
  wharf connect --header-env Authorization=AUTHORIZATION wss://example.com/feed --wait forever </dev/null
  wharf connect --binary --whole ws://127.0.0.1:9001/echo <photo.jpg >copy.jpg --raw";

/// Talk to a WebSocket endpoint.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "flags are independent of each other")]
pub(crate) struct Connect {
    #[arg(help = "Where to: ws://HOST[:PORT]/PATH or wss://…")]
    pub(super) url: String,

    /// Send this first; may be given several times.
    #[arg(short, long = "message", value_name = "TEXT")]
    pub(super) messages: Vec<String>,

    /// Send binary messages instead of text.
    #[arg(short, long)]
    pub(super) binary: bool,

    /// Send all of standard input as one message.
    #[arg(long, conflicts_with = "null")]
    pub(super) whole: bool,

    /// Separate messages by NUL instead of newlines, in both directions.
    #[arg(short = '0', long)]
    pub(super) null: bool,

    /// Write what comes with nothing added. Not to a terminal.
    #[arg(short, long, conflicts_with = "null", conflicts_with = "time")]
    pub(super) raw: bool,

    /// End after this many messages have come.
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// How long to wait for the next message when the input has ended, or `forever` [default: 1s; 10s with --count]
    #[arg(short, long, value_name = "TIME")]
    pub(super) wait: Option<Wait>,

    /// Offer a subprotocol; may be given several times, the best first.
    #[arg(short, long = "protocol", value_name = "NAME")]
    pub(super) protocols: Vec<String>,

    /// Send this Origin.
    #[arg(short, long)]
    pub(super) origin: Option<String>,

    #[command(flatten)]
    pub(super) credentials: Credentials,

    #[command(flatten)]
    pub(super) trust: Trust,

    /// Connect through this HTTP proxy, such as `http://127.0.0.1:3128`.
    #[arg(long, value_name = "URL")]
    pub(super) proxy: Option<String>,

    #[arg(help = "Log in to the proxy; the password may be left to the variable WHARF_PROXY_PASSWORD")]
    #[arg(long, value_name = "NAME[:PASSWORD]", requires = "proxy")]
    pub(super) proxy_user: Option<String>,

    /// Follow at most this many redirects; headers go only to the server that was named.
    #[arg(long, value_name = "COUNT", num_args = 0..=1, default_value_t = 0, default_missing_value = "5", require_equals = true)]
    pub(super) follow: u8,

    /// Do not offer to compress messages.
    #[arg(long)]
    pub(super) no_compression: bool,

    /// Longest message in bytes, either way.
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20)]
    pub(super) max_message_size: usize,

    /// How long it may take to be connected.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = humantime::parse_duration)]
    #[expect(clippy::struct_field_names, reason = "the flag's name")]
    pub(super) connect_timeout: Duration,

    /// How long the peer may take to answer a Close.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(super) close_timeout: Duration,

    /// Ping a silent peer after this time, and give up one that does not answer.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) ping_interval: Option<Duration>,

    /// What to show before messages [default: local on a terminal, else none]
    #[arg(short, long, value_name = "WHICH")]
    pub(super) time: Option<Times>,

    /// Bytes of a message to show on a terminal; of longer ones the rest is left out.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 10)]
    pub(super) show: usize,

    /// Keep no history of what is typed. A line that begins with a blank is never kept.
    #[arg(long)]
    pub(super) no_history: bool,

    /// Say nothing on standard error but errors.
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// What stands before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Times {
    /// The time of day.
    Local,
    /// Seconds since the connection was made.
    Elapsed,
    /// Nothing.
    None,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// At most so long.
    For(Duration),
    /// Until the peer closes.
    Forever,
}

impl FromStr for Wait {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let time = humantime::parse_duration(text);
        time.map(Self::For).map_err(|_| "expected a time with its unit, such as 500ms, or forever".to_owned())
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(time) => humantime::format_duration(*time).fmt(f),
            Self::Forever => f.write_str("forever"),
        }
    }
}

impl Connect {
    /// How long to wait for the next message when nothing is left to be sent.
    pub(super) fn wait(&self) -> Wait {
        let default = Duration::from_secs(if self.count.is_some() { 10 } else { 1 });
        self.wait.unwrap_or(Wait::For(default))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        connect: Connect,
    }

    fn parsed(arguments: &[&str]) -> Connect {
        let arguments = ["wharf", "ws://host/"].iter().chain(arguments);
        Program::try_parse_from(arguments).unwrap().connect
    }

    #[test]
    fn answers_are_waited_for_a_second_and_counted_ones_longer() {
        assert_eq!(parsed(&[]).wait(), Wait::For(Duration::from_secs(1)));
        assert_eq!(parsed(&["-n", "2"]).wait(), Wait::For(Duration::from_secs(10)));
        assert_eq!(parsed(&["-n", "2", "--wait", "50ms"]).wait(), Wait::For(Duration::from_millis(50)));
        assert_eq!(parsed(&["--wait=forever"]).wait(), Wait::Forever);
    }

    #[test]
    fn redirects_are_followed_only_where_asked_for() {
        assert_eq!(parsed(&[]).follow, 0);
        assert_eq!(parsed(&["--follow"]).follow, 5);
        assert_eq!(parsed(&["--follow=2"]).follow, 2);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for arguments in [
            &["-n", "0"][..],
            &["--raw", "--null"],
            &["--whole", "--null"],
            &["--wait", "soon"],
            &["--time", "x"],
        ] {
            let arguments = ["wharf", "ws://host/"].iter().chain(arguments);
            assert!(Program::try_parse_from(arguments).is_err());
        }
    }
}
