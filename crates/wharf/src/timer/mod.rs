//! Deadlines: one timer for all of a connection, moved as rarely as possible, and a bound for whatever is awaited.

mod queue;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use queue::{Place, TimerQueue};

/// Fires at the connection's deadline or before it, never after. A deadline that moves away, as the keepalive's does
/// with every read, costs nothing: the timer fires, finds nothing due, and is armed anew.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    /// Boxed, so that the task of an idle connection keeps to its budget.
    armed: Option<Box<Armed>>,
}

/// A place in the queue of the runtime, for as long as the timer lives.
#[derive(Debug)]
struct Armed {
    at: Instant,
    place: Place,
    queue: Arc<TimerQueue>,
}

impl Timer {
    /// Whether it is armed and will fire after `now`.
    pub(crate) fn is_ahead_of(&self, now: Instant) -> bool {
        self.armed.as_ref().is_some_and(|armed| armed.at > now)
    }

    /// Sees to it that the task is woken at `deadline`.
    pub(crate) fn arm(&mut self, deadline: Option<Instant>, now: Instant, cx: &mut Context<'_>) {
        let Some(deadline) = deadline else { return };
        if deadline <= now {
            return cx.waker().wake_by_ref();
        }
        match &mut self.armed {
            Some(armed) if armed.at > now && armed.at <= deadline => {}
            Some(armed) => {
                armed.queue.rearm(armed.place, deadline, cx.waker());
                armed.at = deadline;
            }
            none => {
                let queue = TimerQueue::of_this_runtime(now);
                let place = queue.arm(deadline, cx.waker());
                *none = Some(Box::new(Armed { at: deadline, place, queue }));
            }
        }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.queue.give_up(self.place);
    }
}

/// What `future` gives, if it is ready by the deadline. It is asked first, also where the deadline has passed.
///
/// One task awaits it from beginning to end: the timer keeps that one's waker.
pub(crate) fn by<F: Future + Unpin>(deadline: tokio::time::Instant, future: F) -> By<F> {
    By { deadline: deadline.into_std(), timer: Timer::default(), future }
}

/// See [`by`].
pub(crate) struct By<F> {
    deadline: Instant,
    timer: Timer,
    future: F,
}

impl<F: Future + Unpin> Future for By<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { deadline, timer, future } = self.get_mut();
        if let Poll::Ready(output) = Pin::new(future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        let now = tokio::time::Instant::now().into_std();
        if now >= *deadline {
            return Poll::Ready(None);
        }
        timer.arm(Some(*deadline), now, cx);
        Poll::Pending
    }
}
