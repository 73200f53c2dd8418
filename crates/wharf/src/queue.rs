//! What waits for a driver, in order.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::burst::Burst;
use crate::hub::{Delivery, Taken};
use crate::proto::connection::{FramedMessages, PreparedMessage, RawFrame};
use crate::proto::{Close, CloseCode, Message};

/// Commands from the handles to the driver, in order.
#[derive(Debug)]
pub(crate) enum Command {
    Send(Message),
    /// Short messages, one behind the other, framed by those who sent them.
    SendFramed {
        messages: FramedMessages,
        weight: usize,
    },
    SendUncompressed(Message),
    /// Short messages for all, framed already. Whoever looks at the outbox has ended the burst.
    SendBurst(Arc<Burst>),
    /// Messages of a topic, framed already.
    Deliver(Arc<Delivery>),
    /// What the socket did not take of messages of a topic that were written past the driver, from a place in their frames on.
    DeliverRest {
        delivery: Arc<Delivery>,
        written: usize,
    },
    /// Messages of topics that have waited.
    DeliverWaited(Box<Taken>),
    /// A message for many, framed already.
    SendPrepared(PreparedMessage),
    /// A message for many, to be compressed for this connection.
    SendShared(Arc<Message>),
    /// Judged before it was queued, unless it is not to be judged.
    SendFrame(RawFrame),
    Ping(Bytes),
    Pong(Bytes),
    Close(Close),
    Drop {
        code: CloseCode,
        description: Option<String>,
        tell_peer: bool,
    },
    /// The part of the hub on the driver's thread is to write to its socket.
    LendSocket,
    /// That failed to.
    SocketFailed(io::Error),
    /// Somebody waits until all before it has left.
    Flush(oneshot::Sender<()>),
}

impl Command {
    /// What it counts towards the bound, in bytes: its payload, and a little for its own place in the queue.
    #[inline]
    pub(crate) fn weight(&self) -> usize {
        let payload = match self {
            Self::Send(message) | Self::SendUncompressed(message) => message.len(),
            Self::SendShared(message) => message.len(),
            Self::SendPrepared(message) => message.wire_len(),
            Self::SendFrame(frame) => frame.payload.len(),
            Self::Ping(payload) | Self::Pong(payload) => payload.len(),
            Self::Close(_) | Self::Drop { .. } => 0,
            Self::SendFramed { weight, .. } => return *weight,
            Self::SendBurst(burst) => return burst.end().weight,
            Self::Deliver(delivery) => return delivery.weight(),
            Self::DeliverWaited(taken) => return taken.weight,
            Self::DeliverRest { delivery, written } => return delivery.weight() - written,
            Self::LendSocket | Self::SocketFailed(_) | Self::Flush(_) => return 0,
        };
        payload + PLACE
    }

    /// Whether it can become a frame that somebody would miss.
    pub(crate) const fn is_frame(&self) -> bool {
        !matches!(self, Self::Close(_) | Self::Drop { .. } | Self::LendSocket | Self::Flush(_))
    }

    /// Whether it may pass between the fragments of another message.
    pub(crate) fn is_control(&self) -> bool {
        match self {
            Self::Send(_)
            | Self::SendFramed { .. }
            | Self::SendBurst(_)
            | Self::Deliver(_)
            | Self::DeliverRest { .. }
            | Self::DeliverWaited(_)
            | Self::SendUncompressed(_)
            | Self::SendPrepared(_)
            | Self::SendShared(_) => false,
            Self::SendFrame(frame) => frame.opcode & 0x8 != 0,
            Self::Ping(_)
            | Self::Pong(_)
            | Self::Close(_)
            | Self::Drop { .. }
            | Self::LendSocket
            | Self::SocketFailed(_)
            | Self::Flush(_) => true,
        }
    }
}

/// What each place in the queue counts for, in bytes.
pub(crate) const PLACE: usize = 16;

/// As small as a `Vec`.
#[derive(Debug)]
pub(crate) enum Queue {
    Commands(Vec<Command>),
    /// A burst and nothing else, which takes no memory of its own.
    Burst(Arc<Burst>),
    /// Messages of a topic and nothing else, which take no memory either.
    Delivery(Arc<Delivery>),
}

const _: () = assert!(size_of::<Queue>() == size_of::<Vec<Command>>());

impl Queue {
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Commands(commands) => commands.is_empty(),
            Self::Burst(_) | Self::Delivery(_) => false,
        }
    }

    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Commands(commands) => commands.iter().map(Command::weight).sum(),
            Self::Burst(burst) => burst.end().weight,
            Self::Delivery(delivery) => delivery.weight(),
        }
    }

    /// With room for more.
    #[inline]
    pub(crate) fn as_mut(&mut self) -> &mut Vec<Command> {
        let alone = match self {
            Self::Burst(burst) => Some(Command::SendBurst(burst.clone())),
            Self::Delivery(delivery) => Some(Command::Deliver(delivery.clone())),
            Self::Commands(_) => None,
        };
        if let Some(command) = alone {
            let mut commands = Vec::with_capacity(4);
            commands.push(command);
            *self = Self::Commands(commands);
        }
        match self {
            Self::Commands(commands) => commands,
            Self::Burst(_) | Self::Delivery(_) => unreachable!("it was made a command"),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::Commands(Vec::new())
    }
}
