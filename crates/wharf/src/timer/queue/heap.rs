//! Timers in the order of their deadlines, each of which can be found by its place.

use std::task::Waker;

use super::chunks::Chunks;

/// Nanoseconds since the queue's epoch: half of an `Instant`, and good for 584 years.
pub(super) type Moment = u64;

/// Later than any.
pub(super) const NEVER: Moment = Moment::MAX;

/// Whose a timer is in its queue: given out once, and to others only after it was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Place(u32);

/// A binary heap that knows where in it each timer is.
#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: Chunks<Entry>,
    /// How many entries are in the order of the heap. The others came last, and wait for that: many of them are given up
    /// before, such as those of an opening handshake.
    ordered: usize,
    /// For each place the index of its entry, or [`NOWHERE`] after that was taken. Of a free place the next free one.
    places: Chunks<u32>,
    /// The first free place, or [`NOWHERE`] in `free_len` of 0.
    free: u32,
    free_len: usize,
}

#[derive(Debug)]
struct Entry {
    at: Moment,
    waker: Waker,
    place: Place,
}

const _: () = assert!(size_of::<Entry>() <= 32);

const NOWHERE: u32 = u32::MAX;

/// So many entries may wait to be put in order, so that whoever asks for the first one does little for the others.
const MAX_UNORDERED: usize = 64;

impl Heap {
    pub(super) fn arm(&mut self, at: Moment, waker: Waker) -> Place {
        let place = Place(self.take_place());
        self.push(Entry { at, waker, place });
        place
    }

    /// The waker that was there before.
    pub(super) fn rearm(&mut self, place: Place, at: Moment, waker: Waker) -> Option<Waker> {
        let former = self.take(place);
        self.push(Entry { at, waker, place });
        former
    }

    /// The waker, if it was not taken.
    pub(super) fn give_up(&mut self, place: Place) -> Option<Waker> {
        let waker = self.take(place);
        self.places[place.0 as usize] = self.free;
        self.free = place.0;
        self.free_len += 1;
        if self.free_len == self.places.len() {
            *self = Self::default();
        }
        waker
    }

