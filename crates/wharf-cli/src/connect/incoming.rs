//! What comes on a connection, messages and pongs, on its way to whoever shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;
use wharf::{Connection, Context, Handler, Message, MessageRef};

/// Bytes that may wait to be shown, with [`OVERHEAD`] for each item; then nothing more is read.
const MOST_WAITING: usize = 1 << 20;
/// What an item costs beside its bytes, about.
const OVERHEAD: usize = 64;

/// Something that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Message(Message),
    Pong(Bytes),
}

/// The handler's end.
///
/// The queue itself has no bound, since a handler cannot wait: whatever goes over it pauses the connection, and nothing
/// follows until something was taken.
#[derive(Debug)]
pub(super) struct Relay {
    items: mpsc::UnboundedSender<Item>,
    waiting: Arc<AtomicUsize>,
}

/// The end that is taken from.
#[derive(Debug)]
pub(super) struct Incoming {
    items: mpsc::UnboundedReceiver<Item>,
    waiting: Arc<AtomicUsize>,
}

/// Both ends.
pub(super) fn incoming() -> (Relay, Incoming) {
    let (sender, items) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicUsize>::default();
    (Relay { items: sender, waiting: waiting.clone() }, Incoming { items, waiting })
}

impl Relay {
    fn push(&self, context: &mut Context<'_>, item: Item) {
        let waiting = self.waiting.fetch_add(item.cost(), Ordering::AcqRel) + item.cost();
        // Before it is queued: whoever takes it is to see the pause, and end it.
        if waiting > MOST_WAITING {
            context.pause();
        }
        // Fails where nobody takes anything any more.
        let _ = self.items.send(item);
    }
}

impl Handler for Relay {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        self.push(context, Item::Message(message.into()));
    }

    fn pong(&mut self, context: &mut Context<'_>, payload: &[u8]) {
        self.push(context, Item::Pong(Bytes::copy_from_slice(payload)));
    }
}

impl Incoming {
    /// What came next on the connection; none when it has ended.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self, connection: &Connection) -> Option<Item> {
        let item = self.items.recv().await?;
        self.waiting.fetch_sub(item.cost(), Ordering::AcqRel);
        if connection.is_paused() {
            connection.resume();
        }
        Some(item)
    }
}

impl Item {
    fn cost(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Message(message) => message.len(),
                Self::Pong(payload) => payload.len(),
            }
    }
}
