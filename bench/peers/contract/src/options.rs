use std::path::PathBuf;
use std::{env, process};

/// What a server is told.
pub struct Options {
    pub mode: Mode,
    /// How hard to compress each message, 0 to 9; `None` is not at all.
    pub deflate: Option<u8>,
    pub(crate) tls: Option<Tls>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each message is answered as the library's own examples do it.
    Echo,
    /// The answers to all messages that are there are flushed once.
    Batched,
    /// Each message goes to all connections.
    Broadcast,
    /// Each message goes to all connections but the sender's.
    Publish,
}

/// Files in PEM.
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

const DEFAULT_LEVEL: u8 = 6;

impl Options {
    /// Those of this process. It ends here if they make no sense.
    #[must_use]
    pub fn of_this_process() -> Self {
        let mut arguments = env::args();
        let program = arguments.next().unwrap_or_default();
        Self::parse(arguments).unwrap_or_else(|| {
            stop(
                2,
                &format!(
                    "usage: {program} [echo|batched|broadcast|publish] [--deflate] [--level N] [--tls CERT.pem KEY.pem]"
                ),
            )
        })
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self { mode: Mode::Echo, deflate: None, tls: None };
        let (mut deflate, mut level) = (false, DEFAULT_LEVEL);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "echo" => options.mode = Mode::Echo,
                "batched" => options.mode = Mode::Batched,
                "broadcast" => options.mode = Mode::Broadcast,
                "publish" => options.mode = Mode::Publish,
                "--deflate" => deflate = true,
                "--level" => level = arguments.next()?.parse().ok().filter(|level| *level <= 9)?,
                "--tls" => {
                    options.tls =
                        Some(Tls { certificate: arguments.next()?.into(), key: arguments.next()?.into() });
                }
                _ => return None,
            }
        }
        options.deflate = deflate.then_some(level);
        Some(options)
    }

    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Ends the process where something is asked for that the library does not have.
    pub fn refuse_deflate(&self, library: &str) {
        if self.deflate.is_some() {
            not_possible(&format!("{library} does not speak permessage-deflate"));
        }
    }

    /// Ends the process where something is asked for that the library does not have.
    pub fn refuse_broadcast(&self, library: &str) {
        if matches!(self.mode, Mode::Broadcast | Mode::Publish) {
            not_possible(&format!("{library} has no publish of its own"));
        }
    }
}

/// Ends the process: it cannot do what it is asked for.
pub fn not_possible(why: &str) -> ! {
    stop(3, why)
}

pub(crate) fn stop(status: i32, why: &str) -> ! {
    eprintln!("{why}");
    process::exit(status)
}