    /// The waker of a timer that is due, the earliest first. It keeps its place.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Waker> {
        self.put_in_order();
        let first = self.entries.get(0).filter(|first| first.at <= now)?;
        self.take(first.place)
    }

    pub(super) fn next(&mut self) -> Moment {
        self.put_in_order();
        self.entries.get(0).map_or(NEVER, |first| first.at)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn take_place(&mut self) -> u32 {
        if self.free_len == 0 {
            self.places.push(NOWHERE);
            return index(self.places.len() - 1);
        }
        let place = self.free;
        self.free = std::mem::replace(&mut self.places[place as usize], NOWHERE);
        self.free_len -= 1;
        place
    }

    fn push(&mut self, entry: Entry) {
        let at = self.entries.len();
        self.places[entry.place.0 as usize] = index(at);
        self.entries.push(entry);
        if self.entries.len() - self.ordered > MAX_UNORDERED {
            self.put_one_in_order();
        }
    }

    fn put_in_order(&mut self) {
        while self.ordered < self.entries.len() {
            self.put_one_in_order();
        }
    }

    fn put_one_in_order(&mut self) {
        self.rise(self.ordered);
        self.ordered += 1;
    }

    fn take(&mut self, place: Place) -> Option<Waker> {
        let at = self.places[place.0 as usize];
        if at == NOWHERE {
            return None;
        }
        let at = self.take_out_of_order(at as usize);
        let taken = self.entries.swap_remove(at);
        if let Some(moved) = self.entries.get(at) {
            self.places[moved.place.0 as usize] = index(at);
        }
        self.places[place.0 as usize] = NOWHERE;
        Some(taken.waker)
    }

    /// Puts an entry among those that are in no order: where it is then.
    fn take_out_of_order(&mut self, at: usize) -> usize {
        if at >= self.ordered {
            return at;
        }
        self.ordered -= 1;
        let last = self.ordered;
        if at < last {
            self.swap(at, last);
            let at = self.rise(at);
            self.sink(at);
        }
        last
    }

    /// Puts an entry before those that are later: where it is then.
    fn rise(&mut self, mut at: usize) -> usize {
        while at > 0 && self.entries[at].at < self.entries[(at - 1) / 2].at {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        at
    }

    /// Puts an entry behind those that are earlier.
    fn sink(&mut self, mut at: usize) {
        loop {
            let below = [2 * at + 1, 2 * at + 2].into_iter().filter(|&below| below < self.ordered);
            let Some(earliest) = below.min_by_key(|&below| self.entries[below].at) else { return };
            if self.entries[at].at <= self.entries[earliest].at {
                return;
            }
            self.swap(at, earliest);
            at = earliest;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.entries.swap(one, other);
        for at in [one, other] {
            self.places[self.entries[at].place.0 as usize] = index(at);
        }
    }
}

fn index(index: usize) -> u32 {
    index.try_into().expect("a process has fewer sockets than that")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Arm(Moment),
        Rearm(usize, Moment),
        GiveUp(usize),
        Advance(Moment),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..1000_u64).prop_map(Step::Arm),
            2 => (any::<usize>(), 0..1000_u64).prop_map(|(which, at)| Step::Rearm(which, at)),
            2 => any::<usize>().prop_map(Step::GiveUp),
            1 => (0..1000_u64).prop_map(Step::Advance),
        ]
    }

    proptest! {
        #[test]
        fn a_heap_gives_out_what_is_due_in_order_and_nothing_else(steps in prop::collection::vec(step(), 0..200)) {
            let mut heap = Heap::default();
            // Those who have a place, and since when what they wait for.
            let mut held: Vec<(Place, Option<Moment>)> = Vec::new();
            for step in steps {
                match step {
                    Step::Arm(at) => {
                        let place = heap.arm(at, Waker::noop().clone());
                        prop_assert!(held.iter().all(|(other, _)| *other != place));
                        held.push((place, Some(at)));
                    }
                    Step::Rearm(which, at) if !held.is_empty() => {
                        let which = which % held.len();
                        let (place, former) = &mut held[which];
                        prop_assert_eq!(heap.rearm(*place, at, Waker::noop().clone()).is_some(), former.is_some());
                        *former = Some(at);
                    }
                    Step::GiveUp(which) if !held.is_empty() => {
                        let (place, former) = held.swap_remove(which % held.len());
                        prop_assert_eq!(heap.give_up(place).is_some(), former.is_some());
                    }
                    Step::Advance(now) => {
                        let mut last = 0;
                        heap.put_in_order();
                        while let Some(first) = heap.entries.get(0).map(|first| (first.at, first.place)) {
                            if heap.take_due(now).is_none() {
                                prop_assert!(first.0 > now);
                                break;
                            }
                            prop_assert!((last..=now).contains(&first.0));
                            last = first.0;
                            let holder = held.iter_mut().find(|(place, _)| *place == first.1);
                            prop_assert_eq!(holder.and_then(|(_, at)| at.take()), Some(first.0));
                        }
                    }
                    Step::Rearm(..) | Step::GiveUp(_) => {}
                }
                let waiting: Vec<_> = held.iter().filter_map(|(_, at)| *at).collect();
                prop_assert_eq!(heap.entries.len(), waiting.len());
                prop_assert!((1..heap.ordered).all(|at| heap.entries[(at - 1) / 2].at <= heap.entries[at].at));
                prop_assert!(heap.entries.len() - heap.ordered <= MAX_UNORDERED);
                if matches!(step, Step::Advance(_)) {
                    prop_assert_eq!(heap.next(), waiting.iter().copied().min().unwrap_or(NEVER));
                }
                prop_assert_eq!(heap.places.len() - heap.free_len, held.len());
                let is_found = |at: usize| heap.places[heap.entries[at].place.0 as usize] as usize == at;
                prop_assert!((0..heap.entries.len()).all(is_found));
            }
        }
    }
}
