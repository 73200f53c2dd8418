//! The classes of connections that are sent the same frames.

use slab::Slab;

use super::table::{Place, place};
use crate::class::Class;

/// The few classes that there are, and how many connections are of each.
#[derive(Debug, Default)]
pub(super) struct Classes(Slab<(Class, usize)>);

impl Classes {
    /// One connection more is of this class: which it is.
    pub(super) fn add(&mut self, class: Class) -> Place {
        if let Some((at, (_, connections))) = self.0.iter_mut().find(|(_, (own, _))| *own == class) {
            *connections += 1;
            return place(at);
        }
        place(self.0.insert((class, 1)))
    }

    /// One connection less is.
    pub(super) fn remove(&mut self, class: usize) {
        let (_, connections) = &mut self.0[class];
        *connections -= 1;
        if *connections == 0 {
            self.0.remove(class);
        }
    }

    pub(super) fn get(&self, class: usize) -> &Class {
        &self.0[class].0
    }
}
