//! The classes of connections that are sent the same frames.

use std::sync::Arc;

use crate::proto::MessageRef;
use crate::proto::connection::{Config, PreparedMessage};
use crate::shared::Shared;

/// What connections that are sent the same frames have in common.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) config: Arc<Config>,
    pub(crate) form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    /// Compressed by itself, for a window of so many bits.
    Compressed {
        window_bits: u8,
    },
    /// Compressed by each connection, in its own context.
    Own,
}

impl Class {
    pub(crate) fn of(connection: &Shared) -> Self {
        let form = match connection.sends_compressed() {
            None => Form::Plain,
            Some(agreed) if agreed.context_takeover => Form::Own,
            Some(agreed) => Form::Compressed { window_bits: agreed.window_bits },
        };
        Self { config: connection.core_config().clone(), form }
    }

    /// The class of the same connections where nothing is compressed.
    pub(crate) fn uncompressed(self) -> Self {
        Self { form: Form::Plain, ..self }
    }

    /// The frames of a message for these connections.
    pub(crate) fn frame(&self, message: MessageRef<'_>) -> PreparedMessage {
        match self.form {
            Form::Compressed { window_bits } => {
                PreparedMessage::compressed(message, &self.config, window_bits)
            }
            Form::Plain | Form::Own => PreparedMessage::new(message, &self.config),
        }
    }
}

impl PartialEq for Class {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.form == other.form
    }
}
