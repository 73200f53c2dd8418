//! Who lives on a worker's thread: it ends when nobody does.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

thread_local! {
    /// Those of this thread, where it is one of wharf's own.
    static HERE: OnceCell<Arc<Residents>> = const { OnceCell::new() };
}

/// How many live on a worker's thread.
#[derive(Debug, Default)]
pub(crate) struct Residents {
    count: AtomicUsize,
    /// Told when the last one leaves.
    vacated: Notify,
}

impl Residents {
    /// Those of this thread, which counts them from now on.
    pub(crate) fn of_this_thread() -> Arc<Self> {
        HERE.with(|here| Arc::clone(here.get_or_init(Arc::default)))
    }

    /// Waits until nobody is left.
    pub(crate) async fn gone(&self) {
        while self.count.load(Ordering::Acquire) > 0 {
            self.vacated.notified().await;
        }
    }

    fn leave(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.vacated.notify_one();
        }
    }
}

/// One of them, wherever it is dropped.
#[derive(Debug)]
pub(crate) struct Resident(Arc<Residents>);

impl Resident {
    /// Lives on this thread, if it is one of wharf's own.
    pub(crate) fn here() -> Option<Self> {
        HERE.with(|here| {
            let residents = here.get()?;
            residents.count.fetch_add(1, Ordering::AcqRel);
            Some(Self(Arc::clone(residents)))
        })
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// One of them that is dropped on the thread that it was made on, as a task of a runtime of one thread is. It takes no memory:
/// the thread knows its residents.
#[derive(Debug)]
pub(crate) struct ResidentTask(());

impl ResidentTask {
    /// Lives on this thread, if it is one of wharf's own.
    pub(crate) fn here() -> Option<Self> {
        HERE.with(|here| {
            here.get()?.count.fetch_add(1, Ordering::AcqRel);
            Some(Self(()))
        })
    }
}

impl Drop for ResidentTask {
    fn drop(&mut self) {
        HERE.with(|here| {
            if let Some(residents) = here.get() {
                residents.leave();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::thread;

    use super::*;

    #[test]
    fn nobody_is_counted_on_a_thread_that_is_not_wharfs() {
        assert!(Resident::here().is_none());
        assert!(ResidentTask::here().is_none());
    }

    #[test]
    fn a_thread_is_vacant_when_all_have_left_wherever_they_were_dropped() {
        let residents = Residents::of_this_thread();
        let (first, second, task) = (Resident::here(), Resident::here(), ResidentTask::here());
        let mut gone = pin!(residents.gone());
        let mut is_gone = || gone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        for resident in [first, second] {
            assert!(!is_gone());
            thread::spawn(move || drop(resident.unwrap())).join().unwrap();
        }
        assert!(!is_gone());
        drop(task.unwrap());
        assert!(is_gone());
    }
}
