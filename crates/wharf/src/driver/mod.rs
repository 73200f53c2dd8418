//! Moves bytes between a stream and [`proto::Connection`]: one read, many frames, one write.
//!
//! A [`Driver`] is a future without locals that outlive a poll: all state is in its fields, and the large buffers are
//! the worker thread's.

mod buffer;
mod commands;
mod deliveries;
mod receiver;
mod residents;
mod socket;
mod teardown;
mod transport;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::ReadBuf;

pub(crate) use receiver::Receiver;
pub(crate) use residents::{Resident, ResidentTask, Residents};
pub(crate) use teardown::never_opened;
pub(crate) use transport::{Direct, IntoStream, Stream, Transport, WriteParts};

use crate::connection::Connection;
use crate::proto;
use crate::proto::CloseCode;
use crate::proto::connection::{Cause, Ending, Input};
use crate::shared::{Owner, Shared};
use crate::timer::Timer;
use buffer::{Backlog, Buffers, Output};
use receiver::Surroundings;
use socket::Socket;
use teardown::Teardown;

/// The task of one connection.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, in bytes that the struct has to spare")]
pub(crate) struct Driver<S> {
    core: proto::Connection,
    stream: S,
    connection: Connection,
    /// Taken when it has been told that the connection is gone.
    owner: Option<Arc<dyn Owner>>,
    receiver: Receiver,
    /// Boxed, because few connections have one.
    backlog: Option<Box<Backlog>>,
    /// Frames for the socket. Between two turns only what the socket did not take; within one, in the worker's
    /// memory.
    output: Output,
    timer: Timer,
    teardown: Teardown,
    /// The application waits for the end of TCP no longer.
    is_given_up: bool,
    is_connected: bool,
    /// What the core was told last.
    is_reading_held: bool,
    /// Output was full since it was last empty.
    was_output_full: bool,
    /// The timer was armed for the end of a silence, which only moves away.
    is_armed_for_a_silence: bool,
    /// Last, so that everybody is told of the end before a worker's thread may end.
    _resident: Option<ResidentTask>,
}

/// What an idle connection's task takes. With the 104 bytes that tokio adds it fills 256, to which its allocation is rounded
/// up: one byte more, and it would be 384, or 512 where the allocator has no such class aligned to 128 bytes. `Shared` has
/// a budget of its own.
const _: () = assert!(size_of::<Driver<Socket>>() <= 152);

/// After so many reads in a row others of the same worker get their turn.
const READS_A_TURN: usize = 16;

/// Starts the task of a connection whose opening handshake is over; `already_read` came behind it.
pub(crate) fn start(
    core: proto::Connection,
    stream: Stream,
    already_read: Vec<u8>,
    shared: Arc<Shared>,
    owner: Arc<dyn Owner>,
    receiver: Receiver,
) {
    match stream {
        Stream::Tcp(stream) => {
            tokio::spawn(Driver::new(core, Socket::Own(stream), already_read, shared, owner, receiver));
        }
        #[cfg(feature = "tls")]
        Stream::Tls(stream) => {
            tokio::spawn(Driver::new(core, stream, already_read, shared, owner, receiver));
        }
        Stream::Other(stream) => {
            tokio::spawn(Driver::new(core, stream, already_read, shared, owner, receiver));
        }
    }
}

impl<S: Transport> Driver<S> {
    fn new(
        core: proto::Connection,
        stream: S,
        already_read: Vec<u8>,
        shared: Arc<Shared>,
        owner: Arc<dyn Owner>,
        receiver: Receiver,
    ) -> Self {
        Self {
            core,
            stream,
            connection: Connection::new(shared),
            owner: Some(owner),
            receiver,
            backlog: Backlog::of(already_read),
            output: Output::default(),
            timer: Timer::default(),
            teardown: Teardown::default(),
            is_given_up: false,
            is_connected: false,
            is_reading_held: false,
            was_output_full: false,
            is_armed_for_a_silence: false,
            _resident: ResidentTask::here(),
        }
    }

