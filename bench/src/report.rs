//! The tables, in Markdown.

use std::fmt::Write;

use crate::measure::{Absence, Cell, Measured};
use crate::scenario::{Scenario, What};
use crate::servers::{RAW, REFERENCE, Server};
use crate::statistics::{Sample, ratios};

/// A scenario with what came of each server, in the order of the servers.
pub(crate) struct Row {
    pub(crate) scenario: Scenario,
    pub(crate) cells: Vec<Cell>,
}

/// What one scenario showed, as a table with a line for each server.
pub(crate) fn table(row: &Row, servers: &[Server]) -> String {
    let mut text = format!("### {}: {}\n\n", row.scenario.name, row.scenario.description());
    let lines: Vec<Vec<String>> =
        servers.iter().zip(&row.cells).map(|(server, cell)| line(row, servers, server, cell)).collect();
    let head: &[&str] = match row.scenario.what {
        What::Idle => &["server", "bytes a connection", "to uWebSockets"],
        _ => &[
            "server",
            "CPU a message",
            "to uWebSockets",
            "to raw tokio",
            "user",
            "messages a second",
            "p50",
            "p99",
            "p99.9",
            "bytes",
            "memory",
        ],
    };
    write_table(&mut text, head, &lines);
    text.push('\n');
    text
}

fn line(row: &Row, servers: &[Server], server: &Server, cell: &Cell) -> Vec<String> {
    let measured = match cell {
        Ok(measured) => measured,
        Err(absence) => return vec![server.name.to_owned(), words(absence)],
    };
    if row.scenario.what == What::Idle {
        let reference = measured_of(row, servers, REFERENCE);
        let ratio = reference.map_or(f64::NAN, |reference| measured.resident / reference.resident);
        return vec![server.name.to_owned(), format!("{:.0}", measured.resident), number(ratio)];
    }
    let to = |name| measured_of(row, servers, name).map(|other| ratios(&measured.cpu, &other.cpu));
    let [p50, p99, p999] = measured.latency.each_ref().map(|rounds| time(Sample::new(rounds).median()));
    vec![
        server.name.to_owned(),
        nanos(Sample::new(&measured.cpu).median()),
        spread(to(REFERENCE)),
        spread(to(RAW)),
        format!("{:.0} %", measured.user_share * 100.0),
        format!("{:.0}", Sample::new(&measured.rate).median()),
        p50,
        p99,
        p999,
        format!("{:.0}", measured.bytes_on_wire),
        format!("{:.1} MiB", measured.resident / 1024.0 / 1024.0),
    ]
}

/// The ratios to the reference of all scenarios in one table.
pub(crate) fn overview(rows: &[Row], servers: &[Server]) -> String {
    let mut head = vec!["server"];
    head.extend(rows.iter().map(|row| row.scenario.name));
    let lines: Vec<Vec<String>> = servers
        .iter()
        .enumerate()
        .map(|(at, server)| {
            let mut line = vec![server.name.to_owned()];
            line.extend(rows.iter().map(|row| {
                match (&row.cells[at], measured_of(row, servers, REFERENCE)) {
                    (Ok(measured), Some(reference)) => number(ratio(row, measured, reference)),
                    _ => "–".to_owned(),
                }
            }));
            line
        })
        .collect();
    let mut text = String::new();
    write_table(&mut text, &head, &lines);
    text.push('\n');
    text
}

/// What `measured` is to `reference` in what counts in this scenario.
pub(crate) fn ratio(row: &Row, measured: &Measured, reference: &Measured) -> f64 {
    match row.scenario.what {
        What::Idle => measured.resident / reference.resident,
        _ => ratios(&measured.cpu, &reference.cpu).median(),
    }
}

pub(crate) fn measured_of<'r>(row: &'r Row, servers: &[Server], name: &str) -> Option<&'r Measured> {
    let at = servers.iter().position(|server| server.name == name)?;
    row.cells.get(at)?.as_ref().ok()
}

/// What is drawn of a server: bytes of memory of a connection, or nanoseconds of processor time of a message.
pub(crate) fn cost(row: &Row, measured: &Measured) -> f64 {
    match row.scenario.what {
        What::Idle => measured.resident,
        _ => Sample::new(&measured.cpu).median(),
    }
}

pub(crate) fn cost_in_words(row: &Row, cost: f64) -> String {
    match row.scenario.what {
        What::Idle => format!("{cost:.0} bytes"),
        _ => nanos(cost),
    }
}

/// What a cost is of.
pub(crate) const fn words_for_cost(row: &Row) -> &'static str {
    match row.scenario.what {
        What::Idle => "memory of a connection",
        What::Connect => "CPU of the server, each round",
        What::Broadcast(_) | What::Publish(_) => "CPU of the server, each delivery",
        What::Echo(_) | What::HalfLoad => "CPU of the server, each message",
    }
}

/// What did not take part, and why.
pub(crate) fn words(absence: &Absence) -> String {
    match absence {
        Absence::NotBuilt(why) => format!("not built: {why}"),
        Absence::NotPossible(why) => format!("not possible: {why}"),
        Absence::Failed(why) => format!("failed: {why}"),
    }
}

pub(crate) fn write_table(text: &mut String, head: &[&str], lines: &[Vec<String>]) {
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    for line in lines {
        let mut cells: Vec<String> = line.iter().map(|cell| cell.replace('|', "/")).collect();
        cells.resize(head.len(), String::new());
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

/// Median, and lowest to highest.
pub(crate) fn spread(sample: Option<Sample>) -> String {
    let Some(sample) = sample else { return String::new() };
    format!("{} ({}–{})", number(sample.median()), number(sample.lowest()), number(sample.highest()))
}

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value < 0.1 => format!("{value:.3}"),
        value if value < 10.0 => format!("{value:.2}"),
        value => format!("{value:.0}"),
    }
}

fn nanos(nanos: f64) -> String {
    if nanos < 1000.0 { format!("{nanos:.0} ns") } else { format!("{:.2} µs", nanos / 1000.0) }
}

pub(crate) fn time(nanos: f64) -> String {
    match nanos {
        nanos if nanos < 1e6 => format!("{:.0} µs", nanos / 1e3),
        nanos => format!("{:.1} ms", nanos / 1e6),
    }
}
