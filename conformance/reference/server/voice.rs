//! What is done on a connection: through its handle, or through what its handler has in hand.

use wharf::{CloseCode, Connection, Context, MessageRef};

use crate::order::{Action, ComposedFrame, code};
use crate::report::{message, report};

/// The two ways to speak on a connection.
pub(crate) enum Voice<'a, 'c> {
    Context(&'a mut Context<'c>),
    Handle(&'a Connection),
}

impl Voice<'_, '_> {
    fn connection(&self) -> &Connection {
        match self {
            Self::Context(context) => context.connection(),
            Self::Handle(connection) => connection,
        }
    }

    pub(crate) fn perform_all(&mut self, stream: &str, actions: &[Action], received: Option<MessageRef<'_>>) {
        for action in actions {
            self.perform(stream, action, received);
        }
    }

    /// Does it; `received` is the message that it is done on account of.
    pub(crate) fn perform(&mut self, stream: &str, action: &Action, received: Option<MessageRef<'_>>) {
        if let Err(what) = self.try_to(stream, action, received) {
            report(stream, "failed", &[("action", what.into())]);
        }
    }

    fn try_to(
        &mut self,
        stream: &str,
        action: &Action,
        received: Option<MessageRef<'_>>,
    ) -> Result<(), &'static str> {
        match action {
            Action::Send(payload) => self.send(payload.message().as_ref()).ok_or("send"),
            Action::Echo => received.and_then(|received| self.send(received)).ok_or("send"),
            Action::Ping(payload) => self.ping(&payload.bytes()).ok_or("ping"),
            Action::Pong(payload) => self.pong(&payload.bytes()).ok_or("pong"),
            Action::Cancel => {
                if let Self::Context(context) = self {
                    context.cancel_pong();
                }
                Ok(())
            }
            Action::SendFrame(frame) => self.send_frame(frame).ok_or("sendFrame"),
            Action::Close { code: number, description } => {
                self.close(code(*number, CloseCode::NORMAL), description.as_deref()).ok_or("close")
            }
            Action::Drop { code: number, description, silent } => self
                .give_up(code(*number, CloseCode::PROTOCOL_ERROR), description.as_deref(), *silent)
                .ok_or("drop"),
            Action::Pause => {
                match self {
                    Self::Context(context) => context.pause(),
                    Self::Handle(connection) => connection.pause(),
                }
                Ok(())
            }
            Action::Resume => {
                self.connection().resume();
                Ok(())
            }
            Action::State => {
                tell_state(stream, self.connection());
                Ok(())
            }
            _ => Err("what no connection can do"),
        }
    }

    fn send(&mut self, message: MessageRef<'_>) -> Option<()> {
        match self {
            Self::Context(context) => context.send(message).ok(),
            Self::Handle(connection) => connection.try_send(message).ok(),
        }
    }

    fn send_frame(&mut self, frame: &ComposedFrame) -> Option<()> {
        if frame.raw {
            return self.connection().try_send_raw_frame(frame.raw_frame()).ok();
        }
        match self {
            Self::Context(context) => context.send_frame(&frame.frame()?).ok(),
            Self::Handle(connection) => connection.try_send_frame(frame.frame()?).ok(),
        }
    }

    fn ping(&mut self, payload: &[u8]) -> Option<()> {
        match self {
            Self::Context(context) => context.ping(payload).ok(),
            Self::Handle(connection) => connection.ping(payload.to_vec()).ok(),
        }
    }

    fn pong(&mut self, payload: &[u8]) -> Option<()> {
        match self {
            Self::Context(context) => context.pong(payload).ok(),
            Self::Handle(connection) => connection.pong(payload.to_vec()).ok(),
        }
    }

    fn close(&mut self, code: CloseCode, description: Option<&str>) -> Option<()> {
        match self {
            Self::Context(context) => context.close(code, description).ok(),
            Self::Handle(connection) => connection.close(code, description).ok(),
        }
    }

    fn give_up(&mut self, code: CloseCode, description: Option<&str>, silent: bool) -> Option<()> {
        match self {
            _ if silent => {
                self.connection().drop_silently(code, description);
                Some(())
            }
            Self::Context(context) => context.drop_now(code, description).ok(),
            Self::Handle(connection) => connection.drop_now(code, description).ok(),
        }
    }
}

fn tell_state(stream: &str, connection: &Connection) {
    let ending = connection.ending();
    let code = ending.as_ref().map_or(-1, |ending| i32::from(ending.code().get()));
    let description = ending.map(|ending| ending.description()).unwrap_or_default();
    report(
        stream,
        "state",
        &[
            ("connected", connection.is_connected().into()),
            ("code", code.into()),
            ("description", description.into()),
            ("protocol", connection.protocol().unwrap_or_default().into()),
            ("version", connection.websocket_version().number().into()),
            ("remoteAddress", connection.remote_address().into()),
            ("remoteAddresses", connection.remote_addresses().into()),
            ("extensions", connection.extensions().len().into()),
        ],
    );
}

/// Tells that a message came.
pub(crate) fn tell_message(stream: &str, received: MessageRef<'_>) {
    report(stream, "message", &[("data", message(received))]);
}
