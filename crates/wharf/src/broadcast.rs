//! One message for many connections, made once for those that agreed on the same.

use std::sync::Arc;

use crate::burst::Burst;
use crate::class::{Class, Form};
use crate::proto::Message;
use crate::proto::connection::PreparedMessage;
use crate::proto::message::MessageRef;
use crate::queue::Command;
use crate::registry::Registry;
use crate::shared::Shared;

/// How far a [`broadcast`](crate::Server::broadcast) reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broadcast {
    /// Connections that the message was queued for.
    pub sent: usize,
    /// Connections that were passed over because as much waits for them as `max_buffered_amount` allows, or
    /// because another message is being sent to them in parts.
    pub full: usize,
}

/// A message, and the frames that were made of it so far.
pub(crate) struct ToMany {
    message: Arc<Message>,
    may_compress: bool,
    prepared: Vec<(Class, PreparedMessage)>,
}

/// What is found out on the way through the connections.
struct Walk<'c> {
    reach: Broadcast,
    burst: Option<Arc<Burst>>,
    /// How many connections take part in the burst, how much it takes to fill one of them, and which messages are framed
    /// ahead for each.
    in_burst: usize,
    room: usize,
    framed_below: usize,
    /// Open connections that do not take part in it.
    others: Vec<&'c Arc<Shared>>,
}

impl ToMany {
    pub(crate) fn new(message: Message) -> Self {
        Self { message: Arc::new(message), may_compress: true, prepared: Vec::new() }
    }

    pub(crate) fn uncompressed(message: Message) -> Self {
        Self { may_compress: false, ..Self::new(message) }
    }

    pub(crate) fn send_to_all(mut self, registry: &Registry) -> Broadcast {
        let message = self.message.clone();
        let message = (*message).as_ref();
        let mut walk = Walk::default();
        if let Some((in_burst, others)) = registry.burst().and_then(|burst| burst.push(message)) {
            self.send_to(&others, message, &mut walk);
            walk.reach.sent += in_burst;
            return walk.reach;
        }
        let everybody = registry.everybody();
        self.send_to(&everybody, message, &mut walk);
        if let Some(burst) = walk.burst.filter(|_| walk.others.len() <= walk.in_burst / 4) {
            burst.grow(
                walk.in_burst,
                walk.others.into_iter().cloned().collect(),
                walk.room,
                walk.framed_below,
            );
            registry.set_burst(&everybody, &burst);
        }
        walk.reach
    }

    fn send_to<'c>(&mut self, connections: &'c [Arc<Shared>], message: MessageRef<'_>, walk: &mut Walk<'c>) {
        for connection in connections {
            let room = if connection.outbox.is_framed_ahead(message) {
                let burst = walk.burst.get_or_insert_with(|| Burst::new(message));
                connection.try_send_burst(burst, message)
            } else {
                connection.try_send_to_many(self.command_for(connection)).then_some(0)
            };
            walk.reached(connection, room);
        }
    }

    /// Made before the connection's outbox is looked at, which is locked meanwhile: compressing takes its time.
    fn command_for(&mut self, connection: &Shared) -> Command {
        let class = Class::of(connection);
        let class = if self.may_compress { class } else { class.uncompressed() };
        if class.form == Form::Own {
            return Command::SendShared(self.message.clone());
        }
        if let Some((_, frames)) = self.prepared.iter().find(|(own, _)| *own == class) {
            return Command::SendPrepared(frames.clone());
        }
        let frames = class.frame((*self.message).as_ref());
        self.prepared.push((class, frames.clone()));
        Command::SendPrepared(frames)
    }
}

impl Default for Walk<'_> {
    fn default() -> Self {
        let (reach, burst, others) = (Broadcast::default(), None, Vec::new());
        Self { reach, burst, in_burst: 0, room: usize::MAX, framed_below: usize::MAX, others }
    }
}

impl<'c> Walk<'c> {
    /// `room`: how much of a burst the connection has room for; `None` where the message was not queued.
    #[inline]
    fn reached(&mut self, connection: &'c Arc<Shared>, room: Option<usize>) {
        match room {
            Some(room @ 1..) => {
                self.in_burst += 1;
                self.room = self.room.min(room);
                self.framed_below = self.framed_below.min(connection.outbox.framed_below());
            }
            Some(0) => self.others.push(connection),
            None if connection.outbox.is_open() => {
                self.reach.full += 1;
                self.others.push(connection);
            }
            None => {}
        }
        self.reach.sent += usize::from(room.is_some());
    }
}
