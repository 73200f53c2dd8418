//! The servers that are compared: how each is built and started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::process::{Process, StartError};
use crate::topics::Policy;

/// A column of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether the answers to what came together are fed first and flushed once, by hand.
    pub(crate) is_batched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This program itself, serving in this way, by its one thread or by a worker.
    Wharf(&'static str, Thread),
    /// uWebSockets in C++.
    UWebSockets,
    /// A package of `bench/peers`.
    Rust(&'static str),
    /// A file of `bench/peers/node`.
    Node(&'static str),
}

/// Whose thread serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thread {
    /// The program's, on which events are taken, too.
    Programs,
    /// One of wharf's own.
    Workers,
}

/// What a server is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Echo,
    Broadcast,
    Publish,
}

/// What ratios are of.
pub(crate) const REFERENCE: &str = "uWebSockets";
/// Echoes bytes, without handshake or frames.
pub(crate) const RAW: &str = "raw tokio";

pub(crate) const SERVERS: [Server; 20] = [
    server("wharf, handler", Kind::Wharf("handler", Thread::Programs)),
    server("wharf, handler, own worker", Kind::Wharf("handler", Thread::Workers)),
    server("wharf, recv and send", Kind::Wharf("task", Thread::Programs)),
    server(REFERENCE, Kind::UWebSockets),
    server(RAW, Kind::Rust("raw-tokio")),
    server("fastwebsockets", Kind::Rust("fastwebsockets")),
    batched("fastwebsockets, batched", Kind::Rust("fastwebsockets")),
    server("tokio-tungstenite", Kind::Rust("tokio-tungstenite")),
    batched("tokio-tungstenite, batched", Kind::Rust("tokio-tungstenite")),
    server("tokio-websockets", Kind::Rust("tokio-websockets")),
    batched("tokio-websockets, batched", Kind::Rust("tokio-websockets")),
    server("yawc", Kind::Rust("yawc")),
    batched("yawc, batched", Kind::Rust("yawc")),
    server("sockudo-ws", Kind::Rust("sockudo-ws")),
    batched("sockudo-ws, batched", Kind::Rust("sockudo-ws")),
    server("axum", Kind::Rust("axum")),
    batched("axum, batched", Kind::Rust("axum")),
    server("node ws", Kind::Node("ws.mjs")),
    batched("node ws, batched", Kind::Node("ws.mjs")),
    server("node websocket", Kind::Node("websocket.mjs")),
];

const fn server(name: &'static str, kind: Kind) -> Server {
    Server { name, kind, is_batched: false }
}

const fn batched(name: &'static str, kind: Kind) -> Server {
    Server { name, kind, is_batched: true }
}

/// Certificate and key for TLS, in PEM.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Server {
    /// Builds it: why it could not be.
    pub(crate) fn build(&self) -> Result<(), String> {
        let peers = peers();
        let mut command = match self.kind {
            Kind::Wharf(..) => return Ok(()),
            Kind::UWebSockets => Command::new(peers.join("uwebsockets/build")),
            Kind::Rust(package) => {
                let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                command.args(["build", "--release", "--locked", "--package", &format!("peer-{package}")]);
                command.arg("--manifest-path");
                command.arg(peers.join("Cargo.toml")).env("CARGO_TARGET_DIR", peers.join("target"));
                command
            }
            Kind::Node(_) if peers.join("node/node_modules").exists() => return Ok(()),
            Kind::Node(_) => {
                let mut command = Command::new("npm");
                command.args(["ci", "--no-audit", "--no-fund", "--prefix"]).arg(peers.join("node"));
                command
            }
        };
        let output =
            command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let error = lines.iter().find(|line| line.starts_with("error")).or_else(|| lines.last());
        Err((*error.unwrap_or(&"it said nothing")).to_owned())
    }

    /// What starts it.
    pub(crate) fn command(
        &self,
        mode: Mode,
        compression: bool,
        certificate: Option<&Certificate>,
    ) -> Result<Command, String> {
        let peers = peers();
        let mut command = match self.kind {
            Kind::Wharf(way, thread) => {
                let mut command = Command::new(env::current_exe().map_err(|error| error.to_string())?);
                command.args(["serve", mode.name().unwrap_or(way)]);
                if thread == Thread::Workers {
                    command.args(["--workers", "1"]);
                }
                command
            }
            Kind::UWebSockets => Command::new(peers.join("uwebsockets/target").join(match certificate {
                Some(_) => "uwebsockets-tls",
                None => "uwebsockets",
            })),
            Kind::Rust(package) => Command::new(peers.join("target/release").join(package)),
            Kind::Node(file) => {
                let mut command = Command::new("node");
                command.arg(peers.join("node").join(file));
                command
            }
        };
        if !matches!(self.kind, Kind::Wharf(..)) {
            command.arg(mode.name().unwrap_or(if self.is_batched { "batched" } else { "echo" }));
        }
        if compression {
            command.arg("--deflate");
        }
        if let Some(Certificate { certificate, key }) = certificate {
            command.arg("--tls").arg(certificate).arg(key);
        }
        Ok(command)
    }
}

/// wharf as a server of a kind that no other is, on its core.
pub(crate) fn wharf(way: &str, policy: Option<Policy>) -> Result<Process, String> {
    let mut command = Command::new(env::current_exe().map_err(|error| error.to_string())?);
    command.args(["serve", way]);
    if let Some(policy) = policy.as_ref().and_then(Policy::to_possible_value) {
        command.args(["--policy", policy.get_name()]);
    }
    Process::start(&mut command).map_err(|error| match error {
        StartError::NotPossible(why) | StartError::Failed(why) => why,
    })
}

impl Mode {
    /// `None` where servers do it in several ways, which have names of their own.
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Echo => None,
            Self::Broadcast => Some("broadcast"),
            Self::Publish => Some("publish"),
        }
    }
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}
