//! Compressed messages of which little has come.

use super::inflate::{Inflating, Sink};
use super::window::Window;
use crate::error::ProtocolError;

/// A compressed message whose end has not come. It takes an inflater once more has come than an inflater is worth: a peer
/// that begins a message on each of its connections, and goes on with none, makes none of them hold one.
#[derive(Debug)]
pub(crate) enum Deferred {
    /// As it came.
    Kept(Vec<u8>),
    Begun(Box<Inflating>),
}

/// Most that is kept of a message as it came, in bytes. An inflater takes about three times as much.
const KEPT: usize = 16 * 1024;

impl Default for Deferred {
    fn default() -> Self {
        Self::Kept(Vec::new())
    }
}

impl Deferred {
    /// Takes what came of the message, wherever it was cut.
    pub(crate) fn take(
        &mut self,
        chunk: &[u8],
        mut window: Option<&mut Window>,
        sink: &mut impl Sink,
    ) -> Result<(), ProtocolError> {
        match self {
            Self::Kept(kept) if kept.len() + chunk.len() <= KEPT => kept.extend_from_slice(chunk),
            Self::Kept(kept) => {
                let mut inflating = begin(kept, window.as_deref_mut(), sink)?;
                inflating.inflate(chunk, window, sink)?;
                *self = Self::Begun(Box::new(inflating));
            }
            Self::Begun(inflating) => inflating.inflate(chunk, window, sink)?,
        }
        Ok(())
    }

    /// Inflates all that came, because somebody waits for it.
    pub(crate) fn settle(
        &mut self,
        window: Option<&mut Window>,
        sink: &mut impl Sink,
    ) -> Result<(), ProtocolError> {
        if let Self::Kept(kept) = self {
            *self = Self::Begun(Box::new(begin(kept, window, sink)?));
        }
        Ok(())
    }

    /// Ends the message.
    pub(crate) fn finish(
        self,
        mut window: Option<&mut Window>,
        sink: &mut impl Sink,
    ) -> Result<(), ProtocolError> {
        match self {
            Self::Kept(kept) => begin(&kept, window.as_deref_mut(), sink)?.finish(window, sink),
            Self::Begun(inflating) => inflating.finish(window, sink),
        }
    }
}

fn begin(kept: &[u8], window: Option<&mut Window>, sink: &mut impl Sink) -> Result<Inflating, ProtocolError> {
    let mut inflating = Inflating::begin(window.as_deref())?;
    inflating.inflate(kept, window, sink)?;
    Ok(inflating)
}
