//! Who is told what a connection receives: its handler, in place, or the queue that `recv` takes from.

use std::time::Instant;

use crate::connection::{Connection, Shared};
use crate::handler::{Context, Handler};
use crate::inbox::Unread;
use crate::proto;
use crate::proto::connection::{Cause, Ending, Event};

pub(crate) enum Receiver {
    /// Messages wait until somebody takes them.
    Queue,
    /// Messages are lent as they come.
    Handler { handler: Box<dyn Handler>, connection: Connection },
}

/// What a receiver can reach while it is told something.
pub(super) struct Surroundings<'a> {
    pub(super) core: &'a mut proto::Connection,
    pub(super) output: &'a mut Vec<u8>,
    pub(super) shared: &'a Shared,
    pub(super) now: Instant,
}

impl<'a> Surroundings<'a> {
    fn into_context(self, connection: &'a Connection) -> Context<'a> {
        Context { core: self.core, output: self.output, connection, now: self.now }
    }
}

impl Receiver {
    pub(super) fn connect(&mut self, surroundings: Surroundings<'_>) {
        if let Self::Handler { handler, connection } = self {
            handler.connect(&mut surroundings.into_context(connection));
        }
    }

    pub(super) fn drain(&mut self, surroundings: Surroundings<'_>) {
        if let Self::Handler { handler, connection } = self {
            handler.drain(&mut surroundings.into_context(connection));
        }
    }

    pub(super) fn close(&mut self, ending: &Ending) {
        if let Self::Handler { handler, connection } = self {
            if let Ending::Lost(cause @ Cause::Transport(_)) = ending {
                handler.error(connection, cause);
            }
            handler.close(connection, ending);
        }
    }

    /// Tells what was received: whether there is room for more.
    pub(super) fn receive(&mut self, event: Event<'_>, surroundings: Surroundings<'_>) -> bool {
        match self {
            Self::Queue => queue(event, surroundings.shared),
            Self::Handler { handler, connection } => {
                tell(handler.as_mut(), &event, &mut surroundings.into_context(connection));
                true
            }
        }
    }

    /// Those who wait for what was queued are woken once a read, not once a message.
    pub(super) fn end_of_read(&self, shared: &Shared) {
        if matches!(self, Self::Queue) {
            shared.inbox.announce();
        }
    }
}

fn tell(handler: &mut dyn Handler, event: &Event<'_>, context: &mut Context<'_>) {
    match event {
        Event::Message(message) => handler.message(context, message.as_ref()),
        Event::Ping(payload) => handler.ping(context, payload),
        Event::Pong(payload) => handler.pong(context, payload),
        Event::Frame(frame) => {
            handler.frame(context, frame);
            if let Some(meaning) = frame.meaning() {
                tell(handler, &meaning, context);
            }
        }
    }
}

fn queue(event: Event<'_>, shared: &Shared) -> bool {
    // Nobody holds the connection any more: nobody could ever take it.
    if !shared.has_handles() {
        return true;
    }
    match event {
        Event::Message(message) => shared.inbox.push(Unread::Message(message.into_owned())),
        Event::Frame(frame) => shared.inbox.push(Unread::Frame(frame.into_owned())),
        Event::Ping(_) | Event::Pong(_) => true,
    }
}
