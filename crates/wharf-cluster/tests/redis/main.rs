//! The broker on Redis, with a real redis-server.

mod access;
mod away;
mod globs;
mod history;
mod server;
#[path = "../support/mod.rs"]
mod support;

use self::server::Server;

suite!(Server);
