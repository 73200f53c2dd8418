//! One round: messages at an even rate, and how long each is on its way.

use std::error::Error;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// How messages are published.
pub(crate) struct Pace {
    /// Messages a second.
    pub(crate) rate: u32,
    /// Bytes of each.
    pub(crate) size: usize,
    pub(crate) length: Duration,
}

/// A message that was received, and when.
pub(crate) struct Arrival {
    pub(crate) payload: Vec<u8>,
    pub(crate) at: Instant,
}

/// What the quantiles of each round were, in nanoseconds.
#[derive(Default)]
pub(crate) struct Rounds {
    p50: Vec<u64>,
    p99: Vec<u64>,
}

/// How long the last messages may take.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl Pace {
    /// Publishes, and waits for all that was.
    pub(crate) fn run(
        &self,
        publish: impl Fn(Vec<u8>) -> Result<(), Box<dyn Error>>,
        received: &Receiver<Arrival>,
    ) -> Result<Histogram<u64>, Box<dyn Error>> {
        let messages = u64::from(self.rate) * u64::try_from(self.length.as_millis())? / 1000;
        let distance = Duration::from_secs(1) / self.rate;
        let began = Instant::now();
        let mut published = Vec::new();
        for number in 0..messages {
            let due = began + distance * u32::try_from(number)?;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let mut payload = vec![0; self.size];
            payload[..8].copy_from_slice(&number.to_le_bytes());
            published.push(Instant::now());
            publish(payload)?;
        }
        let mut latency = Histogram::new(3)?;
        for (number, published) in (0..messages).zip(published) {
            let arrival = received.recv_timeout(LONGEST_WAIT);
            let Arrival { payload, at } = arrival.map_err(|_| format!("message {number} did not come"))?;
            if payload.len() != self.size || payload[..8] != number.to_le_bytes() {
                return Err(format!("another message came for message {number}").into());
            }
            latency.record(u64::try_from(at.saturating_duration_since(published).as_nanos())?)?;
        }
        Ok(latency)
    }
}

impl Rounds {
    pub(crate) fn add(&mut self, latency: &Histogram<u64>) {
        self.p50.push(latency.value_at_quantile(0.5));
        self.p99.push(latency.value_at_quantile(0.99));
    }

    /// A line of the table.
    pub(crate) fn line(&self, name: &str, to: &Self) -> String {
        let micros =
            |rounds: &[u64]| format!("{:.0} µs", median(rounds.iter().map(|nanos| *nanos as f64)).1 / 1e3);
        let ratio = |of: &[u64], to: &[u64]| {
            let (lowest, median, highest) = median(of.iter().zip(to).map(|(of, to)| *of as f64 / *to as f64));
            format!("{median:.2} ({lowest:.2}–{highest:.2})")
        };
        let Self { p50, p99 } = self;
        format!(
            "| {name} | {} | {} | {} | {} |",
            micros(p50),
            micros(p99),
            ratio(p50, &to.p50),
            ratio(p99, &to.p99)
        )
    }
}

/// Between the lowest and the highest.
fn median(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}
