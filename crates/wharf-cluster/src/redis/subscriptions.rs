//! The connection for subscriptions, over which everything comes.

use std::collections::{HashMap, VecDeque};

use redis::{Value, cmd};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use wharf::hub::{Arrived, BrokerError, Topic, TopicPattern};

use super::builder::Options;
use super::connection::{Connection, Replies, answer, away, failed, lost, next_reply};
use super::envelope;
use super::inbox::Inbox;
use super::progress::Progress;

/// What is to change, and who waits until it has.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) what: Kind,
    pub(super) pattern: TopicPattern,
    pub(super) done: oneshot::Sender<Result<(), BrokerError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Subscribe,
    Unsubscribe,
}

/// A connection that subscribes.
pub(super) struct Subscriptions<'a> {
    options: &'a Options,
    inbox: &'a mut Inbox,
    replies: Replies,
    writer: OwnedWriteHalf,
    progress: Progress,
    /// The patterns with wildcards, by what they are called at Redis.
    by_glob: HashMap<Vec<u8>, TopicPattern>,
    /// What Redis has not confirmed, in the order in which it will. `None`: nobody waits for it.
    unconfirmed: VecDeque<Option<oneshot::Sender<Result<(), BrokerError>>>>,
}

/// How many subscriptions are asked for before the first is confirmed, when a connection begins: Redis drops a client that
/// does not read what it is told.
const AT_ONCE: usize = 1024;

impl<'a> Subscriptions<'a> {
    pub(super) fn new(connection: Connection, inbox: &'a mut Inbox, options: &'a Options) -> Self {
        let Connection { replies, writer, progress } = connection;
        let (by_glob, unconfirmed) = (HashMap::new(), VecDeque::new());
        Self { options, inbox, replies, writer, progress, by_glob, unconfirmed }
    }

    /// Subscribes to what was subscribed to before, and waits until all of it is confirmed.
    pub(super) async fn resume(&mut self, patterns: &[TopicPattern]) -> Result<(), BrokerError> {
        let limit = self.options.request_timeout;
        for patterns in patterns.chunks(AT_ONCE) {
            let subscribe: Vec<u8> =
                patterns.iter().flat_map(|pattern| self.packed(Kind::Subscribe, pattern)).collect();
            let (confirmations, confirmed): (Vec<_>, Vec<_>) =
                patterns.iter().map(|_| oneshot::channel()).unzip();
            self.unconfirmed.extend(confirmations.into_iter().map(Some));
            let resume = async {
                self.writer.write_all(&subscribe).await.map_err(failed)?;
                while !self.unconfirmed.is_empty() {
                    let reply = next_reply(&mut self.replies).await?;
                    self.take(reply)?;
                }
                Ok(())
            };
            timeout(limit, resume).await.map_err(|_| BrokerError::TimedOut(limit))??;
            for mut confirmed in confirmed {
                confirmed.try_recv().map_err(|_| lost())??;
            }
        }
        Ok(())
    }

    /// Brings what comes, and changes what is asked, until nothing more can be asked.
    ///
    /// # Errors
    /// Why the connection is lost.
    pub(super) async fn run(mut self, changes: &mut mpsc::Receiver<Change>) -> Result<(), BrokerError> {
        let Options { ping_interval, request_timeout, .. } = *self.options;
        // It has to answer, since when.
        let mut asked: Option<Instant> = None;
        let mut since = Instant::now();
        loop {
            // The hub's task may be waiting for a confirmation, and takes no messages before it has come.
            let reads = !self.inbox.is_full() || !self.unconfirmed.is_empty();
            let limit = if asked.is_some() { request_timeout } else { ping_interval };
            let deadline = self.progress.last().max(since).max(asked.unwrap_or(since)) + limit;
            tokio::select! {
                reply = next_reply(&mut self.replies), if reads => {
                    self.take(reply?)?;
                    asked = None;
                }
                // What was not read meanwhile says nothing of those who sent it.
                () = self.inbox.has_room(), if !reads => since = Instant::now(),
                change = changes.recv() => match change {
                    // Its confirmation tells as much as an answer to PING.
                    Some(change) => {
                        self.change(change).await?;
                        asked = Some(Instant::now());
                    }
                    None => return Ok(()),
                },
                () = sleep_until(deadline), if reads => {
                    if deadline < self.progress.last() + limit {
                        continue;
                    }
                    if asked.is_some() {
                        return Err(BrokerError::TimedOut(request_timeout));
                    }
                    self.write(&cmd("PING").get_packed_command()).await?;
                    asked = Some(Instant::now());
                }
            }
        }
    }

