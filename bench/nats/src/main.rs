//! How long a message is on its way from one hub to a subscriber of another through NATS, beside bare async-nats.

#![forbid(unsafe_code)]

mod bare;
mod broker;
mod hubs;
mod round;

use std::error::Error;
use std::time::Duration;

use clap::Parser;

use bare::Bare;
use broker::NatsServer;
use hubs::Hubs;
use round::{Pace, Rounds};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures how long messages are on their way through NATS.
#[derive(Parser)]
struct Options {
    /// How many messages a second are published.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Bytes of each, at least 8.
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// How many rounds each has.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How many milliseconds a round takes.
    #[arg(long, default_value_t = 2000)]
    millis: u64,
}

/// Where messages are published.
const TOPIC: &str = "latency";

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if options.rate == 0 || options.size < 8 || options.rounds == 0 {
        return Err("there must be a rate, rounds, and room for 8 bytes".into());
    }
    let nats = NatsServer::start()?;
    let bare = Bare::connect(nats.url())?;
    let hubs = Hubs::connect(nats.url())?;
    let pace = Pace { rate: options.rate, size: options.size, length: Duration::from_millis(options.millis) };
    let (mut of_bare, mut of_hubs) = (Rounds::default(), Rounds::default());
    for round in 0..=options.rounds {
        let bare = pace.run(|message| bare.publish(message), bare.received())?;
        let hubs = pace.run(|message| hubs.publish(message), hubs.received())?;
        // The first is to warm up.
        if round > 0 {
            of_bare.add(&bare);
            of_hubs.add(&hubs);
        }
    }
    println!("| {} of {} B a second | p50 | p99 | p50 to bare | p99 to bare |", options.rate, options.size);
    println!("|---|---|---|---|---|");
    println!("{}", of_bare.line("bare async-nats", &of_bare));
    println!("{}", of_hubs.line("from hub to hub", &of_bare));
    Ok(())
}
