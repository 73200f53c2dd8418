//! Connections that do nothing but get what is published, as nearly all of a topic's do: written from where all subscribers
//! share it, without a turn.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Driver, Transport};
use crate::hub::Delivery;

impl<S: Transport> Driver<S> {
    /// Writes messages of a topic, if there is nothing else to be done: whether that is so, and the task waits for more.
    #[inline]
    pub(super) fn only_delivers(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        // Before anything is taken: all else is the turn's.
        if !self.connection.shared.outbox.has_only_delivery()
            || !self.output.is_empty()
            || self.backlog.is_some()
            || !self.has_nothing_due(now)
            || !self.may_read(now)
            || self.stream.poll_readable(cx).is_ready()
        {
            return false;
        }
        match self.connection.shared.outbox.take_delivery() {
            Some(delivery) => self.write_delivery(&delivery, cx),
            None => false,
        }
    }

    /// Whether all of it was written. What was not is in the output.
    fn write_delivery(&mut self, delivery: &Delivery, cx: &mut Context<'_>) -> bool {
        let frames = delivery.prepared().and_then(|prepared| self.core.frames_of(prepared).ok());
        let Some(frames) = frames else {
            self.output.set_told(usize::MAX);
            if self.deliver(delivery).is_err() {
                self.connection.shared.outbox.lose();
            }
            return false;
        };
        let written = match Pin::new(&mut self.stream).poll_write(cx, frames) {
            Poll::Ready(Ok(written)) => written,
            // What fails now fails again when the rest is written.
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        if written == frames.len() {
            let outbox = &self.connection.shared.outbox;
            self.was_output_full |= outbox.set_unsent(0);
            return !self.was_output_full && !outbox.has_commands();
        }
        self.output.set_told(usize::MAX);
        self.output.extend_from_slice(&frames[written..]);
        false
    }
}
