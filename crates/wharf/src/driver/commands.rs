//! Does what a connection's handles have asked for.

use std::iter::once;
use std::task::Context;
use std::time::Instant;
use std::vec;

use super::transport::{Direct, WriteParts};
use super::{Driver, Transport, transport_error};
use crate::hub::{Delivery, Part, Taken, Topic};
use crate::proto::{self, CommandError, Message, spare};
use crate::queue::{Command, Queue};

/// From this length on, in bytes, a message goes to the socket from where it lies: to copy it would take longer than a system
/// call takes longer for it.
const UNCOPIED: usize = 8 * 1024;

/// How many messages go in one write, at the most: each is two parts, of which a system call takes 1024.
const AT_ONCE: usize = 512;

impl<S: Transport> Driver<S> {
    /// Does what the handles asked for, in order.
    #[inline]
    pub(super) fn run_commands(&mut self, cx: &Context<'_>, now: Instant) {
        let queue = self.connection.shared.outbox.take();
        if queue.is_empty() {
            return;
        }
        // Until what they become is written, the outbox counts them as they were queued.
        self.output.set_told(usize::MAX);
        match queue {
            Queue::Commands(commands) => self.run(commands.into_iter(), cx, now),
            Queue::Burst(burst) => {
                if self.core.send_framed(&burst.end().messages, &mut self.output).is_err() {
                    self.connection.shared.outbox.lose();
                }
            }
            Queue::Delivery(delivery) => {
                if self.deliver(&delivery).is_err() {
                    self.connection.shared.outbox.lose();
                }
            }
        }
    }

    /// Sends messages of a topic.
    pub(super) fn deliver(&mut self, delivery: &Delivery) -> Result<(), CommandError> {
        let mut sent = Ok(());
        delivery.parts(|part| sent = sent.and_then(|()| send_part(&mut self.core, part, &mut self.output)));
        if sent.is_err() {
            delivery.discard();
        }
        sent
    }

    /// Sends messages of topics that have waited, and tells of those that were dropped between them.
    fn deliver_waited(&mut self, taken: &Taken) -> Result<(), CommandError> {
        let Self { core, output, connection, .. } = self;
        let hub = connection.shared.outbox.options().hub.as_ref();
        let missed = |topic: &Topic, count| hub?.missed(topic, count);
        let mut sent = Ok(());
        taken.send(missed, |part| sent = sent.and_then(|()| send_part(core, part, output)));
        if sent.is_err() {
            taken.discard();
        }
        sent
    }

    fn run(&mut self, mut commands: vec::IntoIter<Command>, cx: &Context<'_>, now: Instant) {
        let mut has_lost = false;
        while let Some(command) = commands.next() {
            // Each can fail only because the connection is closing: then nothing may follow the Close frame. Codes,
            // reasons and lengths were checked by the handle.
            let output = &mut self.output;
            let sent = match command {
                Command::Send(message)
                    if message.len() >= UNCOPIED
                        && output.is_empty()
                        && self.core.spares_copies()
                        && self.stream.is_write_vectored() =>
                {
                    self.send_uncopied(message, &mut commands, cx)
                }
                Command::Send(message) => self.core.send(message.as_ref(), output),
                Command::SendFramed { messages, .. } => self.core.send_framed(&messages, output),
                Command::SendBurst(burst) => self.core.send_framed(&burst.end().messages, output),
                Command::Deliver(delivery) => self.deliver(&delivery),
                Command::DeliverRest { delivery, written } => {
                    // Of frames that were begun, and nothing can have come into the output since.
                    output.extend_from_slice(
                        delivery.frames().and_then(|frames| frames.get(written..)).unwrap_or_default(),
                    );
                    Ok(())
                }
                Command::DeliverWaited(taken) => self.deliver_waited(&taken),
                Command::SendShared(message) => self.core.send((*message).as_ref(), output),
                Command::SendUncompressed(message) => self.core.send_uncompressed(message.as_ref(), output),
                Command::SendPrepared(message) => self.core.send_prepared(&message, output),
                Command::Ping(payload) => self.core.ping(&payload, output),
                Command::Pong(payload) => self.core.pong(&payload, output),
                Command::Close(close) => {
                    self.core.close(&close, output, now);
                    Ok(())
                }
                Command::SendFrame(frame) => self.core.send_raw_frame(&frame, output),
                Command::Drop { code, description, tell_peer } => {
                    self.is_given_up = true;
                    let _ = self.core.drop_now(code, description.as_deref(), tell_peer, output, now);
                    Ok(())
                }
                Command::LendSocket => {
                    self.lend_socket();
                    Ok(())
                }
                Command::SocketFailed(error) => {
                    self.lose_output();
                    self.core.lost(transport_error(&error), now);
                    Ok(())
                }
                Command::Flush(left) => {
                    if !has_lost {
                        // Where there is no output, what it was to wait for has left already.
                        output.flush(left);
                    }
                    Ok(())
                }
            };
            has_lost |= sent.is_err();
        }
        if has_lost {
            self.connection.shared.outbox.lose();
        }
    }

    /// Lets the part of the hub that delivers to this connection write to its socket, where that may be.
    fn lend_socket(&mut self) {
        let Self { connection, stream, .. } = self;
        if let Some(hub) = &connection.shared.outbox.options().hub {
            hub.lend(&connection.shared, || stream.lend());
        }
    }

    /// Sends a long message, and the messages right behind it, from where they lie, in one write.
    fn send_uncopied(
        &mut self,
        first: Message,
        rest: &mut vec::IntoIter<Command>,
        cx: &Context<'_>,
    ) -> Result<(), CommandError> {
        let is_message = |command: &&Command| matches!(command, Command::Send(_));
        let behind = rest.as_slice().iter().take(AT_ONCE - 1).take_while(is_message).count();
        let behind = rest.take(behind).filter_map(|command| match command {
            Command::Send(message) => Some(message),
            _ => None,
        });
        let messages: Vec<Message> = once(first).chain(behind).collect();
        let mut direct = Direct { stream: &mut self.stream, waker: cx.waker() };
        let sent = self.core.send_through(messages.iter().map(Message::as_ref), &mut self.output, |parts| {
            direct.write_parts(parts)
        });
        messages.into_iter().for_each(spare::keep_message);
        sent
    }
}

fn send_part(core: &mut proto::Connection, part: Part<'_>, output: &mut Vec<u8>) -> Result<(), CommandError> {
    match part {
        Part::Prepared(message) => core.send_prepared(message, output),
        Part::Frames(messages, which) => core.send_prepared_messages(messages, which, output),
        Part::Message(message) => core.send(message.as_ref(), output),
    }
}
