//! The connections and undecided requests of a server, and its events: what its handles, its mounts and its
//! connections share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::burst::Burst;
use crate::config::ServerConfig;
use crate::connection::Connection;
use crate::counters::{Count, Counts};
use crate::event::{Event, EventQueue};
use crate::proto::CloseCode;
use crate::proto::connection::Ending;
use crate::proto::deflate::ContextMemory;
use crate::proto::handshake::Refusal;
use crate::request::{Decision, Host};
use crate::shared::{Owner, Shared};

#[derive(Default)]
pub(crate) struct Registry {
    connections: Mutex<Connections>,
    /// Requests that nobody has decided.
    pending: Mutex<BTreeMap<u64, Arc<Decision>>>,
    /// The memory for compression, one for each limit that a mount has.
    memories: Mutex<Vec<Weak<ContextMemory>>>,
    pub(crate) events: EventQueue,
    pub(crate) counts: Counts,
    next_id: AtomicU64,
    is_shut_down: AtomicBool,
    tells_decisions: AtomicBool,
}

/// The live connections.
#[derive(Default)]
struct Connections {
    by_id: BTreeMap<u64, Arc<Shared>>,
    /// All of them, for whoever sends to all: made when it is asked for, and given up when one comes or goes.
    everybody: Option<Arc<[Arc<Shared>]>>,
    /// What waits on all of them, as long as it waits on any.
    burst: Weak<Burst>,
}

impl Connections {
    fn insert(&mut self, connection: &Arc<Shared>) {
        self.others();
        self.by_id.insert(connection.id, connection.clone());
    }

    fn remove(&mut self, connection: &Shared) {
        self.others();
        self.by_id.remove(&connection.id);
    }

    /// They are not those any more that they were.
    fn others(&mut self) {
        self.everybody = None;
        self.burst = Weak::new();
    }
}

impl Registry {
    /// Lists a request as undecided, until it is decided or the guard is dropped, and tells `event`, the request.
    pub(crate) fn pending(self: &Arc<Self>, decision: &Arc<Decision>, event: Option<Event>) -> Pending {
        let mut pending = lock(&self.pending);
        pending.insert(decision.id, decision.clone());
        // With the lock held, so that whoever finds the request listed decides it after it was told.
        let unheard = event.and_then(|event| self.events.push_or_return(event));
        drop(pending);
        // Dropping a request decides it, which wants the lock.
        drop(unheard);
        if self.is_shut_down.load(Ordering::Acquire) {
            // It came in before the shutdown looked, and is listed after.
            self.refuse(decision, UNAVAILABLE, &self.counts.refused);
        }
        Pending { registry: self.clone(), id: decision.id }
    }

    /// Refuses every undecided request.
    pub(crate) fn refuse_pending(&self) {
        let pending = std::mem::take(&mut *lock(&self.pending));
        for decision in pending.into_values() {
            self.refuse(&decision, UNAVAILABLE, &self.counts.refused);
        }
    }

    /// Refuses a request, if nobody has decided it, in the name of nobody.
    pub(crate) fn refuse(&self, decision: &Decision, refusal: Refusal<'_>, count: &Count) {
        if decision.refuse(refusal) {
            self.rejected(decision.id, refusal.status, count);
        }
    }

    /// Counts and tells a request that was decided.
    fn rejected(&self, request: u64, status: u16, count: &Count) {
        count.increment();
        lock(&self.pending).remove(&request);
        if self.tells_decisions() {
            self.events.push(Event::RequestResolved { request });
            self.events.push(Event::RequestRejected { request, status });
        }
    }

    /// Whether decisions are events, too.
    pub(crate) fn set_tells_decisions(&self, tells: bool) {
        self.tells_decisions.store(tells, Ordering::Release);
    }

    fn tells_decisions(&self) -> bool {
        self.tells_decisions.load(Ordering::Acquire)
    }

