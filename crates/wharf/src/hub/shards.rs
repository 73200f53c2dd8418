//! The shards of a hub: one for each runtime of one thread, several for a runtime of several.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::{Handle, Id, RuntimeFlavor};

use super::Inner;
use super::counters::Counters;
use super::shard::ShardHandle;

/// Where a connection's subscriptions live: the shard of its worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Home(u16);

#[derive(Debug)]
pub(super) struct Shards {
    /// Tells the hubs of a process apart.
    id: u64,
    slots: Mutex<Slots>,
    /// Grows when the slots change.
    version: AtomicU64,
}

#[derive(Debug, Default)]
struct Slots {
    shards: Vec<(Id, Arc<ShardHandle>)>,
    all: Arc<[Arc<ShardHandle>]>,
}

/// What a thread saw of a hub last.
struct Seen {
    hub: u64,
    version: u64,
    all: Arc<[Arc<ShardHandle>]>,
}

/// The homes that a thread gave connections last.
struct Homes {
    hub: u64,
    runtime: Id,
    /// Those of the runtime, of which there is at least one.
    places: Box<[Home]>,
    shards: Box<[Weak<ShardHandle>]>,
    /// Spreads connections among them.
    turns: usize,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Default for Shards {
    fn default() -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { id, slots: Mutex::default(), version: AtomicU64::new(0) }
    }
}

impl Shards {
    /// The home of a connection that lives on the runtime that this is called on. Its shard is started, if it has none.
    pub(super) fn home(&self, hub: &Weak<Inner>, counters: &Arc<Counters>) -> Home {
        thread_local! {
            static LAST: RefCell<Option<Homes>> = const { RefCell::new(None) };
        }
        let runtime = Handle::current();
        LAST.with_borrow_mut(|last| {
            let is_known =
                |last: &&mut Homes| last.hub == self.id && last.runtime == runtime.id() && last.are_alive();
            match last.as_mut().filter(is_known) {
                Some(homes) => homes.next(),
                None => last.insert(self.homes_on(&runtime, hub, counters)).next(),
            }
        })
    }

    /// The homes on a runtime.
    fn homes_on(&self, runtime: &Handle, hub: &Weak<Inner>, counters: &Arc<Counters>) -> Homes {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = slots.of(runtime.id());
        if own.is_empty() {
            let count = match runtime.runtime_flavor() {
                RuntimeFlavor::MultiThread => runtime.metrics().num_workers(),
                _ => 1,
            };
            for _ in 0..count {
                let shard = Arc::new(ShardHandle::start(hub, counters));
                own.push(slots.add(runtime.id(), shard));
            }
            slots.all = slots.shards.iter().map(|(_, shard)| shard.clone()).collect();
            self.version.fetch_add(1, Ordering::Release);
        }
        let shards = own.iter().map(|home| Arc::downgrade(&slots.shards[usize::from(home.0)].1)).collect();
        Homes { hub: self.id, runtime: runtime.id(), places: own.into(), shards, turns: 0 }
    }

    /// The shard of a connection that lives there.
    pub(super) fn of(&self, home: Home) -> Option<Arc<ShardHandle>> {
        self.with_all(|shards| shards.get(usize::from(home.0)).cloned())
    }

    /// All shards there are. Threads share nothing to look at them, as long as none is added.
    #[inline]
    pub(super) fn with_all<T>(&self, work: impl FnOnce(&[Arc<ShardHandle>]) -> T) -> T {
        thread_local! {
            static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
        }
        let all = SEEN.with_borrow_mut(|seen| {
            let version = self.version.load(Ordering::Acquire);
            match seen {
                Some(seen) if seen.hub == self.id && seen.version == version => seen.all.clone(),
                seen => {
                    let all = self.slots.lock().unwrap_or_else(PoisonError::into_inner).all.clone();
                    *seen = Some(Seen { hub: self.id, version, all: all.clone() });
                    all
                }
            }
        });
        work(&all)
    }
}

impl Homes {
    /// Whether their runtime has not ended: another may have its number.
    fn are_alive(&self) -> bool {
        self.shards.iter().all(|shard| shard.upgrade().is_some_and(|shard| !shard.is_over()))
    }

    fn next(&mut self) -> Home {
        self.turns = self.turns.wrapping_add(1);
        self.places[self.turns % self.places.len()]
    }
}

impl Slots {
    /// The homes of a runtime.
    fn of(&self, runtime: Id) -> Vec<Home> {
        let is_alive = |(id, shard): &&(Id, Arc<ShardHandle>)| *id == runtime && !shard.is_over();
        (0..).map(Home).zip(&self.shards).filter(|(_, shard)| is_alive(shard)).map(|(home, _)| home).collect()
    }

    /// Takes in a shard, in place of one whose runtime has ended, if there is such a one.
    fn add(&mut self, runtime: Id, shard: Arc<ShardHandle>) -> Home {
        let over = self.shards.iter().position(|(_, shard)| shard.is_over());
        let at = over.unwrap_or(self.shards.len());
        let home = Home(u16::try_from(at).expect("there are no 65,536 threads"));
        match self.shards.get_mut(at) {
            Some(slot) => *slot = (runtime, shard),
            None => self.shards.push((runtime, shard)),
        }
        home
    }
}
