//! Being told in place: the driver lends each message where it lies.

use std::fmt;
use std::time::Instant;

use crate::connection::{Connection, close_of};
use crate::driver::WriteParts;
use crate::proto::connection::{Cause, Ending, Frame, RawFrame};
use crate::proto::frame::Opcode;
use crate::proto::{self, CloseCode, CloseError, CommandError, MessageRef, spare};

/// What happens on one connection, told by its driver as it happens, with messages lent out of the read buffer.
///
/// It is the fast way to receive: no queue, no second task, and all that is sent while one read is handled goes out
/// in one write. In return a handler must not block: while it runs, its connection, and others of the same thread,
/// stand still. What has to wait belongs into a task, with [`Context::connection`].
///
/// A handler receives in place of [`Connection::recv`]. A panic in it ends its connection alone, with 1011, and is
/// the last that the handler is told.
///
/// ```
/// use wharf::{Context, Handler, MessageRef};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
///         // Fails only where the connection is closing: then there is nobody to answer.
///         let _ = context.send(message);
///     }
/// }
/// ```
pub trait Handler: Send + 'static {
    /// The connection is open; what is sent here follows the 101.
    fn connect(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// A message, whole.
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = (context, message);
    }

    /// A frame, where [`assemble_fragments`](crate::ServerConfig::assemble_fragments) is off, before it is acted on
    /// and before the [`message`](Self::message), [`ping`](Self::ping) or [`pong`](Self::pong) that it means.
    fn frame(&mut self, context: &mut Context<'_>, frame: &Frame<'_>) {
        let _ = (context, frame);
    }

    /// A ping. It is answered by itself, unless [`Context::cancel_pong`] is called here.
    fn ping(&mut self, context: &mut Context<'_>, payload: &[u8]) {
        let _ = (context, payload);
    }

    /// A pong, asked for or not.
    fn pong(&mut self, context: &mut Context<'_>, payload: &[u8]) {
        let _ = (context, payload);
    }

    /// Output that was full has room again: once for each time it was full.
    fn drain(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// The socket failed; [`close`](Self::close) follows.
    fn error(&mut self, connection: &Connection, cause: &Cause) {
        let _ = (connection, cause);
    }

    /// The connection has ended: once for each that was accepted, whatever ended it, but for a panic of this handler.
    fn close(&mut self, connection: &Connection, ending: &Ending) {
        let _ = (connection, ending);
    }
}

