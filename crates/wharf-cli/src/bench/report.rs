//! What was measured, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;
use wharf_load::Outcome;

use super::options::Bench;

/// The quantiles that are told, and how they are called.
const QUANTILES: [(f64, &str); 6] =
    [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99"), (1.0, "max")];

/// How many lines the picture has, and how long its longest bar is, in characters.
const LINES: usize = 16;
const LONGEST: f64 = 50.0;

/// As a table, with a picture of how the times are distributed.
pub(super) fn text(options: &Bench, outcome: &Outcome) -> String {
    let what = if options.connect { "rounds" } else { "messages" };
    let mut text = format!("{}, for {:.1} s\n\n", options.description(), outcome.elapsed.as_secs_f64());
    let _ = writeln!(text, "{what:10}{:>14}{:>14.0} a second", outcome.messages, outcome.rate());
    for (name, bytes) in [("sent", outcome.bytes_sent), ("received", outcome.bytes_received)] {
        let _ = writeln!(
            text,
            "{name:10}{:>14}{:>14} a second",
            in_bytes(bytes),
            in_bytes(each_second(bytes, outcome.elapsed))
        );
    }
    for (name, count) in [("missing", outcome.missing), ("lost", outcome.lost)] {
        if count > 0 {
            let _ = writeln!(text, "{name:10}{count:>14}");
        }
    }
    for failure in &outcome.failures {
        let _ = writeln!(text, "  {failure}");
    }
    if !outcome.latency.is_empty() {
        text.push_str("\nlatency\n");
        for (quantile, name) in QUANTILES {
            let _ = writeln!(text, "  {name:8}{:>12}", in_time(outcome.latency.value_at_quantile(quantile)));
        }
        text.push('\n');
        text += &picture(&outcome.latency);
    }
    text
}

/// As one JSON object.
pub(super) fn json(options: &Bench, outcome: &Outcome) -> String {
    let latency: serde_json::Map<_, _> = QUANTILES
        .iter()
        .map(|(quantile, name)| ((*name).to_owned(), outcome.latency.value_at_quantile(*quantile).into()))
        .collect();
    let failures: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
    let value = json!({
        "url": options.url,
        "connections": options.connections,
        "size": options.size,
        "kind": if options.binary { "binary" } else { "text" },
        "compressed": options.compress,
        "connect": options.connect,
        "in_flight": options.in_flight.get(),
        "rate": options.rate,
        "threads": options.threads,
        "elapsed_ns": u64::try_from(outcome.elapsed.as_nanos()).unwrap_or(u64::MAX),
        "messages": outcome.messages,
        "messages_per_second": outcome.rate(),
        "bytes_sent": outcome.bytes_sent,
        "bytes_received": outcome.bytes_received,
        "missing": outcome.missing,
        "lost": outcome.lost,
        "failures": failures,
        "latency_ns": latency,
        "latency_mean_ns": outcome.latency.mean(),
    });
    value.to_string()
}

/// A bar for each range of times, as long as messages took such a time. Ranges grow by the same factor, since times differ by
/// powers of ten.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a picture"
)]
fn picture(latency: &Histogram<u64>) -> String {
    let (lowest, highest) = (latency.min().max(1) as f64, latency.max() as f64 + 1.0);
    let factor = (highest / lowest).powf(1.0 / LINES as f64);
    let mut bounds: Vec<u64> = (0..=LINES).map(|line| (lowest * factor.powf(line as f64)) as u64).collect();
    bounds.dedup();
    if let Some(last) = bounds.last_mut() {
        *last = latency.max() + 1;
    }
    let counts: Vec<u64> =
        bounds.windows(2).map(|bounds| latency.count_between(bounds[0], bounds[1] - 1)).collect();
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let mut text = String::new();
    for (bounds, count) in bounds.windows(2).zip(&counts) {
        let eighths = (*count as f64 / most as f64 * LONGEST * 8.0).round() as usize;
        let mut bar = "█".repeat(eighths / 8);
        bar.extend(" ▏▎▍▌▋▊▉".chars().nth(eighths % 8).filter(|part| *part != ' '));
        let _ = writeln!(text, "  {:>9} {bar} {count}", in_time(bounds[0]));
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "a time to read")]
pub(super) fn in_time(nanos: u64) -> String {
    match nanos as f64 {
        nanos if nanos < 1e3 => format!("{nanos:.0} ns"),
        nanos if nanos < 1e6 => format!("{:.1} µs", nanos / 1e3),
        nanos if nanos < 1e9 => format!("{:.2} ms", nanos / 1e6),
        nanos => format!("{:.2} s", nanos / 1e9),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size to read")]
fn in_bytes(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1e3 => format!("{bytes:.0} B"),
        bytes if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
        bytes if bytes < 1e9 => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.2} GB", bytes / 1e9),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rate to read"
)]
fn each_second(count: u64, elapsed: Duration) -> u64 {
    (count as f64 / elapsed.as_secs_f64().max(1e-9)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shows_every_message_once() {
        let mut latency = Histogram::new_with_bounds(100, 60_000_000_000, 3).unwrap();
        for nanos in [5_000, 5_000, 7_000, 90_000, 3_000_000, 900_000_000] {
            latency.record(nanos).unwrap();
        }
        let picture = picture(&latency);
        let counts = picture.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        assert_eq!((counts.sum::<u64>(), picture.lines().count()), (6, LINES));
    }

    #[test]
    fn the_picture_of_one_time_is_one_line() {
        let mut latency = Histogram::new_with_bounds(100, 60_000_000_000, 3).unwrap();
        latency.record_n(100, 7).unwrap();
        let picture = picture(&latency);
        assert!(picture.lines().all(|line| line.contains(" 7")), "{picture}");
    }

    #[test]
    fn times_and_sizes_have_the_unit_that_is_read_best() {
        assert_eq!(
            [999, 1_500, 2_340_000, 1_200_000_000].map(in_time),
            ["999 ns", "1.5 µs", "2.34 ms", "1.20 s"]
        );
        assert_eq!([999, 1_500, 2_340_000].map(in_bytes), ["999 B", "1.5 kB", "2.3 MB"]);
    }
}
