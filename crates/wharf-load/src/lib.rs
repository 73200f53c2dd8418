//! Loads a WebSocket server from one process, checks all that comes back, and measures: messages, bytes, and how long each
//! message was on its way.
//!
//! It is meant to cost less than any server does: frames are made once, what comes back is compared where it lies, and all
//! that can be written at once is.
//!
//! ```no_run
//! use std::time::Duration;
//! use wharf_load::{Load, Plan, Progress, Target, Until};
//!
//! let target = Target::new("ws://127.0.0.1:9001/echo")?;
//! let mut load = Load::open(&target, &Plan::default())?;
//! let outcome = load.run(Until::Elapsed(Duration::from_secs(5)), &Progress::default())?;
//! println!("{} messages, p99 {} ns", outcome.messages, outcome.latency.value_at_quantile(0.99));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compressed;
mod connection;
mod error;
mod load;
mod messages;
mod opening;
mod outcome;
mod pace;
mod plan;
mod received;
mod run;
mod sending;
mod stream;
mod target;
mod worker;

pub use error::{Failure, LoadError};
pub use load::Load;
pub use outcome::{Outcome, Progress};
pub use plan::{Plan, Shape, Until};
pub use rustls;
pub use target::{Target, TargetError};
pub use wharf_proto::message::MessageKind;
