//! What servers are put to.

use std::num::NonZeroU32;

use wharf_load::{MessageKind, Plan, Shape};

use crate::servers::Mode;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scenario {
    /// As it is chosen by on the command line.
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    /// Bytes of payload.
    pub(crate) size: usize,
    pub(crate) what: What,
    pub(crate) compression: bool,
    pub(crate) tls: bool,
}

/// What connections do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// Echo, with so many messages in flight on each connection.
    Echo(u32),
    /// Echo at half of what the reference carries with one in flight.
    HalfLoad,
    /// Bursts of so many messages to all.
    Broadcast(u32),
    /// Bursts of so many messages on a topic: from one connection to all others, which only receive.
    Publish(u32),
    /// Connect, handshake, echo, close.
    Connect,
    /// Nothing any more, after one echo each: memory is what counts.
    Idle,
}

const KIB: usize = 1024;
/// Who gets what is published.
const SUBSCRIBERS: usize = 1000;

pub(crate) const SCENARIOS: [Scenario; 28] = [
    echo("64x20x1", 64, 20, 1),
    echo("64x20x32", 64, 20, 32),
    echo("64x20x256", 64, 20, 256),
    echo("500x1KiBx1", 500, KIB, 1),
    echo("1000x512x1", 1000, 512, 1),
    echo("1000x20x16", 1000, 20, 16),
    echo("16x16KiBx1", 16, 16 * KIB, 1),
    echo("16x16KiBx16", 16, 16 * KIB, 16),
    echo("4x1MiBx1", 4, KIB * KIB, 1),
    Scenario { what: What::Connect, ..echo("connect", 16, 20, 1) },
    Scenario { what: What::Broadcast(16), ..echo("broadcast", 1000, 20, 1) },
    publish("publish-64x1", 64, 1),
    publish("publish-64x16", 64, 16),
    publish("publish-64x128", 64, 128),
    publish("publish-1KiBx1", KIB, 1),
    publish("publish-1KiBx16", KIB, 16),
    publish("publish-1KiBx128", KIB, 128),
    Scenario { compression: true, ..publish("deflate-publish-64x1", 64, 1) },
    Scenario { compression: true, ..publish("deflate-publish-1KiBx1", KIB, 1) },
    Scenario { compression: true, ..publish("deflate-publish-1KiBx16", KIB, 16) },
    Scenario { compression: true, ..echo("deflate-16x128x1", 16, 128, 1) },
    Scenario { compression: true, ..echo("deflate-16x1KiBx1", 16, KIB, 1) },
    Scenario { compression: true, ..echo("deflate-16x16KiBx1", 16, 16 * KIB, 1) },
    Scenario { tls: true, ..echo("tls-64x20x1", 64, 20, 1) },
    Scenario { tls: true, ..echo("tls-16x16KiBx1", 16, 16 * KIB, 1) },
    Scenario { what: What::HalfLoad, ..echo("half-load-64x20", 64, 20, 1) },
    Scenario { what: What::Idle, ..echo("idle", 10_000, 20, 1) },
    Scenario { what: What::Idle, compression: true, ..echo("idle-deflate", 10_000, 20, 1) },
];

const fn echo(name: &'static str, connections: usize, size: usize, in_flight: u32) -> Scenario {
    Scenario { name, connections, size, what: What::Echo(in_flight), compression: false, tls: false }
}

const fn publish(name: &'static str, size: usize, burst: u32) -> Scenario {
    Scenario { what: What::Publish(burst), ..echo(name, 1 + SUBSCRIBERS, size, burst) }
}

impl Scenario {
    /// What the load is to do. `rate`: messages a second, for [`What::HalfLoad`].
    pub(crate) fn plan(&self, rate: Option<f64>) -> Plan {
        let count = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let shape = match self.what {
            What::Echo(in_flight) => Shape::Echo { in_flight: count(in_flight), rate: None },
            What::HalfLoad => Shape::Echo { in_flight: count(64), rate },
            What::Broadcast(burst) => Shape::Broadcast { burst: count(burst) },
            What::Publish(burst) => Shape::Publish { burst: count(burst), rate: None },
            What::Connect => Shape::Connect,
            What::Idle => Shape::Echo { in_flight: NonZeroU32::MIN, rate: None },
        };
        Plan {
            connections: self.connections,
            size: self.size,
            kind: MessageKind::Text,
            compression: self.compression,
            shape,
            ..Plan::default()
        }
    }

    pub(crate) const fn mode(&self) -> Mode {
        match self.what {
            What::Broadcast(_) => Mode::Broadcast,
            What::Publish(_) => Mode::Publish,
            _ => Mode::Echo,
        }
    }

    /// What is done, in words.
    pub(crate) fn description(&self) -> String {
        let Self { connections, size, .. } = self;
        let size = match size {
            size if size % (KIB * KIB) == 0 => format!("{} MiB", size / KIB / KIB),
            size if size % KIB == 0 => format!("{} KiB", size / KIB),
            size => format!("{size} B"),
        };
        let text = match self.what {
            What::Echo(in_flight) => format!("{connections} × {size} × {in_flight}"),
            What::HalfLoad => format!("{connections} × {size} at half load"),
            What::Broadcast(burst) => format!("broadcast of {size} to {connections}, in bursts of {burst}"),
            What::Publish(burst) => {
                format!("{size} to {} subscribers, in bursts of {burst}", connections - 1)
            }
            What::Connect => format!("connect, handshake, echo of {size}, close; {connections} at once"),
            What::Idle => format!("{connections} idle after one message"),
        };
        let suffix = match (self.compression, self.tls) {
            (true, _) => ", compressed",
            (_, true) => ", TLS",
            _ => "",
        };
        text + suffix
    }
}
