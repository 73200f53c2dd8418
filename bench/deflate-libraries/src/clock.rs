//! Processor time of this thread, and contenders who take turns.

use rustix::time::{ClockId, clock_gettime};

/// One way of doing it: runs once over all messages and tells the nanoseconds for each.
pub struct Contender<'a> {
    pub name: String,
    pub run: Box<dyn FnMut() -> f64 + 'a>,
}

/// What came out of all rounds.
pub struct Cost {
    /// Nanoseconds per message in the middle round.
    pub median: f64,
    /// Half the distance between the quartiles, as a share of the median.
    pub spread: f64,
    /// To the first contender: the median of the rounds' ratios, so that what disturbs a round counts for both.
    pub ratio: f64,
}

fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Nanoseconds of processor time for each of `count` steps of `work`.
pub fn per_step(count: usize, work: impl FnOnce()) -> f64 {
    let start = nanoseconds();
    work();
    (nanoseconds() - start) as f64 / count as f64
}

/// Every contender once a round, so that a disturbed second of the machine meets them all.
pub fn interleave(rounds: usize, contenders: &mut [Contender<'_>]) -> Vec<Cost> {
    for contender in contenders.iter_mut() {
        (contender.run)();
    }
    let mut costs = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, costs) in contenders.iter_mut().zip(&mut costs) {
            costs.push((contender.run)());
        }
    }
    let first = costs[0].clone();
    let summarize = |costs: Vec<f64>| {
        let ratios = costs.iter().zip(&first).map(|(cost, first)| cost / first).collect();
        let sorted = sorted(costs);
        let median = sorted[sorted.len() / 2];
        let spread = (sorted[sorted.len() * 3 / 4] - sorted[sorted.len() / 4]) / 2.0 / median;
        Cost { median, spread, ratio: self::sorted(ratios)[rounds / 2] }
    };
    costs.into_iter().map(summarize).collect()
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}
