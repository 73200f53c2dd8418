//! The timers of all connections of one runtime, behind one of the runtime's own: a tokio `Sleep` takes 128 bytes, and a
//! connection has one for as long as it lives; here it takes 36.

mod chunks;
mod heap;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};
use tokio::time::Sleep;

pub(super) use heap::Place;
use heap::{Heap, Moment, NEVER};

/// Wakes each task at its deadline. One task of its own, the [`Alarm`], sleeps until the next.
#[derive(Debug)]
pub(super) struct TimerQueue {
    /// What deadlines are counted from.
    epoch: Instant,
    state: Mutex<State>,
    /// The runtime has ended, and the alarm with it. Another may have its number.
    is_over: AtomicBool,
}

#[derive(Debug)]
struct State {
    heap: Heap,
    /// The alarm's own, once it has run.
    alarm: Option<Waker>,
    /// When the alarm will look next by itself.
    next_look: Moment,
}

impl TimerQueue {
    /// The queue of the runtime that the current task runs on.
    pub(super) fn of_this_runtime(now: Instant) -> Arc<Self> {
        thread_local! {
            /// What was found last, so that threads do not meet for it at each connection.
            static LAST: Cell<Option<(Id, Weak<TimerQueue>)>> = const { Cell::new(None) };
        }
        let runtime = Handle::current();
        let last = LAST.take().filter(|(id, _)| *id == runtime.id());
        let queue = last.and_then(|(_, queue)| alive(&queue)).unwrap_or_else(|| Self::find(&runtime, now));
        LAST.set(Some((runtime.id(), Arc::downgrade(&queue))));
        queue
    }

    /// Finds the queue of a runtime among all of this process, or begins it.
    fn find(runtime: &Handle, now: Instant) -> Arc<Self> {
        let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|(_, queue)| alive(queue).is_some());
        let known = queues.iter().find_map(|(id, queue)| alive(queue).filter(|_| *id == runtime.id()));
        known.unwrap_or_else(|| {
            let queue = Arc::new(Self::beginning_at(now));
            queues.push((runtime.id(), Arc::downgrade(&queue)));
            // Here, so that a runtime without a clock is told to whoever wants it.
            let sleep = Box::pin(tokio::time::sleep_until(now.into()));
            runtime.spawn(Alarm { queue: queue.clone(), sleep });
            queue
        })
    }

    fn beginning_at(epoch: Instant) -> Self {
        let state = State { heap: Heap::default(), alarm: None, next_look: NEVER };
        Self { epoch, state: Mutex::new(state), is_over: AtomicBool::new(false) }
    }

    /// Sees to it that `waker` is woken at `deadline`.
    pub(super) fn arm(&self, deadline: Instant, waker: &Waker) -> Place {
        let at = self.moment(deadline);
        let mut state = self.lock();
        let place = state.heap.arm(at, waker.clone());
        Self::look_by(at, state);
        place
    }

    /// As [`arm`](Self::arm) for one that has a place, whether or not it has been woken meanwhile.
    pub(super) fn rearm(&self, place: Place, deadline: Instant, waker: &Waker) {
        let at = self.moment(deadline);
        let mut state = self.lock();
        let former = state.heap.rearm(place, at, waker.clone());
        Self::look_by(at, state);
        drop(former);
    }

    /// The timer is no more, and its place another's.
    pub(super) fn give_up(&self, place: Place) {
        let mut state = self.lock();
        // Dropped without the lock: it may be all that is left of its task.
        let _waker = state.heap.give_up(place);
        // For nobody the alarm need not go off; a paused clock would run up to it.
        let alarm = state.alarm.clone().filter(|_| state.heap.is_empty() && state.next_look != NEVER);
        drop(state);
        if let Some(alarm) = alarm {
            alarm.wake();
        }
    }

    /// Has the alarm look at `at`, if it would look later by itself.
    fn look_by(at: Moment, mut state: MutexGuard<'_, State>) {
        if at >= state.next_look {
            return;
        }
        state.next_look = at;
        let alarm = state.alarm.clone();
        drop(state);
        // One that has not run yet will look at everything when it does.
        if let Some(alarm) = alarm {
            alarm.wake();
        }
    }

    fn moment(&self, at: Instant) -> Moment {
        at.saturating_duration_since(self.epoch).as_nanos().try_into().unwrap_or(NEVER - 1)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of all runtimes of the process: few.
static QUEUES: Mutex<Vec<(Id, Weak<TimerQueue>)>> = Mutex::new(Vec::new());

/// The queue, while its runtime is there.
fn alive(queue: &Weak<TimerQueue>) -> Option<Arc<TimerQueue>> {
    queue.upgrade().filter(|queue| !queue.is_over.load(Ordering::Acquire))
}

/// The task that wakes those whose deadlines have come. It lives as long as its runtime.
struct Alarm {
    queue: Arc<TimerQueue>,
    sleep: Pin<Box<Sleep>>,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.queue.moment(tokio::time::Instant::now().into_std());
            let next = loop {
                let mut state = self.queue.lock();
                if let Some(due) = state.heap.take_due(now) {
                    drop(state);
                    due.wake();
                    continue;
                }
                let next = state.heap.next();
                state.next_look = next;
                // Set once: a task's waker is always the same.
                state.alarm.get_or_insert_with(|| cx.waker().clone());
                break next;
            };
            if next == NEVER {
                // One that was never polled is not known to the runtime.
                self.sleep.set(tokio::time::sleep_until(tokio::time::Instant::now()));
                return Poll::Pending;
            }
            let deadline = self.queue.epoch + Duration::from_nanos(next);
            if self.sleep.deadline() != deadline.into() || self.sleep.is_elapsed() {
                self.sleep.as_mut().reset(deadline.into());
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.queue.is_over.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
