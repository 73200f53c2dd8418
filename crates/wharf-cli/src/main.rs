//! The program `wharf`: a WebSocket server to start and use, and a client to try any with.

mod args;
mod bench;
mod connect;
mod headers;
mod options;
mod serve;
mod trust;

use std::process::ExitCode;

use args::Command;

/// A quarter less memory for an idle connection than with the system's allocator: the example `idle_memory` of the
/// library measures it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match args::parse() {
        Ok(command) => command,
        Err(status) => return status,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return args::fail(&format!("cannot start: {error}")),
    };
    let result = match command {
        Command::Serve(serve) => runtime.block_on(serve::run(serve)),
        Command::Connect(options) => return runtime.block_on(connect::run(options)),
        Command::Bench(options) => return runtime.block_on(bench::run(&options)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => args::fail(&message),
    }
}
