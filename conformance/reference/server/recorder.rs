//! What happens on a connection.

use std::sync::Arc;

use serde_json::Value;
use wharf::{Cause, Connection, Context, Ending, Frame, Handler, MessageRef};

use crate::order::Action;
use crate::report::{payload, report};
use crate::site::Site;
use crate::voice::{Voice, tell_message};

/// Tells what a connection's handler is told.
pub(crate) struct Recorder {
    pub(crate) site: Arc<Site>,
    pub(crate) stream: String,
}

impl Recorder {
    fn perform(&self, actions: &[Action], context: &mut Context<'_>, received: Option<MessageRef<'_>>) {
        Voice::Context(context).perform_all(&self.stream, actions, received);
    }
}

impl Handler for Recorder {
    fn connect(&mut self, context: &mut Context<'_>) {
        self.perform(&self.site.program.connect, context, None);
    }

    fn message(&mut self, context: &mut Context<'_>, received: MessageRef<'_>) {
        tell_message(&self.stream, received);
        self.perform(&self.site.program.message, context, Some(received));
    }

    fn frame(&mut self, _: &mut Context<'_>, frame: &Frame<'_>) {
        let header = &frame.header;
        report(
            &self.stream,
            "frame",
            &[
                ("fin", header.fin.into()),
                ("opcode", header.opcode.bits().into()),
                ("length", header.payload_len.into()),
                ("payload", payload(frame.binary_payload())),
            ],
        );
    }

    fn ping(&mut self, context: &mut Context<'_>, received: &[u8]) {
        report(&self.stream, "ping", &[("payload", payload(received))]);
        self.perform(&self.site.program.ping, context, None);
    }

    fn pong(&mut self, _: &mut Context<'_>, received: &[u8]) {
        report(&self.stream, "pong", &[("payload", payload(received))]);
    }

    fn drain(&mut self, _: &mut Context<'_>) {
        self.site.also(&self.stream, "drain", &[]);
    }

    fn error(&mut self, _: &Connection, _: &Cause) {
        report(&self.stream, "error", &[]);
    }

    fn close(&mut self, connection: &Connection, ending: &Ending) {
        report(&self.stream, "close", &[code(ending), description(ending)]);
        let actions = &self.site.program.close;
        Voice::Handle(connection).perform_all(&self.stream, actions, None);
    }
}

pub(crate) fn code(ending: &Ending) -> (&'static str, Value) {
    ("code", ending.code().get().into())
}

pub(crate) fn description(ending: &Ending) -> (&'static str, Value) {
    ("description", ending.description().into())
}
