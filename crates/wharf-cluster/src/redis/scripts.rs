//! The scripts that keep a topic's history, each at once for all who look.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Value, cmd};
use wharf::hub::{
    Arrived, BrokerError, HistoryOptions, HistoryRead, HistoryRequest, Outgoing, Position, Topic,
};

use super::commands::Commands;
use super::connection::Connection;
use super::envelope;
use super::names::Names;

/// What the scripts are called at Redis, where they were loaded.
#[derive(Clone, Debug)]
pub(super) struct Scripts {
    publish: Arc<str>,
    read: Arc<str>,
}

const PUBLISH: &str = concat!(include_str!("kept.lua"), include_str!("publish.lua"));
const READ: &str = concat!(include_str!("kept.lua"), include_str!("read.lua"));

/// For how long after its last message a topic's epoch is kept, and which node published what, beyond the age of messages:
/// as long as a node that has lost its connection may take to publish again what was not acknowledged.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// The longest time that is reckoned with: Redis adds it to today, in 63 bits.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// More messages than are ever kept. Lua's numbers are exact up to there.
const MOST_MESSAGES: usize = 1 << 50;

/// How much is read at once: Redis serves nobody else meanwhile.
const PAGE_MESSAGES: usize = 1000;
const PAGE_BYTES: usize = 1024 * 1024;

impl Scripts {
    /// Loads them.
    pub(super) async fn load(connection: &mut Connection) -> Result<Self, BrokerError> {
        let mut names = Vec::new();
        for script in [PUBLISH, READ] {
            let loaded = connection.request(cmd("SCRIPT").arg("LOAD").arg(script)).await?;
            names.push(Arc::from(read_as::<String>(loaded)?));
        }
        let [publish, read] = names.try_into().unwrap_or_default();
        Ok(Self { publish, read })
    }

    /// The command that publishes a message and keeps it.
    pub(super) fn publish(&self, names: &Names, outgoing: &Outgoing, history: HistoryOptions) -> Cmd {
        let topic = &outgoing.publication.topic;
        let mut command = call(&self.publish, names, topic);
        command
            .arg(format!("{:x}", outgoing.id.node))
            .arg(outgoing.id.number)
            .arg(names.channel(topic))
            .arg(envelope::body(outgoing))
            .arg(history.max_messages.min(MOST_MESSAGES))
            .arg(milliseconds(history.max_age))
            .arg(lifetime(history));
        command
    }

    /// The position that [`publish`](Self::publish) has answered. `None`: the message was kept before, and is no longer.
    pub(super) fn published(reply: Value) -> Result<Option<Position>, BrokerError> {
        let (epoch, offset) = read_as::<(String, u64)>(reply)?;
        Ok(Some(Position { epoch: read_epoch(&epoch)?, offset }).filter(|position| position.offset > 0))
    }

    /// Reads a history, page after page.
    pub(super) async fn read(
        &self,
        commands: &Commands,
        names: &Names,
        request: &HistoryRequest,
    ) -> Result<HistoryRead, BrokerError> {
        let HistoryRequest { topic, history, after, .. } = request;
        let mut read: Option<HistoryRead> = None;
        let mut next = after.map(|after| after.min(MOST_MESSAGES as u64));
        loop {
            let mut command = call(&self.read, names, topic);
            match next {
                Some(after) => command.arg(after),
                None => command.arg(-1),
            };
            command
                .arg(milliseconds(history.max_age))
                .arg(lifetime(*history))
                .arg(PAGE_MESSAGES)
                .arg(PAGE_BYTES);
            let Page { history: page, last_read } =
                read_page(topic, commands.hand_over(&command).await?.await?)?;
            let so_far = match read {
                // Nothing between what was read and this page has gone.
                Some(mut before)
                    if before.epoch == page.epoch && next.is_some_and(|next| page.first <= next + 1) =>
                {
                    before.messages.extend(page.messages);
                    before
                }
                _ => page,
            };
            match last_read {
                Some(offset) if offset < so_far.last => (read, next) = (Some(so_far), Some(offset)),
                _ => return Ok(without_later(so_far)),
            }
        }
    }
}

/// The call of a script, with what both are told first.
fn call(script: &str, names: &Names, topic: &Topic) -> Cmd {
    let mut command = cmd("EVALSHA");
    let new_epoch = rand::random::<u64>();
    command.arg(script).arg(2).arg(names.keys(topic).as_slice()).arg(format!("{new_epoch:x}"));
    command
}

/// Some of a history.
struct Page {
    history: HistoryRead,
    /// The offset of the last message on it.
    last_read: Option<u64>,
}

fn read_page(topic: &Topic, reply: Value) -> Result<Page, BrokerError> {
    let (epoch, first, last, entries) = read_as::<(String, u64, u64, Vec<(u64, Vec<u8>)>)>(reply)?;
    let epoch = read_epoch(&epoch)?;
    let last_read = entries.last().map(|(offset, _)| *offset);
    let arrived = |(offset, body)| {
        // What somebody who is not a hub has put there is no message.
        let (publication, id) = envelope::decode_kept(topic.clone(), Position { epoch, offset }, body)?;
        Some(Arrived::new(publication, Some(id), None))
    };
    let messages = entries.into_iter().filter_map(arrived).collect();
    Ok(Page { history: HistoryRead::new(epoch, first, last, messages), last_read })
}

/// Leaves out what was published after the first page was read: it stands as it stood then.
fn without_later(mut read: HistoryRead) -> HistoryRead {
    let last = read.last;
    read.messages
        .retain(|message| message.publication.position.is_some_and(|position| position.offset <= last));
    read
}

fn read_epoch(text: &str) -> Result<u64, BrokerError> {
    u64::from_str_radix(text, 16)
        .map_err(|_| BrokerError::Refused("the epoch of a history is not a number".into()))
}

fn read_as<T: FromRedisValue>(reply: Value) -> Result<T, BrokerError> {
    redis::from_redis_value(reply).map_err(|error| BrokerError::Refused(error.to_string().into()))
}

fn lifetime(history: HistoryOptions) -> u64 {
    milliseconds(history.max_age.saturating_add(REMEMBERED))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.min(LONGEST).as_millis()).unwrap_or(u64::MAX).max(1)
}
