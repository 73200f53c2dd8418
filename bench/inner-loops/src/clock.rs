//! Processor time of this thread, and contenders who take turns.

use rustix::time::{ClockId, clock_gettime};

/// One way of doing it, done as often as it is told.
pub type Contender<'a> = Box<dyn FnMut(usize) + 'a>;

const ROUNDS: usize = 21;
/// About what one contender handles a round.
const BYTES_A_ROUND: usize = 4 << 20;
/// What a step costs, whatever its size, in bytes.
const SMALLEST: usize = 64;

/// Gigabytes a second of each contender on `size` bytes: the median of the rounds, in each of which every contender has
/// its turn, so that a disturbed second of the machine meets them all.
pub fn gigabytes_a_second(size: usize, contenders: &mut [Contender<'_>]) -> Vec<f64> {
    let times = BYTES_A_ROUND / size.max(SMALLEST);
    let mut rounds = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, rounds) in contenders.iter_mut().zip(&mut rounds) {
            contender(1);
            let start = nanoseconds();
            contender(times);
            rounds.push((nanoseconds() - start) as f64 / times as f64);
        }
    }
    let median = |mut rounds: Vec<f64>| {
        rounds.sort_unstable_by(f64::total_cmp);
        rounds[ROUNDS / 2]
    };
    rounds.into_iter().map(|rounds| size as f64 / median(rounds)).collect()
}

fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// A Markdown table: a line for each size, by its name, with the speed of each contender.
pub fn table(sizes: &[(String, Vec<f64>)], contenders: &[&str]) {
    println!("| | {} |", contenders.join(" | "));
    println!("|---|{}", "--:|".repeat(contenders.len()));
    for (name, speeds) in sizes {
        let speeds: Vec<_> = speeds.iter().map(|speed| format!("{speed:.1}")).collect();
        println!("| {name} | {} |", speeds.join(" | "));
    }
}
