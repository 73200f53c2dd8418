//! Whether an io_uring driver pays: one echo server on epoll and on io_uring, over wharf's protocol core, beside wharf itself.
//!
//! `io-uring-driver [SERVER|SCENARIO]...` prints Markdown tables; README.md has the names. `io-uring-driver serve SERVER` serves
//! until it is killed, and prints where.
#![deny(unsafe_code)]

mod epoll;
mod load;
mod measure;
mod session;
#[allow(unsafe_code, reason = "what the kernel writes to and reads from is shared with it by address")]
mod uring;
mod wharf;

use std::time::Duration;
use std::{env, io};

use load::{Clients, Scenario};
use measure::{Server, quantile};

/// The allocator of the program `wharf`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Many short ones: a slower moment of the machine then hits all alike.
const ROUNDS: usize = 41;
const RUN: Duration = Duration::from_millis(50);
const WARM_UP: Duration = Duration::from_millis(10);

/// The first is what the others are compared with.
const SERVERS: [&str; 6] = ["epoll", "epoll+late+256k", "uring", "uring+whole", "uring+direct", "wharf"];
const SCENARIOS: [&str; 11] = [
    "64x20x1",
    "64x20x32",
    "64x20x256",
    "500x1024x1",
    "1000x512x1",
    "1000x20x16",
    "16x16384x1",
    "16x16384x16",
    "4x1048576x1",
    "cycle",
    "idle",
];
const CYCLES_AT_A_TIME: usize = 32;
const IDLE: usize = 5000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [serve, name] = arguments.as_slice()
        && serve == "serve"
    {
        return self::serve(name);
    }
    measure::make_room()?;
    let is_scenario = |name: &&str| *name == "cycle" || *name == "idle" || scenario(name).is_some();
    let (mut scenarios, mut servers): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(String::as_str).partition(is_scenario);
    if scenarios.is_empty() {
        scenarios = SCENARIOS.to_vec();
    }
    if servers.is_empty() {
        servers = SERVERS.to_vec();
    }
    for name in scenarios {
        if name == "idle" { memory(&servers)? } else { processor(name, &servers)? }
    }
    Ok(())
}

fn serve(name: &str) -> io::Result<()> {
    if let Some(variant) = name.strip_prefix("uring") {
        return uring::serve(variant.parse().map_err(io::Error::other)?);
    }
    if let Some(variant) = name.strip_prefix("epoll") {
        return epoll::serve(variant.parse().map_err(io::Error::other)?);
    }
    wharf::serve()
}

/// `CONNECTIONSxBYTESxIN_FLIGHT`.
fn scenario(name: &str) -> Option<Scenario> {
    let mut numbers = name.split('x').map(|number| number.parse().ok());
    let (connections, payload, in_flight) = (numbers.next()??, numbers.next()??, numbers.next()??);
    Some(Scenario { connections, payload, in_flight })
}

/// Of one round, in microseconds a message.
struct Cost {
    server: f64,
    load: f64,
}

/// Servers take turns in every round, each time another one first.
fn processor(name: &str, names: &[&str]) -> io::Result<()> {
    let servers = names.iter().map(|name| Server::start(name)).collect::<io::Result<Vec<_>>>()?;
    let mut loads = Vec::new();
    for server in &servers {
        let clients = scenario(name).map(|scenario| Clients::connect(server.addr, scenario)).transpose()?;
        loads.push(clients);
    }
    let mut costs: Vec<Vec<Cost>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for turn in 0..servers.len() {
            let at = (round + turn) % servers.len();
            let (server, clients, costs) = (&servers[at], &mut loads[at], &mut costs[at]);
            let mut run = |duration| match clients {
                Some(clients) => clients.run(duration),
                None => load::cycles(server.addr, CYCLES_AT_A_TIME, duration),
            };
            run(WARM_UP)?;
            let before = (server.cpu()?, measure::own_cpu()?);
            let messages = run(RUN)?;
            let each = |spent: Duration| spent.as_secs_f64() * 1e6 / f64::from(messages);
            costs.push(Cost {
                server: each(server.cpu()? - before.0),
                load: each(measure::own_cpu()? - before.1),
            });
        }
    }
    println!(
        "\n| {name} | server, µs | ratio (middle half of rounds) | of lower quartiles | load, µs | both, ratio |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    let quartile = |costs: &[Cost]| quantile(costs.iter().map(|cost| cost.server), 0.25);
    for (server, own) in servers.iter().zip(&costs) {
        let pairs = || own.iter().zip(&costs[0]);
        let ratio = |part| quantile(pairs().map(|(cost, first)| cost.server / first.server), part);
        let both = pairs().map(|(cost, first)| (cost.server + cost.load) / (first.server + first.load));
        println!(
            "| {} | {:.2} | {:.2} ({:.2} to {:.2}) | {:.2} | {:.2} | {:.2} |",
            server.name,
            quantile(own.iter().map(|cost| cost.server), 0.5),
            ratio(0.5),
            ratio(0.25),
            ratio(0.75),
            quartile(own) / quartile(&costs[0]),
            quantile(own.iter().map(|cost| cost.load), 0.5),
            quantile(both, 0.5),
        );
    }
    Ok(())
}

/// What an idle connection keeps resident, and what the kernel holds for both of its ends.
fn memory(names: &[&str]) -> io::Result<()> {
    println!("\n| {IDLE} idle connections | resident, bytes each | kernel's slabs, both ends, bytes each |");
    println!("|---|--:|--:|");
    for name in names {
        let server = Server::start(name)?;
        // What the server has once is made for the first.
        let first = load::idle(server.addr, 100)?;
        let before = (server.resident()?, measure::slab()?);
        let others = load::idle(server.addr, IDLE)?;
        let resident = server.resident()?.saturating_sub(before.0) / IDLE;
        let slab = measure::slab()?.saturating_sub(before.1) / IDLE;
        println!("| {name} | {resident} | {slab} |");
        drop((first, others));
    }
    Ok(())
}
