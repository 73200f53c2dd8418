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

/// Less memory for an idle connection than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match args::parse() {
        Ok(command) => command,
        Err(status) => return status,
    };
    renounce_huge_pages();
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

/// The allocator asks for huge pages where it can have them, and then a buffer of one connection takes 2 MiB: a peer that
/// does not read cost 12 to 24 MiB with them, and costs 3 to 5 without. In speed `wharf-bench` finds no difference.
fn renounce_huge_pages() {
    // A kernel that cannot do so serves as well.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
}
