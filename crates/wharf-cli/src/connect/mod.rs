//! `wharf connect`: a WebSocket endpoint on a terminal or in a pipe.

mod command;
mod display;
mod escape;
mod history;
mod incoming;
mod input;
mod interactive;
mod open;
mod options;
mod output;
mod pipe;
mod redirect;
mod signals;
mod status;
mod terminal;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use wharf::{Connection, Ending, Message};

pub(crate) use options::Connect;

use escape::OneLine;
use incoming::{Incoming, Item};
use signals::Signals;
use status::Status;
use terminal::Terminal;

/// Talks until either side closes: the status to end with.
pub(crate) async fn run(options: Connect) -> ExitCode {
    if options.raw && io::stdout().is_terminal() {
        say(
            "--raw writes what the peer wants, which is nothing for a terminal: write it to a file or a pipe",
        );
        return Status::Usage.into();
    }
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot listen to signals: {error}")).into(),
    };
    let opened = tokio::select! {
        opened = open::open(&options) => opened,
        _ = signals.stop() => return Status::Interrupted.into(),
    };
    let status = match opened {
        Ok(mut session) if Terminal::is_there() => {
            interactive::run(&options, &mut session, &mut signals).await
        }
        Ok(mut session) => pipe::run(&options, &mut session, &mut signals).await,
        Err(failure) => {
            say(&failure.text);
            failure.status
        }
    };
    status.into()
}

/// An open connection, and what has come on it.
#[derive(Debug)]
struct Session {
    connection: Connection,
    incoming: Incoming,
    /// Messages that were taken.
    received: u64,
}

/// Why there is no session.
#[derive(Debug)]
struct Failure {
    status: Status,
    /// In a sentence or more lines, with nothing of the peer's that a terminal could obey.
    text: String,
}

impl Session {
    /// What came next; none when the connection has ended.
    ///
    /// Cancel safe.
    async fn next(&mut self) -> Option<Item> {
        self.incoming.next(&self.connection).await
    }

    /// Waits for the end of a connection that is closing.
    ///
    /// Cancel safe.
    async fn ended(&mut self) -> Ending {
        // Reading must go on until the peer's Close.
        while self.next().await.is_some() {}
        self.connection.closed().await
    }

    /// What somebody who is about to type wants to know.
    fn greeting(&self) -> String {
        let protocol = self.connection.protocol().map(|protocol| format!(", subprotocol {protocol}"));
        format!("connected{}; /help lists the commands, Ctrl-D closes", protocol.unwrap_or_default())
    }

    fn has_enough(&self, options: &Connect) -> bool {
        options.count.is_some_and(|count| self.received >= count)
    }

    /// Says how it ended, where that is worth a line: what it means for a script.
    fn report(&self, ending: &Ending, options: &Connect, is_told: bool) -> Status {
        let mut status = Status::of(ending);
        let is_short = !self.has_enough(options) && options.count.is_some();
        if status == Status::Done && is_short {
            status = Status::TooFew;
        }
        if status != Status::Done || is_told && !options.quiet {
            say(&status::in_words(ending));
        }
        if let Some(count) = options.count.filter(|_| is_short) {
            say(&format!("{} of {count} messages came", self.received));
        }
        status
    }
}

impl Connect {
    /// What is sent before anything else.
    fn first_messages(&self) -> Vec<Message> {
        let message = |text: &String| if self.binary { text.as_bytes().into() } else { text.as_str().into() };
        self.messages.iter().map(message).collect()
    }
}

/// Says why something failed on this side.
fn fail(text: &str) -> Status {
    say(text);
    Status::Local
}

/// Says something that is no message.
fn say(text: &str) {
    for line in text.lines() {
        // Whoever closed standard error does not want to know.
        let _ = writeln!(io::stderr(), "wharf: {}", OneLine(line));
    }
}
