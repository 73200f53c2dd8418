//! One message for many connections, made once for those that agreed on the same.

use std::sync::Arc;

use crate::burst::Burst;
use crate::connection::Shared;
use crate::outbox::Command;
use crate::proto::Message;
use crate::proto::connection::{Config, PreparedMessage};
use crate::registry::Registry;

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
    prepared: Vec<(Arc<Config>, Form, PreparedMessage)>,
}

/// What connections that share frames have in common, beside their configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    /// Compressed by itself, for a window of so many bits.
    Compressed {
        window_bits: u8,
    },
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
        if let Some(sent) = registry.burst().and_then(|burst| burst.push(message)) {
            return Broadcast { sent, full: 0 };
        }
        let everybody = registry.everybody();
        let mut burst = None;
        let (mut reach, mut room, mut framed_below) = (Broadcast::default(), usize::MAX, usize::MAX);
        for connection in everybody.iter() {
            let left = if connection.outbox.is_framed_ahead(message) {
                framed_below = framed_below.min(connection.outbox.framed_below());
                connection.try_send_burst(burst.get_or_insert_with(|| Burst::new(message)), message)
            } else {
                connection.try_send_to_many(self.command_for(connection)).then_some(0)
            };
            if let Some(left) = left {
                reach.sent += 1;
                room = room.min(left);
            } else if connection.outbox.is_open() {
                reach.full += 1;
            }
        }
        if let Some(burst) = burst.filter(|_| reach.full == 0 && room > 0) {
            burst.grow(reach.sent, room, framed_below);
            registry.set_burst(&everybody, &burst);
        }
        reach
    }

    /// Made before the connection's outbox is looked at, which is locked meanwhile: compressing takes its time.
    fn command_for(&mut self, connection: &Shared) -> Command {
        let form = match connection.sends_compressed().filter(|_| self.may_compress) {
            None => Form::Plain,
            Some(agreed) if agreed.context_takeover => return Command::SendShared(self.message.clone()),
            Some(agreed) => Form::Compressed { window_bits: agreed.window_bits },
        };
        let config = connection.core_config();
        let is_alike = |own: &&(Arc<Config>, Form, _)| Arc::ptr_eq(&own.0, config) && own.1 == form;
        if let Some((.., frames)) = self.prepared.iter().find(is_alike) {
            return Command::SendPrepared(frames.clone());
        }
        let message = (*self.message).as_ref();
        let frames = match form {
            Form::Plain => PreparedMessage::new(message, config),
            Form::Compressed { window_bits } => PreparedMessage::compressed(message, config, window_bits),
        };
        self.prepared.push((config.clone(), form, frames.clone()));
        Command::SendPrepared(frames)
    }
}
