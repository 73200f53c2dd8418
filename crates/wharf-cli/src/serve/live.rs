//! `/live`: what the server is doing, told once a second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use wharf::{Connection, Context, Ending, Handler, Server};

/// How often the numbers are told.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) struct Live {
    server: Server,
    started: Instant,
    traffic: Arc<Traffic>,
    watchers: Mutex<BTreeMap<u64, Connection>>,
}

/// What has come and gone since the start.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    accepted: AtomicU64,
    messages_received: AtomicU64,
    messages_sent: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
}

/// One count, as it is told.
#[derive(Debug, Serialize)]
struct Count {
    connections: usize,
    accepted: u64,
    messages_received: u64,
    messages_sent: u64,
    bytes_received: u64,
    bytes_sent: u64,
    /// Seconds.
    uptime: f64,
}

impl Live {
    pub(super) fn new(server: Server) -> Self {
        let traffic = Arc::default();
        Self { server, started: Instant::now(), traffic, watchers: Mutex::default() }
    }

    pub(super) const fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    pub(super) fn watcher(self: Arc<Self>) -> impl Handler {
        Watcher { live: self }
    }

    /// Tells all watchers, for as long as the program runs.
    pub(super) async fn count_every_second(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let count = self.count();
            for watcher in self.lock().values() {
                // A watcher that is too slow for one count gets the next.
                let _ = watcher.try_send(count.as_str());
            }
        }
    }

    fn count(&self) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let count = Count {
            connections: self.server.connection_count(),
            accepted: read(&self.traffic.accepted),
            messages_received: read(&self.traffic.messages_received),
            messages_sent: read(&self.traffic.messages_sent),
            bytes_received: read(&self.traffic.bytes_received),
            bytes_sent: read(&self.traffic.bytes_sent),
            uptime: self.started.elapsed().as_secs_f64(),
        };
        serde_json::to_string(&count).expect("numbers under fixed names are always JSON")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Connection>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.messages_received.fetch_add(1, Ordering::Relaxed);
        self.bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.messages_sent.fetch_add(1, Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// One who is told.
struct Watcher {
    live: Arc<Live>,
}

impl Handler for Watcher {
    fn connect(&mut self, context: &mut Context<'_>) {
        let _ = context.send(self.live.count().as_str());
        self.live.lock().insert(context.connection().id(), context.connection().clone());
    }

    fn close(&mut self, connection: &Connection, _: &Ending) {
        self.live.lock().remove(&connection.id());
    }
}
