//! What waits for a driver, in order.

use std::sync::Arc;

use crate::burst::Burst;
use crate::outbox::Command;

/// As small as a `Vec`.
#[derive(Debug)]
pub(crate) enum Queue {
    Commands(Vec<Command>),
    /// A burst and nothing else, which takes no memory of its own.
    Burst(Arc<Burst>),
}

const _: () = assert!(size_of::<Queue>() == size_of::<Vec<Command>>());

impl Queue {
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Commands(commands) => commands.is_empty(),
            Self::Burst(_) => false,
        }
    }

    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Commands(commands) => commands.iter().map(Command::weight).sum(),
            Self::Burst(burst) => burst.end().weight,
        }
    }

    /// With room for more.
    #[inline]
    pub(crate) fn as_mut(&mut self) -> &mut Vec<Command> {
        if let Self::Burst(burst) = self {
            let mut commands = Vec::with_capacity(4);
            commands.push(Command::SendBurst(burst.clone()));
            *self = Self::Commands(commands);
        }
        match self {
            Self::Commands(commands) => commands,
            Self::Burst(_) => unreachable!("it was made a command"),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::Commands(Vec::new())
    }
}
