//! The server of the reference run, on wharf: steered by lines of JSON on standard input, and telling what happened
//! by lines of JSON on standard output. `../original.mjs` is the same server on the npm package `websocket`.

mod order;
mod plain;
mod recorder;
mod report;
mod site;
mod voice;

use std::io::BufRead;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use order::Order;
use report::report;
use site::Site;

type Failure = Box<dyn std::error::Error>;

/// One thread, so that what is told keeps the order in which it happened.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    std::panic::set_hook(Box::new(|panic| {
        report("server", "uncaught", &[("error", panic.to_string().into())]);
    }));
    let mut lines = lines_of_stdin();
    let mut current: Option<Arc<Site>> = None;
    while let Some(line) = lines.recv().await {
        match (serde_json::from_str(&line)?, &current) {
            (Order::Start(start), _) => current = Some(Site::open(start).await?),
            (Order::Act(act), Some(site)) => site.act(act).await,
            (Order::Act(_), None) => return Err("there is nothing to act on".into()),
            (Order::Stop, _) => {
                if let Some(site) = current.take() {
                    site.stop().await;
                }
                report("control", "stopped", &[]);
            }
        }
    }
    Ok(())
}

fn lines_of_stdin() -> UnboundedReceiver<String> {
    let (sender, lines) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
