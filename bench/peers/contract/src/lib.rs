//! What the peers share: how they are told what to do, where they listen, TLS. README.md beside the workspace has the
//! contract.

mod batches;
mod corked;
mod options;
mod server;

pub use batches::echo_in_batches;
pub use corked::Corked;
pub use options::{Mode, Options, not_possible};
pub use server::{Ended, Peer, Stream, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