/// A connection, as its handler has it: what is sent through it goes out with the answers to the same read.
pub struct Context<'a> {
    pub(crate) core: &'a mut proto::Connection,
    pub(crate) output: &'a mut Vec<u8>,
    /// How much of the output's front has been written.
    pub(crate) written: usize,
    pub(crate) connection: &'a Connection,
    pub(crate) now: Instant,
    /// Where long messages may go past the output.
    pub(crate) direct: Option<&'a mut dyn WriteParts>,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("connection", &self.connection)
            .field("buffered_amount", &self.buffered_amount())
            .finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// Sends a message: text goes out as text, bytes as binary.
    ///
    /// Nothing is refused for want of room: while [`is_output_full`](Self::is_output_full), the driver reads
    /// nothing more from this peer, so that answers are bounded by what one read brings. What is sent of a handler's
    /// own accord should look first.
    ///
    /// # Errors
    /// [`CommandError::Closed`] once either side has begun to close, [`CommandError::MessageUnfinished`] while another
    /// message is being sent in parts, here or from elsewhere.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<MessageRef<'m>>) -> Result<(), CommandError> {
        let message = message.into();
        if message.as_bytes().len() >= spare::LONG {
            return self.send_long(message);
        }
        self.core.send(message, self.output)
    }

    /// Apart, so that a short message does not pay for the registers of it.
    #[inline(never)]
    fn send_long(&mut self, message: MessageRef<'_>) -> Result<(), CommandError> {
        match &mut self.direct {
            Some(direct) => self.core.send_through([message], self.output, |parts| direct.write_parts(parts)),
            None => self.core.send(message, self.output),
        }
    }

    /// Sends a message as it is, as [`Connection::send_uncompressed`] does.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_uncompressed<'m>(&mut self, message: impl Into<MessageRef<'m>>) -> Result<(), CommandError> {
        self.core.send_uncompressed(message.into(), self.output)
    }

    /// Sends a frame as it was composed, as [`Connection::send_frame`] does. Between the first and the last frame of a
    /// message, messages from elsewhere wait; if the connection closes meanwhile, they are not sent.
    ///
    /// # Errors
    /// [`CommandError::InvalidFrame`] where it would break the protocol, and as for [`send`](Self::send); nothing was
    /// sent.
    #[doc(alias = "sendFrame")]
    pub fn send_frame(&mut self, frame: &Frame<'_>) -> Result<(), CommandError> {
        let is_part = match frame.header.opcode {
            Opcode::Continuation => true,
            Opcode::Text | Opcode::Binary => !frame.header.fin,
            Opcode::Close | Opcode::Ping | Opcode::Pong => false,
        };
        if is_part && !self.begin_message() {
            return Err(CommandError::MessageUnfinished);
        }
        let result = self.core.send_frame(frame, self.output, self.now);
        if is_part {
            self.settle_message();
        }
        result
    }

    /// Sends a frame as it is, whatever rule it breaks, as [`Connection::send_raw_frame`] does.
    ///
    /// # Errors
    /// [`CommandError::Closed`] once either side has begun to close.
    pub fn send_raw_frame(&mut self, frame: &RawFrame) -> Result<(), CommandError> {
        let is_ours = self.begin_message();
        let result = self.core.send_raw_frame(frame, self.output);
        if is_ours {
            self.settle_message();
        }
        result
    }

    /// Sends a ping with at most 125 bytes.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was sent.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), CommandError> {
        self.core.ping(payload, self.output)
    }

    /// Sends a pong with at most 125 bytes that answers nothing.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was sent.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), CommandError> {
        self.core.pong(payload, self.output)
    }

    /// The ping that is being told is not to be answered.
    #[doc(alias = "cancel")]
    pub fn cancel_pong(&mut self) {
        self.core.cancel_pong();
    }

    /// Begins the closing handshake, as [`Connection::close`] does. No message follows.
    ///
    /// # Errors
    /// [`CloseError`]; the connection stays open.
    pub fn close(&mut self, code: CloseCode, description: Option<&str>) -> Result<(), CloseError> {
        self.core.close(&close_of(code, description)?, self.output, self.now);
        Ok(())
    }

    /// Gives the connection up, as [`Connection::drop_now`] does.
    ///
    /// # Errors
    /// [`CloseError`]; nothing has changed.
    #[doc(alias = "drop")]
    pub fn drop_now(&mut self, code: CloseCode, description: Option<&str>) -> Result<(), CloseError> {
        self.core.drop_now(code, description, true, self.output, self.now)
    }

    /// Stops reading: no message follows, not even of the same read, until [`Connection::resume`].
    pub fn pause(&mut self) {
        self.connection.pause();
    }

    /// Bytes that wait to be sent.
    #[doc(alias = "bufferedAmount")]
    pub fn buffered_amount(&self) -> usize {
        self.output.len() - self.written
    }

    /// Whether as much waits to be sent as
    /// [`max_buffered_amount`](crate::ServerConfig::max_buffered_amount) allows.
    #[doc(alias = "outputBufferFull")]
    pub fn is_output_full(&self) -> bool {
        self.buffered_amount() >= self.connection.output_limit()
    }

    /// The connection, to be cloned for use elsewhere. What is sent through it comes after what was sent here.
    pub const fn connection(&self) -> &Connection {
        self.connection
    }

    /// Holds messages from elsewhere back, unless one of them is unfinished.
    fn begin_message(&self) -> bool {
        self.connection.shared.outbox.begin_handlers_message(self.core.is_within_message())
    }

    /// Lets messages from elsewhere go on, if the handler's own has ended.
    fn settle_message(&self) {
        if !self.core.is_within_message() {
            let outbox = &self.connection.shared.outbox;
            self.connection.wake_if(outbox.end_handlers_message());
        }
    }
}
