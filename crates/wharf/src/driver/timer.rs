//! One timer for all deadlines of a connection, moved as rarely as possible.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Instant;

use tokio::time::Sleep;

/// Fires at the connection's deadline or before it, never after. A deadline that moves away, as the keepalive's does
/// with every read, costs nothing: the timer fires, finds nothing due, and is armed anew.
#[derive(Debug, Default)]
pub(super) struct Timer {
    /// It knows its own deadline: to keep that beside it would cost each connection 16 bytes.
    armed: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Whether it is armed and will fire after `now`.
    pub(super) fn is_ahead_of(&self, now: Instant) -> bool {
        self.armed.as_ref().is_some_and(|sleep| sleep.deadline().into_std() > now)
    }

    /// Sees to it that the task is woken at `deadline`.
    pub(super) fn arm(&mut self, deadline: Option<Instant>, now: Instant, cx: &mut Context<'_>) {
        let Some(deadline) = deadline else { return };
        let sleep = match &mut self.armed {
            Some(sleep) => {
                let armed = sleep.deadline().into_std();
                if armed > now && armed <= deadline {
                    return;
                }
                sleep.as_mut().reset(deadline.into());
                sleep
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(deadline.into()))),
        };
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}