    /// Does all that can be done now.
    fn turn(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers, now: Instant) -> Poll<()> {
        if self.output.is_empty() {
            self.output = std::mem::take(&mut buffers.output);
        }
        let result = self.read_and_write(cx, buffers, now);
        if self.output.is_empty() {
            buffers.give_back(std::mem::take(&mut self.output));
        }
        if result.is_pending() && !self.has_nothing_due(now) {
            self.timer.arm(self.core.next_deadline().map(|(at, _)| at), now, cx);
            self.is_armed_for_a_silence = self.core.awaits_only_a_silence();
        }
        result
    }

    /// Reads what there is, and writes all that the core and the application have put into the output (RFC 6455 §6.1).
    fn read_and_write(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers, now: Instant) -> Poll<()> {
        if !self.is_connected {
            self.is_connected = true;
            let (receiver, surroundings) = self.receiver_and_surroundings(now);
            receiver.connect(surroundings);
        }
        // Output that waited goes first: the room it leaves decides whether there is to be a read.
        self.write(cx, now);
        self.run_commands(cx, now);
        for _ in 0..READS_A_TURN {
            let may_read = self.may_read(now);
            let received = if may_read { self.receive(cx, buffers, now) } else { Poll::Pending };
            if received.is_pending() && !self.has_nothing_due(now) {
                // Only now: what has come and was not read yet would have moved the deadline.
                self.core.deadline_passed(&mut self.output, now);
            }
            self.settle(cx, now);
            if self.core.ending().is_some() {
                return self.end(cx, &mut buffers.read, now);
            }
            let has_new_room = !may_read && self.may_read(now);
            if received.is_pending() && !has_new_room {
                if !self.output.is_empty() || !self.connection.shared.outbox.has_commands() {
                    return Poll::Pending;
                }
                // What has waited for the socket, which takes more now.
                self.run_commands(cx, now);
            }
        }
        // Also for a peer that never stops sending.
        self.core.deadline_passed(&mut self.output, now);
        self.settle(cx, now);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what there is, and lets the outbox know how the connection stands: others go by that until the next turn.
    fn settle(&mut self, cx: &mut Context<'_>, now: Instant) {
        self.write(cx, now);
        if !self.core.is_open() {
            self.connection.shared.closing();
        }
    }

    /// Whether the timer is armed, and for no later than the next deadline: nearly always, since the only deadline of a
    /// connection where nothing waits moves away with each read.
    fn has_nothing_due(&self, now: Instant) -> bool {
        self.is_armed_for_a_silence && self.core.awaits_only_a_silence() && self.timer.is_ahead_of(now)
    }

    /// Whether the next message may be received: the application takes it, and what a handler answers has room.
    fn may_read(&mut self, now: Instant) -> bool {
        if !self.core.is_open() {
            // Nothing is delivered any more: what comes is read for the peer's Close and its end, and for its pings, whose
            // answers the core bounds.
            return self.core.ending().is_none();
        }
        let is_held = self.connection.shared.is_paused()
            || matches!(self.receiver, Receiver::Queue)
                && self.connection.shared.is_inbox_holding()
                && self.connection.shared.has_handles();
        if is_held != self.is_reading_held {
            self.is_reading_held = is_held;
            self.core.reading_paused(is_held, now);
        }
        !is_held && self.has_room_for_answers()
    }

    /// Whether what a handler answers in place has room. Those who take messages from the queue send their answers
    /// through the outbox, which has its own bound: two ends that both send much and read all the while must not wait for
    /// each other.
    fn has_room_for_answers(&self) -> bool {
        matches!(self.receiver, Receiver::Queue)
            || self.output.unsent() < self.connection.shared.outbox.limit()
    }

    /// Reads once and handles all that came. Pending: nothing came, and the task is woken when something does.
    fn receive(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers, now: Instant) -> Poll<()> {
        let Buffers { read, inflated, .. } = buffers;
        if let Some(mut backlog) = self.backlog.take() {
            let left = self.handle(cx, backlog.rest(), inflated, now);
            self.backlog = backlog.keep_last(left);
            return Poll::Ready(());
        }
        let mut read = ReadBuf::new(read);
        match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => self.core.lost(transport_error(&error), now),
            Poll::Ready(Ok(())) => {
                let bytes = read.filled_mut();
                if bytes.is_empty() {
                    self.core.lost(Cause::PeerEnded, now);
                } else {
                    let left = self.handle(cx, bytes, inflated, now);
                    self.backlog = Backlog::of(bytes[bytes.len() - left..].to_vec());
                }
            }
        }
        Poll::Ready(())
    }

