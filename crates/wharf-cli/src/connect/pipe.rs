//! A session in a pipe: the input's messages out, and what comes to standard output.

use std::io::{self, IsTerminal};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::{self, Instant as Deadline};
use wharf::{CloseCode, Connection, Ending, Message, Side};

use super::display::{Display, wants_colours};
use super::incoming::Item;
use super::input::{Framing, Input, InputError, Split, read_standard_input};
use super::options::{Connect, Times, Wait};
use super::output::{Format, Output};
use super::status::Status;
use super::{Session, Signals, fail};

/// Sends the input and writes what comes, until there is no more to wait for. The connection is closing then.
pub(super) async fn run(options: &Connect, session: &mut Session, signals: &mut Signals) -> Status {
    let (output, input) = match open(options) {
        Ok(pipes) => pipes,
        Err(error) => return fail(&format!("cannot start a thread: {error}")),
    };
    let connection = session.connection.clone();
    let mut sending = tokio::spawn(send_all(connection.clone(), options.first_messages(), input));
    let mut quiet_since = None;
    let mut failure = None;
    let mut code = CloseCode::NORMAL;
    while !session.has_enough(options) {
        tokio::select! {
            sent = &mut sending, if quiet_since.is_none() => {
                quiet_since = Some(Deadline::now());
                // What was sent before it may still be answered. A sender that panicked has said so.
                failure = sent.ok().and_then(Result::err);
            }
            next = next(session, &output, quiet_since, options.wait()) => match next {
                Some((room, Item::Message(message))) => {
                    room.send(message);
                    session.received += 1;
                    quiet_since = quiet_since.map(|_| Deadline::now());
                }
                Some((_, Item::Pong(_))) => {}
                None => break,
            },
            () = output.abandoned() => break,
            stop = signals.stop() => {
                code = stop;
                break;
            }
        }
    }
    sending.abort();
    // Of no effect where the peer has closed.
    let _ = connection.close(code, None);
    let is_read = !output.is_abandoned();
    let finished = async {
        let ending = session.ended().await;
        (ending, output.finish().await)
    };
    let (ending, written) = tokio::select! {
        finished = finished => finished,
        _ = signals.stop() => return Status::Interrupted,
    };
    match (failure, written) {
        (Some(error), _) => fail(&error.to_string()),
        (None, Err(error)) => fail(&format!("cannot write to standard output: {error}")),
        (None, Ok(())) if is_read => {
            // A pipe that was closed as it should be is not worth a line.
            let is_told = !matches!(ending, Ending::Clean { first: Side::Ours, .. });
            session.report(&ending, options, is_told)
        }
        // Whoever stops reading has what was wanted.
        (None, Ok(())) => Status::Done,
    }
}

/// What comes next, with room to write it; none where there is no more to wait for.
async fn next<'a>(
    session: &mut Session,
    output: &'a Output,
    quiet_since: Option<Deadline>,
    wait: Wait,
) -> Option<(mpsc::Permit<'a, Message>, Item)> {
    let (room, quiet_since) = match output.try_room() {
        Some(room) => (room, quiet_since),
        // Nothing was taken meanwhile, whatever came: the peer has not been quiet.
        None => (output.room().await?, quiet_since.map(|_| Deadline::now())),
    };
    let item = tokio::select! {
        biased;
        item = session.next() => item?,
        () = waited(quiet_since, wait) => return None,
    };
    Some((room, item))
}

fn open(options: &Connect) -> io::Result<(Output, Input)> {
    let separator = if options.null { b'\0' } else { b'\n' };
    let split = if options.whole { Split::Nowhere } else { Split::At(separator) };
    let framing = Framing { split, binary: options.binary, limit: options.max_message_size };
    let to_terminal = io::stdout().is_terminal();
    let format = Format {
        separator: (!options.raw).then_some(separator),
        to_terminal,
        display: Display {
            times: options.time.unwrap_or(Times::None),
            colours: to_terminal && wants_colours(),
            limit: options.show,
            began: Instant::now(),
        },
    };
    Ok((Output::start(format)?, read_standard_input(framing)?))
}

/// Sends everything, and returns when it has left.
async fn send_all(connection: Connection, first: Vec<Message>, mut input: Input) -> Result<(), InputError> {
    for message in first {
        if connection.send(message).await.is_err() {
            return Ok(());
        }
    }
    while let Some(message) = input.recv().await {
        if connection.send(message?).await.is_err() {
            return Ok(());
        }
    }
    connection.drained().await;
    Ok(())
}

/// Resolves when nothing has come for so long since everything was sent.
async fn waited(quiet_since: Option<Deadline>, wait: Wait) {
    match (quiet_since, wait) {
        (Some(since), Wait::For(time)) => match since.checked_add(time) {
            Some(deadline) => time::sleep_until(deadline).await,
            None => std::future::pending().await,
        },
        _ => std::future::pending().await,
    }
}
