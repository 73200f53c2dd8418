//! Rounds: each server in turn, so that a slower minute of the machine hits all alike.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use wharf_load::rustls::ClientConfig;
use wharf_load::{Load, Outcome, Progress, Target, Until};

use crate::certificate::{self, Trust};
use crate::process::{Process, StartError, Used};
use crate::scenario::{Scenario, What};
use crate::servers::{Kind, RAW, REFERENCE, Server};

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
}

/// Which latencies are told.
pub(crate) const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// What one server took in one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Of each round: processor time a message, in nanoseconds.
    pub(crate) cpu: Vec<f64>,
    /// Of each round: messages a second.
    pub(crate) rate: Vec<f64>,
    /// The part of the processor time that is the user's, not the kernel's.
    pub(crate) user_share: f64,
    /// Of each round: the latency at [`QUANTILES`], in nanoseconds.
    pub(crate) latency: [Vec<f64>; QUANTILES.len()],
    /// Bytes that came back for each message.
    pub(crate) bytes_on_wire: f64,
    /// Bytes of memory: of each connection where that is what counts, else of all.
    pub(crate) resident: f64,
}

/// A cell of the table.
pub(crate) type Cell = Result<Measured, Absence>;

/// Why there are no figures.
#[derive(Clone, Debug)]
pub(crate) enum Absence {
    NotBuilt(String),
    NotPossible(String),
    Failed(String),
}

/// A server that takes part.
struct Subject {
    process: Process,
    load: Load,
    measured: Measured,
    user_ticks: u64,
    system_ticks: u64,
    messages: u64,
    bytes: u64,
}

/// Measures servers in one scenario: a cell each.
pub(crate) fn measure(
    scenario: &Scenario,
    servers: &[(Server, Result<(), String>)],
    effort: Effort,
) -> Vec<Cell> {
    match scenario.what {
        What::Idle => {
            servers.iter().map(|(server, built)| prepared(built, || idle(scenario, server))).collect()
        }
        _ => in_rounds(scenario, servers, effort),
    }
}

fn prepared<T>(built: &Result<(), String>, then: impl FnOnce() -> Result<T, Absence>) -> Result<T, Absence> {
    built.clone().map_err(Absence::NotBuilt)?;
    then()
}

fn in_rounds(scenario: &Scenario, servers: &[(Server, Result<(), String>)], effort: Effort) -> Vec<Cell> {
    let rate = match scenario.what {
        What::HalfLoad => match half_load(scenario, effort) {
            Ok(rate) => Some(rate),
            Err(absence) => return vec![Err(absence); servers.len()],
        },
        _ => None,
    };
    let subjects =
        servers.iter().map(|(server, built)| prepared(built, || Subject::start(scenario, server, rate)));
    let mut subjects: Vec<Result<Subject, Absence>> = subjects.collect();
    for round in 0..=effort.rounds {
        for entry in &mut subjects {
            if let Ok(subject) = entry {
                // The first is to warm up.
                let length = if round == 0 { effort.round / 2 } else { effort.round };
                if let Err(error) = subject.round(length, round > 0) {
                    *entry = Err(Absence::Failed(error));
                }
            }
        }
    }
    subjects.into_iter().map(|subject| subject.and_then(Subject::finish)).collect()
}

/// Half of the messages a second that the reference carries with one in flight on each connection.
fn half_load(scenario: &Scenario, effort: Effort) -> Result<f64, Absence> {
    let full = Scenario { what: What::Echo(1), ..*scenario };
    let server = crate::servers::SERVERS.iter().find(|server| server.name == REFERENCE);
    let Some(server) = server else { return Err(Absence::Failed("there is no reference".into())) };
    server.build().map_err(Absence::NotBuilt)?;
    let mut subject = Subject::start(&full, server, None)?;
    for counts in [false, true] {
        subject.round(effort.round, counts).map_err(Absence::Failed)?;
    }
    Ok(subject.measured.rate[0] / 2.0)
}

impl Subject {
    fn start(scenario: &Scenario, server: &Server, rate: Option<f64>) -> Result<Self, Absence> {
        let trust = scenario.tls.then(certificate::made).transpose().map_err(Absence::Failed)?;
        let process = start(scenario, server, trust.as_ref())?;
        let target = target(server, &process, trust.map(|trust| trust.client)).map_err(Absence::Failed)?;
        let load =
            Load::open(&target, &scenario.plan(rate)).map_err(|error| Absence::Failed(error.to_string()))?;
        let measured = Measured {
            cpu: Vec::new(),
            rate: Vec::new(),
            user_share: 0.0,
            latency: Default::default(),
            bytes_on_wire: 0.0,
            resident: 0.0,
        };
        Ok(Self { process, load, measured, user_ticks: 0, system_ticks: 0, messages: 0, bytes: 0 })
    }

