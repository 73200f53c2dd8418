//! Frames that are composed by hand, and messages in parts.

use std::sync::atomic::Ordering;

use super::{COMMANDS, Outbox, Phase, Turn, Unfinished};
use crate::error::SendFrameError;
use crate::proto::connection::{Frame, FrameSequence, RawFrame};
use crate::proto::frame::Opcode;
use crate::proto::{Close, ProtocolError};
use crate::queue::Command;

impl Outbox {
    /// Queues a frame that breaks no rule: whether the driver is to be woken. A Close closes.
    pub(crate) fn try_send_frame(&self, frame: Frame<'static>) -> Result<bool, SendFrameError> {
        let opcode = frame.header.opcode;
        if opcode.is_control() {
            FrameSequence::default().check(&frame)?;
        }
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(SendFrameError::Closed(frame));
        }
        if opcode == Opcode::Close {
            let close = Close::read(&frame.payload)?;
            drop(state);
            return Ok(self.close(close));
        }
        let was_unfinished = state.is_within_message();
        let has_room = state.admits(turn_of(&frame), self.limit());
        match &mut state.unfinished {
            _ if opcode.is_control() => {}
            Unfinished::Frames(sequence) if has_room => sequence.check(&frame)?,
            Unfinished::Frames(sequence) => sequence.clone().check(&frame)?,
            _ if opcode == Opcode::Continuation => return Err(ProtocolError::UnexpectedContinuation.into()),
            _ => {}
        }
        if !has_room {
            return Err(SendFrameError::Full(frame));
        }
        let wake = self.push(&mut state, Command::SendFrame(frame.into()));
        self.message_may_have_ended(was_unfinished, state);
        Ok(wake)
    }

    /// Queues a frame, whatever it is: whether the driver is to be woken.
    pub(crate) fn try_send_raw_frame(&self, frame: RawFrame) -> Result<bool, SendFrameError<RawFrame>> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(SendFrameError::Closed(frame));
        }
        if !state.admits(Turn::Any, self.limit()) {
            return Err(SendFrameError::Full(frame));
        }
        let was_unfinished = state.is_within_message();
        if let Unfinished::Frames(sequence) = &mut state.unfinished {
            sequence.follow(&frame);
        }
        let wake = self.push(&mut state, Command::SendFrame(frame));
        self.message_may_have_ended(was_unfinished, state);
        Ok(wake)
    }

    /// Queues the next fragments of a writer's message, all of them or none: whether the driver is to be woken. With its
    /// first ones the message `is_begun`.
    pub(crate) fn try_send_part(
        &self,
        is_begun: bool,
        fragments: &mut Vec<RawFrame>,
    ) -> Result<bool, PartError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(PartError::Closed);
        }
        if !state.admits(turn_of_part(is_begun), self.limit()) {
            return Err(PartError::Full);
        }
        let Some(last) = fragments.last() else { return Ok(false) };
        state.unfinished =
            if last.fin { Unfinished::Frames(FrameSequence::default()) } else { Unfinished::Writers };
        let mut wake = false;
        for fragment in fragments.drain(..) {
            wake |= self.push(&mut state, Command::SendFrame(fragment));
        }
        self.message_may_have_ended(true, state);
        Ok(wake)
    }

    /// Lets the handler send the frames of a message of its own: whether no other is unfinished, here or, by
    /// `is_another_sent`, in the output. What is queued waits for it.
    pub(crate) fn begin_handlers_message(&self, is_another_sent: bool) -> bool {
        let mut state = self.lock();
        let may_begin = !is_another_sent && !state.is_within_message();
        if may_begin {
            state.unfinished = Unfinished::Handlers;
        }
        may_begin || matches!(state.unfinished, Unfinished::Handlers)
    }

    /// The handler's message has ended: whether the driver is to be woken.
    pub(crate) fn end_handlers_message(&self) -> bool {
        let mut state = self.lock();
        let mut sequence = FrameSequence::default();
        for command in state.commands.as_mut() {
            if let Command::SendFrame(frame) = command {
                // One that was queued whatever it was may have begun another message.
                sequence.follow(frame);
            }
        }
        state.unfinished = Unfinished::Frames(sequence);
        let has_waited = !state.commands.is_empty();
        if has_waited {
            self.to_take.store(COMMANDS, Ordering::Release);
        }
        let wake = has_waited || self.resume_backlog(&state);
        self.message_may_have_ended(true, state);
        wake
    }
}

/// Why the fragments of a writer were not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartError {
    Full,
    Closed,
}

pub(crate) const fn turn_of(frame: &Frame<'_>) -> Turn {
    if frame.header.opcode.is_control() { Turn::Any } else { Turn::Frame }
}

pub(crate) const fn turn_of_part(is_begun: bool) -> Turn {
    if is_begun { Turn::Any } else { Turn::Message }
}
