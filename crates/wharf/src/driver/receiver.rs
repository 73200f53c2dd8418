//! Who is told what a connection receives: its handler, in place, or the queue that `recv` takes from.

use std::time::Instant;

use super::WriteParts;
use crate::connection::Connection;
use crate::handler::{Context, Handler};
use crate::inbox::Filling;
use crate::proto;
use crate::proto::connection::{Cause, Ending, Event, Input};
use crate::proto::message::MessageCow;
use crate::proto::spare;
use crate::shared::{Receives, Shared};

pub(crate) enum Receiver {
    /// Messages wait until somebody takes them.
    Queue,
    /// Messages are lent as they come.
    Handler(Box<dyn Handler>),
}

/// What a receiver can reach while it is told something.
pub(super) struct Surroundings<'a> {
    pub(super) core: &'a mut proto::Connection,
    pub(super) output: &'a mut Vec<u8>,
    /// How much of the output's front has been written.
    pub(super) written: usize,
    pub(super) connection: &'a Connection,
    pub(super) now: Instant,
}

impl<'a> From<Surroundings<'a>> for Context<'a> {
    fn from(surroundings: Surroundings<'a>) -> Self {
        let Surroundings { core, output, written, connection, now } = surroundings;
        Self { core, output, written, connection, now, direct: None }
    }
}

impl Receiver {
    pub(crate) const fn receives(&self) -> Receives {
        match self {
            Self::Queue => Receives::Handles,
            Self::Handler(_) => Receives::Handler,
        }
    }

    pub(super) fn connect(&mut self, surroundings: Surroundings<'_>) {
        if let Self::Handler(handler) = self {
            handler.connect(&mut surroundings.into());
        }
    }

    pub(super) fn drain(&mut self, surroundings: Surroundings<'_>) {
        if let Self::Handler(handler) = self {
            handler.drain(&mut surroundings.into());
        }
    }

    pub(super) fn close(&mut self, connection: &Connection, ending: &Ending) {
        if let Self::Handler(handler) = self {
            if let Ending::Lost(cause @ Cause::Transport(_)) = ending {
                handler.error(connection, cause);
            }
            handler.close(connection, ending);
        }
    }

    /// Takes what `input` brings, up to where the application holds.
    pub(super) fn receive(
        &mut self,
        input: &mut Input<'_>,
        inflated: &mut Vec<u8>,
        Surroundings { core, output, written, connection, now }: Surroundings<'_>,
        direct: &mut dyn WriteParts,
    ) {
        let shared = connection.shared.as_ref();
        match self {
            Self::Queue => {
                let Some(inbox) = shared.inbox() else {
                    // Its handler has panicked: nobody could ever take it.
                    while core.receive(input, inflated, output, now).is_some() {}
                    return;
                };
                let mut inbox = inbox.filling();
                queue_all(&mut inbox, shared, core, input, inflated, output, now);
                // Those who wait are woken once a read, not once a message.
                inbox.end();
            }
            Self::Handler(handler) => {
                let mut context = Context { core, output, written, connection, now, direct: Some(direct) };
                tell_all(handler.as_mut(), &mut context, input, inflated);
            }
        }
    }
}

/// Tells a handler what `input` brings, up to where it is to hold.
fn tell_all(
    handler: &mut dyn Handler,
    context: &mut Context<'_>,
    input: &mut Input<'_>,
    inflated: &mut Vec<u8>,
) {
    let shared = context.connection.shared.as_ref();
    let limit = shared.outbox.limit();
    let is_to_hold =
        |context: &Context<'_>| shared.is_paused() || context.output.len() - context.written >= limit;
    let now = context.now;
    loop {
        // Nearly all.
        while let Some(message) = context.core.receive_whole(input, context.output, now) {
            handler.message(context, message);
            if is_to_hold(context) {
                return;
            }
        }
        match context.core.receive(input, inflated, context.output, now) {
            None => return,
            Some(Event::Message(MessageCow::Owned(message))) => {
                handler.message(context, message.as_ref());
                spare::keep_message(message);
            }
            Some(event) => tell(handler, &event, context),
        }
        if is_to_hold(context) {
            return;
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

/// Queues what `input` brings, up to where reading is to hold.
fn queue_all(
    inbox: &mut Filling<'_>,
    shared: &Shared,
    core: &mut proto::Connection,
    input: &mut Input<'_>,
    inflated: &mut Vec<u8>,
    output: &mut Vec<u8>,
    now: Instant,
) {
    loop {
        // Nearly all.
        while let Some(message) = core.receive_whole(input, output, now) {
            let has_room = !shared.has_handles() || inbox.push_lent(message, input.rest().len());
            if !has_room || shared.is_paused() {
                return;
            }
        }
        let Some(event) = core.receive(input, inflated, output, now) else { return };
        if !queue(event, shared, inbox) || shared.is_paused() {
            return;
        }
    }
}

/// Whether there is room for more.
fn queue(event: Event<'_>, shared: &Shared, inbox: &mut Filling<'_>) -> bool {
    // Nobody holds the connection any more: nobody could ever take it.
    if !shared.has_handles() {
        return true;
    }
    match event {
        Event::Message(message) => inbox.push_message(message),
        Event::Frame(frame) => inbox.push_frame(frame.into_owned()),
        Event::Ping(_) | Event::Pong(_) => true,
    }
}
