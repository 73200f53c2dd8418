//! What quick subscribers notice of those who never read: their deliveries at an even rate, with all reading and with some
//! stalled, for each policy; and whether the hub's counters account for every message.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use wharf::hub::SlowConsumer;
use wharf_load::{Load, Outcome, Plan, Progress, Shape, Target, Until};

use crate::asking::Asking;
use crate::measure::right;
use crate::process::Process;
use crate::report::{spread, time, write_table};
use crate::servers::wharf;
use crate::statistics::{Sample, ratios};
use crate::topics::{Policy, Question, STALLED_PATH};

/// What `wharf-bench stalled` can be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How many subscribers there are.
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// How many of them never read.
    #[arg(long, default_value_t = 100)]
    stalled: usize,
    /// How many messages a second are published.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Bytes of each.
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// What becomes of what the stalled ones do not take; may be given several times, or with commas.
    #[arg(long, value_delimiter = ',', default_values = ["drop-oldest", "close"])]
    policy: Vec<Policy>,
    /// How many rounds each has.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How many milliseconds a round takes.
    #[arg(long, default_value_t = 2000)]
    millis: u64,
}

/// A server, those who load it, and those who do not read.
struct Subject {
    name: String,
    process: Process,
    asking: Asking,
    load: Load,
    /// Opened, and never looked at again.
    stalled: Option<Load>,
    policy: Option<Policy>,
    receivers: usize,
    /// Bytes of memory, before anything waited.
    resident_before: u64,
    /// How many messages the stalled ones had been sent before, by themselves.
    filled: u64,
    published: u64,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// So many messages have to be dropped for each stalled subscriber before it is measured what the others notice.
const DROPPED_BEFORE: u64 = 16;
/// So many have to wait for each that is to be closed. Three quarters of what the hub's defaults allow.
const WAITING_BEFORE: u64 = 768;

/// The counters, in the order in which a server tells them.
const COUNTERS: [&str; 8] = [
    "to deliver",
    "delivered",
    "dropped oldest",
    "dropped newest",
    "conflated",
    "dropped by close",
    "discarded",
    "connections closed",
];

/// Measures, and tells it as a table.
pub(crate) fn measure(options: &Options) -> Result<String, String> {
    if options.stalled >= options.subscribers {
        return Err("some subscribers have to read".into());
    }
    let mut subjects = vec![Subject::start(options, None)?];
    for policy in &options.policy {
        subjects.push(Subject::start(options, Some(*policy))?);
    }
    for round in 0..=options.rounds {
        for subject in &mut subjects {
            // The first is to warm up.
            subject.round(Duration::from_millis(options.millis), round > 0)?;
        }
    }
    let all_read = subjects[0].p99.clone();
    let mut text = format!(
        "### stalled: {} of {} B a second to {} subscribers, {} of them stalled\n\n",
        options.rate, options.size, options.subscribers, options.stalled
    );
    let mut head = vec!["stalled", "p50", "p99", "to all reading", "memory grew by", "bound"];
    head.extend(COUNTERS);
    let lines = subjects.into_iter().map(|subject| subject.finish(options, &all_read));
    write_table(&mut text, &head, &lines.collect::<Result<Vec<_>, _>>()?);
    Ok(text)
}

impl Subject {
    /// `policy`: of a hub some of whose subscribers do not read.
    fn start(options: &Options, policy: Option<Policy>) -> Result<Self, String> {
        let stalled = if policy.is_some() { options.stalled } else { 0 };
        let receivers = options.subscribers - stalled;
        let process = wharf("publish", policy)?;
        let asking = Asking::new(process.address)?;
        let burst = NonZeroU32::MIN;
        let plan = |connections| Plan {
            connections,
            size: options.size,
            shape: Shape::Publish { burst, rate: Some(options.rate) },
            ..Plan::default()
        };
        let open = |path, connections| {
            let target = Target::new(&format!("ws://{}{path}", process.address));
            let target = target.map_err(|error| error.to_string())?;
            Load::open(&target, &plan(connections)).map_err(|error| error.to_string())
        };
        let load = open("/", 1 + receivers)?;
        let resident_before = process.resident()?;
        let name = match policy {
            None => "none".to_owned(),
            Some(policy) => format!("{stalled}, {policy:?}"),
        };
        let (stalled, filled) = match policy {
            None => (None, 0),
            Some(policy) => {
                let load = open(STALLED_PATH, stalled)?;
                let question = match policy {
                    Policy::Close => Question::FillUntilWaiting(WAITING_BEFORE * stalled as u64),
                    _ => Question::FillUntilDropped(DROPPED_BEFORE * stalled as u64),
                };
                let filled = asking.ask(&question)?;
                (Some(load), filled.first().copied().unwrap_or_default())
            }
        };
        let (p50, p99) = (Vec::new(), Vec::new());
        let published = 0;
        Ok(Self {
            name,
            process,
            asking,
            load,
            stalled,
            policy,
            receivers,
            resident_before,
            filled,
            published,
            p50,
            p99,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "nanoseconds")]
    fn round(&mut self, length: Duration, counts: bool) -> Result<(), String> {
        let outcome = self.load.run(Until::Elapsed(length), &Progress::default());
        let Outcome { messages, latency, .. } = right(outcome.map_err(|error| error.to_string())?)?;
        self.published += messages / self.receivers as u64;
        if counts {
            self.p50.push(latency.value_at_quantile(0.5) as f64);
            self.p99.push(latency.value_at_quantile(0.99) as f64);
        }
        Ok(())
    }

    fn finish(mut self, options: &Options, all_read: &[f64]) -> Result<Vec<String>, String> {
        let grown = self.process.resident()?.saturating_sub(self.resident_before);
        let stalled = if self.policy.is_some() { options.stalled as u64 } else { 0 };
        // What waits for the stalled ones is counted when they have ended.
        self.stalled = None;
        self.asking.until_connected(1 + self.receivers as u64)?;
        let counters = self.asking.ask(&Question::Counters)?;
        self.account(&counters, stalled)?;
        let mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(1024 * 1024));
        let mut line = vec![
            self.name,
            time(Sample::new(&self.p50).median()),
            time(Sample::new(&self.p99).median()),
            spread(Some(ratios(&self.p99, all_read))),
            mib(grown),
            mib(stalled * SlowConsumer::default().max_bytes as u64),
        ];
        line.extend(counters.iter().map(u64::to_string));
        Ok(line)
    }

    /// Whether the counters account for every message.
    fn account(&self, counters: &[u64], stalled: u64) -> Result<(), String> {
        let [to_deliver, delivered, dropped @ .., closed] = counters else {
            return Err(format!("these are not the counters: {counters:?}"));
        };
        let received = self.published * self.receivers as u64;
        let is_for_all = match self.policy {
            // A connection that is closed gets nothing of what comes then.
            Some(Policy::Close) if *closed < stalled => {
                return Err(format!(
                    "only {closed} of {stalled} were closed: --rounds or --millis are too few"
                ));
            }
            Some(Policy::Close) => *closed == stalled && *to_deliver >= received,
            _ => *closed == 0 && *to_deliver == received + (self.published + self.filled) * stalled,
        };
        let is_each_counted =
            *to_deliver == delivered + dropped.iter().sum::<u64>() && *delivered >= received;
        if is_for_all && is_each_counted {
            return Ok(());
        }
        Err(format!(
            "{}: the counters do not account for {} messages to all and {} to those who are stalled: {COUNTERS:?} are \
             {counters:?}",
            self.name, self.published, self.filled
        ))
    }
}
