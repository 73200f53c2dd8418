//! Frames composed by hand.

use crate::connection::Connection;
use crate::error::SendFrameError;
use crate::outbox::{Turn, turn_of};
use crate::proto::connection::{Frame, RawFrame};

impl Connection {
    /// Sends a frame as it was composed, in one piece whatever its length: to relay what
    /// [`recv_frame`](Self::recv_frame) gave, or to choose the fragments of a message. Its mask and its `payload_len` do
    /// not count. Waits as [`send`](Self::send) does. A Close begins the closing handshake, as [`close`](Self::close).
    ///
    /// From the first frame of a message to its last, every other message on this connection waits, whoever sends it:
    /// end what was begun. A message that is known only in parts is better sent with
    /// [`message_writer`](Self::message_writer).
    ///
    /// Cancel safe: dropped before it returns, nothing was sent.
    ///
    /// # Errors
    /// [`SendFrameError::Invalid`] where the peer would have to end the connection, with the rule: reserved bits, a
    /// control frame over 125 bytes or without FIN (RFC 6455 §5.5), a continuation without a start or a new message amid
    /// fragments (§5.4), text that is not UTF-8, over all its fragments (§8.1), a Close that may not be sent (§7.4).
    /// [`SendFrameError::Closed`] with the frame, once either side has begun to close. Nothing was sent.
    ///
    /// ```no_run
    /// use wharf::{Frame, Opcode};
    ///
    /// # async fn hello(connection: wharf::Connection) -> Result<(), wharf::SendFrameError> {
    /// connection.send_frame(Frame::new(false, Opcode::Text, b"Hel")).await?;
    /// connection.send_frame(Frame::new(true, Opcode::Continuation, b"lo")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "sendFrame")]
    pub async fn send_frame(&self, frame: Frame<'static>) -> Result<(), SendFrameError> {
        let mut frame = frame;
        loop {
            match self.try_send_frame(frame) {
                Err(SendFrameError::Full(full)) => frame = full,
                result => return result,
            }
            self.shared.outbox.has_room(turn_of(&frame)).await;
        }
    }

    /// Sends a frame if it can be queued now. See [`send_frame`](Self::send_frame).
    ///
    /// # Errors
    /// As for [`send_frame`](Self::send_frame), and [`SendFrameError::Full`] with the frame.
    pub fn try_send_frame(&self, frame: Frame<'static>) -> Result<(), SendFrameError> {
        self.wake_if(self.shared.outbox.try_send_frame(frame)?);
        Ok(())
    }

    /// Sends a frame as it is, whatever rule it breaks: the peer may end the connection for it. Waits only for room, not
    /// for the end of another message. A Close among them begins nothing.
    ///
    /// Cancel safe: dropped before it returns, nothing was sent.
    ///
    /// # Errors
    /// [`SendFrameError::Closed`] with the frame, once either side has begun to close.
    pub async fn send_raw_frame(&self, frame: RawFrame) -> Result<(), SendFrameError<RawFrame>> {
        let mut frame = frame;
        loop {
            match self.try_send_raw_frame(frame) {
                Err(SendFrameError::Full(full)) => frame = full,
                result => return result,
            }
            self.shared.outbox.has_room(Turn::Any).await;
        }
    }

    /// Sends a frame as it is, if it can be queued now. See [`send_raw_frame`](Self::send_raw_frame).
    ///
    /// # Errors
    /// As for [`send_raw_frame`](Self::send_raw_frame), and [`SendFrameError::Full`] with the frame.
    pub fn try_send_raw_frame(&self, frame: RawFrame) -> Result<(), SendFrameError<RawFrame>> {
        self.wake_if(self.shared.outbox.try_send_raw_frame(frame)?);
        Ok(())
    }
}
