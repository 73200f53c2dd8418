//! Measures wharf side by side with other WebSocket servers: one command that builds them, runs them, and writes tables and
//! charts. `bench/README.md` says what is measured and how.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that says what it measures")]

mod asking;
mod certificate;
mod chart;
mod measure;
mod process;
mod report;
mod scenario;
mod serve;
mod servers;
mod stalled;
mod statistics;
mod subscriptions;
mod topics;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use measure::Effort;
use report::Row;
use scenario::{SCENARIOS, Scenario};
use serve::Serve;
use servers::{SERVERS, Server};

/// The allocator of the program `wharf`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures wharf side by side with other WebSocket servers.
#[derive(Debug, Parser)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure all servers in all scenarios.
    All(Options),
    /// Measure some.
    Run {
        #[command(flatten)]
        choice: Choice,
        #[command(flatten)]
        options: Options,
    },
    /// Measure what quick subscribers notice of those who never read, and whether every message is accounted for.
    Stalled(stalled::Options),
    /// Measure the memory and the time that subscriptions take.
    Subscriptions(subscriptions::Options),
    /// Say which servers and scenarios there are.
    List,
    /// Be one of the servers: print HOST:PORT, and serve until killed.
    Serve(Serve),
}

#[derive(Args, Debug)]
struct Choice {
    /// Servers whose name contains this; may be given several times, or with commas [default: all].
    #[arg(long, value_delimiter = ',')]
    server: Vec<String>,
    /// Scenarios of this name; may be given several times, or with commas [default: all].
    #[arg(long, value_delimiter = ',')]
    scenario: Vec<String>,
}

#[derive(Args, Clone, Debug)]
struct Options {
    /// How many rounds each server has in each scenario.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How many milliseconds a round takes.
    #[arg(long, default_value_t = 500)]
    millis: u64,
    /// Where to write results.md and the charts [default: nowhere].
    #[arg(long, value_name = "DIRECTORY")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let result = match Program::parse().command {
        Command::Serve(options) => serve::serve(&options).map_err(|error| error.to_string()),
        Command::All(options) => run(&SERVERS, &SCENARIOS, &options),
        Command::Run { choice, options } => choice.servers().and_then(|servers| {
            let scenarios = choice.scenarios()?;
            run(&servers, &scenarios, &options)
        }),
        Command::Stalled(options) => {
            prepare().and_then(|()| stalled::measure(&options)).map(|table| println!("{table}"))
        }
        Command::Subscriptions(options) => {
            prepare().and_then(|()| subscriptions::measure(&options)).map(|table| println!("{table}"))
        }
        Command::List => {
            list();
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wharf-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Choice {
    fn servers(&self) -> Result<Vec<Server>, String> {
        let is_chosen = |server: &&Server| {
            self.server.is_empty() || self.server.iter().any(|name| server.name.contains(name))
        };
        if let Some(name) =
            self.server.iter().find(|name| !SERVERS.iter().any(|server| server.name.contains(*name)))
        {
            return Err(format!("there is no server {name:?}; `list` names them"));
        }
        Ok(SERVERS.iter().filter(is_chosen).copied().collect())
    }

    fn scenarios(&self) -> Result<Vec<Scenario>, String> {
        if self.scenario.is_empty() {
            return Ok(SCENARIOS.to_vec());
        }
        let find = |name: &String| {
            let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
            found.copied().ok_or_else(|| format!("there is no scenario {name:?}; `list` names them"))
        };
        self.scenario.iter().map(find).collect()
    }
}

fn list() {
    for scenario in SCENARIOS {
        println!("{:20} {}", scenario.name, scenario.description());
    }
    println!("\nby a command of their own, for wharf alone:");
    println!("{:20} what quick subscribers notice of those who never read", "stalled");
    println!("{:20} memory and time that subscriptions take", "subscriptions");
    println!();
    for server in SERVERS {
        println!("{}", server.name);
    }
}

fn run(servers: &[Server], scenarios: &[Scenario], options: &Options) -> Result<(), String> {
    prepare()?;
    let mut built = Vec::new();
    for server in servers {
        eprintln!("building {}", server.name);
        let result = server.build();
        if let Err(why) = &result {
            eprintln!("  it does not build: {why}");
        }
        built.push((*server, result));
    }
    let effort =
        Effort { rounds: options.rounds.max(1), round: Duration::from_millis(options.millis.max(1)) };
    let mut rows = Vec::new();
    for scenario in scenarios {
        eprintln!("{}: {}", scenario.name, scenario.description());
        let row = Row { scenario: *scenario, cells: measure::measure(scenario, &built, effort) };
        println!("{}", report::table(&row, servers));
        rows.push(row);
    }
    let overview = report::overview(&rows, servers);
    println!("{overview}");
    options.write.as_ref().map_or(Ok(()), |directory| {
        write(directory, &rows, servers, effort, &overview)
            .map_err(|error| format!("{}: {error}", directory.display()))
    })
}

/// Prepares this process, and the servers that it starts, for being measured.
fn prepare() -> Result<(), String> {
    process::pin_to(process::LOAD_CORE)?;
    process::renounce_huge_pages()
}

/// Writes the tables to `results.md`, and a chart of each scenario beside it.
fn write(
    directory: &Path,
    rows: &[Row],
    servers: &[Server],
    effort: Effort,
    overview: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(directory)?;
    let mut text = format!(
        "# Results\n\n{}. {} rounds of {} ms in each scenario. What is measured, and how: [README.md](README.md).\n\n\
         ## Ratios to uWebSockets\n\nProcessor time of a message, or memory of an idle connection.\n\n{overview}\n\
         ## Scenarios\n\n",
        measure::machine(),
        effort.rounds,
        effort.round.as_millis(),
    );
    for row in rows {
        let chart = format!("charts/{}.svg", row.scenario.name);
        fs::create_dir_all(directory.join("charts"))?;
        chart::draw(row, servers, &directory.join(&chart))?;
        text += &report::table(row, servers);
        let _ = writeln!(text, "![{}]({chart})\n", row.scenario.description());
    }
    fs::write(directory.join("results.md"), text)?;
    Ok(())
}
