//! The command line: arguments as they are typed, and one clear line for those that mean nothing.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::bench::Bench;
use crate::connect::Connect;
use crate::options::ServerOptions;
use crate::serve::{BrokerUrl, Listen, Permissions, TlsOptions};

/// Parses the program's arguments. Without a command, they are those of `serve`.
///
/// # Errors
/// The status to end with: 0 after the help, 2 for arguments that mean nothing, which have been told.
pub(crate) fn parse() -> Result<Command, ExitCode> {
    match Program::try_parse_from(env::args_os()) {
        Ok(Program { command: Some(command), .. }) => Ok(command),
        Ok(Program { command: None, serve }) => Ok(Command::Serve(serve)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                // A reader that has gone away, as of `wharf --help | head`, needs no help any more.
                let _ = error.print();
                Err(ExitCode::SUCCESS)
            }
            _ => Err(fail(&in_one_line(&error.to_string()))),
        },
    }
}

/// Says what went wrong in one line, and gives the status that says that nothing was done.
pub(crate) fn fail(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "wharf: {message}");
    ExitCode::from(2)
}

/// A WebSocket server and client. Without a command it serves, as `wharf serve` does.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, args_conflicts_with_subcommands = true)]
struct Program {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve WebSocket endpoints, and a page to try them with.
    Serve(Serve),
    /// Talk to a WebSocket endpoint, on a terminal or in a pipe.
    Connect(Connect),
    /// Load a WebSocket endpoint that echoes, check every echo, and measure.
    Bench(Bench),
}

/// What `wharf serve` can be told.
#[derive(Args, Debug)]
#[command(after_long_help = HUB)]
pub(crate) struct Serve {
    /// File with options, in TOML or JSON: the flags' names with _ for -. Flags win over it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where to listen: an address and a port, where 0 lets the system choose one; unix:PATH; or the sockets that systemd or
    /// another parent passes on, inherited or inherited:NAME; may be given several times [default: 127.0.0.1:9001].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<Listen>,

    /// Permissions of the files of Unix sockets: who may connect, in octal [default: 660].
    #[arg(long, value_name = "MODE")]
    pub(crate) unix_permissions: Option<Permissions>,

    /// Let other programs of the same user that say so, too, listen on the same addresses and ports [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) reuse_port: Option<bool>,

    /// Take the client's address from a PROXY header, version 1 or 2, with which every connection must begin [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) proxy_protocol: Option<bool>,

    /// Speak HTTP/2, and WebSockets over it, with those who can [default: true].
    #[arg(long, value_name = "BOOL")]
    pub(crate) http2: Option<bool>,

    /// How long connections may take to close when the program is told to stop, requests that have begun half of it
    /// [default: 10s].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) shutdown_timeout: Option<Duration>,

    /// How many threads serve, each with connections of its own [default: none; those of the program share all connections].
    #[arg(long, value_name = "COUNT")]
    pub(crate) workers: Option<NonZero<usize>>,

    /// Share the topics of /hub with other nodes, through NATS or Redis: nats://HOST:PORT or redis://HOST:PORT
    /// [default: with nobody].
    #[arg(long, value_name = "URL")]
    pub(crate) broker: Option<BrokerUrl>,

    #[command(flatten)]
    pub(crate) tls: TlsOptions,

    #[command(flatten)]
    pub(crate) server: ServerOptions,
}

/// What cannot be said in flags.
const HUB: &str = "\
The hub:
  /hub has topics for clients of the subprotocol wharf.json.v1, and POST /topics/TOPIC publishes on them. The table hub
  of the configuration file says which topics keep what, and who may do what, by bearer tokens and JSON Web Tokens.
  Without it nobody may do anything, unless nobody but this machine can connect: where all addresses that are listened
  on are of the loopback device, and no proxies are configured, programs and pages of this machine may do everything.";

impl Serve {
    pub(crate) const LISTEN: Listen = Listen::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9001));
    pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
}

/// clap's message without its heading, its hints and its usage, which take lines of their own.
fn in_one_line(message: &str) -> String {
    let lines: Vec<_> =
        message.lines().take_while(|line| !line.starts_with("Usage:")).map(str::trim).collect();
    let message = lines.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join(" ");
    let tip = lines.iter().find_map(|line| line.strip_prefix("tip: "));
    let message = message.trim_start_matches("error: ");
    let tip = tip.map(|tip| format!(" ({tip})")).unwrap_or_default();
    format!("{message}{tip}; see wharf --help")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Program::command().debug_assert();
    }

    #[test]
    fn without_a_command_the_arguments_are_those_of_serve() {
        let program = Program::try_parse_from(["wharf", "--listen", "127.0.0.1:0"]).unwrap();
        assert!(program.command.is_none());
        assert_eq!(program.serve.listen, ["127.0.0.1:0".parse().unwrap()]);
    }

    #[test]
    fn a_bad_flag_or_value_is_one_line() {
        for arguments in [
            &["wharf", "serve", "--lisen", "x"][..],
            &["wharf", "--keepalive", "perhaps"],
            &["wharf", "--listen"],
            &["wharf", "serve", "--keepalive-interval", "soon"],
            &["wharf", "--listen", "unix:"],
            &["wharf", "--listen", "here"],
            &["wharf", "--unix-permissions", "rw"],
            &["wharf", "--reuse-port", "--reuse-port=perhaps"],
        ] {
            let error = Program::try_parse_from(arguments).unwrap_err().to_string();
            let line = in_one_line(&error);
            assert!(!line.contains('\n') && !line.contains("error:"), "{line}");
            assert!(line.contains(arguments[arguments.len() - 2].trim_start_matches("serve")), "{line}");
        }
    }
}
