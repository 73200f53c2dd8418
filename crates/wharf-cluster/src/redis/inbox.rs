//! What has come from other nodes and the hub has not taken yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};
use wharf::hub::{Arrived, Incoming, Publication, PublicationId};

/// Where what comes is put.
#[derive(Debug)]
pub(super) struct Inbox {
    messages: mpsc::UnboundedSender<(Arrived, usize)>,
    /// How many bytes wait.
    waiting: Arc<Waiting>,
    /// This node.
    node: u64,
    /// The last number of each node that came without a position.
    newest: HashMap<u64, u64>,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    are_taken: Notify,
}

/// How many bytes may wait before no more is read from the connection. Then they wait at Redis, which bounds them, too.
const FULL: usize = 4 * 1024 * 1024;

/// What a message counts beside its own bytes.
const OVERHEAD: usize = 256;

/// Of how many nodes the last number is remembered. Beyond, all are forgotten.
const NODES: usize = 4096;

impl Inbox {
    /// An inbox, and what gives the hub all that is put there, until it is gone.
    pub(super) fn new(incoming: Incoming) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (messages, mut to_deliver) = mpsc::unbounded_channel::<(Arrived, usize)>();
        let waiting = Arc::<Waiting>::default();
        let inbox =
            Self { messages, waiting: waiting.clone(), node: incoming.node(), newest: HashMap::new() };
        let deliver = async move {
            while let Some((arrived, bytes)) = to_deliver.recv().await {
                tokio::select! {
                    () = incoming.arrived(arrived) => {}
                    () = incoming.gone() => return,
                }
                waiting.bytes.fetch_sub(bytes, Ordering::AcqRel);
                waiting.are_taken.notify_one();
            }
        };
        (inbox, deliver)
    }

    /// Puts a message there, unless the hub has it already, or had one that was published later.
    pub(super) fn put(&mut self, arrived: Arrived) {
        if !self.is_wanted(&arrived) {
            return;
        }
        let Publication { message, key, .. } = &arrived.publication;
        let bytes = message.len() + key.as_ref().map_or(0, |key| key.len()) + OVERHEAD;
        self.waiting.bytes.fetch_add(bytes, Ordering::AcqRel);
        // Fails only where the hub is gone.
        let _ = self.messages.send((arrived, bytes));
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.bytes.load(Ordering::Acquire) >= FULL
    }

    /// Waits until it is not full any more.
    ///
    /// Cancel safe.
    pub(super) async fn has_room(&self) {
        while self.is_full() {
            self.waiting.are_taken.notified().await;
        }
    }

    fn is_wanted(&mut self, arrived: &Arrived) -> bool {
        let (Some(PublicationId { node, number }), None) = (arrived.id, arrived.publication.position) else {
            return true;
        };
        if node == self.node {
            return false;
        }
        if self.newest.len() == NODES && !self.newest.contains_key(&node) {
            self.newest.clear();
        }
        // What a connection was given before it was lost can come behind what the next one brought.
        let newest = self.newest.entry(node).or_default();
        if number < *newest {
            return false;
        }
        *newest = number;
        true
    }
}