    #[expect(clippy::cast_precision_loss, reason = "nanoseconds and messages of a round")]
    fn round(&mut self, length: Duration, counts: bool) -> Result<(), String> {
        let before = self.process.used()?;
        let outcome = self.load.run(Until::Elapsed(length), &Progress::default());
        let outcome = right(outcome.map_err(|error| error.to_string())?)?;
        let after = self.process.used()?;
        if !counts {
            return Ok(());
        }
        let Used { total, user_ticks, system_ticks } = before;
        let spent = after.total.saturating_sub(total);
        self.measured.cpu.push(spent.as_nanos() as f64 / outcome.messages as f64);
        self.measured.rate.push(outcome.rate());
        for (quantile, of_rounds) in QUANTILES.into_iter().zip(&mut self.measured.latency) {
            of_rounds.push(outcome.latency.value_at_quantile(quantile) as f64);
        }
        self.user_ticks += after.user_ticks - user_ticks;
        self.system_ticks += after.system_ticks - system_ticks;
        self.messages += outcome.messages;
        self.bytes += outcome.bytes_received;
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "shares and sizes")]
    fn finish(mut self) -> Cell {
        let ticks = self.user_ticks + self.system_ticks;
        self.measured.user_share = self.user_ticks as f64 / ticks.max(1) as f64;
        self.measured.bytes_on_wire = self.bytes as f64 / self.messages.max(1) as f64;
        self.measured.resident = self.process.resident().map_err(Absence::Failed)? as f64;
        Ok(self.measured)
    }
}

/// Memory of a connection that is idle after one message. What a server has once is made by a few before.
#[expect(clippy::cast_precision_loss, reason = "bytes of a process")]
fn idle(scenario: &Scenario, server: &Server) -> Cell {
    let few = Scenario { connections: 16, ..*scenario };
    let mut subject = Subject::start(&few, server, None)?;
    let once = |subject: &mut Subject, connections| -> Result<(), Absence> {
        let outcome = subject.load.run(Until::Messages(connections as u64), &Progress::default());
        right(outcome.map_err(|error| Absence::Failed(error.to_string()))?).map_err(Absence::Failed)?;
        Ok(())
    };
    once(&mut subject, few.connections)?;
    let before = subject.process.resident().map_err(Absence::Failed)?;
    let target = target(server, &subject.process, None).map_err(Absence::Failed)?;
    let load =
        Load::open(&target, &scenario.plan(None)).map_err(|error| Absence::Failed(error.to_string()))?;
    let first = std::mem::replace(&mut subject.load, load);
    once(&mut subject, scenario.connections)?;
    let after = subject.process.resident().map_err(Absence::Failed)?;
    drop(first);
    let grown = after.saturating_sub(before) as f64;
    Ok(Measured { resident: grown / scenario.connections as f64, ..subject.measured })
}

/// An outcome without anything wrong in it.
pub(crate) fn right(outcome: Outcome) -> Result<Outcome, String> {
    if let Some(failure) = outcome.failures.first() {
        return Err(format!("{} connections were lost: {failure}", outcome.lost));
    }
    if outcome.missing > 0 || outcome.messages == 0 {
        return Err(format!("{} messages came back, {} did not", outcome.messages, outcome.missing));
    }
    Ok(outcome)
}

fn start(scenario: &Scenario, server: &Server, trust: Option<&Trust>) -> Result<Process, Absence> {
    let is_raw = server.name == RAW;
    if is_raw && matches!(scenario.what, What::Connect | What::Broadcast(_) | What::Publish(_)) {
        return Err(Absence::NotPossible("it has no protocol".into()));
    }
    let certificate = trust.map(|trust| trust.server.as_ref());
    let mut command =
        server.command(scenario.mode(), scenario.compression, certificate).map_err(Absence::Failed)?;
    Process::start(&mut command).map_err(|error| match error {
        StartError::NotPossible(why) => Absence::NotPossible(why),
        StartError::Failed(why) => Absence::Failed(why),
    })
}

fn target(server: &Server, process: &Process, tls: Option<Arc<ClientConfig>>) -> Result<Target, String> {
    let address = process.address;
    if server.kind == Kind::Rust("raw-tokio") {
        return Ok(Target::raw(address));
    }
    let target = match tls {
        Some(tls) => Target::with_tls(&format!("wss://{address}/"), tls),
        None => Target::new(&format!("ws://{address}/")),
    };
    target.map_err(|error| error.to_string())
}

/// The machine, for whoever reads the figures elsewhere.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = cpus.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let models: Vec<&str> = models.map(|(_, model)| model).collect();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim().split('-').next().unwrap_or_default().to_owned();
    format!("{} × {}, Linux {release}", models.len(), models.first().unwrap_or(&"unknown"))
}