    async fn change(&mut self, Change { what, pattern, done }: Change) -> Result<(), BrokerError> {
        let packed = self.packed(what, &pattern);
        self.unconfirmed.push_back(Some(done));
        self.write(&packed).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), BrokerError> {
        let limit = self.options.request_timeout;
        let written = timeout(limit, self.writer.write_all(bytes)).await;
        written.map_err(|_| BrokerError::TimedOut(limit))?.map_err(failed)
    }

    /// The command that subscribes to a pattern, or ends that.
    fn packed(&mut self, what: Kind, pattern: &TopicPattern) -> Vec<u8> {
        let names = &self.options.names;
        let (subscribe, unsubscribe, name) = if pattern.has_wildcards() {
            let glob = names.glob(pattern);
            match what {
                Kind::Subscribe => self.by_glob.insert(glob.clone().into_bytes(), pattern.clone()),
                Kind::Unsubscribe => self.by_glob.remove(glob.as_bytes()),
            };
            ("PSUBSCRIBE", "PUNSUBSCRIBE", glob)
        } else {
            ("SUBSCRIBE", "UNSUBSCRIBE", names.channel(pattern))
        };
        let command = match what {
            Kind::Subscribe => subscribe,
            Kind::Unsubscribe => unsubscribe,
        };
        cmd(command).arg(name).get_packed_command()
    }

    /// Takes in what came: a message, or a confirmation.
    fn take(&mut self, reply: Value) -> Result<(), BrokerError> {
        let parts = match answer(reply) {
            Ok(Value::Array(parts)) => parts,
            Ok(_) => return Ok(()),
            Err(error) => {
                let Some(done) = self.unconfirmed.pop_front() else { return Err(error) };
                confirm(done, Err(error));
                return Ok(());
            }
        };
        let mut parts = parts.into_iter().map(|part| match part {
            Value::BulkString(bytes) => bytes,
            _ => Vec::new(),
        });
        let mut next = || parts.next().unwrap_or_default();
        match next().as_slice() {
            b"message" => {
                let (channel, payload) = (next(), next());
                if let Some(topic) = self.options.names.topic(&channel) {
                    let via = TopicPattern::from(topic.clone());
                    self.arrived(topic, payload, via);
                }
            }
            b"pmessage" => {
                let (glob, channel, payload) = (next(), next(), next());
                let via = self.by_glob.get(&glob).cloned();
                if let Some((topic, via)) = self.options.names.topic(&channel).zip(via)
                    && via.matches(&topic)
                {
                    self.arrived(topic, payload, via);
                }
            }
            b"subscribe" | b"psubscribe" | b"unsubscribe" | b"punsubscribe" => {
                let done = self.unconfirmed.pop_front();
                confirm(done.ok_or_else(|| away("it confirmed what nobody asked"))?, Ok(()));
            }
            _ => {}
        }
        Ok(())
    }

    fn arrived(&mut self, topic: Topic, payload: Vec<u8>, via: TopicPattern) {
        if let Some((publication, id)) = envelope::decode(topic, payload) {
            self.inbox.put(Arrived::new(publication, id, Some(via)));
        }
    }
}

fn confirm(done: Option<oneshot::Sender<Result<(), BrokerError>>>, result: Result<(), BrokerError>) {
    if let Some(done) = done {
        // Fails only where nobody waits for it.
        let _ = done.send(result);
    }
}
