//! The connection for all but subscriptions: commands are sent in the order in which they are handed over, without waiting
//! for the answers of those before them.

use std::future::pending;
use std::time::Duration;

use redis::{Cmd, Value, cmd};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use wharf::hub::BrokerError;

use super::builder::Options;
use super::connection::{Connection, Replies, answer, away, failed, lost, next_reply};
use super::progress::Progress;

/// Where commands are handed over. A cheap clone.
#[derive(Clone, Debug)]
pub(super) struct Commands(mpsc::Sender<Command>);

/// A command on its way.
#[derive(Debug)]
pub(super) struct Command {
    /// As Redis reads it.
    packed: Vec<u8>,
    answer: Answer,
}

/// Who waits for an answer, if anybody.
type Answer = Option<oneshot::Sender<Result<Value, BrokerError>>>;

/// How many commands wait to be written: more than a hub hands over without an acknowledgement, so that it does not wait.
const WAITING: usize = 2048;

/// How many are written at once.
const BATCH: usize = 256;

impl Commands {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Hands a command over, behind all before it. What is returned waits for the answer.
    pub(super) async fn hand_over(
        &self,
        command: &Cmd,
    ) -> Result<impl Future<Output = Result<Value, BrokerError>> + use<>, BrokerError> {
        let (answer, answered) = oneshot::channel();
        let command = Command { packed: command.get_packed_command(), answer: Some(answer) };
        self.0.send(command).await.map_err(|_| lost())?;
        Ok(async { answered.await.unwrap_or_else(|_| Err(lost())) })
    }
}

/// Sends what is handed over and brings the answers, until nothing more can be handed over and all is answered.
///
/// # Errors
/// Why the connection is lost. What was not answered then fails as [`BrokerError::Away`].
pub(super) async fn run(
    connection: Connection,
    mut handed_over: mpsc::Receiver<Command>,
    options: &Options,
) -> Result<(), BrokerError> {
    let Connection { replies, writer, progress } = connection;
    let (sent, awaited) = mpsc::unbounded_channel();
    // No longer than what is handed over: a hub waits for acknowledgements.
    tokio::try_join!(
        write(writer, &mut handed_over, sent, &progress, options),
        read(replies, awaited, &progress, options)
    )?;
    Ok(())
}

async fn write(
    mut writer: OwnedWriteHalf,
    handed_over: &mut mpsc::Receiver<Command>,
    sent: mpsc::UnboundedSender<Answer>,
    progress: &Progress,
    options: &Options,
) -> Result<(), BrokerError> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut bytes = Vec::new();
    loop {
        match timeout(options.ping_interval, handed_over.recv_many(&mut batch, BATCH)).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Whether it is still there: nobody else would notice.
            Err(_) => batch.push(Command { packed: cmd("PING").get_packed_command(), answer: None }),
        }
        for Command { packed, answer } in batch.drain(..) {
            bytes.extend_from_slice(&packed);
            // Before it is written, so that it does not take too long unnoticed.
            sent.send(answer).map_err(|_| lost())?;
        }
        write_all(&mut writer, &bytes, progress).await?;
        bytes.clear();
        bytes.shrink_to(64 * 1024);
    }
}

async fn write_all(
    writer: &mut OwnedWriteHalf,
    mut bytes: &[u8],
    progress: &Progress,
) -> Result<(), BrokerError> {
    let mut is_first = true;
    while !bytes.is_empty() {
        let written = writer.write(bytes).await.map_err(failed)?;
        if written == 0 {
            return Err(lost());
        }
        // What the system takes at first it only stores.
        if !is_first {
            progress.made();
        }
        (bytes, is_first) = (&bytes[written..], false);
    }
    Ok(())
}

async fn read(
    mut replies: Replies,
    mut sent: mpsc::UnboundedReceiver<Answer>,
    progress: &Progress,
    options: &Options,
) -> Result<(), BrokerError> {
    // What is answered next, and since when that is so.
    let mut next: Option<(Answer, Instant)> = None;
    loop {
        let since = next.as_ref().map(|(_, since)| *since);
        tokio::select! {
            biased;
            command = sent.recv(), if next.is_none() => match command {
                Some(answer) => next = Some((answer, Instant::now())),
                None => return Ok(()),
            },
            reply = next_reply(&mut replies) => {
                let Some((waiting, _)) = next.take() else { return Err(away("it answered what nobody asked")) };
                let answer = answer(reply?);
                // What it was asked for behind that fails as well, and is to be asked for again in order.
                let broken = answer.as_ref().err().filter(|error| matches!(error, BrokerError::Away(_))).cloned();
                if let Some(waiting) = waiting {
                    // Fails only where nobody waits for it.
                    let _ = waiting.send(answer);
                }
                if let Some(broken) = broken {
                    return Err(broken);
                }
            }
            () = nothing_for(options.request_timeout, since, progress) => return Err(BrokerError::TimedOut(options.request_timeout)),
        }
    }
}

/// Waits until nothing has moved for so long, since something is awaited.
///
/// Cancel safe.
async fn nothing_for(limit: Duration, since: Option<Instant>, progress: &Progress) {
    let Some(since) = since else { return pending().await };
    loop {
        let deadline = progress.last().max(since) + limit;
        if deadline <= Instant::now() {
            return;
        }
        sleep_until(deadline).await;
    }
}
