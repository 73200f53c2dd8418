//! What to do to a server: plain data.

use std::num::NonZeroU32;
use std::time::Duration;

use wharf_proto::message::MessageKind;

/// How a server is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How many connections are open at once. Default 64.
    pub connections: usize,
    /// The payload of each message in bytes. Default 20.
    pub size: usize,
    /// Text is JSON in ASCII, binary are bytes without order. Default text.
    pub kind: MessageKind,
    /// Whether to offer permessage-deflate without takeover, and to compress all that is sent. A server that declines it is
    /// an error. Default no.
    pub compression: bool,
    /// What each connection does. Default an echo with one message in flight.
    pub shape: Shape,
    /// How many threads load the server, at most one for each connection. Default 1.
    pub threads: usize,
    /// How long all connections together may take to open, and the last answers to come. Default 30 seconds.
    pub timeout: Duration,
}

/// What each connection does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Sends messages, each of which is to come back.
    Echo {
        /// The most messages on their way at once, of each connection.
        in_flight: NonZeroU32,
        /// How many messages a second all connections together send, evenly. `None`: each as soon as another has come back.
        /// With a rate, a message's time on its way begins when it was due, whether or not it could be sent then: a server
        /// that stalls is not spared the messages that it kept from being sent (no coordinated omission).
        rate: Option<f64>,
    },
    /// The first connection sends bursts of messages, each of which is to come to all connections. The next burst follows
    /// when all have all of it. Deliveries are counted.
    Broadcast {
        /// The messages of a burst.
        burst: NonZeroU32,
    },
    /// The first connection sends bursts of messages, each of which is to come to all connections but itself. Deliveries are
    /// counted.
    Publish {
        /// The messages of a burst.
        burst: NonZeroU32,
        /// How many messages a second are sent, in bursts at even distances. `None`: the next burst follows when all have
        /// all of it. With a rate, a message's time on its way begins when it was due, as that of an [echo](Self::Echo).
        rate: Option<f64>,
    },
    /// Connects, sends one message, takes its echo, closes, and begins anew. Such rounds are counted.
    Connect,
}

/// How long to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// What was sent by then is waited for.
    Elapsed(Duration),
    /// So many messages (or rounds of [`Shape::Connect`]) have been sent.
    Messages(u64),
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            connections: 64,
            size: 20,
            kind: MessageKind::Text,
            compression: false,
            shape: Shape::Echo { in_flight: NonZeroU32::MIN, rate: None },
            threads: 1,
            timeout: Duration::from_secs(30),
        }
    }
}

impl Shape {
    /// The most messages that one connection may have on their way.
    pub(crate) const fn in_flight(self) -> u32 {
        match self {
            Self::Echo { in_flight, .. } => in_flight.get(),
            Self::Broadcast { burst } | Self::Publish { burst, .. } => burst.get(),
            Self::Connect => 1,
        }
    }
}
