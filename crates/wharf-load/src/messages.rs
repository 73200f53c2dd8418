//! What is sent, made once.

use std::fmt::Write;
use std::iter;
use std::num::NonZeroU32;
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use wharf_proto::connection::Connection;
use wharf_proto::message::{MessageKind, MessageRef};

use crate::Plan;

/// Different messages, which each connection sends in turn, over and over.
pub(crate) struct Messages {
    pub(crate) kind: MessageKind,
    payloads: Vec<Vec<u8>>,
    /// Their frames, masked, one behind the other.
    frames: Vec<u8>,
    /// Where each one's frame ends.
    ends: Vec<usize>,
}

/// About how many bytes all messages together have, so that they stay in a processor's cache.
const BYTES: usize = 256 * 1024;
const MOST: usize = 512;

impl Messages {
    /// Framed, and compressed where it agreed on that, by `client`.
    pub(crate) fn new(plan: &Plan, client: &mut Connection) -> Self {
        let in_flight = usize::try_from(plan.shape.in_flight()).unwrap_or(usize::MAX);
        // So many that all of one connection's that are in flight can be sent by one write, and at least two, so that one
        // that comes twice is seen.
        let fitting = (BYTES / plan.size.max(1)).clamp(2, MOST);
        let number = in_flight.saturating_mul(2).clamp(fitting.min(16), fitting.max(2));
        let payloads: Vec<_> = (0..number).map(|number| payload(plan.kind, plan.size, number)).collect();
        let (mut frames, mut ends) = (Vec::new(), Vec::new());
        for payload in &payloads {
            let message = match plan.kind {
                MessageKind::Text => MessageRef::Text(std::str::from_utf8(payload).unwrap_or_default()),
                MessageKind::Binary => MessageRef::Binary(payload),
            };
            // A connection that has not begun to close takes every message.
            let _ = client.send(message, &mut frames);
            ends.push(frames.len());
        }
        Self { kind: plan.kind, payloads, frames, ends }
    }

    pub(crate) const fn number(&self) -> usize {
        self.payloads.len()
    }

    pub(crate) fn payload(&self, at: usize) -> &[u8] {
        &self.payloads[at]
    }

    /// The frames of up to `count` messages from `at` on, as far as they lie in one piece.
    pub(crate) fn frames(&self, at: usize, count: NonZeroU32) -> &[u8] {
        let count = usize::try_from(count.get()).unwrap_or(usize::MAX);
        let last = at.saturating_add(count).min(self.number()) - 1;
        &self.frames[self.start(at)..self.ends[last]]
    }

    pub(crate) fn frame(&self, at: usize) -> &[u8] {
        self.frames(at, NonZeroU32::MIN)
    }

    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends[at - 1] }
    }
}

fn payload(kind: MessageKind, size: usize, number: usize) -> Vec<u8> {
    let mut random = SmallRng::seed_from_u64(number as u64);
    match kind {
        MessageKind::Text => json(size, number, &mut random),
        MessageKind::Binary => iter::repeat_with(|| random.random()).take(size).collect(),
    }
}

/// Entries as an API lists them: keys that come again, and values that do not.
fn json(size: usize, number: usize, random: &mut SmallRng) -> Vec<u8> {
    let mut entries = format!("[{number},");
    while entries.len() < size {
        let (id, price) = (random.random_range(0..100_000), random.random_range(0..10_000));
        let name = char::from(random.random_range(b'a'..=b'z'));
        let _ = write!(
            entries,
            "{{\"id\":{id},\"name\":\"item {name}\",\"price\":{price},\"tags\":[\"new\",\"sale\"],\"stock\":true}},"
        );
    }
    entries.truncate(size);
    entries.into_bytes()
}

/// A client's end that frames messages, and whose clock does not matter.
pub(crate) fn framer(config: wharf_proto::connection::Config) -> Connection {
    Connection::client(config.into(), || wharf_proto::mask::MaskingKey(rand::random()), Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_in_turn_and_as_many_at_once_as_lie_in_one_piece() {
        let plan = Plan { size: 20, ..Plan::default() };
        let messages = Messages::new(&plan, &mut framer(wharf_proto::connection::Config::default()));
        assert_eq!(messages.number(), 16);
        assert_eq!(messages.frame(0).len(), 26);
        assert_eq!(messages.frames(14, NonZeroU32::new(5).unwrap()).len(), 2 * 26);
        assert_ne!(messages.payload(0), messages.payload(1));
        assert!((0..16).all(|at| messages.payload(at).len() == 20));
    }
}
