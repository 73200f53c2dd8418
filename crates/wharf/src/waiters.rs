//! Tasks that wait for a change of what one lock guards. They stand beside it under the same lock: to wait, and to be told, takes
//! no other.

use std::task::Waker;

/// Those who wait: nearly always nobody or one.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: Waiting,
    /// The number of the last who came to wait.
    last: u64,
}

#[derive(Debug, Default)]
enum Waiting {
    #[default]
    Nobody,
    One(Place, Waker),
    /// In the order in which they came.
    Several(Vec<(Place, Waker)>),
}

/// The place of somebody who waits, or has waited. To be given up when it waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Waiters {
    /// Sees to it that `waker` is among those who are told next, and no other of the same `place`. Returns the one that it
    /// replaces.
    #[must_use = "it may be the last of its task, and is to be dropped once the lock is free"]
    pub(crate) fn wait(&mut self, place: &mut Option<Place>, waker: &Waker) -> Option<Waker> {
        let place = *place.get_or_insert_with(|| {
            self.last += 1;
            Place(self.last)
        });
        if let Some(former) = self.find(place) {
            return (!former.will_wake(waker)).then(|| std::mem::replace(former, waker.clone()));
        }
        match &mut self.waiting {
            Waiting::Nobody => self.waiting = Waiting::One(place, waker.clone()),
            Waiting::Several(several) => several.push((place, waker.clone())),
            Waiting::One(..) => {
                if let Waiting::One(one, its) = std::mem::take(&mut self.waiting) {
                    self.waiting = Waiting::Several(vec![(one, its), (place, waker.clone())]);
                }
            }
        }
        None
    }

    /// Whoever had this place waits no longer. Returns its waker, if it was not told.
    #[must_use = "it may be the last of its task, and is to be dropped once the lock is free"]
    pub(crate) fn give_up(&mut self, place: Place) -> Option<Waker> {
        match &mut self.waiting {
            Waiting::One(one, _) if *one == place => match std::mem::take(&mut self.waiting) {
                Waiting::One(_, waker) => Some(waker),
                Waiting::Nobody | Waiting::Several(_) => None,
            },
            Waiting::Nobody | Waiting::One(..) => None,
            Waiting::Several(several) => {
                let at = several.iter().position(|(other, _)| *other == place)?;
                Some(several.remove(at).1)
            }
        }
    }

    fn find(&mut self, place: Place) -> Option<&mut Waker> {
        match &mut self.waiting {
            Waiting::One(one, waker) if *one == place => Some(waker),
            Waiting::Nobody | Waiting::One(..) => None,
            Waiting::Several(several) => {
                several.iter_mut().find(|(other, _)| *other == place).map(|(_, waker)| waker)
            }
        }
    }

    /// All who wait, to be told once the lock is free.
    #[must_use]
    pub(crate) fn take(&mut self) -> Told {
        Told(std::mem::take(&mut self.waiting))
    }
}

/// Those who are to be told.
pub(crate) struct Told(Waiting);

impl Told {
    pub(crate) fn wake(self) {
        match self.0 {
            Waiting::Nobody => {}
            Waiting::One(_, waker) => waker.wake(),
            Waiting::Several(several) => several.into_iter().for_each(|(_, waker)| waker.wake()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (wakes.clone(), wakes.into())
    }

    fn count(wakes: &Wakes) -> usize {
        wakes.0.load(Ordering::Relaxed)
    }

    #[test]
    fn all_who_wait_are_told_once() {
        let mut waiters = Waiters::default();
        let tasks: Vec<_> = (0..3).map(|_| counted()).collect();
        let mut places = [None; 3];
        for (place, (_, waker)) in places.iter_mut().zip(&tasks) {
            assert!(waiters.wait(place, waker).is_none());
            assert!(waiters.wait(place, waker).is_none());
        }
        waiters.take().wake();
        waiters.take().wake();
        assert!(tasks.iter().all(|(wakes, _)| count(wakes) == 1));
    }

    #[test]
    fn who_has_given_up_is_not_told_and_the_others_of_its_task_are() {
        let (told, waker) = counted();
        for several in [1, 3] {
            let mut waiters = Waiters::default();
            let mut places = vec![None; several];
            for place in &mut places {
                assert!(waiters.wait(place, &waker).is_none());
            }
            let before = count(&told);
            assert!(waiters.give_up(places[0].expect("it waits")).is_some());
            waiters.take().wake();
            assert_eq!(count(&told) - before, several - 1);
        }
    }

    #[test]
    fn a_place_has_the_waker_that_it_waited_with_last() {
        let ((first, first_waker), (second, second_waker)) = (counted(), counted());
        let mut waiters = Waiters::default();
        let mut place = None;
        assert!(waiters.wait(&mut place, &first_waker).is_none());
        let former = waiters.wait(&mut place, &second_waker);
        assert!(former.is_some_and(|former| former.will_wake(&first_waker)));
        waiters.take().wake();
        assert_eq!((count(&first), count(&second)), (0, 1));
    }

    #[test]
    fn a_place_that_was_told_can_be_waited_at_again() {
        let (told, waker) = counted();
        let mut waiters = Waiters::default();
        let mut place = None;
        for times in 1..=2 {
            assert!(waiters.wait(&mut place, &waker).is_none());
            waiters.take().wake();
            assert_eq!(count(&told), times);
        }
    }
}
