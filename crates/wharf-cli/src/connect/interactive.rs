//! A session on a terminal.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;
use wharf::{Close, CloseCode, Connection, Message, TrySendError};

use super::command::{Command, HELP};
use super::display::{Display, in_bytes, quoted, wants_colours};
use super::history::History;
use super::incoming::Item;
use super::input::{Framing, Split};
use super::options::{Connect, Times};
use super::status::Status;
use super::terminal::{Line, Terminal};
use super::{Session, Signals, fail};

/// Pings of ours whose pongs are awaited; of more, the oldest are forgotten.
const MOST_PINGS: usize = 32;

/// Lets somebody type, until either side closes. The connection is closing then.
pub(super) async fn run(options: &Connect, session: &mut Session, signals: &mut Signals) -> Status {
    let mut typist = Typist {
        connection: session.connection.clone(),
        display: Display {
            times: options.time.unwrap_or(Times::Local),
            colours: wants_colours(),
            limit: options.show,
            began: Instant::now(),
        },
        framing: Framing { split: Split::Nowhere, binary: options.binary, limit: options.max_message_size },
        pings: VecDeque::new(),
    };
    if !options.quiet {
        typist.note(&session.greeting());
    }
    for message in options.first_messages() {
        if let Err(error) = typist.send(message) {
            typist.note(&error);
        }
    }
    let history = if options.no_history { None } else { History::of_user() };
    let (terminal, mut lines) = match Terminal::open(history) {
        Ok(opened) => opened,
        Err(error) => return fail(&error),
    };
    let mut close = (CloseCode::NORMAL, None);
    // Whether the lines have ended by themselves.
    let is_over = loop {
        if session.has_enough(options) {
            break false;
        }
        tokio::select! {
            // A line that has ended by Ctrl-C is seen before a second Ctrl-C, which is another thing.
            biased;
            line = lines.next() => match line {
                Some(line) => if let Some(told) = typist.obey(line).await {
                    close = told;
                    break true;
                },
                None => break true,
            },
            // Ctrl-C, too: while no line is edited, it is a signal as elsewhere.
            code = signals.stop() => {
                close.0 = code;
                break false;
            }
            next = next(session, &terminal) => match next {
                Some((room, Item::Message(message))) => {
                    session.received += 1;
                    room.send(typist.display.received(&message));
                }
                Some((room, Item::Pong(payload))) => {
                    if let Some(text) = typist.pong(&payload) {
                        room.send(text);
                    }
                }
                None => break false,
            },
        }
    };
    // Checked where it was typed; of no effect where the peer has closed.
    let _ = session.connection.close(close.0, close.1.as_deref());
    if is_over {
        terminal.ended().await;
    } else {
        terminal.stop(lines).await;
    }
    let ending = tokio::select! {
        biased;
        ending = session.ended() => ending,
        _ = signals.stop() => return Status::Interrupted,
    };
    session.report(&ending, options, true)
}

/// What comes next, with room to print it; none where the connection has ended.
async fn next<'a>(session: &mut Session, terminal: &'a Terminal) -> Option<(mpsc::Permit<'a, String>, Item)> {
    Some((terminal.room().await?, session.next().await?))
}

/// Whoever types.
struct Typist {
    connection: Connection,
    display: Display,
    framing: Framing,
    /// What was sent in pings, and when.
    pings: VecDeque<(Bytes, Instant)>,
}

impl Typist {
    /// Says something while no line is edited.
    fn note(&self, text: &str) {
        // A terminal that is gone ends the first line.
        let _ = io::stdout().write_all(self.display.noted(text).as_bytes());
    }

    /// Does what a line says. The next line may be typed then, unless this was to close, with a code and reason.
    async fn obey(&mut self, line: Line) -> Option<(CloseCode, Option<String>)> {
        let done = match Command::parse(&line.text) {
            Ok(Command::Close { code, reason }) => match check_close(code, reason.as_deref()) {
                Ok(()) => return Some((code, reason)),
                Err(error) => Err(error),
            },
            Ok(command) => self.perform(command).await,
            Err(error) => Err(error),
        };
        line.go_on(done.unwrap_or_else(Some).map(|text| self.display.noted(&text)));
        None
    }

    /// # Errors
    /// In one sentence, why it was not done.
    async fn perform(&mut self, command: Command) -> Result<Option<String>, String> {
        match command {
            Command::Send(text) => {
                let message = self.framing.message(text.into_bytes());
                self.send(message.ok_or("a message must be text")?)?;
                Ok(None)
            }
            Command::SendBytes(bytes) => self.send(bytes.into()).map(|()| None),
            Command::SendFile { path, binary } => {
                let framing = Framing { binary, ..self.framing };
                let read = tokio::task::spawn_blocking(move || read_message(&path, framing)).await;
                let message = read.map_err(|error| error.to_string())??;
                let sent = format!("sent {}", in_bytes(message.len()));
                self.send(message).map(|()| Some(sent))
            }
            Command::Ping(text) => {
                let payload = Bytes::from(text);
                self.connection.ping(payload.clone()).map_err(|error| error.to_string())?;
                if self.pings.len() == MOST_PINGS {
                    self.pings.pop_front();
                }
                self.pings.push_back((payload, Instant::now()));
                Ok(None)
            }
            Command::Pong(text) => {
                self.connection.pong(text).map(|()| None).map_err(|error| error.to_string())
            }
            Command::Help => Ok(Some(HELP.to_owned())),
            Command::Close { .. } => Ok(None),
        }
    }

    /// # Errors
    /// In one sentence, why it was not sent.
    fn send(&self, message: Message) -> Result<(), String> {
        self.connection.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => "not sent: the peer is slow, and much waits for it already".to_owned(),
            TrySendError::Closed(_) => "not sent: the connection is closing".to_owned(),
        })
    }

    /// What a pong says, where it answers a ping that was typed.
    fn pong(&mut self, payload: &[u8]) -> Option<String> {
        let at = self.pings.iter().position(|(sent, _)| sent == payload)?;
        // A peer may answer only the latest ping (RFC 6455 §5.5.3).
        let (_, sent) = self.pings.drain(..=at).next_back()?;
        let time = sent.elapsed().as_secs_f64() * 1000.0;
        let text = if payload.is_empty() {
            String::new()
        } else {
            format!(" {}", quoted(&String::from_utf8_lossy(payload)))
        };
        Some(self.display.noted(&format!("pong{text} after {time:.1} ms")))
    }
}

fn check_close(code: CloseCode, reason: Option<&str>) -> Result<(), String> {
    let close = Close::new(code, reason.unwrap_or_default().to_owned());
    close.map(|_| ()).map_err(|error| error.to_string())
}

fn read_message(path: &Path, framing: Framing) -> Result<Message, String> {
    let shown = path.display();
    let failed = |error: io::Error| format!("not sent: cannot read {shown}: {error}");
    // What is no file might never end.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(format!("not sent: {shown} is not a file"));
    }
    let mut bytes = Vec::new();
    let most = (framing.limit as u64).saturating_add(1);
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() > framing.limit {
        return Err(format!("not sent: {shown} is longer than --max-message-size ({} bytes)", framing.limit));
    }
    framing.message(bytes).ok_or_else(|| format!("not sent: {shown} is not UTF-8; /binary sends bytes"))
}
