//! What subscriptions take: memory of the server, and time.

use std::time::{Duration, Instant};

use clap::Args;

use crate::asking::Asking;
use crate::process::Process;
use crate::report::write_table;
use crate::servers::wharf;
use crate::topics::Question;

/// What `wharf-bench subscriptions` can be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only the case of this name.
    #[arg(long)]
    case: Option<String>,
}

/// So many connections, and what each subscribes to.
struct Case {
    name: &'static str,
    connections: usize,
    topics: usize,
    /// All to the same topics, or each to topics of its own.
    are_shared: bool,
}

const CASES: [Case; 4] = [
    Case { name: "own-10x10000", connections: 10, topics: 10_000, are_shared: false },
    Case { name: "own-100x10000", connections: 100, topics: 10_000, are_shared: false },
    Case { name: "own-10000x1", connections: 10_000, topics: 1, are_shared: false },
    Case { name: "shared-1000x1000", connections: 1000, topics: 1000, are_shared: true },
];

/// Measures, and tells it as a table.
pub(crate) fn measure(options: &Options) -> Result<String, String> {
    let is_chosen = |case: &&Case| options.case.as_ref().is_none_or(|name| name == case.name);
    let cases: Vec<&Case> = CASES.iter().filter(is_chosen).collect();
    if cases.is_empty() {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        return Err(format!("there is no such case; there are {}", names.join(", ")));
    }
    let lines = cases.iter().map(|case| case.measure());
    let head = [
        "case",
        "connections",
        "topics",
        "subscriptions",
        "memory",
        "bytes a subscription",
        "bytes a topic",
        "subscribing",
        "CPU a subscription",
        "ending",
        "CPU a subscription",
        "memory left",
    ];
    let mut text = "### subscriptions\n\n".to_owned();
    write_table(&mut text, &head, &lines.collect::<Result<Vec<_>, _>>()?);
    Ok(text)
}

impl Case {
    #[expect(clippy::cast_possible_truncation, reason = "a subscription takes less than 600 years")]
    fn measure(&self) -> Result<Vec<String>, String> {
        let process = wharf("publish", None)?;
        let mut asking = Asking::new(process.address)?;
        // What a server has once is made by the first.
        asking.ask(&Question::Subscribe { name: "first".to_owned(), topics: 1 })?;
        asking.connect(self.connections)?;
        asking.until_connected(self.connections as u64)?;

        let subscriptions = self.connections * self.topics;
        let topics = if self.are_shared { self.topics } else { subscriptions };
        let before = process.resident()?;
        let subscribing = spent(&process, || {
            for connection in 1..=self.connections {
                let name = if self.are_shared { "shared".to_owned() } else { format!("own.{connection}") };
                asking.ask_by(connection, &Question::Subscribe { name, topics: self.topics })?;
            }
            Ok(())
        })?;
        let subscribed = process.resident()?.saturating_sub(before);
        let ending = spent(&process, || {
            asking.disconnect();
            asking.until_connected(0).map(drop)
        })?;
        let left = process.resident()?.saturating_sub(before);

        let bytes = |of: usize| format!("{}", subscribed / of as u64);
        let each = |cpu: Duration| format!("{} ns", cpu.as_nanos() as u64 / subscriptions as u64);
        let millis = |elapsed: Duration| format!("{} ms", elapsed.as_millis());
        let mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(1024 * 1024));
        Ok(vec![
            self.name.to_owned(),
            self.connections.to_string(),
            topics.to_string(),
            subscriptions.to_string(),
            mib(subscribed),
            bytes(subscriptions),
            bytes(topics),
            millis(subscribing.elapsed),
            each(subscribing.cpu),
            millis(ending.elapsed),
            each(ending.cpu),
            mib(left),
        ])
    }
}

struct Spent {
    elapsed: Duration,
    /// Of the server.
    cpu: Duration,
}

fn spent(process: &Process, work: impl FnOnce() -> Result<(), String>) -> Result<Spent, String> {
    let (began, before) = (Instant::now(), process.used()?);
    work()?;
    let cpu = process.used()?.total.saturating_sub(before.total);
    Ok(Spent { elapsed: began.elapsed(), cpu })
}