    /// Whether the server is shut down, and takes nobody in.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Acquire)
    }

    /// Whether a shut down server has come to its end, or begins anew.
    pub(crate) fn set_shut_down(&self, is_shut_down: bool) {
        self.is_shut_down.store(is_shut_down, Ordering::Release);
    }

    /// The next event; `None` when the server is shut down and its last connection gone.
    pub(crate) async fn next_event(&self) -> Option<Event> {
        let is_over = || self.is_shut_down.load(Ordering::Acquire) && self.connection_count() == 0;
        self.events.next(is_over).await
    }

    /// What keeps a further request from being taken in, as the reason of its refusal.
    pub(crate) fn what_is_full(&self, config: &ServerConfig) -> Option<&'static str> {
        let pending = self.pending_count();
        if pending >= config.max_pending_requests {
            Some("Too many requests wait for a decision.")
        } else if self.connection_count() + pending >= config.max_connections {
            Some("Too many connections.")
        } else if self.events.len() >= config.max_pending_events {
            Some("The server is too busy.")
        } else {
            None
        }
    }

    /// The memory of this limit, which mounts that have the same limit share, with connections of earlier ones, too.
    pub(crate) fn context_memory(&self, limit: usize) -> Arc<ContextMemory> {
        let mut memories = lock(&self.memories);
        memories.retain(|memory| memory.strong_count() > 0);
        let known =
            memories.iter().find_map(|memory| memory.upgrade().filter(|memory| memory.limit() == limit));
        known.unwrap_or_else(|| {
            let memory = Arc::new(ContextMemory::new(limit));
            memories.push(Arc::downgrade(&memory));
            memory
        })
    }

    /// Lists a connection that came without a request, and tells of it.
    pub(crate) fn connected(&self, connection: &Arc<Shared>) {
        lock(&self.connections).insert(connection);
        self.events.push(Event::Connect(Connection::new(connection.clone())));
        self.close_if_shut_down(connection);
    }

    /// It came before the shutdown looked, and is listed after.
    fn close_if_shut_down(&self, connection: &Arc<Shared>) {
        if self.is_shut_down() {
            // The code can always be sent.
            let _ = Connection::new(connection.clone()).close(CloseCode::GOING_AWAY, None);
        }
    }

    /// The live connections, in order of acceptance.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        lock(&self.connections).by_id.values().map(|shared| Connection::new(shared.clone())).collect()
    }

    /// The burst to which a message may be added that goes to all live connections.
    pub(crate) fn burst(&self) -> Option<Arc<Burst>> {
        lock(&self.connections).burst.upgrade()
    }

    /// The burst waits on all live connections, if they are still `everybody`.
    pub(crate) fn set_burst(&self, everybody: &Arc<[Arc<Shared>]>, burst: &Arc<Burst>) {
        let mut connections = lock(&self.connections);
        if connections.everybody.as_ref().is_some_and(|now| Arc::ptr_eq(now, everybody)) {
            connections.burst = Arc::downgrade(burst);
        }
    }

    /// The live connections, in order of acceptance, without a handle on each.
    pub(crate) fn everybody(&self) -> Arc<[Arc<Shared>]> {
        let Connections { by_id, everybody, .. } = &mut *lock(&self.connections);
        everybody.get_or_insert_with(|| by_id.values().cloned().collect()).clone()
    }

    pub(crate) fn connection_count(&self) -> usize {
        lock(&self.connections).by_id.len()
    }

    pub(crate) fn pending_count(&self) -> usize {
        lock(&self.pending).len()
    }
}

/// A place in the list of undecided requests.
pub(crate) struct Pending {
    registry: Arc<Registry>,
    id: u64,
}

impl Drop for Pending {
    fn drop(&mut self) {
        lock(&self.registry.pending).remove(&self.id);
    }
}

impl Host for Registry {
    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn request_accepted(&self, request: u64, connection: &Arc<Shared>) {
        self.counts.accepted.increment();
        lock(&self.connections).insert(connection);
        lock(&self.pending).remove(&request);
        let tells_decisions = self.tells_decisions();
        if tells_decisions {
            self.events.push(Event::RequestResolved { request });
        }
        self.events.push(Event::Connect(Connection::new(connection.clone())));
        if tells_decisions {
            let connection = Connection::new(connection.clone());
            self.events.push(Event::RequestAccepted { request, connection });
        }
        self.close_if_shut_down(connection);
    }

    fn request_rejected(&self, request: u64, status: u16) {
        self.rejected(request, status, &self.counts.rejected);
    }

    fn as_owner(self: Arc<Self>) -> Arc<dyn Owner> {
        self
    }
}

impl Owner for Registry {
    fn connection_gone(&self, connection: &Arc<Shared>, ending: &Ending) {
        let event = Event::Close { connection: Connection::new(connection.clone()), ending: ending.clone() };
        // Together, so that whoever sees no connection left sees its event.
        let mut connections = lock(&self.connections);
        connections.remove(connection);
        self.events.push(event);
    }
}

/// What an undecided request gets when the server closes all connections.
const UNAVAILABLE: Refusal<'_> = Refusal { status: 503, reason: None, fields: &[] };

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_with_the_same_limit_share_the_memory_for_compression() {
        let registry = Registry::default();
        let first = registry.context_memory(10);
        let other = registry.context_memory(20);
        assert_eq!((first.limit(), other.limit()), (10, 20));
        let taken = first.reserve(10).unwrap();
        drop(first);
        // The connection that holds it has outlived its mount.
        assert_eq!(registry.context_memory(10).used(), 10);
        drop((taken, other));
        assert_eq!(registry.context_memory(10).used(), 0);
        assert_eq!(lock(&registry.memories).len(), 1);
    }
}
