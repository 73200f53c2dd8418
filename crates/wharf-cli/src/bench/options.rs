//! What `wharf bench` can be told.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use wharf_load::{MessageKind, Plan, Shape, Until};

use crate::headers::Credentials;
use crate::trust::Trust;

/// The statuses and examples below the options.
const AFTER_HELP: &str = "\
The endpoint has to send back what it gets, as /echo of `wharf serve` does; every byte of it is compared. Without --rate, each
connection sends a message as soon as another has come back. With it, messages are due at even distances, and the time of each
begins when it was due, whether or not it could be sent then: a server that stalls is not spared what it held up.

Exit status:
  0    every message came back as it was sent
  1    messages did not come back, or not as they were sent; what was measured is shown all the same
  2    the arguments mean nothing
  3    not all connections could be opened

Examples:
  wharf bench ws://127.0.0.1:9001/echo
  wharf bench -c 1000 -s 512 -d 30s ws://127.0.0.1:9001/echo
  wharf bench --rate 50000 --in-flight 64 --json ws://127.0.0.1:9001/echo
  wharf bench --connect ws://127.0.0.1:9001/echo";

/// Load a WebSocket endpoint.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "flags are independent of each other")]
pub(crate) struct Bench {
    #[arg(help = "What to load: ws://HOST[:PORT]/PATH or wss://…")]
    pub(super) url: String,

    /// How many connections to open.
    #[arg(short, long, value_name = "COUNT", default_value_t = 64, value_parser = at_least_one)]
    pub(super) connections: usize,

    /// Bytes of each message.
    #[arg(short, long, value_name = "BYTES", default_value_t = 20)]
    pub(super) size: usize,

    /// The most messages on their way at once, of each connection.
    #[arg(short = 'f', long, value_name = "COUNT", default_value = "1", conflicts_with = "connect")]
    pub(super) in_flight: NonZeroU32,

    /// How long to send.
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(super) duration: Duration,

    /// Send so many messages instead, over all connections together.
    #[arg(short = 'n', long, value_name = "COUNT", conflicts_with = "duration")]
    pub(super) count: Option<u64>,

    /// Send so many messages a second, over all connections together, evenly.
    #[arg(short, long, value_name = "MESSAGES", conflicts_with = "connect")]
    pub(super) rate: Option<f64>,

    /// Send binary messages instead of text.
    #[arg(short, long)]
    pub(super) binary: bool,

    /// Compress messages (permessage-deflate, without takeover).
    #[arg(long)]
    pub(super) compress: bool,

    /// Measure connecting: each connection is opened, echoes one message and is closed, over and over.
    #[arg(long)]
    pub(super) connect: bool,

    /// Load from so many threads.
    #[arg(short, long, value_name = "COUNT", default_value_t = 1, value_parser = at_least_one)]
    pub(super) threads: usize,

    #[command(flatten)]
    pub(super) credentials: Credentials,

    #[command(flatten)]
    pub(super) trust: Trust,

    /// How long all connections may take to open, and the last answers to come.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(super) timeout: Duration,

    /// Write what was measured as one JSON object; times are in nanoseconds.
    #[arg(long)]
    pub(super) json: bool,

    /// Show no progress.
    #[arg(short, long)]
    pub(super) quiet: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "expected a count of at least 1".to_owned())
}

impl Bench {
    pub(super) fn plan(&self) -> Plan {
        let shape = if self.connect {
            Shape::Connect
        } else {
            Shape::Echo { in_flight: self.in_flight, rate: self.rate }
        };
        Plan {
            connections: self.connections,
            size: self.size,
            kind: if self.binary { MessageKind::Binary } else { MessageKind::Text },
            compression: self.compress,
            shape,
            threads: self.threads,
            timeout: self.timeout,
        }
    }

    pub(super) fn until(&self) -> Until {
        self.count.map_or(Until::Elapsed(self.duration), Until::Messages)
    }

    /// What is done, in one line.
    pub(super) fn description(&self) -> String {
        let Self { url, connections, size, in_flight, .. } = self;
        let kind = if self.binary { "binary" } else { "text" };
        let compressed = if self.compress { ", compressed" } else { "" };
        let how = match (self.connect, self.rate) {
            (true, _) => "opened and closed over and over".to_owned(),
            (false, Some(rate)) => format!("{rate} a second, at most {in_flight} in flight each"),
            (false, None) => format!("{in_flight} in flight each"),
        };
        format!("{url}: {connections} connections, {size} bytes of {kind}{compressed}, {how}")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        bench: Bench,
    }

    fn parse(arguments: &[&str]) -> Result<Bench, clap::Error> {
        let arguments = ["wharf", "ws://host/"].iter().chain(arguments);
        Program::try_parse_from(arguments).map(|program| program.bench)
    }

    #[test]
    fn the_flags_are_the_plan() {
        let bench =
            parse(&["-c", "5", "-s", "100", "-f", "7", "-r", "50.5", "-b", "-t", "2", "-n", "9"]).unwrap();
        let plan = bench.plan();
        let in_flight = NonZeroU32::new(7).unwrap();
        assert_eq!(plan.shape, Shape::Echo { in_flight, rate: Some(50.5) });
        assert_eq!((plan.connections, plan.size, plan.threads), (5, 100, 2));
        assert_eq!((plan.kind, plan.compression), (MessageKind::Binary, false));
        assert_eq!(bench.until(), Until::Messages(9));
        assert_eq!(parse(&["--connect"]).unwrap().plan().shape, Shape::Connect);
        assert_eq!(parse(&[]).unwrap().until(), Until::Elapsed(Duration::from_secs(10)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for arguments in [
            &["-c", "0"][..],
            &["-t", "0"],
            &["-f", "0"],
            &["-n", "5", "-d", "1s"],
            &["--connect", "--rate", "5"],
            &["--connect", "-f", "5"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
