//! Broadcasts that follow one another before anybody has come to the first: framed once, and queued once for each
//! connection.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::proto::connection::FramedMessages;
use crate::proto::message::MessageRef;
use crate::queue::PLACE;
use crate::shared::Shared;

/// Short messages, one behind the other, that wait on every connection that takes part. Messages are added as long as nobody
/// has looked at any of these connections' outboxes: so nothing can be queued between two of them, and what is known of the
/// connections stays as it is.
#[derive(Debug)]
pub(crate) struct Burst {
    growing: Mutex<Option<Growing>>,
    ended: OnceLock<Ended>,
}

#[derive(Debug)]
struct Growing {
    messages: Ended,
    /// How many connections take part.
    connections: usize,
    /// Those that do not, and are open.
    others: Arc<[Arc<Shared>]>,
    /// Messages are added that make none of them full: their weight is below this.
    room: usize,
    /// Messages are added that each of them frames ahead.
    framed_below: usize,
}

/// The messages of a burst, and what they weigh on each connection.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) messages: FramedMessages,
    pub(crate) weight: usize,
}

impl Burst {
    /// A burst of this message, to which nothing can be added yet.
    pub(crate) fn new(message: MessageRef<'_>) -> Arc<Self> {
        let mut messages = FramedMessages::default();
        messages.push(message);
        let messages = Ended { messages, weight: message.as_bytes().len() + PLACE };
        let growing = Growing { messages, connections: 0, others: Arc::default(), room: 0, framed_below: 0 };
        Arc::new(Self { growing: Mutex::new(Some(growing)), ended: OnceLock::new() })
    }

    /// From now on messages can be added, unless it has ended.
    pub(crate) fn grow(
        &self,
        connections: usize,
        others: Arc<[Arc<Shared>]>,
        room: usize,
        framed_below: usize,
    ) {
        if let Some(growing) = self.growing().as_mut() {
            let messages = std::mem::take(&mut growing.messages);
            *growing = Growing { messages, connections, others, room, framed_below };
        }
    }

    /// Adds a message: for how many connections, and to whom else it is to go. `None` where each is to be looked at.
    pub(crate) fn push(&self, message: MessageRef<'_>) -> Option<(usize, Arc<[Arc<Shared>]>)> {
        let mut growing = self.growing();
        let Growing { messages: Ended { messages, weight }, connections, others, room, framed_below } =
            growing.as_mut()?;
        let len = message.as_bytes().len();
        if len >= *framed_below || len + PLACE >= *room {
            return None;
        }
        *room -= len + PLACE;
        *weight += len + PLACE;
        messages.push(message);
        Some((*connections, others.clone()))
    }

    /// What was added until now, and nothing will be any more.
    pub(crate) fn end(&self) -> &Ended {
        // Taken nowhere else, and once.
        self.ended.get_or_init(|| self.growing().take().map(|growing| growing.messages).unwrap_or_default())
    }

    fn growing(&self) -> MutexGuard<'_, Option<Growing>> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;
    use crate::hub::Home;
    use crate::options::Options;
    use crate::outbox::Outbox;
    use crate::queue::Command;

    const A: MessageRef<'_> = MessageRef::Text("a");
    const WEIGHT: usize = 1 + PLACE;

    /// Adds a short message: for how many connections.
    fn push(burst: &Burst) -> Option<usize> {
        burst.push(A).map(|(connections, _)| connections)
    }

    fn outboxes() -> [Outbox; 2] {
        let options = Arc::new(Options::new(ServerConfig::default()).unwrap());
        [options.clone(), options].map(|options| Outbox::new(options, true, Home::default()))
    }

    fn burst_on(outboxes: &[Outbox], room: usize) -> Arc<Burst> {
        let burst = Burst::new(A);
        for outbox in outboxes {
            assert!(outbox.try_send_burst(&burst, A).is_some_and(|queued| queued.wake && queued.room > room));
        }
        burst.grow(outboxes.len(), Arc::default(), room, 10);
        burst
    }

    #[test]
    fn what_is_added_counts_on_every_outbox_and_a_look_at_one_ends_it() {
        let outboxes = outboxes();
        let burst = burst_on(&outboxes, 1000);
        assert_eq!((push(&burst), push(&burst)), (Some(2), Some(2)));
        assert_eq!(outboxes[1].buffered_amount(), 3 * WEIGHT);
        assert_eq!(push(&burst), None);
        assert_eq!(outboxes[0].buffered_amount(), 3 * WEIGHT);
    }

    #[test]
    fn nothing_is_added_that_fills_an_outbox_or_is_framed_by_the_driver() {
        let outboxes = outboxes();
        let burst = burst_on(&outboxes, 2 * WEIGHT + 1);
        assert!(burst.push(MessageRef::Text("0123456789")).is_none());
        assert_eq!((push(&burst), push(&burst), push(&burst)), (Some(2), Some(2), None));
        assert_eq!(outboxes[0].buffered_amount(), 3 * WEIGHT);
    }

    #[test]
    fn an_outbox_that_the_first_message_fills_takes_no_part_in_it() {
        let options = Options::new(ServerConfig::default().max_buffered_amount(100)).unwrap();
        let (filled, [other, _]) = (Outbox::new(Arc::new(options), true, Home::default()), outboxes());
        filled.set_unsent(90);
        let burst = Burst::new(A);
        let queued = filled.try_send_burst(&burst, A).unwrap();
        assert_eq!((queued.wake, queued.room), (true, 0));
        assert!(other.try_send_burst(&burst, A).is_some());
        burst.grow(1, Arc::default(), 1000, 10);
        assert_eq!(push(&burst), Some(1));
        assert_eq!((filled.buffered_amount(), other.buffered_amount()), (90 + WEIGHT, 2 * WEIGHT));
    }

    #[test]
    fn until_it_is_on_all_nothing_is_added() {
        let outboxes = outboxes();
        let burst = Burst::new(A);
        outboxes[0].try_send_burst(&burst, A);
        assert_eq!(push(&burst), None);
        outboxes[0].take();
        burst.grow(2, Arc::default(), 1000, 10);
        assert_eq!(push(&burst), None, "it has ended");
    }

    #[test]
    fn all_else_stays_before_and_behind_it() {
        let outboxes = outboxes();
        let burst = burst_on(&outboxes, 1000);
        push(&burst);
        outboxes[0].try_send("b".into(), Command::Send).unwrap();
        let behind = outboxes[0].try_send_burst(&Burst::new(A), A).unwrap();
        assert_eq!((behind.wake, behind.room), (false, 0), "framed behind what waits");
        assert_eq!(outboxes[0].buffered_amount(), 4 * WEIGHT);
        let mut taken = outboxes[0].take();
        assert!(
            matches!(taken.as_mut()[..], [Command::SendBurst(_), Command::SendFramed { weight, .. }] if weight == 2 * WEIGHT)
        );
        assert!(matches!(outboxes[1].take(), crate::queue::Queue::Burst(_)));
        assert_eq!(outboxes[1].buffered_amount(), 2 * WEIGHT, "until it is written");
    }

    #[test]
    fn within_the_handlers_message_it_waits() {
        let [outbox, _] = outboxes();
        let burst = burst_on(std::slice::from_ref(&outbox), 1000);
        assert!(outbox.begin_handlers_message(false));
        assert_eq!(push(&burst), None);
        assert!(outbox.take().is_empty());
        assert!(outbox.end_handlers_message(), "the driver comes back to it");
        assert_eq!(outbox.take().weight(), WEIGHT);
    }
}
