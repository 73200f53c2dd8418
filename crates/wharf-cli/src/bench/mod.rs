//! `wharf bench`: loads an endpoint that echoes, and measures.

mod options;
mod report;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
pub(crate) use options::Bench;
use wharf_load::{Load, LoadError, Outcome, Progress, Target, TargetError, Until};

use crate::args;

/// Messages that did not come back as they were sent.
const WRONG: u8 = 1;
/// No connections.
const NOT_CONNECTED: u8 = 3;

/// How often the progress is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(options: &Bench) -> ExitCode {
    let target = match target(options).await {
        Ok(target) => target,
        Err(message) => return args::fail(&message),
    };
    // It blocks; nothing else is to run meanwhile.
    let outcome = match tokio::task::block_in_place(|| load(options, &target)) {
        Ok(outcome) => outcome,
        Err(error) => {
            let status = match error {
                LoadError::Plan(_) | LoadError::Request(_) => return args::fail(&error.to_string()),
                _ => ExitCode::from(NOT_CONNECTED),
            };
            let _ = writeln!(io::stderr(), "wharf: {error}");
            return status;
        }
    };
    let report =
        if options.json { report::json(options, &outcome) + "\n" } else { report::text(options, &outcome) };
    // A reader that has gone away, as of `wharf bench … | head`, needs no more.
    let _ = io::stdout().write_all(report.as_bytes());
    if outcome.lost > 0 || outcome.missing > 0 { ExitCode::from(WRONG) } else { ExitCode::SUCCESS }
}

async fn target(options: &Bench) -> Result<Target, String> {
    let target = match Target::new(&options.url) {
        Err(TargetError::NoTls) => {
            let tls = options.trust.client_tls()?.rustls_config().await.map_err(|error| error.to_string())?;
            Target::with_tls(&options.url, tls)
        }
        target => target,
    };
    let mut target = target.map_err(|error| error.to_string())?;
    for (name, value) in options.credentials.to_headers()? {
        target = target.field(name, value);
    }
    Ok(target)
}

fn load(options: &Bench, target: &Target) -> Result<Outcome, LoadError> {
    let mut load = Load::open(target, &options.plan())?;
    let progress = Arc::new(Progress::default());
    let shows = !options.quiet && io::stderr().is_terminal();
    let drawing = shows.then(|| {
        let (progress, until) = (progress.clone(), options.until());
        let (stop, stopped) = std::sync::mpsc::channel();
        (stop, thread::spawn(move || draw(&progress, until, &stopped)))
    });
    let outcome = load.run(options.until(), &progress);
    if let Some((stop, thread)) = drawing {
        drop(stop);
        // A panic of the picture is not worth the figures.
        let _ = thread.join();
    }
    outcome
}

/// Draws how far the run has come, until `stopped` is told or hung up.
fn draw(progress: &Progress, until: Until, stopped: &std::sync::mpsc::Receiver<()>) {
    let in_millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let length = match until {
        Until::Elapsed(time) => in_millis(time),
        Until::Messages(count) => count,
    };
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("[{wide_bar}] {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    let started = Instant::now();
    let (mut before, mut at) = (0, started);
    while stopped.recv_timeout(DRAWN_EVERY) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        let (messages, now) = (progress.messages(), Instant::now());
        let position = match until {
            Until::Elapsed(_) => in_millis(started.elapsed()),
            Until::Messages(_) => messages,
        };
        bar.set_position(position.min(length));
        bar.set_message(format!(
            "{messages} messages, {:.0} a second now",
            rate(messages - before, now - at)
        ));
        (before, at) = (messages, now);
    }
    bar.finish_and_clear();
}

#[expect(clippy::cast_precision_loss, reason = "a rate to read")]
fn rate(messages: u64, time: Duration) -> f64 {
    messages as f64 / time.as_secs_f64().max(1e-9)
}