    /// Handles what one read brought, up to where the application holds: how many bytes are left.
    fn handle(&mut self, cx: &Context<'_>, bytes: &mut [u8], inflated: &mut Vec<u8>, now: Instant) -> usize {
        let mut input = Input::new(bytes);
        let Self { receiver, core, output, connection, stream, .. } = self;
        let written = output.written();
        let surroundings = Surroundings { core, output, written, connection, now };
        receiver.receive(&mut input, inflated, surroundings, &mut Direct { stream, waker: cx.waker() });
        // Owed also where the application holds the next event back.
        self.core.settle_pong(&mut self.output);
        input.rest().len()
    }

    /// Writes what it can, and what its handler sends when it is told that there is room again.
    #[inline]
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) {
        if !self.output.is_empty() || self.output.told() > 0 || self.was_output_full {
            self.write_some(cx, now);
        }
    }

    // Not a part of `write`, which most turns call with nothing to write.
    #[inline(never)]
    fn write_some(&mut self, cx: &mut Context<'_>, now: Instant) {
        loop {
            self.write_output(cx, now);
            let unsent = self.output.unsent();
            if unsent != self.output.told() {
                self.output.set_told(unsent);
                self.was_output_full |= self.connection.shared.outbox.set_unsent(unsent);
            }
            if !self.was_output_full || !self.output.is_empty() || !self.core.is_open() {
                return;
            }
            self.was_output_full = false;
            let (receiver, surroundings) = self.receiver_and_surroundings(now);
            receiver.drain(surroundings);
        }
    }

    fn write_output(&mut self, cx: &mut Context<'_>, now: Instant) {
        while !self.output.is_empty() {
            self.was_output_full |= self.output.unsent() >= self.connection.shared.outbox.limit();
            let written = match self.write_once(cx) {
                Ok(written) => written,
                Err(error) => {
                    self.lose_output();
                    self.core.lost(transport_error(&error), now);
                    return;
                }
            };
            let is_blocked = written < self.output.unsent();
            self.output.leave(written);
            self.core.output_written(written > 0, &mut self.output, now);
            if is_blocked {
                return;
            }
        }
    }

    /// Gives the socket what it takes: how many bytes.
    fn write_once(&mut self, cx: &mut Context<'_>) -> std::io::Result<usize> {
        let mut written = 0;
        let unsent = &self.output[self.output.written()..];
        while written < unsent.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &unsent[written..]) {
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(len)) => written += len,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        Ok(written)
    }

    /// What waits cannot be sent any more, and whoever waits for it is told.
    fn lose_output(&mut self) {
        self.output.lose();
        self.connection.shared.outbox.lose();
    }

    fn receiver_and_surroundings(&mut self, now: Instant) -> (&mut Receiver, Surroundings<'_>) {
        let Self { receiver, core, output, connection, .. } = self;
        let written = output.written();
        (receiver, Surroundings { core, output, written, connection, now })
    }
}

impl<S: Transport> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.is_connected {
            this.connection.shared.driver_runs(cx.waker());
        }
        let now = tokio::time::Instant::now().into_std();
        if this.is_connected && this.only_delivers(cx, now) {
            return Poll::Pending;
        }
        // A handler is code of the user's; its panic is to end this connection, and to be told as such.
        catch_unwind(AssertUnwindSafe(|| Buffers::borrow(|buffers| this.turn(cx, buffers, now))))
            .unwrap_or_else(|_| {
                this.receiver = Receiver::Queue;
                this.is_connected = true;
                this.connection.shared.outbox.drop_connection(CloseCode::INTERNAL_SERVER_ERROR, None, true);
                Buffers::borrow(|buffers| this.turn(cx, buffers, now))
            })
    }
}

/// The runtime ends before the connection did: everybody is told all the same.
impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.take() {
            let cut_off = || Ending::Lost(Cause::Transport("the runtime ended".into()));
            let ending = self.core.ending().cloned().unwrap_or_else(cut_off);
            self.connection.shared.ended(&ending);
            teardown::tell(&self.connection, owner.as_ref(), &mut self.receiver, &ending);
        }
    }
}

#[cfg(test)]
mod tests;

fn transport_error(error: &std::io::Error) -> Cause {
    Cause::Transport(error.to_string().into())
}
