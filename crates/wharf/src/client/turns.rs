//! One opening handshake at a time with each host (RFC 6455 §4.1).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// Who is to be connected to: names of the same address are the same host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    Address(IpAddr),
    /// Where a proxy resolves names, each counts as a host of its own (RFC 6455 §4.1).
    Name(String),
}

/// The hosts that a client is about to connect to.
#[derive(Debug, Default)]
pub(super) struct Turns {
    hosts: Mutex<HashMap<Host, Weak<tokio::sync::Mutex<()>>>>,
}

/// A turn, until it is dropped.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits until nobody else connects to `host`, in the order of asking (RFC 6455 §4.1).
    ///
    /// Cancel safe: dropped, it leaves the queue.
    pub(super) async fn take(&self, host: Host) -> Turn {
        self.queue(host).lock_owned().await
    }

    fn queue(&self, host: Host) -> Arc<tokio::sync::Mutex<()>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = hosts.get(&host).and_then(Weak::upgrade) {
            return queue;
        }
        // Hosts that nobody connects to any more: never more than were connected to at once.
        hosts.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        hosts.insert(host, Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn host(last: u8) -> Host {
        Host::Address([10, 0, 0, last].into())
    }

    #[test]
    fn each_host_has_one_turn_at_a_time_and_hosts_without_any_are_forgotten() {
        // RFC 6455 §4.1
        let turns = Turns::default();
        let first = turns.take(host(1)).now_or_never().expect("nobody is before it");
        let mut second = Box::pin(turns.take(host(1)));
        assert!((&mut second).now_or_never().is_none());
        let other = turns.take(host(2)).now_or_never().expect("another host");
        drop(first);
        drop(second.now_or_never().expect("its turn has come"));
        drop(other);
        assert!(turns.take(Host::Name("example.com".to_owned())).now_or_never().is_some());
        assert_eq!(turns.hosts.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_turn_that_is_not_waited_for_any_more_is_nobodys() {
        let turns = Turns::default();
        let first = turns.take(host(1)).now_or_never();
        let mut second = Box::pin(turns.take(host(1)));
        assert!((&mut second).now_or_never().is_none());
        drop(second);
        drop(first);
        assert!(turns.take(host(1)).now_or_never().is_some());
    }
}
